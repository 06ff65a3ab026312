"""News of transcriptions and of events, from whichever process changed or wrote them, without asking over and over.

A commit that saves a transcription notifies a channel of PostgreSQL's (`repositories.py`), one that writes events
another (`event_log.py`); here, one connection listens for all who wait in this process. News may get lost, with a
connection or a server: then, and every few seconds anyway, those who wait are told to look for themselves.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager, suppress
from uuid import UUID

import psycopg
from loguru import logger

from hansard.domain.transcription import Status

CHANNEL = "hansard_transcriptions"
EVENTS_CHANNEL = "hansard_events"
"""Told of each commit that wrote events."""

LOOK_EVERY_SECONDS = 3.0
"""How long somebody waits for news that got lost."""

RECONNECT_SECONDS = 0.5

QUIET_SECONDS = 30.0
"""After so long without news the connection is tried out: one that broke silently brings none."""

MOST_RECENT = 1000
"""The transcriptions whose last news is remembered, for those who come to wait just after it."""


class Notifications:
    """Implements `Changes` and `EventNews`, by a connection of its own to `url` (`postgresql://…`)."""

    def __init__(self, url: str, *, application_name: str) -> None:
        self._url = url
        self._application_name = application_name
        self._watches: dict[UUID, set[_Watch]] = {}
        self._recent: OrderedDict[UUID, Status | None] = OrderedDict()
        self._event_watches: set[_EventWatch] = set()

    async def listen(self) -> None:
        while True:
            try:
                await self._listen_on_one_connection()
            except psycopg.Error as error:
                logger.debug("No news of transcriptions for now; listening again: {}", str(error).strip())
            self._look_all()
            await asyncio.sleep(RECONNECT_SECONDS)

    @contextmanager
    def watch(self, transcription_id: UUID) -> Generator["_Watch"]:
        watch = _Watch()
        if transcription_id in self._recent:
            watch.tell(self._recent[transcription_id])
        self._watches.setdefault(transcription_id, set()).add(watch)
        try:
            yield watch
        finally:
            watches = self._watches[transcription_id]
            watches.discard(watch)
            if not watches:
                del self._watches[transcription_id]

    @contextmanager
    def watch_events(self) -> Generator["_EventWatch"]:
        watch = _EventWatch()
        self._event_watches.add(watch)
        try:
            yield watch
        finally:
            self._event_watches.discard(watch)

    async def _listen_on_one_connection(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, application_name=self._application_name
        )
        async with connection:
            await connection.execute(f"LISTEN {EVENTS_CHANNEL}")
            await connection.execute(f"LISTEN {CHANNEL}")
            self._look_all()  # what happened while nobody listened
            while True:
                async for notice in connection.notifies(timeout=QUIET_SECONDS):
                    if notice.channel == EVENTS_CHANNEL:
                        self._tell_of_events()
                    else:
                        self._tell(notice.payload)
                await connection.execute("SELECT 1")

    def _tell(self, payload: str) -> None:
        name, _, told = payload.partition(" ")
        transcription_id, status = UUID(name), Status(told) if told else None
        self._recent[transcription_id] = status
        self._recent.move_to_end(transcription_id)
        if len(self._recent) > MOST_RECENT:
            self._recent.popitem(last=False)
        for watch in self._watches.get(transcription_id, ()):
            watch.tell(status)

    def _tell_of_events(self) -> None:
        for watch in self._event_watches:
            watch.tell()

    def _look_all(self) -> None:
        self._tell_of_events()
        for watches in self._watches.values():
            for watch in watches:
                watch.tell(None)


class _Watch:
    """Implements `Watch`."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self._status: Status | None = None

    def tell(self, status: Status | None) -> None:
        self._status = status
        self._news.set()

    async def change(self, *, within_seconds: float | None = None) -> Status | None:
        try:
            async with asyncio.timeout(LOOK_EVERY_SECONDS if within_seconds is None else within_seconds):
                await self._news.wait()
        except TimeoutError:
            return None
        self._news.clear()
        status, self._status = self._status, None
        return status


class _EventWatch:
    """Implements `EventWatch`."""

    def __init__(self) -> None:
        self._news = asyncio.Event()

    def tell(self) -> None:
        self._news.set()

    async def news(self, *, within_seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self._news.wait()
        self._news.clear()
