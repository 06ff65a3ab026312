"""A worker process to kill, stop and freeze: `worker_process.py URL NAME DIRECTORY [no-answer] [patient]`.

It notes what it does in `DIRECTORY/NAME`, and its transcriptions end when there is a file `DIRECTORY/NAME-may-end`.
With `no-answer`, writing down that a job goes back hangs, as with a database that is away. With `patient`, a job gets
some time to end when the worker is asked to stop.
"""

import os
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

from hansard.application.run import Run, Runs
from hansard.application.transcribe import Transcribe
from hansard.domain.coverage import Coverage
from hansard.domain.transcription import Result
from hansard.persistence import database
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from hansard.queue.tasks import Duties
from hansard.queue.worker import run_worker
from tests.fakes import FakePreparedAudio

URL, NAME, DIRECTORY = sys.argv[1], sys.argv[2], Path(sys.argv[3])

unit_of_work = partial(SqlUnitOfWork, database.connect(URL), TranscriptionJobs)


def now() -> datetime:
    return datetime.now(UTC)


def note(what: str) -> None:
    with (DIRECTORY / NAME).open("a") as diary:
        diary.write(f"{what}\n")


class Runner:
    """One that completes a transcription in a single write, with this worker's name for its engine."""

    def run(self, transcription_id: UUID, run: int) -> None:
        note(f"began run {run}")
        while not (DIRECTORY / f"{NAME}-may-end").exists():
            time.sleep(0.02)
        result = Result(
            engine=NAME,
            model="none",
            language="en",
            audio_seconds=1.0,
            speech_seconds=1.0,
            word_count=1,
            processing_seconds=1.0,
            coverage=Coverage(speech_seconds=1.0, transcribed_seconds=1.0),
        )
        try:
            with Run(transcription_id, run, unit_of_work, now).change() as (_, transcription):
                transcription.complete(result, now())
        except Exception as error:
            note(type(error).__name__)
            raise

    def forget(self, transcription_id: UUID) -> int:
        return 0


def hang(*_: object) -> None:
    time.sleep(60)


transcribe = Transcribe(
    unit_of_work=unit_of_work,
    runner=Runner(),
    quick_runner=Runner(),
    prepared=FakePreparedAudio(),
    max_crashes=3,
    clock=now,
    runs=Runs(unit_of_work, now),
)
ended = run_worker(
    URL,
    Duties(
        transcribe=transcribe,
        interrupt=hang if "no-answer" in sys.argv else transcribe.interrupt,
        give_up=transcribe.give_up,
        erase=hang,
    ),
    name=NAME,
    heartbeat_seconds=0.2,
    stalled_seconds=0.8,
    grace_seconds=20.0 if "patient" in sys.argv else 0.1,
)
os._exit(0 if ended else 3)
