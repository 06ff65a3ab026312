"""procrastinate's job manager, made to bear a database that restarts, workers that die and workers that only seemed to.

- A job is ended by the worker that holds it and by nobody else: one that was taken for dead, and comes back, must not
  end the job of its successor.
- A lost connection does not end a worker whose job is at work: what must be written is written when the database is
  back.
- With each heartbeat, the jobs of dead workers go back into the queue.
- Each queue has a lane of its own, so many jobs wide: what takes hours in one holds up nothing in another.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from loguru import logger
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager, NotificationCallback

from hansard.queue.jobs import TRANSCRIPTIONS

RECONNECT_SECONDS = 1.0

BEGINS_WITHIN_SECONDS = 0.1
"""How long the queue is left alone for a transcription that was just taken. Asking for jobs of other lanes takes
milliseconds of the same interpreter, and somebody may wait for the transcript."""

# A job that goes back makes no notification of its own, so these send the one that workers listen for.
_NOTIFY = """
    pg_notify('procrastinate_queue_v1#' || queue_name, json_build_object('type', 'job_inserted', 'job_id', id)::text)
"""

_OWN = "FROM procrastinate_jobs WHERE id = %(job_id)s AND worker_id = %(worker_id)s AND status = 'doing' FOR UPDATE"

_FINISH = f"SELECT procrastinate_finish_job_v1(id, %(status)s, %(delete_job)s) {_OWN}"

_RETRY = f"SELECT procrastinate_retry_job_v2(id, %(retry_at)s, NULL, NULL, NULL) {_OWN}"

# Not procrastinate's own function: that counts an attempt, and a job that goes back undone was none. Its queueing lock
# may be that of a job that waits by now.
_BACK = "UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL, scheduled_at = now(), queueing_lock = NULL"

_PUT_BACK = f"""
    WITH mine AS (SELECT id {_OWN}),
         back AS ({_BACK} WHERE id IN (SELECT id FROM mine) RETURNING id, queue_name)
    SELECT {_NOTIFY} FROM back
"""  # noqa: S608 - put together from constants, as the next

# One statement, which locks what it judges: two sweeps at once must not both send a job back, or the second would take
# it from the worker that has just started on it.
_SWEEP = f"""
    WITH stalled AS (
        SELECT id FROM procrastinate_jobs AS job
         WHERE status = 'doing' AND NOT EXISTS (
               SELECT FROM procrastinate_workers AS worker WHERE worker.id = job.worker_id
                  AND worker.last_heartbeat > now() - make_interval(secs => %(stalled_seconds)s))
           FOR UPDATE SKIP LOCKED),
         back AS ({_BACK} WHERE id IN (SELECT id FROM stalled) RETURNING id, queue_name, args)
    SELECT args, {_NOTIFY} FROM back
"""  # noqa: S608

# A worker that was frozen may find that it was struck off meanwhile: then it is put on the list again.
_BEAT = """
    WITH beat AS (
        INSERT INTO procrastinate_workers (id, last_heartbeat) OVERRIDING SYSTEM VALUE VALUES (%(worker_id)s, now())
            ON CONFLICT (id) DO UPDATE SET last_heartbeat = now() RETURNING id)
    INSERT INTO queue_workers AS worker (worker_id, name, host, pid, started_at, models)
    SELECT id, %(name)s, %(host)s, %(pid)s, %(started_at)s, %(models)s::text[] FROM beat
        ON CONFLICT (worker_id) DO UPDATE SET models = excluded.models
     WHERE worker.models <> excluded.models
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What a worker says of itself; `models` are those in its memory now, told without waiting for anything."""

    name: str
    host: str
    pid: int
    started_at: datetime
    models: Callable[[], tuple[str, ...]]


class SteadyJobManager(JobManager):
    """`lanes` says how many jobs of each queue may be in hand at the same time."""

    def __init__(
        self, connector: BaseConnector, introduction: Introduction, lanes: Mapping[str, int], *, stalled_seconds: float
    ) -> None:
        super().__init__(connector)
        self._introduction = introduction
        self._lanes = lanes
        self._stalled_seconds = stalled_seconds
        self._last_beat = time.time()
        self._in_hand: dict[int | None, str] = {}
        self._look_again: NotificationCallback | None = None
        self._begins = False

    # ── Jobs ─────────────────────────────────────────────────────────────────────────────────────────────

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:  # noqa: ARG002 - lanes say
        """The next job of those lanes that have room."""
        if self._begins:
            self._begins = False
            await asyncio.sleep(BEGINS_WITHIN_SECONDS)
        while lanes := self._lanes_with_room():
            try:
                job = await super().fetch_job(queues=lanes, worker_id=worker_id)
            except ConnectorException as error:
                if not self._in_hand:
                    raise
                logger.debug("The queue cannot be asked for a job; it is asked again soon: {}", error.__cause__)
                return None
            if job is not None:
                self._in_hand[job.id] = job.queue
                self._begins = job.queue == TRANSCRIPTIONS
                return job
            # A lane that got room in the meantime was not asked for.
            if lanes == self._lanes_with_room():
                return None
        return None

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:  # noqa: FBT001 - theirs
        await self._write(_FINISH, job_id=job.id, worker_id=job.worker_id, status=status.value, delete_job=delete_job)
        await self._let_go(job)

    async def retry_job(
        self,
        job: Job,
        retry_at: datetime | None = None,
        priority: int | None = None,  # noqa: ARG002 - procrastinate's signature, as the rest
        queue: str | None = None,  # noqa: ARG002
        lock: str | None = None,  # noqa: ARG002
    ) -> None:
        """Without a time, the job goes back as if it had never been taken."""
        if retry_at is None:
            await self._write(_PUT_BACK, job_id=job.id, worker_id=job.worker_id)
        else:
            await self._write(_RETRY, job_id=job.id, worker_id=job.worker_id, retry_at=retry_at)
        await self._let_go(job)

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        self._look_again = on_notification
        while True:
            try:
                await super().listen_for_jobs(on_notification=on_notification, queues=queues)
            except ConnectorException:
                await asyncio.sleep(RECONNECT_SECONDS)

    def _lanes_with_room(self) -> list[str]:
        taken = list(self._in_hand.values())
        return [queue for queue, width in self._lanes.items() if taken.count(queue) < width]

    async def _let_go(self, job: Job) -> None:
        """And look for another job: one that waits for this lane was announced long ago."""
        self._in_hand.pop(job.id, None)
        if self._look_again is not None:
            await self._look_again(channel="", notification={"type": "job_inserted", "job_id": job.id or 0})

    # ── Workers ──────────────────────────────────────────────────────────────────────────────────────────

    async def register_worker(self) -> int:
        worker_id = await super().register_worker()
        await self.connector.execute_query_async(query=_BEAT, **self._presence(worker_id))
        return worker_id

    async def update_heartbeat(self, worker_id: int) -> None:
        await self._write(_BEAT, **self._presence(worker_id))
        # After a silence of our own (the machine slept, the database was away) the others look as dead as we did.
        others_could_beat = time.time() - self._last_beat < self._stalled_seconds
        self._last_beat = time.time()
        if others_could_beat:
            await self._sweep()

    def _presence(self, worker_id: int) -> dict[str, Any]:
        me = self._introduction
        return {
            "worker_id": worker_id,
            "name": me.name,
            "host": me.host,
            "pid": me.pid,
            "started_at": me.started_at,
            "models": list(me.models()),
        }

    async def _sweep(self) -> None:
        try:
            swept = await self.connector.execute_query_all_async(query=_SWEEP, stalled_seconds=self._stalled_seconds)
        except ConnectorException as error:
            logger.debug("The jobs of dead workers could not be looked for; the next heartbeat will: {}", error)
            return
        for row in swept:
            names = ("transcription_id", "audio_id", "webhook_id")
            about = {name: row["args"][name] for name in names if name in row["args"]}
            logger.bind(**about).warning("The worker that was at this job died; it goes back into the queue.")

    async def _write(self, query: Any, **arguments: Any) -> None:  # noqa: ANN401 - LiteralString is theirs
        """Raises only what is not a matter of the connection."""
        while True:
            try:
                await self.connector.execute_query_async(query=query, **arguments)
            except ConnectorException as error:
                if not isinstance(error.__cause__, psycopg.OperationalError):
                    raise
                logger.debug("The database does not answer the queue; trying again: {}", error.__cause__)
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                return
