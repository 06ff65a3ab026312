"""A worker in this process, on the real queue: what it is told to do, and what it did."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, Row, text

from hansard.application.origin import acting
from hansard.application.ports.notifications import Notification
from hansard.application.ports.work import Chore, Erasure
from hansard.domain.audio import AudioFile, AudioProperties, StoredObject
from hansard.domain.errors import HansardError
from hansard.domain.events import Interruption
from hansard.domain.transcription import Parameters, Transcription
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from hansard.queue.tasks import Duties
from hansard.queue.tasks import Work as JobAtWork
from hansard.queue.worker import run_worker

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PATIENCE_SECONDS = 30.0

WORKERS_CONNECTIONS = "application_name = 'hansard worker' AND datname = current_database()"


@dataclass
class Work:
    """What a worker did. The `on_…` may meddle, and raise."""

    url: str
    done: list[UUID] = field(default_factory=list)
    given_up: list[tuple[UUID, str, HansardError | None]] = field(default_factory=list)
    interrupted: list[tuple[UUID, Interruption]] = field(default_factory=list)
    erased: list[Erasure] = field(default_factory=list)
    contexts: list[JobAtWork] = field(default_factory=list)
    chores: list[Chore] = field(default_factory=list)
    notify: Callable[[Notification], object] = lambda _: None
    models: tuple[str, ...] = ()
    deliver: Callable[[UUID, Callable[[], bool]], object] = lambda _webhook_id, _is_stopped: None
    on_job: Callable[[UUID], None] = lambda _: None
    on_erasure: Callable[[Erasure], None] = lambda _: None
    on_giving_up: Callable[[UUID], None] = lambda _: None
    heartbeat_seconds: float = 0.2

    def until(self, enough: Callable[[], bool]) -> None:
        """Have a worker work until it has done enough."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        ended = run_worker(
            self.url,
            Duties(
                transcribe=self._transcribe,
                interrupt=lambda transcription_id, reason: self.interrupted.append((transcription_id, reason)),
                give_up=self._give_up,
                erase=self._erase,
                deliver=self.deliver,
                notify=self.notify,
                chores=self.chores,
                models=lambda: self.models,
                on_work=self._context,
            ),
            name="worker",
            until=lambda: enough() or time.monotonic() > deadline,
            heartbeat_seconds=self.heartbeat_seconds,
            stalled_seconds=4 * self.heartbeat_seconds,
        )
        assert ended
        assert time.monotonic() < deadline, "the worker did not do what it was to do"

    def _transcribe(self, transcription_id: UUID) -> None:
        self.on_job(transcription_id)
        self.done.append(transcription_id)

    def _give_up(self, transcription_id: UUID, reason: str, error: HansardError | None) -> None:
        self.on_giving_up(transcription_id)
        self.given_up.append((transcription_id, reason, error))

    def _erase(self, erasure: Erasure) -> None:
        self.on_erasure(erasure)
        self.erased.append(erasure)

    @contextmanager
    def _context(self, job: JobAtWork) -> Iterator[None]:
        self.contexts.append(job)
        with acting(**job.carried):
            yield


def unit_of_work(engine: Engine) -> SqlUnitOfWork:
    return SqlUnitOfWork(engine, TranscriptionJobs)


def submitted(
    engine: Engine,
    *,
    priority: int = 0,
    audio_seconds: float | None = 60.0,
    owner: str = "ann",
    interactive: bool = False,
) -> UUID:
    audio = AudioFile(
        id=uuid4(),
        file_name="talk.mp3",
        media_type="audio/mpeg",
        stored=StoredObject(sha256="ab" * 32, size_bytes=1),
        properties=AudioProperties(
            container="mp3", codec="mp3", channels=1, sample_rate_hz=8_000, duration_seconds=audio_seconds
        ),
        uploaded_at=NOON,
    )
    asked = Parameters(priority=priority, interactive=interactive)
    transcription = Transcription.queue(audio_id=audio.id, parameters=asked, at=NOON, owner=owner, request_id="req-1")
    with unit_of_work(engine) as uow:
        uow.audio.add(audio)
        uow.transcriptions.add(transcription)
        uow.jobs.defer_transcription(transcription, audio_seconds=audio_seconds)
        uow.commit()
    return transcription.id


def deleted(engine: Engine) -> Erasure:
    erasure = Erasure(
        audio_id=uuid4(), stored=StoredObject(sha256="ab" * 32, size_bytes=1), transcription_ids=(uuid4(), uuid4())
    )
    with unit_of_work(engine) as uow:
        uow.jobs.defer_erasure(erasure)
        uow.commit()
    return erasure


def execute(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def jobs(engine: Engine) -> list[Row[Any]]:
    """Status, attempts and whether it may be taken at once."""
    with engine.connect() as connection:
        query = "SELECT status::text, attempts, coalesce(scheduled_at <= now(), true) FROM procrastinate_jobs"
        return list(connection.execute(text(query)).fetchall())


def eventually(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)
