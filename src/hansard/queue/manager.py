"""procrastinate's job manager, made to bear a database that restarts, workers that die and workers that only seemed to.

- A job is ended by the worker that holds it and by nobody else: one that was taken for dead, and comes back, must not
  end the job of its successor.
- A lost connection does not end a worker whose job is at work: what must be written is written when the database is
  back.
- With each heartbeat, the jobs of dead workers go back into the queue.
"""

import asyncio
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import psycopg
from loguru import logger
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager, NotificationCallback

RECONNECT_SECONDS = 1.0

# A job that goes back makes no notification of its own, so these send the one that workers listen for.
_NOTIFY = """
    pg_notify('procrastinate_queue_v1#' || queue_name, json_build_object('type', 'job_inserted', 'job_id', id)::text)
"""

_OWN = "FROM procrastinate_jobs WHERE id = %(job_id)s AND worker_id = %(worker_id)s AND status = 'doing' FOR UPDATE"

_FINISH = f"SELECT procrastinate_finish_job_v1(id, %(status)s, %(delete_job)s) {_OWN}"

_RETRY = f"SELECT procrastinate_retry_job_v2(id, %(retry_at)s, NULL, NULL, NULL) {_OWN}"

# Not procrastinate's own function: that counts an attempt, and this was none.
_PUT_BACK = f"""
    WITH mine AS (SELECT id {_OWN}),
         back AS (UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL, scheduled_at = NULL
                   WHERE id IN (SELECT id FROM mine) RETURNING id, queue_name)
    SELECT {_NOTIFY} FROM back
"""  # noqa: S608 - put together from constants, as the next

# One statement, which locks what it judges: two sweeps at once must not both send a job back, or the second would take
# it from the worker that has just started on it.
_SWEEP = f"""
    WITH stalled AS (
        SELECT id, queue_name, args, attempts FROM procrastinate_jobs AS job
         WHERE status = 'doing' AND NOT EXISTS (
               SELECT FROM procrastinate_workers AS worker WHERE worker.id = job.worker_id
                  AND worker.last_heartbeat > now() - make_interval(secs => %(stalled_seconds)s))
           FOR UPDATE SKIP LOCKED)
    SELECT args, attempts, procrastinate_retry_job_v2(id, now(), NULL, NULL, NULL), {_NOTIFY} FROM stalled
"""  # noqa: S608


class SteadyJobManager(JobManager):
    def __init__(self, connector: BaseConnector, stalled_seconds: float) -> None:
        super().__init__(connector)
        self._stalled_seconds = stalled_seconds
        self._last_beat = time.time()

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:  # noqa: FBT001 - theirs
        await self._write(_FINISH, job_id=job.id, worker_id=job.worker_id, status=status.value, delete_job=delete_job)

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

    async def update_heartbeat(self, worker_id: int) -> None:
        await self._write("SELECT procrastinate_update_heartbeat_v1(%(worker_id)s)", worker_id=worker_id)
        # After a silence of our own (the machine slept, the database was away) the others look as dead as we did.
        others_could_beat = time.time() - self._last_beat < self._stalled_seconds
        self._last_beat = time.time()
        if others_could_beat:
            await self._sweep()

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        while True:
            try:
                await super().listen_for_jobs(on_notification=on_notification, queues=queues)
            except ConnectorException:
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _sweep(self) -> None:
        try:
            swept = await self.connector.execute_query_all_async(query=_SWEEP, stalled_seconds=self._stalled_seconds)
        except ConnectorException as error:
            logger.debug("The jobs of dead workers could not be looked for; the next heartbeat will: {}", error)
            return
        for row in swept:
            logger.bind(transcription_id=row["args"].get("transcription_id"), attempt=row["attempts"] + 1).warning(
                "The worker of this transcription died; it goes back into the queue."
            )

    async def _write(self, query: Any, **arguments: Any) -> None:  # noqa: ANN401 - LiteralString is theirs
        """Raises only what is not a matter of the connection."""
        while True:
            try:
                await self.connector.execute_query_all_async(query=query, **arguments)
            except ConnectorException as error:
                if not isinstance(error.__cause__, psycopg.OperationalError):
                    raise
                logger.debug("The database does not answer the queue; trying again: {}", error.__cause__)
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                return
