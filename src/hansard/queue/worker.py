"""A worker process: takes one job after the other from the queue, and is never the reason that one is lost.

    killed (-9)            its heartbeats stop; within some seconds another worker takes its jobs
    asked to stop          its jobs are given some seconds to end, then put back for the next worker
    a job raised           `tasks.py` says what becomes of it
    the database is away   waited for

A worker has lanes: one transcription at a time, and beside it chores, notifications and webhooks, which must not wait
for hours of that.
"""

import asyncio
import os
import select
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from loguru import logger
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from psycopg_pool import AsyncConnectionPool

from hansard.domain.errors import HansardError
from hansard.queue.chores import Housekeeping
from hansard.queue.jobs import (
    CHORES,
    DELIVER,
    ERASE,
    FAILING_WEBHOOKS,
    NOTIFICATIONS,
    NOTIFY,
    STALLED_SECONDS,
    TRANSCRIBE,
    TRANSCRIPTIONS,
    WEBHOOKS,
)
from hansard.queue.manager import RECONNECT_SECONDS, Introduction, SteadyJobManager
from hansard.queue.tasks import (
    CHORES_AT_ONCE,
    FAILING_TURNS_AT_ONCE,
    LONGEST_BACKOFF_SECONDS,
    LONGEST_ERASURE_BACKOFF_SECONDS,
    LONGEST_NOTIFY_BACKOFF_SECONDS,
    TURNS_AT_ONCE,
    Duties,
    Leave,
    Tasks,
    TryAgain,
)

HEARTBEAT_SECONDS = 2.0

GRACE_SECONDS = 2.0
"""How long a job may take to end after the worker was asked to stop. Short: what is lost is one passage's work."""

EXIT_SECONDS = 2.0
"""How long putting jobs back and signing off may take on top; a database that is away must not hold us."""

LANES = {
    TRANSCRIPTIONS: 1,
    CHORES: CHORES_AT_ONCE,
    NOTIFICATIONS: 1,
    WEBHOOKS: TURNS_AT_ONCE,
    FAILING_WEBHOOKS: FAILING_TURNS_AT_ONCE,
}

_POLL_SECONDS = 0.2


def run_worker(
    conninfo: str,
    duties: Duties,
    *,
    name: str,
    until: Callable[[], bool] | None = None,
    revive: Callable[[], object] | None = None,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    stalled_seconds: float = STALLED_SECONDS,
    grace_seconds: float = GRACE_SECONDS,
) -> bool:
    """Work until SIGTERM or SIGINT, or until `until` says so (asked some times a second); a second signal hurries.

    `revive` is called when the database is away. Signals are served in the main thread only.

    Returns True when all has ended. False: a thread is still busy with a job that was put back, or the database does
    not even let go of us; leave the process by `os._exit`, since the interpreter would wait for them.
    """
    worker = _Worker(
        conninfo=conninfo,
        duties=duties,
        name=name,
        until=until,
        revive=revive,
        heartbeat_seconds=heartbeat_seconds,
        stalled_seconds=stalled_seconds,
        grace_seconds=grace_seconds,
    )
    runner, ended = asyncio.Runner(), True
    try:
        ended = runner.run(worker.run())
    finally:
        if ended:
            runner.close()  # which waits for all that still runs, however long
    return ended and worker.tasks.nothing_runs


@dataclass(kw_only=True, eq=False)
class _Worker:
    conninfo: str
    duties: Duties
    name: str
    until: Callable[[], bool] | None
    revive: Callable[[], object] | None
    heartbeat_seconds: float
    stalled_seconds: float
    grace_seconds: float

    _leave: Leave = field(default_factory=Leave)

    def __post_init__(self) -> None:
        self.tasks = Tasks(self.duties, self._leave)
        self._introduction = Introduction(
            name=self.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            started_at=datetime.now(UTC),
            models=self.duties.models,
        )

    async def run(self) -> bool:
        """Whether the connections could be closed in time."""
        serving = asyncio.create_task(self._serve())
        asked = asyncio.create_task(self._leave.asked.wait())
        watching = asyncio.create_task(self._watch())
        with self._signals():
            await asyncio.wait({serving, asked, watching}, return_when=asyncio.FIRST_COMPLETED)
            asyncio.get_running_loop().call_later(0 if watching.done() else self.grace_seconds, self._leave.hurried.set)
            self._leave.asked.set()
            serving.cancel()
            await asyncio.wait({serving}, timeout=self.grace_seconds + EXIT_SECONDS)
        watching.cancel()
        self.tasks.close()
        for task in (serving, watching):
            if task.done() and not task.cancelled():
                task.result()
        return serving.done()

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
        if self._leave.asked.is_set():
            self._leave.hurried.set()
            return
        logger.info("The worker was asked to stop.")
        self._leave.asked.set()

    async def _serve(self) -> None:
        """Work for as long as nobody cancels this, with as many connections as that takes."""
        while True:
            try:
                await self._serve_on_one_connection()
            except (ConnectorException, psycopg.OperationalError) as error:
                logger.warning("The database is away; the worker waits for it: {}", str(error.__cause__ or error))
            else:
                logger.warning("The worker lost its hold on the queue and begins anew.")
            if self._leave.asked.is_set():  # the cancellation got lost in what went wrong
                return
            await self._revive()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _revive(self) -> None:
        if self.revive is None:
            return
        try:
            await self.tasks.aside(self.revive)
        except HansardError as error:
            told = logger.bind(code=error.failure.code, category=error.failure.category.value)
            told.error("The database could not be started again: {}", error)

    async def _serve_on_one_connection(self) -> None:
        connector = PsycopgConnector(
            conninfo=self.conninfo,
            kwargs={"application_name": f"hansard {self.name}"},
            pool_factory=_pool,
            configure=_configure,
            min_size=1,
            max_size=3,
            timeout=5.0,
            # Trying to connect again waits twice as long each time; after so many seconds it begins anew.
            reconnect_timeout=5.0,
        )
        app = App(connector=connector)
        app.job_manager = SteadyJobManager(connector, self._introduction, LANES, stalled_seconds=self.stalled_seconds)
        again, erase_again = TryAgain(LONGEST_BACKOFF_SECONDS), TryAgain(LONGEST_ERASURE_BACKOFF_SECONDS)
        app.task(name=TRANSCRIBE, queue=TRANSCRIPTIONS, pass_context=True, retry=again)(self.tasks.transcribe)
        app.task(name=ERASE, queue=CHORES, pass_context=True, retry=erase_again)(self.tasks.erase)
        tell_again = TryAgain(LONGEST_NOTIFY_BACKOFF_SECONDS)
        app.task(name=NOTIFY, queue=NOTIFICATIONS, pass_context=True, retry=tell_again)(self.tasks.notify)
        app.task(name=DELIVER, queue=WEBHOOKS, pass_context=True, retry=again)(self.tasks.deliver)
        try:
            await app.open_async()
            keeping = asyncio.create_task(self._keep_house(connector))
            try:
                await app.run_worker_async(
                    queues=list(LANES),
                    name=self.name,
                    concurrency=sum(LANES.values()),
                    delete_jobs="successful",  # their outcome is on the transcription
                    fetch_job_polling_interval=self.heartbeat_seconds,
                    update_heartbeat_interval=self.heartbeat_seconds,
                    stalled_worker_timeout=self.stalled_seconds,
                    install_signal_handlers=False,
                )
            finally:
                keeping.cancel()
        finally:
            # Also when opening was broken off: the pool's own tasks outlive a cancellation unless they are told to end.
            await app.close_async()

    async def _keep_house(self, connector: PsycopgConnector) -> None:
        if self.duties.chores:
            await Housekeeping(
                connector=connector,
                chores=self.duties.chores,
                host=self._introduction.host,
                in_thread=self.tasks.do_chore,
                look_seconds=self.heartbeat_seconds,
            ).keep()


async def _configure(connection: psycopg.AsyncConnection[Any]) -> None:
    """All that procrastinate asks is one statement each time: no transaction needs to be begun and ended around it.

    What a worker writes of a job (it is mine, it is done) a crash of the database may undo: then the job is taken once
    more, and is found to have ended. Waiting for the disk each time would hold up those who wait for a transcript.
    """
    await connection.set_autocommit(True)
    await connection.execute("SET synchronous_commit TO off")


def _pool(**options: Any) -> "AsyncConnectionPool[psycopg.AsyncConnection[Any]]":
    """procrastinate's, which would ask the server each time, before anything else, whether it is there."""
    options["check"] = _require_not_hung_up
    return AsyncConnectionPool(**options)


async def _require_not_hung_up(connection: psycopg.AsyncConnection[Any]) -> None:
    """Raises `psycopg.OperationalError`. With each heartbeat there is a true question to the server."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):  # it has sent something unasked: most of all, that it hung up
        await AsyncConnectionPool.check_connection(connection)
