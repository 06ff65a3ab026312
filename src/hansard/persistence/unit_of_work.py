"""One short transaction over everything that is kept: rows, events and jobs."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine

from hansard.application.ports import JobQueue
from hansard.persistence.repositories import (
    SqlAudioRepository,
    SqlEventLog,
    SqlTranscriptionRepository,
    SqlTranscriptRepository,
)


class SqlUnitOfWork:
    """`job_queue` makes the queue that enqueues on the unit's own connection, so that a job commits with its row."""

    audio: SqlAudioRepository
    transcriptions: SqlTranscriptionRepository
    transcripts: SqlTranscriptRepository
    events: SqlEventLog
    jobs: JobQueue

    def __init__(self, engine: Engine, job_queue: Callable[[Connection], JobQueue]) -> None:
        self._engine = engine
        self._job_queue = job_queue

    def __enter__(self) -> Self:
        self._connection = self._engine.connect()
        self.audio = SqlAudioRepository(self._connection)
        self.events = SqlEventLog(self._connection)
        self.transcriptions = SqlTranscriptionRepository(self._connection, self.events)
        self.transcripts = SqlTranscriptRepository(self._connection)
        self.jobs = self._job_queue(self._connection)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()  # which rolls back what was not committed

    def commit(self) -> None:
        self._connection.commit()
