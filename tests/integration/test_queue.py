"""The queue on a real database: nothing is lost, whatever ends a worker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, Row, text

from hansard.domain.audio import AudioFile, AudioProperties, StoredObject
from hansard.domain.errors import NotFound, StorageError
from hansard.domain.transcription import Parameters, Transcription
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import QueueState, TranscriptionJobs, queue_state
from hansard.queue.worker import MAX_ATTEMPTS, run_worker

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

WORKER = """
import os, sys, time
from hansard.queue.worker import run_worker

def transcribe(transcription_id):
    with open(sys.argv[2], "a") as diary:
        diary.write(f"{transcription_id}\\n")
    time.sleep(60)  # as a call into native code: deaf to everything

ended = run_worker(sys.argv[1], transcribe, print, name="worker", heartbeat_seconds=0.2, stalled_seconds=0.8,
                   grace_seconds=0.1)
os._exit(0 if ended else 3)
"""


@dataclass
class Work:
    """What a worker did, and when it has done enough."""

    url: str
    done: list[UUID] = field(default_factory=list)
    given_up: list[tuple[UUID, str]] = field(default_factory=list)
    contexts: list[tuple[UUID, str | None]] = field(default_factory=list)
    on_job: Callable[[UUID], None] = lambda _: None

    def until(self, enough: Callable[[], bool]) -> None:
        assert run_worker(
            self.url,
            self._transcribe,
            lambda transcription_id, reason: self.given_up.append((transcription_id, reason)),
            name="worker",
            on_job=self._context,
            until=enough,
            heartbeat_seconds=0.2,
            stalled_seconds=0.8,
        )

    def _transcribe(self, transcription_id: UUID) -> None:
        self.on_job(transcription_id)
        self.done.append(transcription_id)

    @contextmanager
    def _context(self, transcription_id: UUID, request_id: str | None) -> Iterator[None]:
        self.contexts.append((transcription_id, request_id))
        yield


@pytest.fixture
def work(engine: Engine, postgres: str) -> Work:
    return Work(postgres)


def submitted(engine: Engine, *, priority: int = 0) -> UUID:
    audio = AudioFile(
        id=uuid4(),
        file_name="talk.mp3",
        media_type="audio/mpeg",
        stored=StoredObject(sha256="ab" * 32, size_bytes=1),
        properties=AudioProperties(container="mp3", codec="mp3", channels=1, sample_rate_hz=8_000, duration_seconds=1),
        uploaded_at=NOON,
    )
    transcription = Transcription.queue(
        audio_id=audio.id, parameters=Parameters(priority=priority), at=NOON, request_id="req-1"
    )
    with SqlUnitOfWork(engine, TranscriptionJobs) as uow:
        uow.audio.add(audio)
        uow.transcriptions.add(transcription)
        uow.jobs.defer_transcription(transcription)
        uow.commit()
    return transcription.id


def execute(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def jobs(engine: Engine) -> list[Row[tuple[str, int, bool]]]:
    """Status, attempts and whether it may be taken at once."""
    with engine.connect() as connection:
        query = "SELECT status::text, attempts, coalesce(scheduled_at <= now(), true) FROM procrastinate_jobs"
        return list(connection.execute(text(query)).fetchall())


def eventually(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_job_is_done_once_with_its_ids_at_hand_and_leaves_nothing_behind(engine: Engine, work: Work) -> None:
    transcription_id = submitted(engine)
    work.until(lambda: jobs(engine) == [])
    assert work.done == [transcription_id]
    assert work.contexts == [(transcription_id, "req-1")]


def test_a_job_of_higher_priority_goes_first(engine: Engine, work: Work) -> None:
    patient, urgent = submitted(engine), submitted(engine, priority=10)
    work.until(lambda: jobs(engine) == [])
    assert work.done == [urgent, patient]


def test_a_job_that_comes_while_the_worker_waits_is_taken(engine: Engine, work: Work) -> None:
    asked: list[UUID] = []

    def enough() -> bool:
        if not asked:
            asked.append(submitted(engine))
        return work.done == asked

    work.until(enough)
    assert work.done == asked


def test_a_job_that_raises_is_tried_again_later(engine: Engine, work: Work) -> None:
    submitted(engine)

    def fail(_: UUID) -> None:
        raise StorageError("the database was restarted")

    work.on_job = fail
    work.until(lambda: jobs(engine)[0].attempts == 1)
    assert jobs(engine) == [("todo", 1, False)]
    work.on_job = lambda _: None
    execute(engine, "UPDATE procrastinate_jobs SET scheduled_at = now()")
    work.until(lambda: jobs(engine) == [])
    assert len(work.done) == 1


def test_a_job_that_failed_too_often_is_given_up_with_a_reason(engine: Engine, work: Work) -> None:
    transcription_id = submitted(engine)
    execute(engine, f"UPDATE procrastinate_jobs SET attempts = {MAX_ATTEMPTS}")
    work.until(lambda: jobs(engine) == [])
    assert work.done == []
    ((given_up, reason),) = work.given_up
    assert given_up == transcription_id
    assert str(MAX_ATTEMPTS) in reason


def test_the_job_of_a_transcription_that_was_deleted_is_dropped(engine: Engine, work: Work) -> None:
    submitted(engine)

    def gone(_: UUID) -> None:
        raise NotFound("deleted")

    work.on_job = gone
    work.until(lambda: jobs(engine) == [])
    assert work.done == []


def test_a_lost_connection_does_not_disturb_the_job_at_work(engine: Engine, work: Work) -> None:
    submitted(engine)

    def cut(_: UUID) -> None:
        execute(
            engine,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'hansard worker' AND datname = current_database()",
        )

    work.on_job = cut
    work.until(lambda: jobs(engine) == [])
    assert len(work.done) == 1


def test_a_worker_whose_job_went_to_another_does_not_end_it(engine: Engine, work: Work) -> None:
    submitted(engine)

    def lose_it(_: UUID) -> None:
        execute(engine, "UPDATE procrastinate_jobs SET worker_id = (SELECT procrastinate_register_worker_v1())")

    work.on_job = lose_it
    work.until(lambda: bool(work.done))
    assert jobs(engine) == [("doing", 0, True)]


def test_the_state_of_the_queue_counts_jobs_and_living_workers(engine: Engine) -> None:
    submitted(engine)
    submitted(engine)
    execute(engine, "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now()), (now() - interval '1 hour')")
    execute(
        engine, "UPDATE procrastinate_jobs SET status = 'doing' WHERE id = (SELECT min(id) FROM procrastinate_jobs)"
    )
    with engine.connect() as connection:
        assert queue_state(connection) == QueueState(waiting=1, running=1, workers=1)


# ── Workers that end in the middle ───────────────────────────────────────────────────────────────────────


@pytest.fixture
def busy_worker(engine: Engine, postgres: str, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker process in the middle of a job that takes for ever."""
    submitted(engine)
    diary = tmp_path / "diary"
    process = subprocess.Popen([sys.executable, "-c", WORKER, postgres, str(diary)])
    try:
        eventually(diary.exists)
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_job_of_a_killed_worker_is_done_by_another(
    busy_worker: "subprocess.Popen[bytes]", engine: Engine, work: Work
) -> None:
    busy_worker.send_signal(signal.SIGKILL)
    work.until(lambda: jobs(engine) == [])
    assert len(work.done) == 1


@pytest.mark.parametrize("asked_by", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_asked_to_stop_puts_its_job_back_at_once(
    busy_worker: "subprocess.Popen[bytes]", engine: Engine, asked_by: signal.Signals
) -> None:
    busy_worker.send_signal(asked_by)
    assert busy_worker.wait(timeout=5) == 3
    assert jobs(engine) == [("todo", 0, True)]
    with engine.connect() as connection:
        assert queue_state(connection).workers == 0


def test_an_idle_worker_that_is_asked_to_stop_leaves_nothing_running(engine: Engine, postgres: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", WORKER, postgres, os.devnull])

    def is_at_work() -> bool:
        with engine.connect() as connection:
            return queue_state(connection).workers == 1

    eventually(is_at_work)
    process.terminate()
    assert process.wait(timeout=5) == 0
