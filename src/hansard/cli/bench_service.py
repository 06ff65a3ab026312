"""The service that a benchmark is about: the real use cases and engines, with a database and a record of their own.

They run in a process apart, in a directory that is removed afterwards. So nothing of it shows in anybody's record, the
memory that is measured is not the benchmark's own, and what takes the process down is the failure of one recording.
Between handing in and the closed record there is no queue and no ZenML.
"""

import fcntl
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path

import psutil

from hansard import bootstrap
from hansard.application.ports.benchmarks import Heard
from hansard.application.run import internal_failure
from hansard.bootstrap import Container
from hansard.domain.diarization import Turn
from hansard.domain.errors import Conflict, HansardError
from hansard.domain.speech import Span
from hansard.domain.transcript import Transcript
from hansard.domain.transcription import Parameters, Result
from hansard.observability import logging
from hansard.persistence import embedded
from hansard.settings import Runner, Settings

LOOK_EVERY_SECONDS = 0.02
"""At the memory. What is taken and given back between two looks is not seen."""

YARDSTICK_BYTES = 8_000_000
YARDSTICK_TIMES = 12
"""Some 70 ms, twice: other work takes turns with ours every few milliseconds, so that less would not meet it."""


@dataclass(kw_only=True)
class ScratchService:
    """A `BenchedService`."""

    settings: Settings
    _pool: ProcessPoolExecutor | None = field(default=None, init=False)
    pid: int = field(default=0, init=False)
    """Of its process, once that has been needed."""

    def hear(self, recording: Path, parameters: Parameters) -> Heard:
        pool = self._started()
        with _memory_watched(self.pid) as memory:
            try:
                heard = pool.submit(_hear, recording, parameters).result()
            except BrokenProcessPool:
                self._pool = None
                return Heard(failure=internal_failure("The process that heard it died."), peak_memory_bytes=memory.peak)
        return replace(heard, peak_memory_bytes=memory.peak)

    def warm_up(self, parameters: Parameters) -> Heard:
        clip = self.settings.data_dir / "warm-up.mp3"
        clip.write_bytes(files("hansard.audio").joinpath("canary.mp3").read_bytes())
        return self.hear(clip, parameters)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_start, initargs=(self.settings,))
            try:
                self.pid = pool.submit(os.getpid).result()
            except BrokenProcessPool as error:
                raise HansardError(
                    "The service that is to be measured does not start.", help="Its own words stand above."
                ) from error
            self._pool = pool
        return self._pool


@contextmanager
def scratch_service(settings: Settings) -> Generator[ScratchService]:
    """With the settings of the service, the engines' and their models above all, and nothing of its data.

    Raises `Conflict` while there is another one on the same data: they would slow each other down.
    """
    directory = settings.data_dir / "bench"
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "bench.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict("Another benchmark runs on this data directory.", help="Wait for its end.") from error
        _remove(directory)  # of one that was killed
        models = settings.data_dir / "models"
        models.mkdir(exist_ok=True)
        directory.mkdir()
        (directory / "models").symlink_to(models.resolve())
        service = ScratchService(settings=_for_itself(settings, directory))
        try:
            yield service
        finally:
            service.close()
            _remove(directory)


def _for_itself(settings: Settings, directory: Path) -> Settings:
    return settings.model_copy(
        update={
            "data_dir": directory,
            "database_url": None,
            "analytics_database_url": None,
            "storage_url": None,
            "notify_urls": None,
            "pipeline_runner": Runner.IN_PROCESS,
        }
    )


def _remove(directory: Path) -> None:
    if directory.exists():
        embedded.stop(directory)
        (directory / "models").unlink(missing_ok=True)
        shutil.rmtree(directory)


# ── Memory, seen from outside ────────────────────────────────────────────────────────────────────────────


@dataclass
class _Memory:
    """The most that a process and its children had resident at one time."""

    process: psutil.Process
    peak: int = 0

    def look(self) -> None:
        with suppress(psutil.Error):
            family = [self.process, *self.process.children(recursive=True)]
            self.peak = max(self.peak, sum(map(_resident_bytes, family)))


def _resident_bytes(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return process.memory_info().rss
    return 0


@contextmanager
def _memory_watched(pid: int) -> Generator[_Memory]:
    memory, ended = _Memory(psutil.Process(pid)), threading.Event()

    def watch() -> None:
        memory.look()
        while not ended.wait(LOOK_EVERY_SECONDS):
            memory.look()

    watcher = threading.Thread(target=watch, name="memory", daemon=True)
    watcher.start()
    try:
        yield memory
    finally:
        ended.set()
        watcher.join()


# ── Inside the process ───────────────────────────────────────────────────────────────────────────────────

_containers: list[Container] = []


def _start(settings: Settings) -> None:
    logging.configure(process="bench", level="ERROR", format=settings.log_format)
    bootstrap.prepare(settings)
    _containers.append(bootstrap.build(settings, process="bench"))


def _hear(recording: Path, parameters: Parameters) -> Heard:
    before = _yardstick_seconds()
    try:
        heard = _heard(_containers[0], recording, parameters)
    except HansardError as error:
        heard = Heard(failure=error.failure)
    except Exception as error:  # noqa: BLE001 - one recording must not end the benchmark
        heard = Heard(failure=internal_failure(f"An unexpected error stopped it: {type(error).__name__}."))
    return replace(heard, yardstick_seconds=(before + _yardstick_seconds()) / 2)


def _heard(container: Container, recording: Path, parameters: Parameters) -> Heard:
    cpu_before, started = _cpu_seconds(), time.perf_counter()
    with recording.open("rb") as source:
        submitted = container.submit_upload(source, file_name=recording.name, parameters=parameters)
    transcription = container.transcribe(submitted.id)
    latency_seconds = time.perf_counter() - started
    cpu_seconds = _cpu_seconds() - cpu_before
    with container.unit_of_work() as uow:
        uow.jobs.withdraw(transcription.id)  # nobody takes it, and the next recording would give way to it
        speech = uow.transcripts.speech(transcription.id)
        transcript = uow.transcripts.get(transcription.id)
        turns = uow.transcripts.turns(transcription.id)
        uow.commit()
    heard = Heard(
        audio_seconds=speech.audio_seconds if speech else None,
        engine=transcription.attempts[-1].engine if transcription.attempts else None,
        latency_seconds=latency_seconds,
        cpu_seconds=cpu_seconds,
        failure=transcription.failure,
    )
    result = transcription.result
    return heard if result is None or transcript is None else _completed(heard, result, transcript, turns)


def _completed(heard: Heard, result: Result, transcript: Transcript, turns: tuple[Turn, ...] | None) -> Heard:
    return replace(
        heard,
        text=transcript.text,
        turns=turns or _turns_of(transcript),
        engine=result.engine,
        speech_seconds=result.coverage.speech_seconds,
        transcribed_seconds=result.coverage.transcribed_seconds,
        processing_seconds=result.processing_seconds,
        degraded=bool(result.degraded_reasons),
    )


def _turns_of(transcript: Transcript) -> tuple[Turn, ...]:
    """Of an engine that names the speakers itself."""
    return tuple(
        Turn(Span(segment.start_seconds, segment.end_seconds), segment.speaker)
        for segment in transcript.segments
        if segment.speaker
    )


def _cpu_seconds() -> float:
    """Of this process and its children, those that ended too."""
    process = psutil.Process()
    return sum(sum(each.cpu_times()[:4]) for each in (process, *process.children(recursive=True)))


def _yardstick_seconds() -> float:
    """The same work each time."""
    work = bytes(YARDSTICK_BYTES)
    started = time.perf_counter()
    for _ in range(YARDSTICK_TIMES):
        hashlib.sha256(work).digest()
    return time.perf_counter() - started
