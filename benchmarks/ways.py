"""The same work done three ways: by the bare engine, by the use cases in this process, by the whole service."""

import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import httpx

from hansard import bootstrap
from hansard.audio.decoder import PyAvDecoder
from hansard.audio.voice_activity import SileroDetector, SileroModel
from hansard.domain.audio import BYTES_PER_SECOND
from hansard.domain.speech import plan_passages
from hansard.domain.transcription import Parameters
from hansard.engines.pocketsphinx import PocketSphinxEngine, Recogniser
from hansard.observability import logging
from hansard.persistence import embedded
from hansard.settings import Runner, Settings

LOOK_EVERY_SECONDS = 1.0
"""Asking costs the service time as well; when the last job ended, the service says itself."""


@dataclass(frozen=True, slots=True)
class Done:
    """`texts` are in the order of the files."""

    wall_seconds: float
    texts: list[str]


class Way(Protocol):
    """Warmed up when it is made; `__call__` is what is timed."""

    name: str

    def __call__(self, files: Sequence[Path]) -> Done: ...


class BareEngine:
    """Decode, find speech, recognise, in a loop in each process: nothing is stored, nobody is told."""

    def __init__(self, pool: ProcessPoolExecutor, processes: int, warm_up: Path) -> None:
        self.name = f"bare engine, {processes} processes"
        self._pool = pool
        list(pool.map(_listen, [warm_up] * processes * 2))

    def __call__(self, files: Sequence[Path]) -> Done:
        started = time.perf_counter()
        texts = list(self._pool.map(_listen, files))
        return Done(time.perf_counter() - started, texts)


@contextlib.contextmanager
def bare_engine(processes: int, warm_up: Path) -> Generator[Way]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_open_ears) as pool:
        yield BareEngine(pool, processes, warm_up)


class InProcess:
    """Upload, submit and transcribe through the use cases, without a queue and without ZenML, one file at a time."""

    def __init__(self, container: bootstrap.Container, warm_up: Path) -> None:
        self.name = "in-process runner, 1 process"
        self._container = container
        self._transcribe(warm_up)

    def __call__(self, files: Sequence[Path]) -> Done:
        started = time.perf_counter()
        texts = [self._transcribe(file) for file in files]
        return Done(time.perf_counter() - started, texts)

    def _transcribe(self, file: Path) -> str:
        with file.open("rb") as source:
            audio = self._container.upload(source, file_name=file.name)
        submitted = self._container.submit(audio.id, Parameters(engine=PocketSphinxEngine.name))
        self._container.transcribe(submitted.id)
        with self._container.unit_of_work() as uow:
            transcript = uow.transcripts.get(submitted.id)
        return transcript.text if transcript else ""


@contextlib.contextmanager
def in_process(directory: Path, warm_up: Path) -> Generator[Way]:
    settings = Settings(data_dir=directory, pipeline_runner=Runner.IN_PROCESS, offline=True)
    logging.configure(process="bench", level="WARNING", format="pretty")
    bootstrap.prepare(settings)
    container = bootstrap.build(settings, process="bench")
    try:
        yield InProcess(container, warm_up)
    finally:
        container.close()
        embedded.stop(directory)


class Service:
    """Everything: HTTP, queue, ZenML, workers."""

    def __init__(self, http: httpx.Client, workers: int, warm_up: Path) -> None:
        self.name = f"service, {workers} workers"
        self._http = http
        for _ in range(3):
            self([warm_up] * workers * 2)

    def __call__(self, files: Sequence[Path]) -> Done:
        started = datetime.now(UTC)
        ids = [self._post(file) for file in files]
        while self._busy():
            time.sleep(LOOK_EVERY_SECONDS)
        done = [self._http.get(f"/transcriptions/{job}").json() for job in ids]
        ended = max(datetime.fromisoformat(job["ended_at"]) for job in done)
        return Done((ended - started).total_seconds(), [job["text"] or "" for job in done])

    def _post(self, file: Path) -> str:
        with file.open("rb") as source:
            fields = {"engine": PocketSphinxEngine.name}
            answer = self._http.post("/transcriptions", files={"file": source}, data=fields)
        return answer.raise_for_status().json()["id"]

    def _busy(self) -> bool:
        return any(
            self._http.get("/transcriptions", params={"status": status, "limit": 1}).json()["items"]
            for status in ("queued", "running")
        )


@contextlib.contextmanager
def service(directory: Path, workers: int, warm_up: Path) -> Generator[Way]:
    port = free_port()
    settings = {
        "HANSARD_DATA_DIR": str(directory),
        "HANSARD_PORT": str(port),
        "HANSARD_WORKERS": str(workers),
        "HANSARD_OFFLINE": "1",
        "LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen([sys.executable, "-m", "hansard", "up"], env=os.environ | settings)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            wait_until_ready(process, http)
            yield Service(http, workers, warm_up)
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(process: "subprocess.Popen[bytes]", http: httpx.Client) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError("the service did not start")
        with contextlib.suppress(httpx.TransportError):
            if http.get("/health/ready").status_code == 200:
                return
        time.sleep(0.1)
    raise TimeoutError("the service did not become ready within a minute")


# ── The bare engine's processes ──────────────────────────────────────────────────────────────────────────

_ears: tuple[PyAvDecoder, SileroModel, Recogniser]


def _open_ears() -> None:
    global _ears  # noqa: PLW0603 - a process of the pool has no other place
    _ears = (PyAvDecoder(), SileroModel(), Recogniser())


def _listen(file: Path) -> str:
    decoder, model, recogniser = _ears
    detector = SileroDetector(model)
    pcm = bytearray()
    with file.open("rb") as source:
        for block in decoder.decode(source):
            detector.feed(block)
            pcm += block
    texts: list[str] = []
    for span in plan_passages(detector.finish().regions, PocketSphinxEngine.limits):
        start, end = (round(edge * BYTES_PER_SECOND / 2) * 2 for edge in (span.start_seconds, span.end_seconds))
        texts += [segment.text for segment in recogniser(bytes(pcm[start:end]))]
    return " ".join(texts)
