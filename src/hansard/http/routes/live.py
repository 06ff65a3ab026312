"""`WS /live`: audio in as binary messages, control and events as JSON. docs/live.md describes every message."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar, cast
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket

from hansard.application.live import LiveSession, taken_over
from hansard.application.live_sessions import RECONNECT_SECONDS
from hansard.bootstrap import Container
from hansard.domain.errors import Failure, HansardError, InvalidRequest
from hansard.domain.live import (
    SPEECH_THRESHOLD,
    Encoding,
    EndPointing,
    Interim,
    Joined,
    LiveEnded,
    LiveRequest,
    SpeechStarted,
    SpeechStopped,
    TakenOver,
    UtteranceFailed,
    UtteranceRecognised,
)
from hansard.domain.speech import Span
from hansard.domain.transcript import Transcript
from hansard.http.live import (
    MOST_AUDIO_BYTES,
    Acknowledged,
    Behind,
    FrameTooLarge,
    LiveConnection,
    Message,
    Refusal,
    Said,
    invalid_message,
    parsed,
    refuse,
)
from hansard.http.mapping.transcripts import segment_json
from hansard.http.schemas.transcription_requests import TranscriptionWish

router = APIRouter()

MILLISECOND = 0.001
LONGEST_REFUSAL = 1_000
"""In characters: names of parameters come from the client."""

Model = TypeVar("Model", bound=BaseModel)


class LiveWish(TranscriptionWish):
    """The query of `WS /live`: the fields of a transcription, and how the audio comes in."""

    encoding: Encoding = Encoding.PCM16
    sample_rate: Annotated[int, Field(ge=8_000, le=48_000)] = 16_000
    end_pointing: Literal["voice", "manual"] = "voice"
    threshold: Annotated[float, Field(ge=0.05, le=0.95)] = SPEECH_THRESHOLD
    silence_ms: Annotated[int, Field(ge=100, le=10_000)] | None = None
    padding_ms: Annotated[int, Field(ge=0, le=2_000)] | None = None
    interims: bool | None = None


class Reconnection(BaseModel):
    """The query of a client that comes back: the session knows the rest."""

    model_config = ConfigDict(extra="forbid")

    session: UUID
    utterance: Annotated[int, Field(ge=0)] = 0


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    container = cast(Container, socket.app.state.container)
    await socket.accept()
    connection = LiveConnection(socket, container.live, to_json)
    try:
        await _join(connection, container, _query(socket))
    except HansardError as error:
        await refuse(socket, error, to_json)
        return
    await connection.run(_Protocol(connection).handle)


async def _join(connection: LiveConnection, container: Container, query: dict[str, str]) -> None:
    if "session" not in query:
        request = _request(_validated(LiveWish, query), container, connection.socket.state.request_id)
        await connection.join(await run_in_threadpool(container.live.begin, request))
        return
    back = _validated(Reconnection, query)
    session = await run_in_threadpool(container.live.resume, back.session)
    if isinstance(session, LiveEnded):
        connection.say(session)
    else:
        await connection.join(session, after=back.utterance)


class _Protocol:
    def __init__(self, connection: LiveConnection) -> None:
        self._connection = connection

    async def handle(self, message: str | bytes) -> None:
        session = self._connection.session
        if session is None:
            return
        if isinstance(message, str):
            await self._command(session, message)
        elif len(message) > MOST_AUDIO_BYTES:
            raise FrameTooLarge(len(message))
        else:
            await self._connection.take(session, message)

    async def _command(self, session: LiveSession, text: str) -> None:
        message = parsed(text)
        command = message.pop("type")
        if message or command not in {"commit", "end"}:
            raise invalid_message(
                f"There is no message {command!r} here." if not message else f"{command!r} takes no fields.",
                help='Send {"type":"commit"}, {"type":"end"}, or audio as binary messages.',
            )
        if command == "commit":
            await run_in_threadpool(session.commit)
        else:
            await self._connection.end(session)


def _query(socket: WebSocket) -> dict[str, str]:
    items = socket.query_params.multi_items()
    if repeated := [name for name, count in Counter(name for name, _ in items).items() if count > 1]:
        raise InvalidRequest(f"A parameter may be given once; these come more often: {', '.join(repeated)}.")
    return dict(items)


def _validated(model: type[Model], query: dict[str, str]) -> Model:
    try:
        return model.model_validate(query)
    except ValidationError as error:
        found = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise InvalidRequest("; ".join(found)[:LONGEST_REFUSAL], help="docs/live.md lists the parameters.") from error


def _request(wish: LiveWish, container: Container, request_id: str) -> LiveRequest:
    settings = container.settings
    by_voice = EndPointing(
        threshold=wish.threshold,
        silence_seconds=_seconds(wish.silence_ms, settings.live_silence_seconds),
        padding_seconds=_seconds(wish.padding_ms, settings.live_padding_seconds),
        longest_seconds=settings.live_utterance_seconds,
    )
    return LiveRequest(
        started_at=datetime.now(UTC),
        encoding=wish.encoding,
        sample_rate_hz=wish.sample_rate,
        parameters=wish.parameters(),
        longest_seconds=settings.live_utterance_seconds,
        by_voice=by_voice if wish.end_pointing == "voice" else None,
        interims=wish.interims,
        request_id=request_id,
    )


def _seconds(milliseconds: int | None, default_seconds: float) -> float:
    return default_seconds if milliseconds is None else milliseconds * MILLISECOND


# ── What is told ─────────────────────────────────────────────────────────────────────────────────────────


def _joined(joined: Joined) -> Iterator[Message]:
    yield {
        "type": "started",
        "session": str(joined.session_id),
        "encoding": joined.request.encoding.value,
        "sample_rate": joined.request.sample_rate_hz,
        "received_bytes": joined.received_bytes,
        "received_seconds": _rounded(joined.received_seconds),
        "reconnect_seconds": RECONNECT_SECONDS,
    }
    yield from (_final(recognised) for recognised in joined.recognised)


def to_json(said: Said) -> Iterator[Message]:
    match said:
        case Joined():
            yield from _joined(said)
        case Acknowledged():
            seconds = _rounded(said.received_seconds)
            yield {"type": "ack", "received_bytes": said.received_bytes, "received_seconds": seconds}
        case Behind():
            yield {"type": "backlog", "seconds": _rounded(said.seconds)}
        case Refusal(error):
            yield {"type": "error", **_error(error.failure)}
        case TakenOver():
            yield {"type": "error", **_error(taken_over().failure)}
        case Mapping():
            yield said
        case _:
            yield _event(said)


def _event(
    event: SpeechStarted | SpeechStopped | Interim | UtteranceRecognised | UtteranceFailed | LiveEnded,
) -> Message:
    match event:
        case SpeechStarted():
            return {"type": "speech_started", "utterance": event.number, "start_seconds": _rounded(event.start_seconds)}
        case SpeechStopped(utterance):
            end_seconds = _rounded(utterance.span.end_seconds)
            return {"type": "speech_stopped", "utterance": utterance.number, "end_seconds": end_seconds}
        case Interim():
            return {"type": "interim", "utterance": event.number, **_span(event.span), "text": event.text}
        case UtteranceRecognised():
            return _final(event)
        case UtteranceFailed(utterance, failure):
            error = _error(failure)
            return {"type": "failed", "utterance": utterance.number, **_span(utterance.span), "error": error}
        case LiveEnded():
            return {
                "type": "ended",
                "session": str(event.session_id),
                "transcription_id": _id(event.transcription_id),
                "audio_id": _id(event.audio_id),
            }


def _final(said: UtteranceRecognised) -> Message:
    segments = said.passage.segments
    return {
        "type": "final",
        "utterance": said.utterance.number,
        **_span(said.utterance.span),
        "text": Transcript.of([said.passage]).text,
        "engine": said.passage.engine,
        "segments": [segment_json(segment).model_dump(mode="json") for segment in segments],
    }


def _error(failure: Failure) -> dict[str, str | None]:
    return {"code": failure.code, "message": failure.message, "help": failure.help}


def _span(span: Span) -> dict[str, float]:
    return {"start_seconds": _rounded(span.start_seconds), "end_seconds": _rounded(span.end_seconds)}


def _id(id: UUID | None) -> str | None:
    return None if id is None else str(id)


def _rounded(seconds: float) -> float:
    return round(seconds, 3)
