"""Counts what happens, as the events tell it, and what no event tells: live sessions, the loading of models and
what is sent to webhooks.

No label's values depend on what users send. A model that somebody named is one of `OTHER`, unless the settings name it,
too.
"""

from collections.abc import Collection, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Histogram

from hansard.application.deliver import Sent
from hansard.application.live_sessions import LiveChange
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
    TranscriptionStarted,
)
from hansard.domain.transcription import AttemptOutcome, Status

REAL_TIME_FACTORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0)
WAITS_SECONDS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600)
WORK_SECONDS = (0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
COVERAGES = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
DELIVERY_SECONDS = (0.1, 0.5, 1, 5, 15, 60, 300, 3600, 24 * 3600)
ANSWER_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)
LOADING_SECONDS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60)

CHANGES = ("opened", "closed", "reset", "disabled", "enabled")
"""Of a circuit: the first two by itself, the others by an operator."""

WEBHOOK_OUTCOMES = ("delivered", "failed")

NONE = "none"
"""The category of what is no failure: an empty label would be no label."""

OTHER = "other"


class ModelLoads:
    """Counts the models of an engine that come into memory, into `registry`. One for each process, as `Counters`."""

    def __init__(self, registry: CollectorRegistry, engine: str) -> None:
        loads = Histogram(
            "model_load_seconds",
            "Time that bringing a model into memory took.",
            ["engine"],
            namespace="hansard",
            registry=registry,
            buckets=LOADING_SECONDS,
        )
        self._loads = loads.labels(engine=engine)

    def count(self, seconds: float) -> None:
        """Loading one took so long."""
        self._loads.observe(seconds)


class Counters:
    """Counts into `registry`. One for each process, made after `shared_metrics.share`.

    `engines` are the names there are, each with the models that it uses here.
    """

    def __init__(self, registry: CollectorRegistry, engines: Mapping[str, Collection[str]]) -> None:
        self._models = engines
        self._counter = partial(Counter, namespace="hansard", registry=registry)
        self._histogram = partial(Histogram, namespace="hansard", registry=registry)
        self._count_audio_by()
        self._count_transcriptions_by()
        self._count_engines_by()
        self._count_others_by()
        self._begin_at_zero()

    # ── What there is to count ───────────────────────────────────────────────────────────────────────────

    def _count_audio_by(self) -> None:
        counter = self._counter
        self._events = counter("events", "Events that were committed.", ["type"])
        self._uploads = counter("audio_uploads", "Audio files taken in.")
        self._upload_bytes = counter("audio_upload_bytes", "Bytes of the audio files taken in.")
        self._audio_deletions = counter("audio_deletions", "Audio files deleted.")
        self._audio_erasures = counter("audio_erasures", "Deleted audio files of which nothing is left.")

    def _count_transcriptions_by(self) -> None:
        counter = self._counter
        self._queued = counter("transcriptions_queued", "Transcriptions asked for, for the first time or again.")
        self._waits = self._histogram(
            "transcription_queue_wait_seconds",
            "Time from asking for a transcription to a worker's taking it for the first time.",
            buckets=WAITS_SECONDS,
        )
        self._ended = counter(
            "transcriptions_ended",
            "Transcriptions that came to an end, and the category of the failure of those that failed.",
            ["status", "category", "degraded"],
        )
        self._transcribed_seconds = counter(
            "transcribed_audio_seconds", "Length of the recordings whose transcription was completed."
        )
        self._processing = self._histogram(
            "transcription_processing_seconds",
            "Time that recognising a completed transcription took, over all tries, by the engine of its result.",
            ["engine"],
            buckets=WORK_SECONDS,
        )
        self._coverage = self._histogram(
            "transcription_coverage_ratio",
            "The part of the speech of completed transcriptions that has text.",
            buckets=COVERAGES,
        )
        self._interruptions = counter(
            "transcription_interruptions", "Runs that ended without an outcome and were queued again.", ["reason"]
        )
        self._transcription_deletions = counter("transcription_deletions", "Transcriptions deleted.")

    def _count_engines_by(self) -> None:
        counter = self._counter
        self._attempts = counter(
            "engine_attempts",
            "Tries of an engine that ended, and the category of the failure of those that failed.",
            ["engine", "outcome", "category"],
        )
        self._speech_seconds = counter(
            "engine_recognised_speech_seconds", "Length of the speech that was recognised.", ["engine", "model"]
        )
        self._processing_seconds = counter(
            "engine_processing_seconds",
            "Time that tries took, without those whose worker was lost.",
            ["engine", "model"],
        )
        self._real_time_factor = self._histogram(
            "engine_real_time_factor",
            "Time that a try took, over the length of the speech it recognised; below 1 is faster than real time.",
            ["engine", "model"],
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

    def _count_others_by(self) -> None:
        self._live_changes = self._counter("live_session_changes", "What became of live sessions.", ["change"])
        self._webhook_attempts = self._counter(
            "webhook_attempts", "Times that a webhook was sent something.", ["outcome"]
        )
        self._webhook_answers = self._histogram(
            "webhook_attempt_duration_seconds", "Time that an endpoint took to answer.", buckets=ANSWER_SECONDS
        )
        self._webhook_deliveries = self._histogram(
            "webhook_delivery_seconds",
            "Time from an event to an endpoint's having taken it.",
            buckets=DELIVERY_SECONDS,
        )

    def _begin_at_zero(self) -> None:
        """To Prometheus, a series that appears with its first count has not risen: nobody would be woken for it."""
        for kind in Event.__subclasses__():
            self._events.labels(type=kind.type)
        for status, category, degraded in (
            (Status.COMPLETED, NONE, "false"),
            (Status.COMPLETED, NONE, "true"),
            (Status.CANCELLED, NONE, "false"),
            *((Status.FAILED, category, "false") for category in Category),
        ):
            self._ended.labels(status=status, category=category, degraded=degraded)
        for reason in Interruption:
            self._interruptions.labels(reason=reason)
        for change in LiveChange:
            self._live_changes.labels(change=change)
        for outcome in WEBHOOK_OUTCOMES:
            self._webhook_attempts.labels(outcome=outcome)
        for engine in self._models:
            for outcome in (AttemptOutcome.SUCCEEDED, AttemptOutcome.ABANDONED):
                self._attempts.labels(engine=engine, outcome=outcome, category=NONE)
            for category in Category:
                self._attempts.labels(engine=engine, outcome=AttemptOutcome.FAILED, category=category)
            for change in CHANGES:
                self._circuit_changes.labels(engine=engine, change=change)

    # ── Counting ─────────────────────────────────────────────────────────────────────────────────────────

    def count(self, event: Event) -> None:
        self._events.labels(type=event.type).inc()
        self._count_for_audio(event)
        self._count_for_transcriptions(event)
        self._count_for_engines(event)

    def count_live(self, change: LiveChange) -> None:
        self._live_changes.labels(change=change).inc()

    def count_sent(self, sent: Sent) -> None:
        is_taken = sent.attempt.failure is None
        self._webhook_attempts.labels(outcome=WEBHOOK_OUTCOMES[0] if is_taken else WEBHOOK_OUTCOMES[1]).inc()
        latency_seconds = max(0.0, sent.attempt.latency_seconds or 0.0)
        self._webhook_answers.observe(latency_seconds)
        if is_taken:
            self._webhook_deliveries.observe(max(0.0, sent.delay_seconds) + latency_seconds)

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
            case TranscriptionStarted():
                if event.waited_seconds is not None:
                    self._waits.observe(max(0.0, event.waited_seconds))
            case TranscriptionCompleted():
                self._count_completed(event)
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
                    from_engine=self._engine(event.engine),
                    to_engine=self._engine(event.next_engine),
                    category=event.failure.category,
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

    def _end(self, status: Status, *, category: str = NONE, degraded: bool = False) -> None:
        self._ended.labels(status=status, category=category, degraded=str(degraded).lower()).inc()

    def _count_completed(self, event: TranscriptionCompleted) -> None:
        self._end(Status.COMPLETED, degraded=event.degraded)
        self._transcribed_seconds.inc(event.audio_seconds)
        if event.processing_seconds is not None:
            self._processing.labels(engine=self._engine(event.engine)).observe(event.processing_seconds)
        if event.coverage is not None:
            self._coverage.observe(event.coverage)

    def _engine(self, name: str) -> str:
        """Engines change with the settings, and older transcriptions name those that were."""
        return name if name in self._models else OTHER

    def _model(self, engine: str, model: str) -> str:
        return model if model in self._models.get(engine, ()) else OTHER

    def _change(self, event: Event, change: str) -> None:
        self._circuit_changes.labels(engine=self._engine(event.subject), change=change).inc()

    def _count_attempt(self, event: EngineAttempted) -> None:
        engine, speech_seconds = self._engine(event.engine), event.recognised_seconds
        of_model = {"engine": engine, "model": self._model(engine, event.model)}
        category = event.failure.category if event.failure else NONE
        self._attempts.labels(engine=engine, outcome=event.outcome, category=category).inc()
        self._speech_seconds.labels(**of_model).inc(speech_seconds)
        if event.outcome == AttemptOutcome.ABANDONED:
            return
        processing_seconds = max(0.0, event.processing_seconds)  # clocks are set back, counters are not
        self._processing_seconds.labels(**of_model).inc(processing_seconds)
        if speech_seconds:
            self._real_time_factor.labels(**of_model).observe(processing_seconds / speech_seconds)
