"""A worker process: takes one job after the other from the queue, and is never the reason that one is lost.

    killed (-9)            its heartbeats stop; within some seconds another worker takes its job
    asked to stop          the job is given some seconds to end, then put back for the next worker
    the job raised         back into the queue, later each time, a bounded number of times
    the database is away   waited for

The job runs in a thread of its own, so that heartbeats and signals are served meanwhile.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import psycopg
from loguru import logger
from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job

from hansard.domain.errors import HansardError, NotFound
from hansard.queue.jobs import QUEUE, STALLED_SECONDS, TASK
from hansard.queue.manager import RECONNECT_SECONDS, SteadyJobManager

HEARTBEAT_SECONDS = 2.0

MAX_ATTEMPTS = 5
"""Times that a job may raise, or take its worker down with it, before it is given up."""

LONGEST_BACKOFF_SECONDS = 60

GRACE_SECONDS = 2.0
"""How long a job may take to end after the worker was asked to stop. Short: what is lost is one passage's work."""

EXIT_SECONDS = 2.0
"""How long putting the job back and signing off may take on top; a database that is away must not hold us."""

_POLL_SECONDS = 0.2

OnJob = Callable[[UUID, str | None], AbstractContextManager[object]]
"""Entered around each job, in its thread, with the ids of the transcription and of the request that asked for it."""


def _no_context(_transcription_id: UUID, _request_id: str | None) -> AbstractContextManager[None]:
    return nullcontext()


def run_worker(
    conninfo: str,
    transcribe: Callable[[UUID], object],
    give_up: Callable[[UUID, str], object],
    *,
    name: str,
    on_job: OnJob = _no_context,
    until: Callable[[], bool] | None = None,
    revive: Callable[[], object] | None = None,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    stalled_seconds: float = STALLED_SECONDS,
    grace_seconds: float = GRACE_SECONDS,
) -> bool:
    """Work until SIGTERM or SIGINT, or until `until` says so (asked some times a second); a second signal hurries.

    `transcribe` does a job. `give_up` records the reason, for people, why a job that failed too often is not done.
    `revive` is called when the database is away. Signals are served in the main thread only.

    Returns True when all has ended. False: the job was put back, but its thread is still busy with it; leave the
    process by `os._exit`, since the interpreter would wait for the thread.
    """
    worker = _Worker(
        conninfo=conninfo,
        transcribe=transcribe,
        give_up=give_up,
        name=name,
        on_job=on_job,
        until=until,
        revive=revive,
        heartbeat_seconds=heartbeat_seconds,
        stalled_seconds=stalled_seconds,
        grace_seconds=grace_seconds,
    )
    with asyncio.Runner() as runner:
        runner.run(worker.run())
    return worker.left_nothing_running()


class _PutBack(Exception):
    """The job goes back into the queue as if it had never been taken."""


class _TryAgain(BaseRetryStrategy):
    """Always: a job that was tried too often ends by being given up, which itself may have to be tried again."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        if isinstance(exception, _PutBack):
            return RetryDecision()
        return RetryDecision(retry_in={"seconds": min(LONGEST_BACKOFF_SECONDS, 2**job.attempts)})


@dataclass(kw_only=True, eq=False)
class _Worker:
    conninfo: str
    transcribe: Callable[[UUID], object]
    give_up: Callable[[UUID, str], object]
    name: str
    on_job: OnJob
    until: Callable[[], bool] | None
    revive: Callable[[], object] | None
    heartbeat_seconds: float
    stalled_seconds: float
    grace_seconds: float

    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _hurrying: asyncio.Event = field(default_factory=asyncio.Event)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="job"))
    _at_work: "asyncio.Future[None] | None" = None

    def left_nothing_running(self) -> bool:
        self._thread.shutdown(wait=False)
        return self._at_work is None or self._at_work.done()

    async def run(self) -> None:
        serving = asyncio.create_task(self._serve())
        stopping = asyncio.create_task(self._stopping.wait())
        watching = asyncio.create_task(self._watch())
        with self._signals():
            await asyncio.wait({serving, stopping, watching}, return_when=asyncio.FIRST_COMPLETED)
            asyncio.get_running_loop().call_later(0 if watching.done() else self.grace_seconds, self._hurrying.set)
            self._stopping.set()
            serving.cancel()
            await asyncio.wait({serving}, timeout=self.grace_seconds + EXIT_SECONDS)
        watching.cancel()
        for task in (serving, watching):
            if task.done() and not task.cancelled():
                task.result()

    async def _watch(self) -> None:
        if self.until is None:
            await asyncio.Event().wait()
            return
        while not await asyncio.to_thread(self.until):  # noqa: ASYNC110 - it asks the world outside
            await asyncio.sleep(_POLL_SECONDS)

    @contextmanager
    def _signals(self) -> Generator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            self._hurrying.set()
            return
        logger.info("The worker was asked to stop.")
        self._stopping.set()

    async def _serve(self) -> None:
        """Work for as long as nobody cancels this, with as many connections as that takes."""
        while True:
            try:
                await self._serve_on_one_connection()
            except (ConnectorException, psycopg.OperationalError) as error:
                logger.warning("The database is away; the worker waits for it: {}", str(error.__cause__ or error))
            else:
                logger.warning("The worker lost its hold on the queue and begins anew.")
            await self._revive()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _revive(self) -> None:
        if self.revive is None:
            return
        try:
            await asyncio.to_thread(self.revive)
        except HansardError as error:
            logger.error("The database could not be started again: {}", error)

    async def _serve_on_one_connection(self) -> None:
        connector = PsycopgConnector(
            conninfo=self.conninfo,
            kwargs={"application_name": f"hansard {self.name}"},
            min_size=1,
            max_size=3,
            timeout=5.0,
        )
        app = App(connector=connector)
        app.job_manager = SteadyJobManager(connector, self.stalled_seconds)
        app.task(name=TASK, queue=QUEUE, pass_context=True, retry=_TryAgain())(self._do)
        async with app.open_async():
            await app.run_worker_async(
                queues=[QUEUE],
                name=self.name,
                concurrency=1,
                delete_jobs="successful",  # their outcome is on the transcription
                fetch_job_polling_interval=self.heartbeat_seconds,
                update_heartbeat_interval=self.heartbeat_seconds,
                stalled_worker_timeout=self.stalled_seconds,
                install_signal_handlers=False,
            )

    async def _do(self, context: JobContext, *, transcription_id: str, request_id: str | None = None) -> None:
        if self._stopping.is_set():
            raise _PutBack
        job = partial(self._do_in_thread, UUID(transcription_id), request_id, context.job.attempts)
        self._at_work = asyncio.get_running_loop().run_in_executor(self._thread, job)
        hurry = asyncio.create_task(self._hurrying.wait())
        await asyncio.wait({self._at_work, hurry}, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not self._at_work.done():
            logger.bind(transcription_id=transcription_id).info("The transcription goes back into the queue.")
            raise _PutBack
        self._at_work.result()

    def _do_in_thread(self, transcription_id: UUID, request_id: str | None, attempts: int) -> None:
        with self.on_job(transcription_id, request_id):
            try:
                if attempts >= MAX_ATTEMPTS:
                    logger.error("The transcription is given up after {} attempts.", attempts)
                    self.give_up(transcription_id, f"It was tried {attempts} times, and none came to an end.")
                else:
                    self.transcribe(transcription_id)
            except NotFound:
                logger.info("The transcription was deleted before a worker took it.")
            except Exception as error:
                logger.opt(exception=True).error("The transcription was broken off by {}.", type(error).__name__)
                raise
