"""`WS /live` as a client sees it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from hansard.application.live_sessions import RECONNECT_SECONDS
from hansard.domain.errors import EngineFailed, StorageError
from hansard.http.live import MOST_AUDIO_BYTES
from tests.audio_files import silence
from tests.unit.http.api import FakeContainer
from tests.workshop import speech

SENTENCE = speech(2) + silence(1)


@pytest.fixture(autouse=True)
def _one_engine_and_no_thread_left(container: FakeContainer) -> Iterator[None]:
    container.chain = ("fake",)
    yield
    container.live.stop()


@contextmanager
def live(client: TestClient, query: str = "interims=false") -> Iterator[WebSocketTestSession]:
    with client.websocket_connect(f"/live?{query}") as socket:
        yield socket


def until(socket: WebSocketTestSession, kind: str) -> dict[str, Any]:
    """The next message of that kind; what comes before is passed over."""
    while (message := socket.receive_json())["type"] != kind:
        pass
    return message


def closed(socket: WebSocketTestSession) -> int:
    try:
        while True:
            socket.receive_json()
    except WebSocketDisconnect as end:
        return end.code


def refused(client: TestClient, query: str) -> tuple[dict[str, Any], int]:
    with live(client, query) as socket:
        return socket.receive_json(), closed(socket)


def say(socket: WebSocketTestSession, type: str) -> None:
    socket.send_json({"type": type})


def test_what_is_said_comes_back_as_text(client: TestClient) -> None:
    with live(client) as socket:
        started = socket.receive_json()
        socket.send_bytes(SENTENCE)
        final = until(socket, "final")
    assert started["type"] == "started"
    assert (started["received_bytes"], started["reconnect_seconds"]) == (0, RECONNECT_SECONDS)
    assert (final["utterance"], final["text"], final["engine"]) == (1, "word1", "fake")
    assert final["segments"][0]["words"][0]["text"] == "word1"


def test_beginning_and_end_of_speech_are_told(client: TestClient) -> None:
    with live(client) as socket:
        socket.send_bytes(silence(1) + SENTENCE)
        begun, stopped = until(socket, "speech_started"), until(socket, "speech_stopped")
    assert begun == {"type": "speech_started", "utterance": 1, "start_seconds": 0.7}
    assert stopped == {"type": "speech_stopped", "utterance": 1, "end_seconds": 3.3}


def test_the_end_names_the_transcription_and_the_recording(client: TestClient, container: FakeContainer) -> None:
    with live(client, "language=en&prompt=Hello&interims=false") as socket:
        session = socket.receive_json()["session"]
        socket.send_bytes(SENTENCE)
        say(socket, "end")
        ended = until(socket, "ended")
        assert closed(socket) == 1000
    made = client.get(f"/transcriptions/{ended['transcription_id']}").json()
    assert ended["transcription_id"] == ended["session"] == session
    assert (made["status"], made["audio_id"]) == ("queued", ended["audio_id"])
    assert (made["parameters"]["language"], made["parameters"]["prompt"]) == ("en", "Hello")
    assert [segment["text"] for segment in made["segments"]] == ["word1"]
    assert container.transcribe(UUID(session)).status == "completed"


def test_all_that_was_said_is_text_before_the_end(client: TestClient) -> None:
    with live(client) as socket:
        socket.send_bytes(SENTENCE + SENTENCE + speech(1))
        say(socket, "end")
        kinds = []
        while (message := socket.receive_json())["type"] != "ended":
            kinds.append(message["type"])
    assert kinds.count("final") == 3


def test_a_session_without_audio_ends_without_a_transcription(client: TestClient) -> None:
    with live(client) as socket:
        say(socket, "end")
        ended = until(socket, "ended")
    assert (ended["transcription_id"], ended["audio_id"]) == (None, None)


def test_every_second_of_audio_is_acknowledged(client: TestClient, container: FakeContainer) -> None:
    with live(client) as socket:
        session = socket.receive_json()["session"]
        for _ in range(10):
            socket.send_bytes(silence(0.2))
        ack = until(socket, "ack")
        assert ack == {"type": "ack", "received_bytes": 32_000, "received_seconds": 1.0}
        assert container.live_spool.streams[UUID(session)].synced_bytes >= 32_000


def test_a_commit_ends_an_utterance(client: TestClient) -> None:
    with live(client, "end_pointing=manual&interims=false") as socket:
        socket.send_bytes(speech(1))
        say(socket, "commit")
        assert until(socket, "final")["end_seconds"] == 1.0


def test_what_is_being_said_is_told_while_it_is_said(client: TestClient) -> None:
    with live(client, "") as socket:
        socket.send_bytes(speech(1))
        interim = until(socket, "interim")
    assert (interim["utterance"], interim["text"], interim["end_seconds"]) == (1, "word1", 1.0)


def test_an_utterance_that_no_engine_recognised_is_told(client: TestClient, container: FakeContainer) -> None:
    container.engine.failures = [EngineFailed("It broke.", engine="fake", help="Try later.")] * 2
    with live(client) as socket:
        socket.send_bytes(SENTENCE)
        failed = until(socket, "failed")
    assert failed["error"] == {"code": "engine_failed", "message": "It broke.", "help": "Try later."}
    assert (failed["utterance"], failed["start_seconds"], failed["end_seconds"]) == (1, 0.0, 2.3)


# ── Refused ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("query", "code", "named"),
    [
        ("languge=en", "invalid_request", "languge"),
        ("sample_rate=12", "invalid_request", "sample_rate"),
        ("encoding=g711", "invalid_request", "encoding"),
        ("silence_ms=lots", "invalid_request", "silence_ms"),
        ("language=en&language=de", "invalid_request", "language"),
        ("engine=nobody", "unknown_engine", "nobody"),
        ("session=nonsense", "invalid_request", "session"),
        ("session=5f0c9a52-6d0e-4c67-9d9c-0d5b3c1f7a10&language=en", "invalid_request", "language"),
        ("session=5f0c9a52-6d0e-4c67-9d9c-0d5b3c1f7a10", "unknown_session", "5f0c9a52"),
    ],
)
def test_a_query_that_cannot_be_honoured_is_refused(client: TestClient, query: str, code: str, named: str) -> None:
    error, close = refused(client, query)
    assert (error["type"], error["code"], close) == ("error", code, 1008)
    assert named in error["message"]


def test_when_all_sessions_are_taken_the_client_is_to_try_again(client: TestClient) -> None:
    with live(client) as first, live(client) as second:
        for socket in (first, second):
            until(socket, "started")
        error, close = refused(client, "")
    assert (error["code"], close) == ("too_many_sessions", 1013)
    assert error["help"]


@pytest.mark.parametrize(
    "message",
    [
        "{",
        "[]",
        '"end"',
        '{"type":1}',
        '{"type":"pause"}',
        '{"type":"end","now":true}',
        '{"kind":"end"}',
        "[" * 100_000,
    ],
)
def test_a_message_that_nobody_understands_ends_the_connection_and_loses_nothing(
    client: TestClient, message: str
) -> None:
    with live(client) as socket:
        session = socket.receive_json()["session"]
        socket.send_bytes(speech(1))
        socket.send_text(message)
        assert until(socket, "error")["code"] == "invalid_message"
        assert closed(socket) == 1008
    with live(client, f"session={session}") as socket:
        assert socket.receive_json()["received_bytes"] == len(speech(1))


@pytest.mark.parametrize(
    ("audio", "code", "close"),
    [
        (b"\1" * 3, "odd_byte_count", 1008),
        (bytes(MOST_AUDIO_BYTES + 2), "frame_too_large", 1009),
        (b"bad!", "nothing_decodable", 1003),
    ],
)
def test_audio_that_cannot_be_taken_ends_the_connection_with_a_reason(
    client: TestClient, audio: bytes, code: str, close: int
) -> None:
    with live(client) as socket:
        socket.send_bytes(audio)
        assert until(socket, "error")["code"] == code
        assert closed(socket) == close


def test_a_full_disk_ends_the_connection_and_the_client_goes_on_later(
    client: TestClient, container: FakeContainer
) -> None:
    with live(client) as socket:
        session = socket.receive_json()["session"]
        stream = container.live_spool.streams[UUID(session)]
        stream.failures = [StorageError("The disk is full.", code="live_not_written", help="Make room.")]
        socket.send_bytes(speech(1))
        error = until(socket, "error")
        assert (error["code"], closed(socket)) == ("live_not_written", 1013)
    with live(client, f"session={session}") as socket:
        assert socket.receive_json()["received_bytes"] == 0
        socket.send_bytes(SENTENCE)
        assert until(socket, "final")["text"]


# ── Coming back, and too much ────────────────────────────────────────────────────────────────────────────


def test_a_connection_that_broke_off_goes_on_where_it_was(client: TestClient, container: FakeContainer) -> None:
    with live(client) as socket:
        session = socket.receive_json()["session"]
        socket.send_bytes(speech(1))
        until(socket, "ack")
    with live(client, f"session={session}") as socket:
        started = socket.receive_json()
        socket.send_bytes(speech(1) + silence(1))
        final = until(socket, "final")
    assert (started["session"], started["received_bytes"]) == (session, len(speech(1)))
    assert (final["start_seconds"], final["end_seconds"]) == (0.0, 2.3)
    assert container.engine.heard == [speech(2) + silence(0.3)]


def test_who_comes_back_is_told_the_texts_that_it_does_not_have(client: TestClient) -> None:
    with live(client) as socket:
        session = socket.receive_json()["session"]
        socket.send_bytes(SENTENCE + SENTENCE)
        until(socket, "final")
        until(socket, "final")
    with live(client, f"session={session}&utterance=1") as socket:
        assert socket.receive_json()["type"] == "started"
        final = socket.receive_json()
        assert (final["type"], final["utterance"]) == ("final", 2)


def test_a_second_connection_takes_over_and_the_first_is_told(client: TestClient) -> None:
    with live(client) as first:
        session = first.receive_json()["session"]
        with live(client, f"session={session}") as second:
            second.receive_json()
            assert until(first, "error")["code"] == "session_taken_over"
            assert closed(first) == 4409
            second.send_bytes(SENTENCE)
            assert until(second, "final")["text"]


def test_who_comes_back_after_the_end_is_told_of_it(client: TestClient) -> None:
    with live(client) as socket:
        session = socket.receive_json()["session"]
        socket.send_bytes(SENTENCE)
        say(socket, "end")
        ended = until(socket, "ended")
    with live(client, f"session={session}") as socket:
        assert socket.receive_json() == ended
        assert closed(socket) == 1000


def test_a_client_that_is_far_ahead_is_held_up_and_loses_nothing(client: TestClient, container: FakeContainer) -> None:
    go_on = Event()
    container.live_policy = replace(container.live_policy, backlog_seconds=3)
    container.engine.on_passage = lambda number: go_on.wait(30)
    with live(client) as socket:
        session = UUID(socket.receive_json()["session"])
        for _ in range(5):
            socket.send_bytes(SENTENCE)
        assert until(socket, "backlog")["seconds"] > 3
        # The first two are in; the others wait outside.
        assert container.live_spool.streams[session].received_bytes == 2 * len(SENTENCE)
        go_on.set()
        say(socket, "end")
        kinds = []
        while (message := socket.receive_json())["type"] != "ended":
            kinds.append(message["type"])
    assert kinds.count("final") == 5


def test_a_session_ends_by_itself_when_it_has_lasted_long_enough(client: TestClient, container: FakeContainer) -> None:
    container.live_policy = replace(container.live_policy, longest_seconds=2)
    with live(client) as socket:
        socket.send_bytes(speech(2))
        assert until(socket, "ended")["transcription_id"]
        assert closed(socket) == 1000


def test_a_connection_has_a_request_id(client: TestClient, container: FakeContainer) -> None:
    with client.websocket_connect("/live", headers={"X-Request-ID": "mine-1"}) as socket:
        socket.send_bytes(SENTENCE)
        say(socket, "end")
        ended = until(socket, "ended")
        assert dict(socket.extra_headers or [])[b"x-request-id"] == b"mine-1"
    assert client.get(f"/transcriptions/{ended['transcription_id']}").json()["request_id"] == "mine-1"
