"""Workers that are killed, stopped and frozen in the middle of a job, as processes, on a real queue and database."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from hansard.domain.events import TranscriptionCompleted, TranscriptionInterrupted
from hansard.domain.transcription import Status, Transcription
from tests.queue_work import Work, eventually, jobs, submitted, unit_of_work

PROGRAM = Path(__file__).with_name("worker_process.py")
REPOSITORY = PROGRAM.parents[2]


@dataclass
class Processes:
    """The workers of one test, and what they noted down."""

    engine: Engine
    url: str
    directory: Path
    started: list["subprocess.Popen[bytes]"]

    def start(self, name: str, *options: str) -> "subprocess.Popen[bytes]":
        arguments = [sys.executable, PROGRAM, self.url, name, self.directory, *options]
        self.started.append(subprocess.Popen(arguments, cwd=REPOSITORY, env={"PYTHONPATH": str(REPOSITORY)}))
        return self.started[-1]

    def busy(self, name: str, *options: str) -> "subprocess.Popen[bytes]":
        """A worker in the middle of a job that takes for ever."""
        process = self.start(name, *options)
        eventually(lambda: "began" in self.notes(name))
        return process

    def may_end(self, name: str) -> None:
        (self.directory / f"{name}-may-end").touch()

    def notes(self, name: str) -> str:
        diary = self.directory / name
        return diary.read_text() if diary.exists() else ""

    def alive(self) -> list[str]:
        with unit_of_work(self.engine) as uow:
            return [worker.name for worker in uow.jobs.workers()]

    def record(self, transcription_id: UUID) -> Transcription:
        with unit_of_work(self.engine) as uow:
            return uow.transcriptions.get(transcription_id)


@pytest.fixture
def processes(engine: Engine, postgres: str, tmp_path: Path) -> Iterator[Processes]:
    made = Processes(engine, postgres, tmp_path, [])
    yield made
    for process in made.started:
        process.kill()
        process.wait()


def reasons(engine: Engine, transcription_id: UUID) -> list[str]:
    with unit_of_work(engine) as uow:
        events = uow.events.of(transcription_id)
    return [event.reason for event in events if isinstance(event, TranscriptionInterrupted)]


def test_the_job_of_a_killed_worker_is_done_by_another_and_counts_as_no_failed_attempt(
    processes: Processes, engine: Engine, postgres: str
) -> None:
    transcription_id = submitted(engine)
    processes.busy("victim").send_signal(signal.SIGKILL)
    attempts: list[int] = []
    other = Work(postgres, on_job=lambda _: attempts.extend(job.attempts for job in jobs(engine)))
    other.until(lambda: jobs(engine) == [])
    assert other.done == [transcription_id]
    assert attempts == [0]


@pytest.mark.parametrize("asked_by", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_asked_to_stop_puts_its_job_back_and_nobody_takes_it_for_crashed(
    processes: Processes, engine: Engine, asked_by: signal.Signals
) -> None:
    transcription_id = submitted(engine)
    worker = processes.busy("asked")
    worker.send_signal(asked_by)
    assert worker.wait(timeout=5) == 3
    assert jobs(engine) == [("todo", 0, True)]
    assert processes.alive() == []
    record = processes.record(transcription_id)
    assert (record.status, record.crashes) == (Status.QUEUED, 0)
    assert reasons(engine, transcription_id) == ["worker_stopped"]


def test_a_job_that_ends_in_time_is_not_put_back(processes: Processes, engine: Engine) -> None:
    transcription_id = submitted(engine)
    worker = processes.busy("quick", "patient")
    worker.terminate()
    processes.may_end("quick")
    assert worker.wait(timeout=15) == 0
    assert jobs(engine) == []
    assert processes.record(transcription_id).status is Status.COMPLETED


def test_a_database_that_does_not_answer_does_not_hold_up_a_worker_that_is_asked_to_stop(
    processes: Processes, engine: Engine
) -> None:
    submitted(engine)
    worker = processes.busy("hurried", "no-answer")
    worker.terminate()
    assert worker.wait(timeout=5) == 3
    assert jobs(engine) == [("todo", 0, True)]


def test_a_worker_that_is_asked_to_stop_ends_although_the_database_does_not_let_go_of_it(
    processes: Processes, engine: Engine
) -> None:
    submitted(engine)
    worker = processes.busy("cut-off", "no-answer")
    query = text("SELECT pid FROM pg_stat_activity WHERE application_name = 'hansard cut-off'")
    with engine.connect() as connection:
        backends = list(connection.execute(query).scalars())
    try:
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        worker.terminate()
        assert worker.wait(timeout=10) == 3
    finally:
        for pid in backends:
            os.kill(pid, signal.SIGCONT)


def test_an_idle_worker_that_is_asked_to_stop_leaves_nothing_running(processes: Processes) -> None:
    worker = processes.start("idle")
    eventually(lambda: processes.alive() == ["idle"])
    worker.terminate()
    assert worker.wait(timeout=5) == 0


def test_a_worker_that_was_frozen_and_wakes_does_not_overwrite_what_its_successor_wrote(
    processes: Processes, engine: Engine
) -> None:
    transcription_id = submitted(engine)
    frozen = processes.busy("frozen")
    frozen.send_signal(signal.SIGSTOP)
    processes.may_end("successor")
    processes.start("successor")
    eventually(lambda: processes.record(transcription_id).status.is_final)

    processes.may_end("frozen")
    frozen.send_signal(signal.SIGCONT)
    eventually(lambda: "Superseded" in processes.notes("frozen"))
    frozen.terminate()
    assert frozen.wait(timeout=5) == 0

    record = processes.record(transcription_id)
    assert (record.status, record.run) == (Status.COMPLETED, 2)
    assert record.result is not None
    assert record.result.engine == "successor"
    with unit_of_work(engine) as uow:
        ends = [event for event in uow.events.of(transcription_id) if isinstance(event, TranscriptionCompleted)]
    assert len(ends) == 1
    assert jobs(engine) == []
