"""What each process uses: memory, processor, threads, connections, models. It ends with the process.

A thread looks every few seconds, so that whoever asks for metrics is told of all processes at once, and need not find
them. What a process has started (the decoder that holds Python's lock, a download) counts as its own.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import psutil
from loguru import logger
from prometheus_client import CollectorRegistry, Counter, Gauge

from hansard.observability.process_family import family_use

SAMPLE_SECONDS = 5.0
"""A look takes two milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What a process holds at a moment, beside what the system knows. `models` counts those in memory, by engine."""

    connections_in_use: int = 0
    connections_idle: int = 0
    models: dict[str, int]
    live_sessions: int = 0
    live_backlog_seconds: float = 0.0
    live_audio_seconds: float = 0.0
    """Heard since the process began."""


class ProcessGauges:
    """Counts into `registry`. One for each process, made after `shared_metrics.share`. `process` is its name."""

    def __init__(self, registry: CollectorRegistry, process: str, holdings: Callable[[], Holdings]) -> None:
        self._process, self._holdings = process, holdings
        self._cpu_seconds_of: dict[psutil.Process, float] = {}
        self._live_audio_seconds = 0.0
        self._stopping = threading.Event()
        self._looking = threading.Lock()
        gauge = partial(Gauge, namespace="hansard", registry=registry, multiprocess_mode="livesum")
        counter = partial(Counter, namespace="hansard", registry=registry)
        self._memory = gauge(
            "process_resident_memory_bytes", "Memory that a process and its children hold.", ["process"]
        )
        self._cpu = counter("process_cpu_seconds", "Processor time of a process and its children.", ["process"])
        self._threads = gauge("process_threads", "Threads of a process and its children.", ["process"])
        self._files = gauge("process_open_fds", "Files and sockets that a process holds open.", ["process"])
        self._started = Gauge(
            "process_start_time_seconds",
            "When a process began, in seconds since 1970.",
            ["process"],
            namespace="hansard",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._connections = gauge(
            "database_connections", "Connections that a process has to the database.", ["process", "state"]
        )
        self._models = gauge("models_in_memory", "Models that are in memory.", ["process", "engine"])
        self._live_sessions = gauge("live_sessions_open", "Live sessions, with those whose client may come back.")
        self._live_backlog = gauge(
            "live_backlog_seconds", "Speech of live sessions that is over and waits for an engine."
        )
        self._live_audio = counter("live_audio_seconds", "Length of what live sessions took in.")

    def start(self) -> None:
        """Look now, and from now on, until the process ends or is told to `stop`."""
        self.look()
        threading.Thread(target=self._keep_looking, name="gauges", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def look(self) -> None:
        """Take stock, now."""
        with self._looking:
            self._look_at_system()
            self._look_at_holdings(self._holdings())

    def _keep_looking(self) -> None:
        while not self._stopping.wait(SAMPLE_SECONDS):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - numbers are missing, and nothing else
                logger.warning("What this process uses could not be told: {}", error)

    def _look_at_system(self) -> None:
        own = psutil.Process()
        self._started.labels(self._process).set(own.create_time())
        self._files.labels(self._process).set(own.num_fds())
        used = family_use(own)
        self._memory.labels(self._process).set(sum(each.memory_bytes for each in used.values()))
        self._threads.labels(self._process).set(sum(each.threads for each in used.values()))
        before = self._cpu_seconds_of
        self._cpu_seconds_of = {process: each.cpu_seconds for process, each in used.items()}
        used_seconds = (now - before.get(process, 0.0) for process, now in self._cpu_seconds_of.items())
        self._cpu.labels(self._process).inc(sum(max(0.0, seconds) for seconds in used_seconds))

    def _look_at_holdings(self, holdings: Holdings) -> None:
        self._connections.labels(self._process, "in_use").set(holdings.connections_in_use)
        self._connections.labels(self._process, "idle").set(holdings.connections_idle)
        for engine, models in holdings.models.items():
            self._models.labels(self._process, engine).set(models)
        self._live_sessions.set(holdings.live_sessions)
        self._live_backlog.set(holdings.live_backlog_seconds)
        self._live_audio.inc(max(0.0, holdings.live_audio_seconds - self._live_audio_seconds))
        self._live_audio_seconds = max(self._live_audio_seconds, holdings.live_audio_seconds)
