"""The work of `hansard transcribe` without a service: taken in by this process, done by a worker beside it.

The worker is a process of its own, as every worker is: it can be stopped in the middle of a passage, and its engine
cannot hold up the terminal.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Protocol
from uuid import UUID

from hansard import formats
from hansard.application.origin import current_origin
from hansard.bootstrap import Container
from hansard.cli.start import opened_container
from hansard.cli.transcriptions import Standing
from hansard.domain.errors import Conflict, HansardError, NotFound
from hansard.domain.transcription import Parameters
from hansard.settings import Origin, Runner, origin, variable

SOMEBODY_WAITS = 10
"""Priority: whoever sits at a terminal is not made to wait for an archive."""

LOOK_FOR_WORKERS_SECONDS = 5.0
STOPPING_SECONDS = 10.0
"""How long a worker may take to put its job back and leave."""

LOG_FILE = Path("logs", "transcribe.log")
"""In the data directory: the worker's log, unless LOG_LEVEL is set and so the log is wanted on the terminal."""


class Worker(Protocol):
    """A process that works off the queue: what is used of `subprocess.Popen`."""

    def poll(self) -> int | None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...


@dataclass
class LocalTranscriptions:
    """`workers_alive` tells whether a service runs on the same data; then its workers do the work."""

    container: Container
    workers_alive: Callable[[], bool]
    start_worker: Callable[[], Worker]
    clock_seconds: Callable[[], float] = time.monotonic
    _worker: Worker | None = None
    _look_again_at: float = 0.0

    @property
    def place(self) -> str:
        settings = self.container.settings
        return sha256(f"{settings.database_url or settings.data_dir.absolute()}".encode()).hexdigest()

    def submit(self, file: Path, parameters: Parameters, *, idempotency_key: str | None = None) -> UUID:
        urgent = replace(parameters, priority=SOMEBODY_WAITS)
        with file.open("rb") as source:
            made = self.container.submit_upload(
                source,
                file_name=file.name,
                parameters=urgent,
                request_id=current_origin().request_id,
                idempotency_key=idempotency_key,
            )
        return made.id

    @contextmanager
    def at_work(self) -> Generator[None]:
        self._require_worker()
        try:
            yield
        finally:
            if self._worker is not None:
                _stop(self._worker)

    def standing(self, transcription_id: UUID) -> Standing:
        self._require_worker()
        with self.container.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id)
        return Standing(
            status=transcription.status,
            progress=transcription.progress,
            activity=transcription.activity,
            failure=transcription.failure,
            degraded_reasons=transcription.result.degraded_reasons if transcription.result else (),
        )

    def export(self, transcription_id: UUID, format: str, options: formats.Options) -> bytes:
        with self.container.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id)
            transcript = uow.transcripts.get(transcription_id)
            file_name = uow.audio.get(transcription.audio_id).file_name
            corrections = uow.transcripts.revision(transcription_id)
        if transcript is None:
            raise NotFound(f"Transcription {transcription_id} has no transcript.")
        document = formats.Document.of(transcription, transcript, file_name=file_name, corrections=corrections)
        return formats.write(document, format, options)

    def retry(self, transcription_id: UUID) -> None:
        self.container.retry(transcription_id, None)

    def cancel(self, transcription_id: UUID) -> None:
        try:
            self.container.cancel(transcription_id)
        except Conflict:
            return

    def _require_worker(self) -> None:
        """Somebody must do what was taken in, also when a service is stopped halfway."""
        if self._worker is not None:
            if self._worker.poll() is not None:
                raise HansardError(
                    f"The worker process ended, with exit code {self._worker.poll()}.",
                    code="worker_ended",
                    help=f"What it had to do is still in the queue: `hansard worker` goes on with it. {LOG_FILE} in "
                    "HANSARD_DATA_DIR may tell why.",
                )
        elif self.clock_seconds() >= self._look_again_at:
            self._look_again_at = self.clock_seconds() + LOOK_FOR_WORKERS_SECONDS
            if not self.workers_alive():
                self._worker = self.start_worker()


def _stop(worker: Worker) -> None:
    worker.terminate()
    try:
        worker.wait(STOPPING_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()


@contextmanager
def local_transcriptions() -> Generator[LocalTranscriptions]:
    """Made ready, and left, as `hansard up` would, on the same data."""
    with opened_container(process="transcribe") as container:
        log = None
        if origin("log_level") is Origin.DEFAULT:
            log = container.settings.data_dir / LOG_FILE
            log.parent.mkdir(parents=True, exist_ok=True)
        yield LocalTranscriptions(container, partial(_workers_alive, container), partial(_start_worker, log))


def _workers_alive(container: Container) -> bool:
    with container.unit_of_work() as uow:
        return bool(uow.jobs.workers())


def _start_worker(log: Path | None) -> Worker:
    """A worker that ends with this process, and leaves Ctrl+C to it. `log` None is the terminal."""
    environment = dict(os.environ)
    if origin("pipeline_runner") is Origin.DEFAULT:
        # ZenML takes seconds to start: too long for somebody who waits, and one recording is no archive.
        environment[variable("pipeline_runner")] = Runner.IN_PROCESS
    with nullcontext() if log is None else log.open("ab") as destination:
        return subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "hansard", "worker", "--parent", str(os.getpid())],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=destination,
            start_new_session=True,
        )
