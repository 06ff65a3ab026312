"""Asking for work: a job is one row, written in the transaction of the row that it is about."""

from dataclasses import dataclass

from procrastinate.exceptions import ConnectorException
from procrastinate.manager import JobManager
from procrastinate.sync_psycopg_connector import SyncPsycopgConnector
from procrastinate.tasks import configure_task
from sqlalchemy import Connection, text

from hansard.domain.errors import StorageError
from hansard.domain.transcription import Transcription

QUEUE = "transcriptions"
TASK = "transcribe"

STALLED_SECONDS = 6.0
"""A worker that has not been heard of for so long is dead, and what it was doing is another's to do."""

_STATE = text("""
    SELECT (SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo') AS waiting,
           (SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing') AS running,
           (SELECT count(*) FROM procrastinate_workers
             WHERE last_heartbeat > now() - make_interval(secs => :stalled_seconds)) AS workers
""")


@dataclass(frozen=True, slots=True)
class TranscriptionJobs:
    """The `JobQueue` of one unit of work: the job exists once `connection` commits."""

    connection: Connection

    def defer_transcription(self, transcription: Transcription) -> None:
        """Higher priorities go first. Of two jobs for one transcription, the second waits until the first is done."""
        job = configure_task(
            name=TASK,
            # The manager never opens this connector: each statement runs on the connection that is passed.
            job_manager=JobManager(SyncPsycopgConnector()),
            connection=self.connection.connection.dbapi_connection,
            queue=QUEUE,
            priority=transcription.parameters.priority,
            lock=str(transcription.id),
        )
        try:
            job.defer(transcription_id=str(transcription.id), request_id=transcription.request_id)
        except ConnectorException as error:
            raise StorageError(
                "The transcription could not be put into the queue.",
                code="queue_unavailable",
                help="Nothing was kept: ask again. If it stays so, look at the database server's log.",
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """Jobs waiting, jobs running, and the workers that are alive."""

    waiting: int
    running: int
    workers: int


def queue_state(connection: Connection) -> QueueState:
    row = connection.execute(_STATE, {"stalled_seconds": STALLED_SECONDS}).one()
    return QueueState(waiting=row.waiting, running=row.running, workers=row.workers)
