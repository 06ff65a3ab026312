"""Live sessions with the whole service, real voice activity and a real engine; and with an API that is killed."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.audio_files import encoded, pcm_of, silence
from tests.e2e.service import Service, eventually, open_directory

pytestmark = [pytest.mark.xdist_group("live"), pytest.mark.timeout(300)]

FIVE = pcm_of("five.wav")
SAID = "one two three four five"
CHUNK_BYTES = 3_200


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with open_directory() as directory:
        service = Service(directory, settings={"HANSARD_ENGINE_CHAIN": "pocketsphinx"}).start()
        yield service
        service.stop()


@contextmanager
def live(service: Service, query: str = "") -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{service.port}/live?{query}", proxy=None) as socket:
        yield socket


def until(socket: ClientConnection, kind: str) -> dict[str, Any]:
    while (message := json.loads(socket.recv(timeout=60)))["type"] != kind:
        assert message["type"] != "error", message
    return message


def send(socket: ClientConnection, audio: bytes) -> None:
    for start in range(0, len(audio), CHUNK_BYTES):
        socket.send(audio[start : start + CHUNK_BYTES])


def say(socket: ClientConnection, type: str) -> None:
    socket.send(json.dumps({"type": type}))


def kill_api(service: Service) -> None:
    (api,) = service.processes("api")
    api.kill()
    api.wait(30)


@pytest.mark.parametrize("encoding", ["pcm16", "ogg", "webm"])
def test_what_is_said_live_is_text_at_once_and_a_transcription_after(service: Service, encoding: str) -> None:
    audio = silence(0.5) + FIVE + silence(1) + FIVE + silence(1)
    query = "language=en"
    if encoding != "pcm16":
        audio = encoded(audio, container=encoding, codec="libopus", sample_rate_hz=48_000)
        query = "language=en&encoding=opus"
    with live(service, query) as socket:
        send(socket, audio)
        say(socket, "end")
        finals = [until(socket, "final"), until(socket, "final")]
        ended = until(socket, "ended")
    assert [final["text"] for final in finals] == [SAID, SAID]
    done = service.ended(ended["transcription_id"])
    assert (done["status"], done["text"], done["audio_id"]) == ("completed", f"{SAID} {SAID}", ended["audio_id"])
    assert done["attempts"][-1]["recognised_seconds"] == 0.0
    assert service.http.get(f"/audio/{ended['audio_id']}/download").status_code == 200


def test_what_was_said_before_the_api_was_killed_becomes_a_transcription(service: Service) -> None:
    with live(service) as socket:
        session = until(socket, "started")["session"]
        send(socket, FIVE + silence(1) + FIVE[: len(FIVE) // 2])
        until(socket, "final")
        kill_api(service)
    for file in (service.directory / "data" / "live").iterdir():
        # As if the minute in which its client may come back were over.
        os.utime(file, (time.time() - 120, time.time() - 120))
    done = eventually(lambda: stored(service, session), "the session to be stored")
    assert done["status"] == "completed"
    assert done["text"].startswith(SAID)
    assert not list((service.directory / "data" / "live").iterdir())


def test_a_client_goes_on_after_the_api_was_killed_and_loses_nothing(service: Service) -> None:
    audio = FIVE + silence(1) + FIVE + silence(1) + FIVE + silence(1)
    with live(service) as socket:
        session = until(socket, "started")["session"]
        send(socket, audio[: len(audio) // 2])
        until(socket, "final")
        kill_api(service)
    eventually(service._is_ready, "the API to be back")
    with live(service, f"session={session}") as socket:
        started = until(socket, "started")
        assert 0 < started["received_bytes"] <= len(audio) // 2
        send(socket, audio[started["received_bytes"] :])
        say(socket, "end")
        ended = until(socket, "ended")
    done = service.ended(ended["transcription_id"])
    assert (done["status"], done["text"]) == ("completed", f"{SAID} {SAID} {SAID}")
    recording = service.http.get(f"/audio/{ended['audio_id']}/download").content
    assert recording[44:] == audio


def stored(service: Service, session: str) -> dict[str, Any] | None:
    """The transcription that the session became, once it has ended."""
    answer = service.http.get(f"/transcriptions/{session}")
    if answer.status_code != 200 or answer.json()["status"] not in {"completed", "failed"}:
        return None
    return answer.json()
