"""Live sessions with Whisper's real loader and decoder: what is heard while it is said, and what is on record of it.

The model always says the same sentences, whatever it hears.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from tests.audio_files import encoded, pcm_of, silence
from tests.e2e.service import Service, eventually, open_directory
from tests.e2e.test_live import kill_api, live, say, send, until
from tests.tiny_whisper import TEXT, build_tiny_whisper

pytestmark = [pytest.mark.xdist_group("live_whisper"), pytest.mark.timeout(300)]

SENTENCE = pcm_of("five.wav") + silence(1)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with open_directory() as directory:
        settings = {
            "HANSARD_ENGINE_CHAIN": "whisper",
            "HANSARD_WHISPER_MODEL": str(build_tiny_whisper(directory / "tiny")),
            "HANSARD_LIVE_BACKLOG_SECONDS": "3",
        }
        service = Service(directory, settings=settings).start()
        yield service
        service.stop()


def all_until(socket: ClientConnection, kind: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    while not messages or messages[-1]["type"] != kind:
        messages.append(json.loads(socket.recv(timeout=60)))
        assert messages[-1]["type"] != "error", messages[-1]
    return messages


def of_kind(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [message for message in messages if message["type"] == kind]


def attempt_of_kind(transcription: dict[str, Any], kind: str) -> dict[str, Any]:
    (attempt,) = [attempt for attempt in transcription["attempts"] if attempt["kind"] == kind]
    return attempt


def seconds(finals: list[dict[str, Any]]) -> float:
    return sum(final["end_seconds"] - final["start_seconds"] for final in finals)


@pytest.mark.parametrize("query", ["", "encoding=opus"])
def test_what_is_said_is_heard_by_whisper_at_once_and_not_again_by_the_worker(service: Service, query: str) -> None:
    audio = silence(0.5) + 2 * SENTENCE
    if query:
        audio = encoded(audio, container="webm", codec="libopus", sample_rate_hz=48_000)
    with live(service, query) as socket:
        send(socket, audio)
        say(socket, "end")
        messages = all_until(socket, "ended")
    finals = of_kind(messages, "final")
    assert [(final["text"], final["engine"]) for final in finals] == [(TEXT, "whisper")] * 2
    for final in finals:
        words = [word for segment in final["segments"] for word in segment["words"]]
        assert final["start_seconds"] <= words[0]["start_seconds"]
        assert words[-1]["end_seconds"] <= final["end_seconds"]
    done = service.ended(messages[-1]["transcription_id"])
    assert (done["status"], done["text"], done["language"]) == ("completed", f"{TEXT} {TEXT}", "en")
    assert attempt_of_kind(done, "recording")["recognised_seconds"] == 0.0


def test_the_engines_work_in_a_session_is_on_its_record(service: Service) -> None:
    with live(service) as socket:
        # More is said only once there was an interim, so that there is one.
        send(socket, SENTENCE[: 3 * len(SENTENCE) // 6])
        interim = until(socket, "interim")
        send(socket, SENTENCE[3 * len(SENTENCE) // 6 :] + SENTENCE)
        say(socket, "end")
        messages = all_until(socket, "ended")
    assert interim["text"] == TEXT
    done = service.ended(messages[-1]["transcription_id"])
    finals, final_work = of_kind(messages, "final"), attempt_of_kind(done, "live")
    assert (final_work["engine"], final_work["outcome"]) == ("whisper", "succeeded")
    assert final_work["recognised_seconds"] == pytest.approx(seconds(finals), abs=0.01)
    interim_work = attempt_of_kind(done, "interims")
    assert interim_work["recognised_seconds"] >= 1.0
    for work in (final_work, interim_work):
        assert 0 < work["processing_seconds"] < 60
    assert service.count_events(done["id"], "transcription.attempted") == 3


def test_who_is_ahead_of_whisper_is_held_up_and_loses_nothing(service: Service) -> None:
    with live(service, "interims=false") as socket:
        socket.send(10 * SENTENCE)
        assert until(socket, "backlog")["seconds"] > 3
        socket.send(2 * SENTENCE)
        say(socket, "end")
        messages = all_until(socket, "ended")
    done = service.ended(messages[-1]["transcription_id"])
    assert done["text"].count(TEXT) == 12
    assert done["duration_seconds"] == pytest.approx(12 * len(SENTENCE) / 32_000)


def test_what_was_heard_before_the_api_was_killed_and_after_is_counted_once(service: Service) -> None:
    audio = 3 * SENTENCE
    with live(service, "interims=false") as socket:
        session = until(socket, "started")["session"]
        send(socket, audio[: 2 * len(SENTENCE)])
        finals = [until(socket, "final"), until(socket, "final")]
        kill_api(service)
    eventually(service._is_ready, "the API to be back")
    with live(service, f"session={session}&utterance=2") as socket:
        send(socket, audio[until(socket, "started")["received_bytes"] :])
        say(socket, "end")
        messages = all_until(socket, "ended")
    finals += of_kind(messages, "final")
    done = service.ended(session)
    assert [final["utterance"] for final in finals] == [1, 2, 3]
    assert attempt_of_kind(done, "live")["recognised_seconds"] == pytest.approx(seconds(finals), abs=0.01)
    assert done["text"] == " ".join([TEXT] * 3)
