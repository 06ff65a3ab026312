"""Asking for work, and asking about it: a job is one row, written in the transaction of the row that it is about.

What a job says of itself stands in its arguments: whose it is, how long its recording is, since when it waits. So all
that is asked about the queue is asked of one table, which holds no more than what is still to be done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import JobDeferrer
from procrastinate.manager import JobManager
from procrastinate.sync_psycopg_connector import SyncPsycopgConnector
from procrastinate.tasks import configure_task
from sqlalchemy import Connection, RowMapping, text

from hansard.application.origin import current_origin
from hansard.application.ports.notifications import Level, Notification
from hansard.application.ports.tracing import Fact, SpanKind, Spans, no_spans
from hansard.application.ports.work import Erasure, Waiting, WebhookTurn, WorkerState
from hansard.domain.audio import StoredObject
from hansard.domain.errors import StorageError
from hansard.domain.transcription import Transcription
from hansard.queue.rank import ASSUMED_SECONDS, INTERACTIVE_PRIORITY, MOST_PRIORITY, rank
from hansard.timing.decorators import time_it

TRANSCRIPTIONS = "transcriptions"
TRANSCRIBE = "transcribe"

CHORES = "chores"
ERASE = "erase"

NOTIFICATIONS = "notifications"
NOTIFY = "notify"

WEBHOOKS = "webhooks"
FAILING_WEBHOOKS = "failing_webhooks"
DELIVER = "deliver"

STALLED_SECONDS = 6.0
"""A worker that has not been heard of for so long is dead, and what it was doing is another's to do."""

GIVE_WAY_AFTER_SECONDS = 2.0
"""A job that has waited for so long finds no idle worker: those take one within milliseconds."""

GIVE_WAY_TO_INTERACTIVE_AFTER_SECONDS = 0.2
"""The same where somebody waits."""

_OWN_AHEAD = text("""
    SELECT now() AS now, coalesce(sum((args ->> 'audio_seconds')::float8), 0) AS seconds
      FROM procrastinate_jobs
     WHERE status = 'todo' AND queue_name = :queue AND args ->> 'owner' = :owner
       AND (args ->> 'audio_seconds')::float8 <= :audio_seconds AND (args ->> 'priority')::int >= :priority
""")

_WITHDRAW = text("DELETE FROM procrastinate_jobs WHERE queue_name = :queue AND lock = :id AND status = 'todo'")

_OPEN_JOBS = "SELECT lock FROM procrastinate_jobs WHERE queue_name = :queue AND status IN ('todo', 'doing')"
_ALL_JOBS = text(_OPEN_JOBS)
_HAS_JOB = text(f"SELECT EXISTS ({_OPEN_JOBS} AND lock = :id)")

# When a job was last put into the queue. One from before it was kept has only just come.
_SINCE = "coalesce(scheduled_at, (args ->> 'deferred_at')::timestamptz, now())"

# The first job in order that waits for want of a worker, held against the one being done. A job whose transcription is
# in another worker's hands can't be taken, however urgent.
_MORE_URGENT = text(f"""
    SELECT mine.priority < (
        SELECT priority FROM procrastinate_jobs AS waiting
         WHERE status = 'todo' AND queue_name = :queue AND {_SINCE} <= now() - make_interval(secs => :seconds)
           AND (:all OR (args ->> 'priority')::int >= :interactive_priority)
           AND NOT EXISTS (SELECT FROM procrastinate_jobs AS held WHERE held.lock = waiting.lock AND status = 'doing')
         ORDER BY priority DESC, id LIMIT 1)
      FROM procrastinate_jobs AS mine
     WHERE lock = :id AND status = 'doing'
""")  # noqa: S608 - put together from constants, as the next

# A webhook has at most one job that waits, and one that is being done until which the other has to wait: however much
# is to be sent to it, the queue stays short. The job that waits is written also where nothing changes: a worker that
# took it before this commit would not see what it is for.
_TURNS = text("""
    INSERT INTO procrastinate_jobs AS job (queue_name, task_name, lock, queueing_lock, args, scheduled_at)
    SELECT given.queue, :task, given.id, given.id, json_build_object('webhook_id', given.id), coalesce(given.at, now())
      FROM unnest(cast(:ids AS text[]), cast(:queues AS text[]), cast(:moments AS timestamptz[]))
           AS given (id, queue, at)
     ORDER BY given.id
        ON CONFLICT (queueing_lock) WHERE status = 'todo' DO UPDATE
       SET queue_name = excluded.queue_name, scheduled_at = least(job.scheduled_at, excluded.scheduled_at)
    RETURNING pg_notify('procrastinate_queue_v1#' || queue_name,
                        json_build_object('type', 'job_inserted', 'job_id', id)::text)
""")

ALIVE = "last_heartbeat > now() - make_interval(secs => :stalled_seconds)"

_WAITING = text(f"""
    SELECT count(*) FILTER (WHERE status = 'todo') AS jobs,
           count(*) FILTER (WHERE status = 'todo' AND args ->> 'owner' = :owner) AS jobs_of_owner,
           coalesce(sum(coalesce((args ->> 'audio_seconds')::float8, :assumed_seconds))
                    FILTER (WHERE status = 'todo'), 0) AS audio_seconds,
           coalesce(greatest(0, extract(epoch FROM now() - min({_SINCE}) FILTER (WHERE status = 'todo'))), 0)::float8
               AS oldest_seconds,
           count(*) FILTER (WHERE status = 'doing') AS running,
           (SELECT count(*) FROM procrastinate_workers WHERE {ALIVE}) AS workers
      FROM procrastinate_jobs
     WHERE queue_name = :queue
""")  # noqa: S608

_WORKERS = text(f"""
    SELECT name, host, pid, started_at, last_heartbeat AS seen_at, models,
           (SELECT (args ->> 'transcription_id')::uuid FROM procrastinate_jobs
             WHERE worker_id = id AND status = 'doing' AND queue_name = :queue LIMIT 1) AS transcription_id
      FROM queue_workers JOIN procrastinate_workers ON worker_id = id
     WHERE {ALIVE}
     ORDER BY name, host, pid
""")  # noqa: S608


@dataclass(frozen=True, slots=True)
class TranscriptionJobs:
    """The `JobQueue` of one unit of work: a job exists, or does not any more, once `connection` commits."""

    connection: Connection
    spans: Spans = no_spans

    @time_it
    def defer_transcription(self, transcription: Transcription, *, audio_seconds: float | None) -> None:
        """Its place in the queue is `rank`'s. Of two jobs for one transcription, one waits until the other is done."""
        asked = transcription.parameters
        priority = asked.priority + (INTERACTIVE_PRIORITY if asked.interactive else 0)
        seconds = ASSUMED_SECONDS if audio_seconds is None else audio_seconds
        ahead = self.connection.execute(
            _OWN_AHEAD,
            {
                "queue": TRANSCRIPTIONS,
                "owner": transcription.owner,
                "audio_seconds": seconds,
                "priority": priority,
            },
        ).one()
        job = self._job(
            TRANSCRIBE,
            TRANSCRIPTIONS,
            priority=rank(ahead.now, audio_seconds=seconds, own_seconds_ahead=ahead.seconds, priority=priority),
            lock=str(transcription.id),
        )
        _defer(
            job,
            self.spans,
            transcription_id=str(transcription.id),
            request_id=transcription.request_id,
            owner=transcription.owner,
            priority=priority,
            audio_seconds=seconds,
            deferred_at=ahead.now.isoformat(),
        )

    def withdraw(self, transcription_id: UUID) -> None:
        self.connection.execute(_WITHDRAW, {"queue": TRANSCRIPTIONS, "id": str(transcription_id)})

    def has_job(self, transcription_id: UUID) -> bool:
        return self.connection.execute(_HAS_JOB, {"queue": TRANSCRIPTIONS, "id": str(transcription_id)}).scalar_one()

    def jobs(self) -> frozenset[UUID]:
        return frozenset(UUID(lock) for lock in self.connection.execute(_ALL_JOBS, {"queue": TRANSCRIPTIONS}).scalars())

    def has_more_urgent(self, transcription_id: UUID, *, interactive_only: bool = False) -> bool:
        found = self.connection.execute(
            _MORE_URGENT,
            {
                "queue": TRANSCRIPTIONS,
                "id": str(transcription_id),
                "seconds": GIVE_WAY_TO_INTERACTIVE_AFTER_SECONDS if interactive_only else GIVE_WAY_AFTER_SECONDS,
                "all": not interactive_only,
                "interactive_priority": INTERACTIVE_PRIORITY - MOST_PRIORITY,
            },
        )
        return bool(found.scalar())

    def defer_erasure(self, erasure: Erasure) -> None:
        _defer(self._job(ERASE, CHORES), self.spans, **_arguments(erasure))

    def defer_notification(self, notification: Notification) -> None:
        _defer(self._job(NOTIFY, NOTIFICATIONS), self.spans, **asdict(notification))

    def defer_webhook_turns(self, turns: Sequence[WebhookTurn]) -> None:
        if turns:
            self.connection.execute(
                _TURNS,
                {
                    "task": DELIVER,
                    "ids": [str(turn.webhook_id) for turn in turns],
                    "queues": [FAILING_WEBHOOKS if turn.is_failing else WEBHOOKS for turn in turns],
                    "moments": [turn.at for turn in turns],
                },
            )

    @time_it
    def waiting(self, owner: str) -> Waiting:
        found = self.connection.execute(
            _WAITING,
            {
                "queue": TRANSCRIPTIONS,
                "owner": owner,
                "assumed_seconds": ASSUMED_SECONDS,
                "stalled_seconds": STALLED_SECONDS,
            },
        )
        return Waiting(**found.mappings().one())

    def workers(self) -> tuple[WorkerState, ...]:
        rows = self.connection.execute(_WORKERS, {"queue": TRANSCRIPTIONS, "stalled_seconds": STALLED_SECONDS})
        return tuple(_worker_state(row) for row in rows.mappings())

    def _job(self, task: str, queue: str, *, priority: int = 0, lock: str | None = None) -> JobDeferrer:
        # SQLAlchemy does not see what procrastinate writes, and would have nothing to commit.
        if not self.connection.in_transaction():
            self.connection.begin()
        return configure_task(
            name=task,
            # The manager never opens this connector: each statement runs on the connection that is passed.
            job_manager=JobManager(SyncPsycopgConnector()),
            connection=self.connection.connection.dbapi_connection,
            queue=queue,
            priority=priority,
            lock=lock,
        )


def erasure_of(arguments: Mapping[str, Any]) -> Erasure:
    """What the arguments of an erasing job say."""
    stored = arguments["stored"]
    return Erasure(
        audio_id=UUID(arguments["audio_id"]),
        stored=None if stored is None else StoredObject(**stored),
        transcription_ids=tuple(UUID(each) for each in arguments["transcription_ids"]),
    )


def notification_of(arguments: Mapping[str, Any]) -> Notification:
    """What the arguments of a notifying job say."""
    told = {name: arguments[name] for name in ("recipient", "title", "body")}
    return Notification(**told, level=Level(arguments["level"]))


def _worker_state(row: RowMapping) -> WorkerState:
    return WorkerState(
        name=row["name"],
        host=row["host"],
        pid=row["pid"],
        started_at=row["started_at"],
        seen_at=row["seen_at"],
        models=tuple(row["models"]),
        transcription_id=row["transcription_id"],
    )


def _arguments(erasure: Erasure) -> dict[str, Any]:
    stored = erasure.stored
    return {
        "audio_id": str(erasure.audio_id),
        "stored": None if stored is None else {"sha256": stored.sha256, "size_bytes": stored.size_bytes},
        "transcription_ids": [str(each) for each in erasure.transcription_ids],
    }


def _defer(job: JobDeferrer, spans: Spans, **arguments: Any) -> None:
    """With what asks for the job, so that whoever does it goes on in the same trace; a chore that asks for one again
    has no request, and leaves the one that `arguments` name.
    """
    facts: dict[str, Fact | None] = {
        "messaging.system": "procrastinate",
        "messaging.operation.type": "send",
        "messaging.operation.name": "defer",
        "messaging.destination.name": job.job.queue,
        "hansard.task": job.job.task_name,
    }
    try:
        with spans(f"defer {job.job.task_name}", kind=SpanKind.PRODUCER, facts=facts):
            job.defer(**{**arguments, **current_origin().carried})
    except ConnectorException as error:
        raise StorageError(
            "The job could not be put into the queue.",
            code="queue_unavailable",
            help="Nothing was kept: ask again. If it stays so, look at the database server's log.",
        ) from error
