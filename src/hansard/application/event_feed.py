"""New events for all who follow them in this process: read once, for everybody.

What was read last is kept for those who are a little behind. Who is further behind (a slow client, or one that comes
back) reads from the database until he has caught up. So nobody misses anything or gets it twice, nobody holds up the
others, and memory does not depend on who reads how slowly.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from itertools import islice

from hansard.application.ports.events import EVERYTHING, EventNews, EventQuery
from hansard.application.ports.records import UnitOfWork
from hansard.domain.audit import Entry
from hansard.domain.errors import StorageError

MOST_RECENT = 1000
AT_ONCE = 200
"""Entries that are read, and handed over, at once."""

LOOK_EVERY_SECONDS = 3.0
"""How long events whose news got lost may stay unseen."""

PAUSE_SECONDS = 1.0
"""Between two looks at a database that is away."""


@dataclass(eq=False)
class EventFeed:
    """Used on one event loop, on which `run` runs, and `Changes.listen` of what gives the `news`."""

    unit_of_work: Callable[[], UnitOfWork]
    news: EventNews
    followers: int = 0
    _recent: deque[Entry] = field(default_factory=lambda: deque[Entry](maxlen=MOST_RECENT))
    _position: int = 0
    """Of the last entry that was read."""
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Read what is new, for those who follow, until this is cancelled. A database that is away is waited for."""
        with self.news.watch_events() as watch:
            while True:
                await watch.news(within_seconds=LOOK_EVERY_SECONDS)
                with suppress(StorageError):
                    await self._read()

    async def follow(
        self, query: EventQuery, *, after: int | None, idle_seconds: float
    ) -> AsyncGenerator[tuple[Entry, ...]]:
        """What the query wants, in batches, after that position; None: from now on.

        The first batch is empty, and comes at once: from then on nothing is missed. So are those that say that nothing
        came for so long. Raises `StorageError` before the first, and none later.
        """
        end = await asyncio.to_thread(self._end)
        is_first = not self.followers
        if is_first:
            self._recent.clear()
            self._position = end
        self.followers += 1
        try:
            if is_first:  # the news of what came since `end` was read may have gone by
                await self._read()
            yield ()
            # Where nobody can have been yet, he was before the trail was begun anew.
            position = end if after is None else min(after, end)
            async with aclosing(self._batches(query, position, idle_seconds)) as batches:
                async for batch in batches:
                    yield batch
        finally:
            self.followers -= 1

    async def _batches(
        self, query: EventQuery, position: int, idle_seconds: float
    ) -> AsyncGenerator[tuple[Entry, ...]]:
        clock = asyncio.get_running_loop().time
        speak_at = clock() + idle_seconds
        while True:
            found: tuple[Entry, ...] = ()
            try:
                async with asyncio.timeout_at(speak_at):
                    while position >= self._position:
                        await self._more.wait()
                found, position = await self._next(position, query)
            except TimeoutError:
                pass
            except StorageError:
                await asyncio.sleep(PAUSE_SECONDS)
            if found or clock() >= speak_at:
                yield found
                speak_at = clock() + idle_seconds

    async def _next(self, position: int, query: EventQuery) -> tuple[tuple[Entry, ...], int]:
        """Some that come after the position, and where they end, which may be with one that is not wanted."""
        known = self._position
        if self._recent and self._recent[0].position <= position + 1:
            new = islice(self._recent, position + 1 - self._recent[0].position, None)
            return tuple(entry for entry in new if query.wants(entry)), known
        found = await asyncio.to_thread(self._after, position, query)
        reached = found[-1].position if found else position
        return found, reached if len(found) == AT_ONCE else max(reached, known)

    async def _read(self) -> None:
        """Only one at a time reads on from where the last one came to."""
        while self.followers:
            position = self._position
            entries = await asyncio.to_thread(self._after, position, EVERYTHING)
            if entries and position == self._position:
                self._recent.extend(entries)
                self._position = entries[-1].position
                self._more.set()
                self._more = asyncio.Event()
            if len(entries) < AT_ONCE:
                return

    def _after(self, position: int, query: EventQuery) -> tuple[Entry, ...]:
        with self.unit_of_work() as uow:
            return uow.events.after(position, query, limit=AT_ONCE)

    def _end(self) -> int:
        with self.unit_of_work() as uow:
            return uow.events.head().position
