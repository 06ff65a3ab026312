"""What both live protocols share: one connection on one session, and what is said when something is wrong.

One task reads and one writes, and only that one sends: what is told goes out in the order in which it came about. A
client that is ahead of the engine by too much is told so and not read from, so that TCP holds it up; nothing it sent is
dropped.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, cast

from loguru import logger
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from hansard.application.live import LiveSession
from hansard.application.live_sessions import LiveSessions
from hansard.domain import errors
from hansard.domain.errors import Category, HansardError, InvalidRequest
from hansard.domain.live import LiveEnded, LiveEvent, TakenOver

MOST_AUDIO_BYTES = 1024 * 1024
"""In one message: half a minute of samples at 16 kHz."""

ACKNOWLEDGE_EVERY_SECONDS = 1.0
LOOK_AT_BACKLOG_SECONDS = 0.25
TELL_OF_BACKLOG_SECONDS = 1.0
LAST_WORDS_SECONDS = 10.0
"""How long a client gets to take what is told last."""

Message = Mapping[str, Any]


class CloseCode(IntEnum):
    """Those below 4000 are RFC 6455's and its registry's."""

    NORMAL = 1000
    UNUSABLE_AUDIO = 1003
    REFUSED = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    TRY_AGAIN_LATER = 1013
    TAKEN_OVER = 4409


@dataclass(frozen=True, slots=True)
class Acknowledged:
    received_bytes: int
    received_seconds: float


@dataclass(frozen=True, slots=True)
class Behind:
    """So many seconds of speech wait for an engine; nothing is read until it is fewer."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """`event_id` is the client's name for what was refused. With `ends`, the connection is closed after it."""

    error: HansardError
    ends: bool = True
    event_id: str | None = None


Said = LiveEvent | Acknowledged | Behind | Refusal | Mapping[str, Any]
"""What goes out; a mapping is a message as it is."""

Translate = Callable[[Said], Iterable[Message]]


class FrameTooLarge(InvalidRequest):
    code = "frame_too_large"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(
            f"A message of {size_bytes:,} bytes is more than the {MOST_AUDIO_BYTES:,} allowed.",
            help="Send a tenth of a second to a second of audio at a time.",
        )


def invalid_message(what: str, *, help: str) -> InvalidRequest:
    return InvalidRequest(what, code="invalid_message", help=help)


def close_code(error: HansardError) -> CloseCode:
    failure = error.failure
    if isinstance(error, FrameTooLarge):
        return CloseCode.TOO_BIG
    if isinstance(error, errors.InvalidAudio):
        return CloseCode.UNUSABLE_AUDIO
    if failure.code == "session_taken_over":
        return CloseCode.TAKEN_OVER
    if failure.category is Category.CLIENT and not failure.retryable:
        return CloseCode.REFUSED
    return CloseCode.INTERNAL if failure.category is Category.INTERNAL else CloseCode.TRY_AGAIN_LATER


async def refuse(socket: WebSocket, error: HansardError, translate: Translate) -> None:
    """Say why before a session has begun, and close. The socket is accepted: else a browser learns nothing."""
    with suppress(WebSocketDisconnect):
        for message in translate(Refusal(error)):
            await socket.send_text(as_json(message))
        await socket.close(close_code(error), error.failure.code)


def as_json(message: Message) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def parsed(text: str) -> dict[str, Any]:
    """A client's message. Raises `InvalidRequest`."""
    try:
        message: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid_message("The message is not valid JSON.", help="Send one JSON object a message.") from error
    if not isinstance(message, dict) or not isinstance(cast("dict[str, object]", message).get("type"), str):
        raise invalid_message("The message is no JSON object with a `type`.", help="Send one JSON object a message.")
    return cast("dict[str, Any]", message)


@dataclass(slots=True, eq=False)
class LiveConnection:
    """`translate` makes messages of what is said; a protocol reads with `take` and `end`."""

    socket: WebSocket
    live: LiveSessions
    translate: Translate
    session: LiveSession | None = None
    _out: "asyncio.Queue[Said]" = field(default_factory=asyncio.Queue[Said])
    _tell: Callable[[LiveEvent], None] = field(init=False)
    _acknowledged_seconds: float = 0.0
    _has_ended: bool = False

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()

        def tell(event: LiveEvent) -> None:
            with suppress(RuntimeError):  # the loop is closed: the process ends, and the spool has everything
                loop.call_soon_threadsafe(self._out.put_nowait, event)

        self._tell = tell

    def say(self, said: Said) -> None:
        self._out.put_nowait(said)

    async def join(self, session: LiveSession, *, after: int = 0) -> None:
        await run_in_threadpool(self.live.join, session, self._tell, after=after)
        self.session = session
        self._acknowledged_seconds = session.received_seconds

    async def run(self, handle: Callable[[str | bytes], Awaitable[None]]) -> None:
        """Until the client is gone, the session over or something refused. `handle` takes a message of the client's."""
        reader = asyncio.create_task(self._read(handle))
        writer = asyncio.create_task(self._write())
        try:
            await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            if writer.done() and not writer.result():
                # The client is gone. What it sent before is still to be taken in, up to its end.
                await asyncio.wait({reader})
            # Unless the client is gone, the reader's last words are still to be written.
            if reader.done() and reader.result():
                await asyncio.wait({writer}, timeout=LAST_WORDS_SECONDS)
            if writer.done():
                writer.result()
        finally:
            # First, and without waiting: this task may have been cancelled itself.
            if self.session is not None:
                self.live.leave(self.session, self._tell)
            for task in (reader, writer):
                task.cancel()
            await asyncio.wait({reader, writer})

    async def take(self, session: LiveSession, audio: bytes) -> None:
        """Returns when there is room for more."""
        await run_in_threadpool(session.receive, audio, self._tell)
        if session.received_seconds - self._acknowledged_seconds >= ACKNOWLEDGE_EVERY_SECONDS:
            self._acknowledged_seconds = session.received_seconds
            received_bytes = await run_in_threadpool(session.acknowledge)
            self.say(Acknowledged(received_bytes, self._acknowledged_seconds))
        if session.received_seconds >= self.live.policy.longest_seconds:
            await self.end(session)
        else:
            await self._hold_up(session)

    async def end(self, session: LiveSession) -> None:
        """The last thing that is said."""
        ended = await run_in_threadpool(self.live.end, session)
        self.session, self._has_ended = None, True
        self.say(ended)

    async def _hold_up(self, session: LiveSession) -> None:
        told_at = 0.0
        while (backlog_seconds := session.backlog_seconds) > self.live.policy.backlog_seconds:
            if time.monotonic() - told_at >= TELL_OF_BACKLOG_SECONDS:
                told_at = time.monotonic()
                self.say(Behind(backlog_seconds))
            await asyncio.sleep(LOOK_AT_BACKLOG_SECONDS)

    async def _read(self, handle: Callable[[str | bytes], Awaitable[None]]) -> bool:
        """Whether the client is still there."""
        try:
            while True:
                message = await self.socket.receive()
                if message["type"] == "websocket.disconnect":
                    return False
                data, text = message.get("bytes"), message.get("text")
                await handle(cast("bytes", data) if data is not None else cast("str", text))
                if self._has_ended:
                    return True
        except HansardError as error:
            if error.failure.category is Category.INTERNAL:
                logger.opt(exception=error).error("A live session's connection is closed.")
            self.say(Refusal(error))
        except Exception:  # noqa: BLE001 - it is logged once, and the client told
            logger.exception("An unexpected error stopped a live session's connection.")
            self.say(Refusal(HansardError("An unexpected error stopped this connection.", help=_COME_BACK)))
        return True

    async def _write(self) -> bool:
        """Whether all was said that there was to say: else the client is gone."""
        with suppress(WebSocketDisconnect):
            while True:
                said = await self._out.get()
                for message in self.translate(said):
                    await self.socket.send_text(as_json(message))
                if isinstance(said, LiveEnded):
                    await self.socket.close(CloseCode.NORMAL)
                    return True
                if isinstance(said, TakenOver):
                    await self.socket.close(CloseCode.TAKEN_OVER, "session_taken_over")
                    return True
                if isinstance(said, Refusal) and said.ends:
                    await self.socket.close(close_code(said.error), said.error.failure.code)
                    return True
        return False


_COME_BACK = "Connect again with the session's id within a minute: nothing that was acknowledged is lost."
