"""Server-sent events: streams that stay open until their client goes, what they tell of is over, or the server stops.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from fastapi import Response
from loguru import logger
from starlette.types import Receive, Scope, Send

from hansard.domain.errors import HansardError

MEDIA_TYPE = "text/event-stream"

HEARTBEAT_SECONDS = 15.0
"""How long a client hears nothing at all. Proxies cut connections that are silent for a minute, some for half of it."""

HEARTBEAT = ":\n\n"

RETRY = "retry: 2000\n\n"
"""Milliseconds after which a client that lost its connection should come back."""

FAREWELL_SECONDS = 1.0
"""For a client that does not read: then its connection is cut."""


def message(event: str, data: str, *, id: str | None = None) -> str:
    """`data` is one line. Without an id, a client that comes back names the one before."""
    named = f"event: {event}\n" if id is None else f"event: {event}\nid: {id}\n"
    return f"{named}data: {data}\n\n"


@dataclass(eq=False)
class Streams:
    """Those that are open in this process: a server that stops would wait for them."""

    _open: set["asyncio.Task[None]"] = field(default_factory=set["asyncio.Task[None]"])
    _has_ended: bool = False

    def __len__(self) -> int:
        return len(self._open)

    def end(self) -> None:
        """All, and those that are still to come."""
        self._has_ended = True
        for writing in self._open:
            writing.cancel()

    def add(self, writing: "asyncio.Task[None]") -> None:
        self._open.add(writing)
        writing.add_done_callback(self._open.discard)
        if self._has_ended:
            writing.cancel()


class EventStream(Response):
    """Sends what `chunks` gives, which is closed in any case. What they raise ends it: the client will come back."""

    media_type = MEDIA_TYPE

    def __init__(self, chunks: AsyncGenerator[str], streams: Streams) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["Content-Length"]
        self._chunks, self._streams = chunks, streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - a response's shape
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        writing = asyncio.create_task(self._write(send))
        gone = asyncio.create_task(_disconnected(receive))
        self._streams.add(writing)
        try:
            await asyncio.wait({writing, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            has_gone = gone.done()
            writing.cancel()
            gone.cancel()
            (error, _) = await asyncio.gather(writing, gone, return_exceptions=True)
        if isinstance(error, HansardError):
            told = logger.bind(code=error.failure.code, category=error.failure.category.value)
            told.warning("A stream of events ends early: {}", error)
        elif isinstance(error, Exception):
            raise error
        if not has_gone:
            await _end_body(send)

    async def _write(self, send: Send) -> None:
        async with aclosing(self._chunks):
            async for chunk in self._chunks:
                await send({"type": "http.response.body", "body": chunk.encode(), "more_body": True})


async def _end_body(send: Send) -> None:
    try:
        async with asyncio.timeout(FAREWELL_SECONDS):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    except TimeoutError:
        logger.debug("A client did not read its stream of events when it was ended.")


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
