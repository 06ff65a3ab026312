"""`WS /v1/realtime?intent=transcription`: with OpenAI's own client, and by hand where that would not say so."""

import asyncio
import base64
import json
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
import uvicorn
from fastapi.testclient import TestClient
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import (
    ConversationItemInputAudioTranscriptionCompletedEvent,
    ConversationItemInputAudioTranscriptionFailedEvent,
    RealtimeErrorEvent,
)
from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import TypeAdapter
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect
from websockets.sync.client import connect

from hansard.domain.errors import EngineFailed
from hansard.http.app import create_app
from tests.audio_files import silence
from tests.fakes import FakeStreamDecoder
from tests.unit.http.api import FakeContainer
from tests.workshop import speech

SENTENCE = speech(2) + silence(1)
URL = "/v1/realtime?intent=transcription"
SERVER_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


@pytest.fixture(autouse=True)
def _one_engine_and_no_thread_left(container: FakeContainer) -> Iterator[None]:
    container.chain = ("fake",)
    yield
    container.live.stop()


def base64_of(pcm: bytes) -> str:
    return base64.b64encode(pcm).decode()


# ── OpenAI's own client ──────────────────────────────────────────────────────────────────────────────────


@contextmanager
def served(container: FakeContainer) -> Iterator[str]:
    """The address of a real server."""
    server = uvicorn.Server(uvicorn.Config(create_app(container), log_config=None))  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join(30)


def talk(container: FakeContainer, conversation: Callable[[AsyncRealtimeConnection], Coroutine[Any, Any, Any]]) -> Any:
    async def connected(url: str) -> Any:
        async with (
            AsyncOpenAI(base_url=url, api_key="any") as client,
            client.realtime.connect(extra_query={"intent": "transcription"}) as connection,
        ):
            return await asyncio.wait_for(conversation(connection), 30)

    with served(container) as url:
        return asyncio.run(connected(url))


async def until(connection: AsyncRealtimeConnection, kind: str) -> list[Any]:
    """All events up to the first of that kind, each held against OpenAI's own model of it."""
    events: list[Any] = []
    while not events or events[-1].type != kind:
        event = await connection.recv()
        SERVER_EVENT.validate_python(event.to_dict(), strict=True)
        events.append(event)
    return events


def test_openais_client_gets_the_text_of_each_turn(container: FakeContainer) -> None:
    async def conversation(connection: AsyncRealtimeConnection) -> list[Any]:
        await connection.session.update(
            session={
                "type": "transcription",
                "audio": {
                    "input": {
                        "format": {"type": "audio/pcm", "rate": 24_000},
                        "transcription": {"model": "gpt-4o-transcribe", "language": "en", "prompt": "Hello"},
                        "turn_detection": {"type": "server_vad", "threshold": 0.4, "silence_duration_ms": 300},
                    }
                },
            }
        )
        await connection.input_audio_buffer.append(audio=base64_of(silence(1) + SENTENCE))
        return await until(connection, "conversation.item.input_audio_transcription.completed")

    events = talk(container, conversation)
    assert [event.type for event in events] == [
        "session.created",
        "session.updated",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    completed = events[-1]
    assert isinstance(completed, ConversationItemInputAudioTranscriptionCompletedEvent)
    assert (completed.transcript, events[-2].delta) == ("word1", "word1")
    assert len({event.item_id for event in events[2:]}) == 1
    assert (events[2].audio_start_ms, completed.usage.type) == (700, "duration")
    request = container.engine.requests[0]
    assert (request.language, request.prompt) == ("en", "Hello")


def test_openais_client_commits_by_itself_without_turn_detection(container: FakeContainer) -> None:
    async def conversation(connection: AsyncRealtimeConnection) -> list[Any]:
        await connection.session.update(session={"type": "transcription", "audio": {"input": {"turn_detection": None}}})
        await connection.input_audio_buffer.append(audio=base64_of(speech(1)))
        await connection.input_audio_buffer.commit()
        first = await until(connection, "conversation.item.input_audio_transcription.completed")
        await connection.input_audio_buffer.append(audio=base64_of(speech(1)))
        await connection.input_audio_buffer.commit()
        return [*first, *await until(connection, "conversation.item.input_audio_transcription.completed")]

    events = talk(container, conversation)
    committed = [event for event in events if event.type == "input_audio_buffer.committed"]
    assert committed[1].previous_item_id == committed[0].item_id
    assert not [event for event in events if "speech" in event.type]


def test_openais_client_is_told_which_turn_failed(container: FakeContainer) -> None:
    container.engine.failures = [EngineFailed("It broke.", engine="fake")]

    async def conversation(connection: AsyncRealtimeConnection) -> Any:
        await connection.input_audio_buffer.append(audio=base64_of(SENTENCE))
        return (await until(connection, "conversation.item.input_audio_transcription.failed"))[-1]

    failed = talk(container, conversation)
    assert isinstance(failed, ConversationItemInputAudioTranscriptionFailedEvent)
    assert (failed.error.code, failed.error.type) == ("engine_failed", "server_error")


def test_openais_client_is_told_what_cannot_be_done_and_goes_on(container: FakeContainer) -> None:
    async def conversation(connection: AsyncRealtimeConnection) -> list[Any]:
        await connection.response.create()
        refused = (await until(connection, "error"))[-1]
        await connection.input_audio_buffer.append(audio=base64_of(SENTENCE))
        return [refused, *await until(connection, "conversation.item.input_audio_transcription.completed")]

    refused, *_, completed = talk(container, conversation)
    assert isinstance(refused, RealtimeErrorEvent)
    assert (refused.error.param, refused.error.type) == ("type", "invalid_request_error")
    assert completed.transcript


def test_a_client_that_closes_leaves_a_transcription(container: FakeContainer) -> None:
    async def conversation(connection: AsyncRealtimeConnection) -> str:
        await connection.input_audio_buffer.append(audio=base64_of(SENTENCE))
        events = await until(connection, "conversation.item.input_audio_transcription.completed")
        return events[0].session.id

    transcription_id = UUID(talk(container, conversation).removeprefix("sess_"))
    assert [passage.segments[0].text for passage in container.database.passages[transcription_id]] == ["word1"]


def test_all_that_a_client_sent_before_it_was_gone_is_in_its_recording(container: FakeContainer) -> None:
    """It says all and closes at once, while the server is at the first of it and has something to tell."""
    gone, chunk, chunks = threading.Event(), speech(1)[:3200], 10

    class Busy(FakeStreamDecoder):
        def feed(self, chunk: bytes) -> bytes:
            gone.wait(30)
            return super().feed(chunk)

    container.live.decoder = lambda encoding, sample_rate_hz: Busy()
    with served(container) as url:
        with connect(f"{url.replace('http', 'ws')}/realtime?intent=transcription", proxy=None) as client:
            for _ in range(chunks):
                client.send(json.dumps({"type": "input_audio_buffer.append", "audio": base64_of(chunk)}))
        gone.set()
    assert list(container.store.objects.values()) == [chunks * chunk]


# ── By hand ──────────────────────────────────────────────────────────────────────────────────────────────


def next_of(socket: WebSocketTestSession, kind: str) -> dict[str, Any]:
    while (message := socket.receive_json())["type"] != kind:
        pass
    return message


def append(socket: WebSocketTestSession, pcm: bytes) -> None:
    socket.send_json({"type": "input_audio_buffer.append", "audio": base64_of(pcm)})


def update(socket: WebSocketTestSession, **audio_input: Any) -> None:
    session = {"type": "transcription", "audio": {"input": audio_input}}
    socket.send_json({"type": "session.update", "session": session, "event_id": "mine"})


def test_a_session_tells_how_it_is_configured(client: TestClient) -> None:
    with client.websocket_connect(f"{URL}&model=whisper-1") as socket:
        created = socket.receive_json()["session"]
        update(socket, turn_detection=None, transcription={"language": "de"})
        updated = socket.receive_json()["session"]
    assert created["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert updated["audio"]["input"]["turn_detection"] is None
    assert updated["audio"]["input"]["transcription"] == {"model": "whisper-1", "language": "de"}


@pytest.mark.parametrize(
    ("audio_input", "param"),
    [
        ({"format": {"type": "audio/pcmu"}}, "session.audio.input.format.type"),
        ({"format": {"type": "audio/pcm", "rate": 16_000}}, "session.audio.input.format.rate"),
        ({"noise_reduction": {"type": "near_field"}}, "session.audio.input.noise_reduction"),
        ({"turn_detection": {"type": "semantic_vad"}}, "session.audio.input.turn_detection.type"),
        ({"turn_detection": {"type": "server_vad", "create_response": True}}, "turn_detection.create_response"),
        ({"transcription": {"delay": "low"}}, "session.audio.input.transcription.delay"),
        ({"transcription": {"languages": ["de", "en"]}}, "session.audio.input.transcription.languages"),
        ({"transcription": {"model": "gpt-9"}}, "model"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(client: TestClient, audio_input: dict[str, Any], param: str) -> None:
    with client.websocket_connect(URL) as socket:
        update(socket, **audio_input)
        error = next_of(socket, "error")["error"]
        update(socket, turn_detection=None)
        assert next_of(socket, "session.updated")
    assert error["param"].endswith(param)
    assert error["event_id"] == "mine"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"type": "session.update", "session": {"type": "realtime"}}, "session.type"),
        (
            {
                "type": "session.update",
                "session": {"type": "transcription", "include": ["item.input_audio_transcription.logprobs"]},
            },
            "session.include",
        ),
        ({"type": "conversation.item.create", "item": {}}, "type"),
        ({"type": "input_audio_buffer.append", "audio": "not base64!"}, "audio"),
        ({"type": "input_audio_buffer.append", "audio": base64_of(b"odd")}, "audio"),
        ({"type": "input_audio_buffer.append"}, "audio"),
        ({"type": "input_audio_buffer.commit", "why": "not"}, "why"),
        ({"type": "input_audio_buffer.commit"}, None),
    ],
)
def test_a_message_that_cannot_be_honoured_is_refused(
    client: TestClient, message: dict[str, Any], param: str | None
) -> None:
    with client.websocket_connect(URL) as socket:
        socket.send_json(message)
        error = next_of(socket, "error")["error"]
        assert (error["type"], error["param"]) == ("invalid_request_error", param)


@pytest.mark.parametrize(
    ("query", "param"),
    [("", "intent"), ("intent=conversation", "intent"), ("intent=transcription&call_id=1", "call_id")],
)
def test_what_is_no_transcription_session_is_refused(client: TestClient, query: str, param: str) -> None:
    with client.websocket_connect(f"/v1/realtime?{query}") as socket:
        error = next_of(socket, "error")["error"]
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()
    assert error["param"] == param


def test_when_all_sessions_are_taken_the_client_is_to_try_again(client: TestClient, container: FakeContainer) -> None:
    container.live_policy = replace(container.live_policy, most_sessions=1)
    with client.websocket_connect(URL) as first:
        append(first, SENTENCE)
        next_of(first, "input_audio_buffer.speech_started")
        with client.websocket_connect(URL) as second:
            error = next_of(second, "error")["error"]
            with pytest.raises(WebSocketDisconnect) as end:
                second.receive_json()
    assert (error["code"], error["type"], end.value.code) == ("too_many_sessions", "server_error", 1013)


def test_a_session_cannot_be_changed_once_audio_has_come_in(client: TestClient) -> None:
    with client.websocket_connect(URL) as socket:
        append(socket, SENTENCE)
        next_of(socket, "input_audio_buffer.speech_started")
        update(socket, transcription={"language": "de"})
        assert next_of(socket, "error")["error"]["param"] == "session"


def test_what_is_cleared_is_no_turn(client: TestClient) -> None:
    with client.websocket_connect(URL) as socket:
        append(socket, speech(2))
        next_of(socket, "input_audio_buffer.speech_started")
        socket.send_json({"type": "input_audio_buffer.clear"})
        next_of(socket, "input_audio_buffer.cleared")
        socket.send_json({"type": "input_audio_buffer.commit"})
        assert next_of(socket, "error")["error"]["code"] == "input_audio_buffer_commit_empty"


def test_a_browser_is_let_in_with_its_subprotocol(client: TestClient) -> None:
    with client.websocket_connect(URL, subprotocols=["realtime", "openai-insecure-api-key.sk-any"]) as socket:
        assert socket.accepted_subprotocol == "realtime"
