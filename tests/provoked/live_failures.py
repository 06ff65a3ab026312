"""Every way in which live speech is refused, or goes on lamely."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hansard.audio import live_decoder
from hansard.audio.live_decoder import ContainerStream
from hansard.domain.errors import Category, Failure, HansardError, StorageError
from hansard.http.live import MOST_AUDIO_BYTES, close_code
from hansard.storage.live_spool import LiveSpoolFiles
from tests.error_table import Provoked, provokes, raised_by
from tests.unit.http.api import FakeContainer, client_of
from tests.unit.test_live_session import REQUEST, SENTENCE
from tests.unit.test_live_session import client_of as live_client_of
from tests.workshop import Workshop

SECTION = "Live speech"


def closes(error: HansardError) -> Provoked:
    return Provoked(error.failure, f"Refused with {close_code(error).value}")


def told(container: FakeContainer, talk: Callable[[Any], None]) -> Provoked:
    """What a client is told, and with which code its connection is closed."""
    with client_of(container).websocket_connect("/live") as socket:
        talk(socket)
        while (message := socket.receive_json())["type"] != "error":
            pass
        code = socket.receive()["code"]
    container.live.stop()
    failure = Failure(
        code=message["code"],
        category=Category.CLIENT,
        message=message["message"],
        help=message["help"],
    )
    return Provoked(failure, f"Refused with {code}")


@provokes(SECTION, "As many sessions run as `HANSARD_LIVE_SESSIONS` allows")
def too_many() -> Provoked:
    shop = Workshop()
    for _ in range(shop.live_policy.most_sessions):
        shop.live.begin(REQUEST)
    return closes(raised_by(lambda: shop.live.begin(REQUEST)))


@provokes(SECTION, "Live speech is switched off")
def off() -> Provoked:
    shop = Workshop()
    shop.live_policy = replace(shop.live_policy, most_sessions=0)
    return closes(raised_by(lambda: shop.live.begin(REQUEST)))


@provokes(SECTION, "The session to come back to never was, or was empty")
def unknown_session() -> Provoked:
    return closes(raised_by(lambda: Workshop().live.resume(uuid4())))


@provokes(SECTION, "The session to come back to is being stored, or another server's")
def busy() -> Provoked:
    shop = Workshop()
    session_id = uuid4()
    shop.live_spool.create(session_id, REQUEST)
    return closes(raised_by(lambda: shop.live.resume(session_id)))


@provokes(SECTION, "The session was ended meanwhile, by another connection or for its length")
def over() -> Provoked:
    client = live_client_of(Workshop())
    client.shop.live.end(client.session)
    return closes(raised_by(lambda: client.shop.live.end(client.session)))


@provokes(SECTION, "Another connection takes the session over")
def taken_over() -> Provoked:
    first = live_client_of(Workshop())
    first.shop.live.join(first.session, lambda event: None)
    return closes(raised_by(lambda: first.send(SENTENCE)))


@provokes(SECTION, "A message is no JSON, or none of those there are")
def invalid_message() -> Provoked:
    return told(FakeContainer(), lambda socket: socket.send_text("{"))


@provokes(SECTION, "A message of samples holds half a one")
def odd_byte_count() -> Provoked:
    return told(FakeContainer(), lambda socket: socket.send_bytes(b"\1\2\3"))


@provokes(SECTION, "A message of audio is larger than 1 MiB")
def frame_too_large() -> Provoked:
    return told(FakeContainer(), lambda socket: socket.send_bytes(bytes(MOST_AUDIO_BYTES + 2)))


@provokes(SECTION, "The disk does not take what comes in")
def not_written() -> Provoked:
    path = Path("/proc/version/live")
    return closes(raised_by(lambda: LiveSpoolFiles(path).create(uuid4(), REQUEST)))


@provokes(SECTION, "The stream cannot be decoded from some place on")
def stream_broken(monkeypatch: pytest.MonkeyPatch) -> Provoked:
    monkeypatch.setattr(live_decoder, "decode_stream", lambda *_, **__: iter([b"\0\0"]))
    decoder = ContainerStream()
    return closes(raised_by(lambda: decoder.feed(b"OggS")))


@provokes(SECTION, "In OpenAI's protocol: there is nothing to commit")
def nothing_to_commit() -> Provoked:
    with client_of(FakeContainer()).websocket_connect("/v1/realtime?intent=transcription") as socket:
        socket.send_json({"type": "input_audio_buffer.commit"})
        while (message := socket.receive_json())["type"] != "error":
            pass
        socket.send_json({"type": "input_audio_buffer.clear"})
        assert socket.receive_json()["type"] == "input_audio_buffer.cleared"
    error = message["error"]
    failure = Failure(code=error["code"], category=Category.CLIENT, message=error["message"], help=error["message"])
    return Provoked(failure, "Goes on")


@provokes(SECTION, "What a killed server had noted down of a session cannot be read")
def notes_damaged(tmp_path: Path) -> Provoked:
    spool, session_id = LiveSpoolFiles(tmp_path), uuid4()
    spool.create(session_id, REQUEST).release()
    (notes,) = tmp_path.glob("*.jsonl")
    notes.write_text("{}\n")
    error = raised_by(lambda: spool.take(session_id))
    assert isinstance(error, StorageError)
    assert (tmp_path / f"{session_id}.audio").exists()
    return Provoked(error.failure, "Goes on")
