"""`WS /v1/realtime?intent=transcription`: the part of OpenAI's realtime API that transcribes, and no other.

What is not here is refused by name, with an `error` event; the connection stays, as OpenAI's does. The audio is kept,
and recognised, as that of `WS /live`: the session is a transcription when the client has gone.
"""

import base64
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket

from hansard.bootstrap import Container
from hansard.domain.audio import DEFAULT_OWNER
from hansard.domain.errors import Category, Conflict, HansardError, InvalidAudio, InvalidRequest
from hansard.domain.live import (
    Encoding,
    EndPointing,
    LiveRequest,
    SpeechStarted,
    SpeechStopped,
    Utterance,
    UtteranceFailed,
    UtteranceRecognised,
)
from hansard.domain.transcript import Transcript
from hansard.domain.transcription import Parameters
from hansard.http.live import MOST_AUDIO_BYTES, LiveConnection, Message, Refusal, Said, invalid_message, parsed, refuse
from hansard.http.openai.errors import Unsupported, error_json, failure_json
from hansard.http.openai.models import Models
from hansard.http.openai.realtime_schemas import (
    SAMPLE_RATE_HZ,
    Append,
    AudioInput,
    ClientEvent,
    SessionUpdate,
    Transcription,
    validated,
)

router = APIRouter()

PROTOCOL = "realtime"
"""What browsers, which can set no header, send as a subprotocol, with the key as another."""

LIVE_MODELS = ("gpt-realtime-whisper", "gpt-live-transcribe")
"""Names that OpenAI has for realtime sessions alone; they mean `auto`."""

LONGEST_UNCOMMITTED_SECONDS = 300.0
"""Without turn detection: about what OpenAI's buffer of 15 MiB holds. Then it is committed by itself."""

TRANSCRIPTION = "conversation.item.input_audio_transcription"


@router.websocket("/v1/realtime")
async def realtime(socket: WebSocket) -> None:
    container = cast(Container, socket.app.state.container)
    await socket.accept(subprotocol=PROTOCOL if PROTOCOL in socket.scope.get("subprotocols", []) else None)
    protocol = _Protocol(socket, container)
    try:
        _require_transcription(socket.query_params)
        protocol.set_model(socket.query_params.get("model"))
        await run_in_threadpool(container.live.require_room, DEFAULT_OWNER)
    except HansardError as error:
        await refuse(socket, error, protocol.to_json)
        return
    protocol.begin()
    await protocol.connection.run(protocol.handle)
    await protocol.end()


def _require_transcription(query: Mapping[str, str]) -> None:
    if unknown := [name for name in query if name not in {"intent", "model"}]:
        raise Unsupported(unknown[0], f"There is no parameter {unknown[0]!r} here.")
    if query.get("intent") != "transcription":
        raise Unsupported(
            "intent", "Only transcription sessions are served here.", help="Connect with ?intent=transcription."
        )


class _Protocol:
    """One connection's session, which begins with the first audio: until then it may be configured."""

    def __init__(self, socket: WebSocket, container: Container) -> None:
        self._socket, self._container = socket, container
        self._models = cast(Models, socket.app.state.models)
        self._id = uuid4()
        self._input = AudioInput()
        self._last_item: str | None = None
        self.connection = LiveConnection(socket, container.live, self.to_json)

    def set_model(self, name: str | None) -> None:
        """Raises `UnknownModel`."""
        if name is not None:
            self._parameters(name)
            self._input = self._input.updated(AudioInput(transcription=Transcription(model=name)))

    def begin(self) -> None:
        self.connection.say({"type": "session.created", "session": self._session_json()})

    async def end(self) -> None:
        """The client has said all: closing the connection is how this protocol ends."""
        if (session := self.connection.session) is not None:
            with suppress(HansardError):  # what becomes of it is observed there
                await run_in_threadpool(self._container.live.end, session)

    # ── What the client says ─────────────────────────────────────────────────────────────────────────────

    async def handle(self, message: str | bytes) -> None:
        event_id: str | None = None
        try:
            if isinstance(message, bytes):
                raise invalid_message(
                    "A binary message was sent.", help="Audio is base64 in input_audio_buffer.append."
                )
            said = parsed(message)
            event_id = said["event_id"] if isinstance(said.get("event_id"), str) else None
            await self._take(said)
        except HansardError as error:
            if error.failure.category is not Category.CLIENT or isinstance(error, Conflict | InvalidAudio):
                raise
            self.connection.say(Refusal(error, ends=False, event_id=event_id))

    async def _take(self, said: dict[str, Any]) -> None:
        match said["type"]:
            case "input_audio_buffer.append":
                await self._append(decoded(validated(Append, said).audio))
            case "session.update":
                self._update(validated(SessionUpdate, said).session.audio.input)
            case "input_audio_buffer.commit":
                validated(ClientEvent, said)
                await self._commit()
            case "input_audio_buffer.clear":
                validated(ClientEvent, said)
                if (session := self.connection.session) is not None:
                    await run_in_threadpool(session.clear)
                self.connection.say({"type": "input_audio_buffer.cleared"})
            case kind:
                raise Unsupported("type", f"There is no event {str(kind)[:100]!r} in transcription sessions here.")

    async def _append(self, audio: bytes) -> None:
        session = self.connection.session
        if session is None:
            session = await run_in_threadpool(self._container.live.begin, self._request(), self._id)
            await self.connection.join(session)
        for start in range(0, len(audio), MOST_AUDIO_BYTES):
            await self.connection.take(session, audio[start : start + MOST_AUDIO_BYTES])

    async def _commit(self) -> None:
        session = self.connection.session
        if session is None or not await run_in_threadpool(session.commit):
            raise InvalidRequest(
                "There is no speech in the buffer to commit.",
                code="input_audio_buffer_commit_empty",
                help="Append audio first; with turn detection, what has been said to the end is committed already.",
            )

    def _update(self, change: AudioInput) -> None:
        changed = self._input.updated(change)
        if self.connection.session is not None and changed != self._input:
            raise Unsupported("session", "A session cannot be changed once audio has come in.", help="Connect anew.")
        if changed.transcription.model is not None:
            self._parameters(changed.transcription.model)
        self._input = changed
        self.connection.say({"type": "session.updated", "session": self._session_json()})

    def _request(self) -> LiveRequest:
        wish, turns = self._input.transcription, self._input.turn_detection
        parameters = self._parameters(wish.model) if wish.model else Parameters()
        by_voice = turns and EndPointing(
            threshold=turns.threshold,
            silence_seconds=turns.silence_duration_ms / 1000,
            padding_seconds=turns.prefix_padding_ms / 1000,
            longest_seconds=self._container.settings.live_utterance_seconds,
        )
        return LiveRequest(
            started_at=datetime.now(UTC),
            encoding=Encoding.PCM16,
            sample_rate_hz=SAMPLE_RATE_HZ,
            parameters=replace(parameters, language=wish.language, prompt=wish.prompt, hotwords=wish.hotwords),
            longest_seconds=LONGEST_UNCOMMITTED_SECONDS,
            by_voice=by_voice,
            interims=False,  # a delta cannot be taken back
            request_id=self._socket.state.request_id,
        )

    def _parameters(self, model: str) -> Parameters:
        return Parameters() if model in LIVE_MODELS else self._models.parameters(model)

    # ── What it is told ──────────────────────────────────────────────────────────────────────────────────

    def to_json(self, said: Said) -> Iterator[Message]:
        for message in self._messages(said):
            yield {"event_id": f"event_{uuid4().hex[:20]}", **message}

    def _messages(self, said: Said) -> Iterator[Message]:
        match said:
            case SpeechStarted():
                milliseconds = _milliseconds(said.start_seconds)
                item = self._item(said.number)
                yield {"type": "input_audio_buffer.speech_started", "audio_start_ms": milliseconds, "item_id": item}
            case SpeechStopped(utterance):
                yield from self._committed(utterance)
            case UtteranceRecognised():
                yield from self._transcribed(said)
            case UtteranceFailed(utterance, failure):
                yield {
                    "type": f"{TRANSCRIPTION}.failed",
                    "item_id": self._item(utterance.number),
                    "content_index": 0,
                    "error": failure_json(failure)["error"],
                }
            case Refusal(error, _, event_id):
                yield {"type": "error", "error": {**_error(error), "event_id": event_id}}
            case Mapping():
                yield said
            case _:
                return  # OpenAI's protocol has no word for it

    def _committed(self, utterance: Utterance) -> Iterator[Message]:
        item, before = self._item(utterance.number), self._last_item
        self._last_item = item
        if self._input.turn_detection is not None:
            milliseconds = _milliseconds(utterance.span.end_seconds)
            yield {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": milliseconds, "item_id": item}
        yield {"type": "input_audio_buffer.committed", "previous_item_id": before, "item_id": item}

    def _transcribed(self, said: UtteranceRecognised) -> Iterator[Message]:
        about = {"item_id": self._item(said.utterance.number), "content_index": 0}
        transcript = Transcript.of([said.passage]).text
        if transcript:
            yield {"type": f"{TRANSCRIPTION}.delta", **about, "delta": transcript}
        usage = {"type": "duration", "seconds": round(said.utterance.span.seconds, 3)}
        yield {"type": f"{TRANSCRIPTION}.completed", **about, "transcript": transcript, "usage": usage}

    def _item(self, number: int) -> str:
        return f"item_{self._id.hex[:12]}_{number}"

    def _session_json(self) -> Message:
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": f"sess_{self._id}",
            "audio": {"input": self._input.to_json()},
        }


def decoded(audio: str) -> bytes:
    try:
        samples = base64.b64decode(audio, validate=True)
    except ValueError as error:
        raise Unsupported("audio", "The audio is not valid base64.") from error
    if len(samples) % 2:
        raise Unsupported("audio", f"{len(samples)} bytes hold half a sample: samples have two.")
    return samples


def _error(error: HansardError) -> Mapping[str, Any]:
    failure = error.failure
    said = error_json(
        failure.message,
        code=failure.code,
        category=failure.category,
        help=failure.help,
        param=error.param if isinstance(error, Unsupported) else None,
    )
    return cast("Mapping[str, Any]", said["error"])


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
