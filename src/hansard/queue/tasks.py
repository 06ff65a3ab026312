"""What a worker does with a job, and what becomes of the job when that goes wrong.

    gave way to a more urgent one     back into the queue, as if it had never been taken
    the worker is asked to stop       the same, once it is written down that nobody is at work on it
    it raised                         back into the queue, later each time, a bounded number of times
    it raised too often               given up, with the reason on the record
    an erasure raised                 back into the queue, later each time, until it succeeds
    the worker died                   another worker's sweep puts it back

Only what raised counts as an attempt: how often workers died over a transcription stands on its own record.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from loguru import logger
from procrastinate import BaseRetryStrategy, JobContext, RetryDecision
from procrastinate.jobs import Job

from hansard.application.ports.work import Chore, Erasure
from hansard.application.run import GaveWay
from hansard.application.transcribe import BrokenOff
from hansard.domain.errors import HansardError, NotFound, StorageError
from hansard.domain.events import Interruption
from hansard.queue.jobs import erasure_of

MAX_ATTEMPTS = 5
"""Times that a transcription may raise before it is given up."""

MAX_OUTAGES = 16
"""The same where it raised since storage was away: with the back-off below, about ten minutes of that."""

LONGEST_BACKOFF_SECONDS = 60
LONGEST_ERASURE_BACKOFF_SECONDS = 600

QUIET_ERASURE_ATTEMPTS = 5
"""What raises no more often than this is not worth waking anybody for: a worker has to let go, a disk to come back."""

CHORES_AT_ONCE = 2
"""Erasures and chores that a worker does at the same time, beside its transcription."""

INTERRUPT_SECONDS = 1.0
"""How long writing down that a job goes back may hold up a worker that stops: the database may be away."""

OnJob = Callable[[UUID, str | None], AbstractContextManager[object]]
"""Entered around each transcription, in its thread, with its id and that of the request that asked for it."""


def _no_context(_transcription_id: UUID, _request_id: str | None) -> AbstractContextManager[None]:
    return nullcontext()


def _no_models() -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Duties:
    """What a worker is there for.

    `transcribe` does a job; it raises `GaveWay` to have it put back. `interrupt` writes down, for a job that
    `transcribe` is at, that it goes back. `give_up` records why one that raised too often is not done: the reason for
    people, and the last error where it can tell. `erase` raises until it has succeeded. `models` tells which are in
    memory, without waiting for anything.
    """

    transcribe: Callable[[UUID], object]
    interrupt: Callable[[UUID, Interruption], object]
    give_up: Callable[[UUID, str, HansardError | None], object]
    erase: Callable[[Erasure], object]
    chores: Sequence[Chore] = ()
    models: Callable[[], tuple[str, ...]] = _no_models
    on_job: OnJob = _no_context


class PutBack(Exception):
    """The job goes back into the queue as if it had never been taken."""


@dataclass(frozen=True, slots=True)
class TryAgain(BaseRetryStrategy):
    """Always: a job that is to end after all ends by being given up, which itself may have to be tried again."""

    longest_backoff_seconds: int

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        if isinstance(exception, PutBack):
            return RetryDecision()
        doublings = min(job.attempts, self.longest_backoff_seconds.bit_length())
        return RetryDecision(retry_in={"seconds": min(self.longest_backoff_seconds, 2**doublings)})


@dataclass(frozen=True, slots=True)
class Leave:
    """When a worker is to end: `asked` to take nothing new, `hurried` to let go of what it is at."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    hurried: asyncio.Event = field(default_factory=asyncio.Event)


def _pool(width: int, name: str) -> Callable[[], ThreadPoolExecutor]:
    return partial(ThreadPoolExecutor, width, thread_name_prefix=name)


@dataclass(frozen=True, slots=True)
class Tasks:
    """The queue's tasks, each doing its work in a thread, so that heartbeats and signals are served meanwhile."""

    duties: Duties
    leave: Leave
    _transcribing: ThreadPoolExecutor = field(default_factory=_pool(1, "job"))
    _at_chores: ThreadPoolExecutor = field(default_factory=_pool(CHORES_AT_ONCE, "chore"))
    _beside_jobs: ThreadPoolExecutor = field(default_factory=_pool(1, "aside"))
    _at_work: set["Future[object]"] = field(default_factory=set["Future[object]"])

    @property
    def nothing_runs(self) -> bool:
        return not self._at_work

    def close(self) -> None:
        for pool in (self._transcribing, self._at_chores, self._beside_jobs):
            pool.shutdown(wait=False, cancel_futures=True)

    async def transcribe(
        self, context: JobContext, *, transcription_id: str, request_id: str | None = None, **_rank: object
    ) -> None:
        about = UUID(transcription_id)
        try:
            await self._in_thread(
                self._transcribing, partial(self._transcribe, about, request_id, context.job.attempts + 1)
            )
        except _StillAtWork:
            logger.bind(transcription_id=transcription_id).info("The transcription goes back into the queue.")
            await self._interrupt(about)
            raise

    async def erase(self, context: JobContext, **arguments: Any) -> None:
        erasure = erasure_of(arguments)
        await self._in_thread(self._at_chores, partial(self._erase, erasure, context.job.attempts + 1))

    async def do_chore(self, run: Callable[[], object]) -> None:
        await self._in_thread(self._at_chores, run)

    async def aside(self, work: Callable[[], object]) -> None:
        """Something that may hang where the database does."""
        await self._begun(self._beside_jobs, work)

    def _begun(self, pool: ThreadPoolExecutor, work: Callable[[], object]) -> "asyncio.Future[object]":
        running = pool.submit(work)
        self._at_work.add(running)
        running.add_done_callback(self._at_work.discard)
        return asyncio.wrap_future(running)

    async def _in_thread(self, pool: ThreadPoolExecutor, work: Callable[[], object]) -> None:
        """Raises `PutBack` when the worker is to end before `work` does."""
        if self.leave.asked.is_set():
            raise PutBack
        ended = self._begun(pool, work)
        hurried = asyncio.create_task(self.leave.hurried.wait())
        try:
            await asyncio.wait({ended, hurried}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurried.cancel()
        if not ended.done():
            ended.cancel()  # what is not begun never is; what is at work ends by itself, and nobody waits for it
            raise _StillAtWork
        ended.result()

    async def _interrupt(self, transcription_id: UUID) -> None:
        """Or else the next worker would take it for one that had killed this worker."""
        interrupt = partial(self.duties.interrupt, transcription_id, Interruption.WORKER_STOPPED)
        try:
            await asyncio.wait_for(self.aside(interrupt), INTERRUPT_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever comes of it, the worker ends
            logger.bind(transcription_id=str(transcription_id)).warning(
                "It could not be written down that the transcription goes back: {}.", type(error).__name__
            )

    def _transcribe(self, transcription_id: UUID, request_id: str | None, attempt: int) -> None:
        with self.duties.on_job(transcription_id, request_id):
            try:
                self.duties.transcribe(transcription_id)
            except NotFound:
                logger.info("The transcription was deleted before a worker took it.")
            except GaveWay as error:
                logger.info("The transcription goes back into the queue: {}", error)
                raise PutBack from error
            except Exception as error:
                cause = underlying(error)
                _tell(error, cause)
                if attempt < (MAX_OUTAGES if isinstance(cause, StorageError) else MAX_ATTEMPTS):
                    raise
                logger.error("The transcription is given up after {} attempts.", attempt)
                self.duties.give_up(transcription_id, f"It was tried {attempt} times, and none came to an end.", cause)

    def _erase(self, erasure: Erasure, attempt: int) -> None:
        try:
            self.duties.erase(erasure)
        except Exception as error:
            level = "INFO" if attempt <= QUIET_ERASURE_ATTEMPTS else "ERROR"
            log = logger.bind(audio_id=str(erasure.audio_id), attempt=attempt)
            log.opt(exception=not isinstance(error, HansardError)).log(
                level, "What is left of a deletion is not removed yet, and tried again: {}", error
            )
            raise
        logger.bind(audio_id=str(erasure.audio_id)).info("Nothing is left of what was deleted.")


class _StillAtWork(PutBack):
    """Its thread goes on, whatever becomes of the job."""


def underlying(error: BaseException) -> HansardError | None:
    """The error of ours that a run was broken off by, if it was one."""
    while isinstance(error, BrokenOff) and error.__cause__ is not None:
        error = error.__cause__
    return error if isinstance(error, HansardError) and not isinstance(error, BrokenOff) else None


def _tell(error: Exception, cause: HansardError | None) -> None:
    if isinstance(cause, StorageError):
        logger.bind(code=cause.failure.code).warning("The transcription was broken off: {}", cause)
    else:
        logger.opt(exception=True).error("The transcription was broken off by {}.", type(cause or error).__name__)
