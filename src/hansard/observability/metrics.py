"""What `GET /metrics` tells, for Prometheus: `docs/metrics.md` lists it.

Counts are fed by the events, in every process (see `shared_metrics`). What is the same for all processes and machines
is read from the database when somebody asks. No label's values depend on what users send.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Lock, Thread
from typing import Generic, TypeVar

from loguru import logger
from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from hansard import __version__
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.work import Waiting
from hansard.domain.audio import DEFAULT_OWNER
from hansard.domain.circuit import Circuit, CircuitState
from hansard.domain.errors import Category
from hansard.domain.events import (
    AudioFileDeleted,
    AudioFileErased,
    AudioFileUploaded,
    EngineAttempted,
    EngineCircuitClosed,
    EngineCircuitOpened,
    EngineDisabled,
    EngineEnabled,
    EngineFellBack,
    Event,
    Interruption,
    TranscriptionCancelled,
    TranscriptionCompleted,
    TranscriptionDeleted,
    TranscriptionFailed,
    TranscriptionInterrupted,
    TranscriptionQueued,
    TranscriptionRetried,
)
from hansard.domain.transcription import AttemptOutcome, Status
from hansard.observability import shared_metrics

T = TypeVar("T")

FRESH_SECONDS = 5.0
"""How old an answer of the database may be, so that many who ask cost no more than one."""

PATIENCE_SECONDS = 2.0
"""How long the database may keep somebody waiting who asks for metrics: Prometheus gives up after ten by default."""

REAL_TIME_FACTORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0)

CHANGES = ("opened", "closed", "reset", "disabled", "enabled")
"""Of a circuit: the first two by itself, the others by an operator."""

NONE = "none"
"""The category of what is no failure: an empty label would be no label."""


class Counters:
    """Counts events. One for each process, made after `shared_metrics.share`. `engines` are the names there are."""

    def __init__(self, engines: Iterable[str]) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, namespace="hansard", registry=self.registry)
        self._uploads = counter("audio_uploads", "Audio files taken in.")
        self._upload_bytes = counter("audio_upload_bytes", "Bytes of the audio files taken in.")
        self._audio_deletions = counter("audio_deletions", "Audio files deleted.")
        self._audio_erasures = counter("audio_erasures", "Deleted audio files of which nothing is left.")

        self._queued = counter("transcriptions_queued", "Transcriptions asked for, for the first time or again.")
        self._ended = counter(
            "transcriptions_ended",
            "Transcriptions that came to an end, and the category of the failure of those that failed.",
            ["status", "category", "degraded"],
        )
        self._transcribed_seconds = counter(
            "transcribed_audio_seconds", "Length of the recordings whose transcription was completed."
        )
        self._interruptions = counter(
            "transcription_interruptions", "Runs that ended without an outcome and were queued again.", ["reason"]
        )
        self._transcription_deletions = counter("transcription_deletions", "Transcriptions deleted.")

        self._attempts = counter(
            "engine_attempts",
            "Tries of an engine that ended, and the category of the failure of those that failed.",
            ["engine", "outcome", "category"],
        )
        self._speech_seconds = counter(
            "engine_recognised_speech_seconds", "Length of the speech that was recognised.", ["engine"]
        )
        self._processing_seconds = counter(
            "engine_processing_seconds", "Time that tries took, without those whose worker was lost.", ["engine"]
        )
        self._real_time_factor = Histogram(
            "engine_real_time_factor",
            "Time that a try took, over the length of the speech it recognised; below 1 is faster than real time.",
            ["engine"],
            namespace="hansard",
            registry=self.registry,
            buckets=REAL_TIME_FACTORS,
        )
        self._fallbacks = counter(
            "engine_fallbacks",
            "Times that an engine took over from another, by the category of the other's failure.",
            ["from_engine", "to_engine", "category"],
        )
        self._circuit_changes = counter(
            "engine_circuit_changes",
            "Times that an engine's circuit opened or closed, or an operator changed it.",
            ["engine", "change"],
        )
        self._begin_at_zero(engines)

    def count(self, event: Event) -> None:
        self._count_for_audio(event)
        self._count_for_transcriptions(event)
        self._count_for_engines(event)

    def _count_for_audio(self, event: Event) -> None:
        match event:
            case AudioFileUploaded():
                self._uploads.inc()
                self._upload_bytes.inc(event.size_bytes)
            case AudioFileDeleted():
                self._audio_deletions.inc()
            case AudioFileErased():
                self._audio_erasures.inc()
            case _:
                pass

    def _count_for_transcriptions(self, event: Event) -> None:
        match event:
            case TranscriptionQueued() | TranscriptionRetried():
                self._queued.inc()
            case TranscriptionCompleted():
                self._end(Status.COMPLETED, degraded=event.degraded)
                self._transcribed_seconds.inc(event.audio_seconds)
            case TranscriptionFailed():
                self._end(Status.FAILED, category=event.failure.category)
            case TranscriptionCancelled():
                self._end(Status.CANCELLED)
            case TranscriptionInterrupted():
                self._interruptions.labels(reason=event.reason).inc()
            case TranscriptionDeleted():
                self._transcription_deletions.inc()
            case _:
                pass

    def _count_for_engines(self, event: Event) -> None:
        match event:
            case EngineAttempted():
                self._count_attempt(event)
            case EngineFellBack():
                self._fallbacks.labels(
                    from_engine=event.engine, to_engine=event.next_engine, category=event.failure.category
                ).inc()
            case EngineCircuitOpened():
                self._change(event, "opened")
            case EngineCircuitClosed():
                self._change(event, "reset" if event.by_hand else "closed")
            case EngineDisabled():
                self._change(event, "disabled")
            case EngineEnabled():
                self._change(event, "enabled")
            case _:
                pass

    def _begin_at_zero(self, engines: Iterable[str]) -> None:
        """To Prometheus, a series that appears with its first count has not risen: nobody would be woken for it."""
        for status, category, degraded in (
            (Status.COMPLETED, NONE, "false"),
            (Status.COMPLETED, NONE, "true"),
            (Status.CANCELLED, NONE, "false"),
            *((Status.FAILED, category, "false") for category in Category),
        ):
            self._ended.labels(status=status, category=category, degraded=degraded)
        for reason in Interruption:
            self._interruptions.labels(reason=reason)
        for engine in engines:
            for outcome in (AttemptOutcome.SUCCEEDED, AttemptOutcome.ABANDONED):
                self._attempts.labels(engine=engine, outcome=outcome, category=NONE)
            for category in Category:
                self._attempts.labels(engine=engine, outcome=AttemptOutcome.FAILED, category=category)
            for change in CHANGES:
                self._circuit_changes.labels(engine=engine, change=change)

    def _end(self, status: Status, *, category: str = NONE, degraded: bool = False) -> None:
        self._ended.labels(status=status, category=category, degraded=str(degraded).lower()).inc()

    def _change(self, event: Event, change: str) -> None:
        self._circuit_changes.labels(engine=event.subject, change=change).inc()

    def _count_attempt(self, event: EngineAttempted) -> None:
        engine, speech_seconds = event.engine, event.recognised_seconds
        category = event.failure.category if event.failure else NONE
        self._attempts.labels(engine=engine, outcome=event.outcome, category=category).inc()
        self._speech_seconds.labels(engine=engine).inc(speech_seconds)
        if event.outcome == AttemptOutcome.ABANDONED:
            return
        processing_seconds = max(0.0, event.processing_seconds)  # clocks are set back, counters are not
        self._processing_seconds.labels(engine=engine).inc(processing_seconds)
        if speech_seconds:
            self._real_time_factor.labels(engine=engine).observe(processing_seconds / speech_seconds)


class MetricsPage:
    """All that there is to tell, as text. `engines` are the names of those whose circuits are told of."""

    def __init__(
        self,
        counters: Counters,
        unit_of_work: Callable[[], UnitOfWork],
        engines: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Build())
        self._registry.register(shared_metrics.collector(counters.registry))
        self._registry.register(_State(unit_of_work, engines, clock))

    def render(self) -> bytes:
        """In Prometheus' text format, version 0.0.4. Never fails because the database does."""
        return generate_latest(self._registry)


class _Build(Collector):
    def collect(self) -> Iterable[Metric]:
        yield InfoMetricFamily("hansard_build", "The version that runs.", {"version": __version__})


class _State(Collector):
    """The circuits and the queue as they are in the database, now or some seconds ago."""

    def __init__(
        self, unit_of_work: Callable[[], UnitOfWork], engines: Sequence[str], clock: Callable[[], float]
    ) -> None:
        self._unit_of_work = unit_of_work
        self._engines = engines
        self._read_lately = _Lately(self._read, clock)

    def collect(self) -> Iterable[Metric]:
        answer = self._read_lately()
        yield GaugeMetricFamily(
            "hansard_database_up", "Whether the database answers; where not, what is in it is not told.", bool(answer)
        )
        if answer:
            circuits, waiting = answer
            yield from _circuit_metrics(circuits)
            yield from _queue_metrics(waiting)

    def _read(self) -> tuple[list[Circuit], Waiting]:
        with self._unit_of_work() as uow:
            return [uow.circuits.get(engine) for engine in self._engines], uow.jobs.waiting(DEFAULT_OWNER)


def _circuit_metrics(circuits: Iterable[Circuit]) -> Iterable[Metric]:
    state = GaugeMetricFamily(
        "hansard_engine_circuit_state", "1 for the state that an engine's circuit is in.", labels=["engine", "state"]
    )
    disabled = GaugeMetricFamily(
        "hansard_engine_disabled", "Whether an operator took an engine out of use.", labels=["engine"]
    )
    for circuit in circuits:
        for possible in CircuitState:
            state.add_metric([circuit.engine, possible], circuit.state is possible)
        disabled.add_metric([circuit.engine], circuit.disabled)
    return state, disabled


def _queue_metrics(waiting: Waiting) -> Iterable[Metric]:
    yield GaugeMetricFamily("hansard_queue_waiting_jobs", "Transcriptions that wait for a worker.", waiting.jobs)
    yield GaugeMetricFamily("hansard_queue_running_jobs", "Transcriptions that a worker is at.", waiting.running)
    yield GaugeMetricFamily(
        "hansard_queue_oldest_waiting_seconds",
        "How long the first of the waiting transcriptions has waited.",
        waiting.oldest_seconds,
    )
    yield GaugeMetricFamily(
        "hansard_queue_waiting_audio_seconds",
        "Length of the recordings whose transcriptions wait.",
        waiting.audio_seconds,
    )
    yield GaugeMetricFamily("hansard_workers", "Workers that are alive, on all machines.", waiting.workers)


class _Lately(Generic[T]):
    """An answer that may be `FRESH_SECONDS` old, of somebody who may not answer at all.

    `ask` is called in a thread of its own, once at a time; nobody waits for it longer than `PATIENCE_SECONDS`.
    """

    def __init__(self, ask: Callable[[], T], clock: Callable[[], float]) -> None:
        self._ask, self._clock = ask, clock
        self._lock = Lock()
        self._answer: Future[T] | None = None
        self._asked_at = 0.0

    def __call__(self) -> T | None:
        """None when there is no answer; the log has the reason."""
        try:
            return self._latest().result(PATIENCE_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it is, the rest can be told
            reason = str(error) or type(error).__name__
            logger.warning("The metrics lack what the database would have to tell: {}", reason)
            return None

    def _latest(self) -> Future[T]:
        with self._lock:
            now = self._clock()
            is_old = now - self._asked_at >= FRESH_SECONDS
            if self._answer is None or (self._answer.done() and is_old):
                self._answer, self._asked_at = Future(), now
                Thread(target=_answer, args=(self._ask, self._answer), name="metrics", daemon=True).start()
            return self._answer


def _answer(ask: Callable[[], T], answer: "Future[T]") -> None:
    try:
        answer.set_result(ask())
    except Exception as error:  # noqa: BLE001 - it is raised again, where somebody waits for it
        answer.set_exception(error)
