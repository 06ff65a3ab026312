"""Requests that wait for a transcription: until it has ended, their patience is over, or their client has gone away.

Work that nobody waits for any more is cancelled; but not at once. A client whose own patience was over often asks again
within a second, and should then find the work going on. Who waits is known in this process only: of several that serve
the API, each cancels what none of its own clients waits for.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

from loguru import logger
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from hansard.application.ports.work import Changes, Watch
from hansard.domain.errors import Conflict, HansardError, NotFound
from hansard.domain.transcription import Status

GRACE_SECONDS = 3.0
"""How long work goes on without anybody who waits. OpenAI's SDK asks again after 0.5 s, and then after 1 s."""

MOST_LEFT_BEHIND = 10_000
"""Transcriptions remembered as left to be fetched; each counts some hundred bytes."""


class OutOfPatience(Exception):
    """The transcription goes on without us."""


@dataclass(eq=False)
class Waiting:
    """All who wait, in this process. `cancel` is the use case."""

    changes: Changes
    cancel: Callable[[UUID], object]
    grace_seconds: float = GRACE_SECONDS
    _waiters: Counter[UUID] = field(default_factory=Counter[UUID])
    _left_behind: OrderedDict[UUID, None] = field(default_factory=OrderedDict[UUID, None])
    _leaving: set["asyncio.Task[None]"] = field(default_factory=set["asyncio.Task[None]"])

    @asynccontextmanager
    async def for_transcription(
        self, transcription_id: UUID, receive: Receive, *, may_cancel: bool
    ) -> AsyncGenerator["Wait"]:
        """`receive` is the request's, whose body has been read. `may_cancel` False: somebody will come back for it."""
        gone = asyncio.create_task(_disconnected(receive))
        try:
            with self._counted(transcription_id), self.changes.watch(transcription_id) as watch:
                yield Wait(watch, gone)
        except OutOfPatience:
            self._leave_behind(transcription_id)
            raise
        except ClientDisconnect:
            if may_cancel:
                self._cancel_later(transcription_id)
            raise
        finally:
            gone.cancel()

    @contextmanager
    def _counted(self, transcription_id: UUID) -> Generator[None]:
        self._waiters[transcription_id] += 1
        try:
            yield
        finally:
            self._waiters[transcription_id] -= 1
            if not self._waiters[transcription_id]:
                del self._waiters[transcription_id]

    def _leave_behind(self, transcription_id: UUID) -> None:
        self._left_behind[transcription_id] = None
        if len(self._left_behind) > MOST_LEFT_BEHIND:
            self._left_behind.popitem(last=False)

    def _cancel_later(self, transcription_id: UUID) -> None:
        task = asyncio.create_task(self._cancel_unless_wanted(transcription_id))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _cancel_unless_wanted(self, transcription_id: UUID) -> None:
        await asyncio.sleep(self.grace_seconds)
        if transcription_id in self._waiters or transcription_id in self._left_behind:
            return
        told = logger.bind(transcription_id=str(transcription_id))
        try:
            with suppress(NotFound, Conflict):  # it is gone, or has ended
                await run_in_threadpool(self.cancel, transcription_id)
                told.info("Its client went away, so the transcription was cancelled.")
        except HansardError as error:
            told.warning("Its client went away, but the transcription could not be cancelled: {}", error)


@dataclass(frozen=True, slots=True)
class Wait:
    """One request's wait."""

    watch: Watch
    gone: "asyncio.Task[None]"

    async def change(self, *, seconds: float) -> Status | None:
        """As `Watch.change`, within so many seconds. Raises `OutOfPatience` and `ClientDisconnect`."""
        news = asyncio.ensure_future(self.watch.change())
        try:
            done, _ = await asyncio.wait({news, self.gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if self.gone in done:
                raise ClientDisconnect
            if news not in done:
                raise OutOfPatience
            return news.result()
        finally:
            news.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
