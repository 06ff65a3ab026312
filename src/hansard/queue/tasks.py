"""What a worker does with a job, and what becomes of the job when that goes wrong.

    gave way to a more urgent one     back into the queue, as if it had never been taken
    the worker is asked to stop       the same, once it is written down that nobody is at work on it
    it raised                         back into the queue, later each time, a bounded number of times
    it raised too often               given up, with the reason on the record
    an erasure raised                 back into the queue, later each time, until it succeeds
    a notification raised             back into the queue, later each time, a bounded number of times
    a webhook's turn raised           dropped: the sweep has the webhook take another
    the worker died                   another worker's sweep puts it back

Only what raised counts as an attempt: how often workers died over a transcription stands on its own record.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from loguru import logger
from procrastinate import BaseRetryStrategy, JobContext, RetryDecision
from procrastinate.jobs import Job

from hansard.application.origin import carried
from hansard.application.ports.notifications import Notification
from hansard.application.ports.work import Chore, Erasure
from hansard.application.run import GaveWay
from hansard.application.transcribe import BrokenOff
from hansard.domain.errors import (
    ConfigurationError,
    HansardError,
    NotFound,
    NotificationFailed,
    StorageError,
    UnknownRecipient,
)
from hansard.domain.events import Interruption
from hansard.queue.jobs import DELIVER, ERASE, NOTIFY, TRANSCRIBE, erasure_of, notification_of

MAX_ATTEMPTS = 5
"""Times that a transcription may raise before it is given up."""

MAX_OUTAGES = 16
"""The same where it raised since storage was away: with the back-off below, about ten minutes of that."""

LONGEST_BACKOFF_SECONDS = 60
LONGEST_ERASURE_BACKOFF_SECONDS = 600

MOST_NOTIFY_ATTEMPTS = 12
"""Times that a recipient is told of something before it is given up: with the back-off below, over half an hour."""

LONGEST_NOTIFY_BACKOFF_SECONDS = 600

QUIET_ERASURE_ATTEMPTS = 5
"""What raises no more often than this is not worth waking anybody for: a worker has to let go, a disk to come back."""

TURNS_AT_ONCE = 8
"""Webhooks that a worker sends to at the same time, beside its transcription."""

FAILING_TURNS_AT_ONCE = 2
"""The same, of webhooks that are failing."""

CHORES_AT_ONCE = 2
"""Erasures and chores that a worker does at the same time, beside its transcription."""

INTERRUPT_SECONDS = 1.0
"""How long writing down that a job goes back may hold up a worker that stops: the database may be away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A job that a worker is at, by the name of its task. `about` are ids; `carried` is for `acting`."""

    name: str
    about: Mapping[str, str]
    carried: Mapping[str, str]


OnWork = Callable[[Work], AbstractContextManager[object]]
"""Entered around each of them, whose threads have its context; what ends it early is raised through it."""


def _no_context(_work: Work) -> AbstractContextManager[None]:
    return nullcontext()


def _no_models() -> tuple[str, ...]:
    return ()


def _nothing_due(_webhook_id: UUID, _is_stopped: Callable[[], bool]) -> None:
    pass


def _nobody(_notification: Notification) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Duties:
    """What a worker is there for.

    `transcribe` does a job; it raises `GaveWay` to have it put back. `interrupt` writes down, for a job that
    `transcribe` is at, that it goes back. `give_up` records why one that raised too often is not done: the reason for
    people, and the last error where it can tell. `erase` raises until it has succeeded. `models` tells which are in
    memory, without waiting for anything. `deliver` has a webhook take its turn; it may be told to end it early.
    """

    transcribe: Callable[[UUID], object]
    interrupt: Callable[[UUID, Interruption], object]
    give_up: Callable[[UUID, str, HansardError | None], object]
    erase: Callable[[Erasure], object]
    deliver: Callable[[UUID, Callable[[], bool]], object] = _nothing_due
    notify: Callable[[Notification], object] = _nobody
    chores: Sequence[Chore] = ()
    models: Callable[[], tuple[str, ...]] = _no_models
    on_work: OnWork = _no_context


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
    _delivering: ThreadPoolExecutor = field(default_factory=_pool(TURNS_AT_ONCE + FAILING_TURNS_AT_ONCE, "turn"))
    _notifying: ThreadPoolExecutor = field(default_factory=_pool(1, "notify"))
    _beside_jobs: ThreadPoolExecutor = field(default_factory=_pool(1, "aside"))
    _at_work: set["Future[object]"] = field(default_factory=set["Future[object]"])

    @property
    def nothing_runs(self) -> bool:
        return not self._at_work

    def close(self) -> None:
        for pool in (self._transcribing, self._at_chores, self._delivering, self._notifying, self._beside_jobs):
            pool.shutdown(wait=False, cancel_futures=True)

    async def transcribe(self, context: JobContext, *, transcription_id: str, **arguments: object) -> None:
        about = UUID(transcription_id)
        with self.duties.on_work(
            Work(name=TRANSCRIBE, about={"transcription_id": transcription_id}, carried=carried(arguments))
        ):
            try:
                work = partial(self._transcribe, about, context.job.attempts + 1)
                await self._in_thread(self._transcribing, work)
            except _StillAtWork:
                logger.info("The transcription goes back into the queue.")
                await self._interrupt(about)
                raise

    async def erase(self, context: JobContext, **arguments: Any) -> None:
        erasure = erasure_of(arguments)
        with self.duties.on_work(
            Work(name=ERASE, about={"audio_id": str(erasure.audio_id)}, carried=carried(arguments))
        ):
            await self._in_thread(self._at_chores, partial(self._erase, erasure, context.job.attempts + 1))

    async def deliver(self, _context: JobContext, *, webhook_id: str) -> None:
        with self.duties.on_work(Work(name=DELIVER, about={"webhook_id": webhook_id}, carried={})):
            await self._in_thread(self._delivering, partial(self._deliver, UUID(webhook_id)))

    async def notify(self, context: JobContext, **arguments: Any) -> None:
        notification = notification_of(arguments)
        work = partial(tell, self.duties.notify, notification, context.job.attempts + 1)
        with self.duties.on_work(Work(name=NOTIFY, about={}, carried=carried(arguments))):
            await self._in_thread(self._notifying, work)

    async def do_chore(self, run: Callable[[], object]) -> None:
        await self._in_thread(self._at_chores, run)

    async def aside(self, work: Callable[[], object]) -> None:
        """Something that may hang where the database does."""
        await self._begun(self._beside_jobs, work)

    def _begun(self, pool: ThreadPoolExecutor, work: Callable[[], object]) -> "asyncio.Future[object]":
        running = pool.submit(copy_context().run, work)
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
            logger.warning("It could not be written down that the transcription goes back: {}.", type(error).__name__)

    def _transcribe(self, transcription_id: UUID, attempt: int) -> None:
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

    def _deliver(self, webhook_id: UUID) -> None:
        try:
            self.duties.deliver(webhook_id, self.leave.asked.is_set)
        except Exception as error:  # noqa: BLE001 - a job that raised could not go back: another may wait in its place
            told = logger.opt(exception=not isinstance(error, HansardError))
            if isinstance(error, HansardError):
                told = told.bind(code=error.failure.code, category=error.failure.category.value)
            told.log("ERROR", "A webhook's turn was broken off; it takes another within a minute: {}", error)

    def _erase(self, erasure: Erasure, attempt: int) -> None:
        try:
            self.duties.erase(erasure)
        except Exception as error:
            level = "INFO" if attempt <= QUIET_ERASURE_ATTEMPTS else "ERROR"
            log = logger.bind(attempt=attempt)
            if isinstance(error, HansardError):
                log = log.bind(code=error.failure.code, category=error.failure.category.value)
            log.opt(exception=not isinstance(error, HansardError)).log(
                level, "What is left of a deletion is not removed yet, and tried again: {}", error
            )
            raise
        logger.info("Nothing is left of what was deleted.")


def tell(notify: Callable[[Notification], object], notification: Notification, attempt: int) -> None:
    """Raises where another attempt is worth it."""
    told = logger.bind(recipient=notification.recipient, attempt=attempt)
    try:
        notify(notification)
    except UnknownRecipient as error:
        told.warning("A notification is given up: {}", error)
    except ConfigurationError as error:
        told.bind(title=notification.title).error("A notification is given up: {}", error)
    except NotificationFailed as error:
        if attempt < MOST_NOTIFY_ATTEMPTS:
            told.info("A notification failed, and is tried again: {}", error)
            raise
        told = told.bind(code=error.failure.code, category=error.failure.category.value)
        told.bind(title=notification.title).error("A notification is given up: {}", error)
    else:
        told.info("A recipient was notified.")


class _StillAtWork(PutBack):
    """Its thread goes on, whatever becomes of the job."""


def underlying(error: BaseException) -> HansardError | None:
    """The error of ours that a run was broken off by, if it was one."""
    while isinstance(error, BrokenOff) and error.__cause__ is not None:
        error = error.__cause__
    return error if isinstance(error, HansardError) and not isinstance(error, BrokenOff) else None


def _tell(error: Exception, cause: HansardError | None) -> None:
    if isinstance(cause, StorageError):
        told = logger.bind(code=cause.failure.code, category=cause.failure.category.value)
        told.warning("The transcription was broken off: {}", cause)
    else:
        logger.opt(exception=True).error("The transcription was broken off by {}.", type(cause or error).__name__)
