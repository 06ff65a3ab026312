"""One short transaction over everything that is kept: rows, events and jobs."""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from loguru import logger
from sqlalchemy import Connection, Engine

from hansard.application.origin import Origin, current_origin
from hansard.application.ports.notifications import Notification
from hansard.application.ports.work import JobQueue
from hansard.domain.events import Event
from hansard.persistence.alerts import SqlAlertRepository, SqlOutcomeLog
from hansard.persistence.checkpoints import SqlCheckpointRepository
from hansard.persistence.event_log import SqlEventLog
from hansard.persistence.repositories import (
    SqlAudioRepository,
    SqlCircuitRepository,
    SqlIdempotencyRepository,
    SqlTranscriptionRepository,
    SqlTranscriptRepository,
)
from hansard.persistence.search import SqlSearchIndex
from hansard.persistence.webhooks import SqlDeliveryRepository, SqlWebhookRepository
from hansard.timing.decorators import time_it

_NOT_WAITING_FOR_THE_DISK = "SET LOCAL synchronous_commit TO off"


class SqlUnitOfWork:
    """`job_queue` makes the queue that enqueues on the unit's own connection, so that a job commits with its row.

    `tell` hears of each event once it is committed: for logs and metrics, which may miss one when a process dies.
    `origin` says who does what is being done. `announce` says who is to be notified of an event.
    """

    audio: SqlAudioRepository
    transcriptions: SqlTranscriptionRepository
    transcripts: SqlTranscriptRepository
    search: SqlSearchIndex
    circuits: SqlCircuitRepository
    idempotency: SqlIdempotencyRepository
    webhooks: SqlWebhookRepository
    deliveries: SqlDeliveryRepository
    alerts: SqlAlertRepository
    outcomes: SqlOutcomeLog
    checkpoints: SqlCheckpointRepository
    events: SqlEventLog
    jobs: JobQueue

    def __init__(
        self,
        engine: Engine,
        job_queue: Callable[[Connection], JobQueue],
        tell: Callable[[Event], object] = lambda _: None,
        origin: Callable[[], Origin] = current_origin,
        announce: Callable[[Event], Iterable[Notification]] = lambda _: (),
    ) -> None:
        self._engine = engine
        self._job_queue = job_queue
        self._tell = tell
        self._origin = origin
        self._announce = announce

    def __enter__(self) -> Self:
        self._connection = self._engine.connect()
        self.audio = SqlAudioRepository(self._connection)
        self.events = SqlEventLog(self._connection, self._origin)
        self.transcriptions = SqlTranscriptionRepository(self._connection, self.events)
        self.transcripts = SqlTranscriptRepository(self._connection)
        self.search = SqlSearchIndex(self._connection)
        self.circuits = SqlCircuitRepository(self._connection, self.events)
        self.idempotency = SqlIdempotencyRepository(self._connection)
        self.webhooks = SqlWebhookRepository(self._connection, self.events)
        self.deliveries = SqlDeliveryRepository(self._connection)
        self.alerts = SqlAlertRepository(self._connection, self.events)
        self.outcomes = SqlOutcomeLog(self._connection)
        self.checkpoints = SqlCheckpointRepository(self._connection)
        self.jobs = self._job_queue(self._connection)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()  # which rolls back what was not committed

    @time_it
    def commit(self) -> None:
        for event in self.events.waiting:
            for notification in self._announce(event):
                self.jobs.defer_notification(notification)
        self.jobs.defer_webhook_turns(self.events.write())
        self._connection.commit()
        for event in self.events.pull_written():
            self._tell_of(event)

    @time_it
    def checkpoint(self) -> None:
        self._connection.exec_driver_sql(_NOT_WAITING_FOR_THE_DISK)
        self.commit()

    def _tell_of(self, event: Event) -> None:
        """What is committed is done, whatever becomes of the news of it."""
        try:
            self._tell(event)
        except Exception:  # noqa: BLE001 - a log line or a number is missing, and nothing else
            logger.opt(exception=True).bind(event=event.type).error("An event was committed, but could not be told of.")
