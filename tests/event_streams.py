"""A client of server-sent events, on the application itself: no socket, no server between."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from fastapi import FastAPI

PATIENCE_SECONDS = 20.0

T = TypeVar("T")


@dataclass(frozen=True)
class Message:
    """One that was dispatched. `id` is the last one that was given, as a browser keeps it."""

    event: str
    data: Any
    id: str | None


@dataclass
class Stream:
    """What came in so far, and what comes."""

    incoming: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    raw: str = ""
    last_id: str | None = None
    has_ended: bool = False

    async def opened(self) -> "Stream":
        start = await self._incoming()
        self.status = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return self

    async def chunk(self) -> str:
        """A part of the body, as it comes; empty at its end."""
        message = await self._incoming()
        self.has_ended = not message.get("more_body", False)
        return message["body"].decode()

    async def next(self) -> Message | None:
        """The next message; None at the end. Comments are passed over."""
        while True:
            block, found, rest = self.raw.partition("\n\n")
            if not found:
                if self.has_ended:
                    return None
                self.raw += await self.chunk()
                continue
            self.raw = rest
            fields = dict(line.partition(": ")[::2] for line in block.split("\n") if not line.startswith(":"))
            self.last_id = fields.get("id", self.last_id)
            if "data" in fields:
                return Message(fields["event"], json.loads(fields["data"]), self.last_id)

    async def until(self, event: str) -> list[Message]:
        """All messages up to one of this name."""
        messages: list[Message] = []
        while not messages or messages[-1].event != event:
            message = await self.next()
            assert message is not None, f"it ended before {event}: {messages}"
            messages.append(message)
        return messages

    async def rest(self) -> list[Message]:
        messages: list[Message] = []
        while (message := await self.next()) is not None:
            messages.append(message)
        return messages

    async def _incoming(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.incoming.get(), PATIENCE_SECONDS)


@asynccontextmanager
async def stream(app: FastAPI, path: str, *, last_id: str | None = None, **query: Any) -> AsyncGenerator[Stream]:
    """Leaves when this is left, and waits until the application has noticed."""
    client = Stream()

    async def receive() -> dict[str, Any]:
        if not client.leave.is_set() and client.incoming.empty() and not client.status:
            client.status = -1
            return {"type": "http.request", "body": b"", "more_body": False}
        await client.leave.wait()
        return {"type": "http.disconnect"}

    headers = [(b"last-event-id", last_id.encode())] if last_id else []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": urlencode(query, doseq=True).encode(),
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    serving = asyncio.create_task(app(scope, receive, client.incoming.put))  # type: ignore[arg-type]
    try:
        yield await client.opened()
    finally:
        client.leave.set()
        await asyncio.wait_for(serving, PATIENCE_SECONDS)


def play(scene: Callable[[], Coroutine[Any, Any, T]], *beside: Callable[[], Coroutine[Any, Any, None]]) -> T:
    """The scene, with what runs beside it in a real process."""

    async def run() -> T:
        tasks = [asyncio.create_task(each()) for each in beside]
        try:
            return await asyncio.wait_for(scene(), PATIENCE_SECONDS * 2)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(run())
