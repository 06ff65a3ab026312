"""What is counted, what is read from the database, and that `docs/metrics.md` says the same."""

import platform
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event as Flag
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families

from hansard import __version__
from hansard.application.backlog import UNKNOWN_REAL_TIME_FACTOR, measure_backlog
from hansard.application.deliver import Sent
from hansard.application.live_sessions import LiveChange
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.webhooks import Outstanding
from hansard.application.ports.work import WorkerState
from hansard.domain.alert import Alert, AlertState
from hansard.domain.audio import DEFAULT_OWNER
from hansard.domain.circuit import Circuit, CircuitState
from hansard.domain.delivery import DeliveryAttempt
from hansard.domain.errors import Category, Failure, StorageError
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
    TranscriptionCancelled,
    TranscriptionCompleted,
    TranscriptionDeleted,
    TranscriptionFailed,
    TranscriptionInterrupted,
    TranscriptionQueued,
    TranscriptionRetried,
    TranscriptionStarted,
)
from hansard.observability import service_state
from hansard.observability.event_counters import Counters, ModelLoads
from hansard.observability.metrics import MachineCollector, MetricsPage
from hansard.observability.process_gauges import Holdings, ProcessGauges
from hansard.observability.request_counters import RequestCounters
from hansard.observability.service_state import FRESH_SECONDS, ServiceState, StateCollector
from tests.fakes import FakeDatabase

DOCUMENT = Path(__file__).parents[2] / "docs/metrics.md"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ID = "0193ab12-5f6e-4c3d-8b2a-1c0d9e8f7a6b"
ENGINES = {"openai": ["whisper-1"], "whisper": ["small"]}
MODEL = "somebody/own-model"
WEBHOOK_ID = "0193ab12-0000-4c3d-8b2a-1c0d9e8f7a6b"
OUTAGE = Failure(code="engine_failed", category=Category.SERVER, message="It answered 500.")


def about(subject: str) -> dict[str, object]:
    return {"subject": subject, "occurred_at": NOON}


def transcription() -> dict[str, object]:
    return {**about(ID), "audio_id": UUID(ID)}


def attempted(
    outcome: str, failure: Failure | None = None, *, speech: float, processing: float, model: str = MODEL
) -> EngineAttempted:
    return EngineAttempted(
        **transcription(),
        number=1,
        engine="whisper",
        model=model,
        outcome=outcome,
        recognised_seconds=speech,
        processing_seconds=processing,
        provider_request_id=None,
        failure=failure,
    )


def completed(
    *, degraded: bool, processing: float | None = 12.0, coverage: float | None = 0.97
) -> TranscriptionCompleted:
    return TranscriptionCompleted(
        **transcription(),
        engine="whisper",
        model=MODEL,
        language="en",
        audio_seconds=60.0,
        word_count=100,
        degraded=degraded,
        processing_seconds=processing,
        coverage=coverage,
    )


def started(*, waited: float | None) -> TranscriptionStarted:
    return TranscriptionStarted(**transcription(), run=1, waited_seconds=waited)


def sent(failure: Failure | None = None) -> Sent:
    ended_at = NOON + timedelta(seconds=2)
    return Sent(
        webhook_id=UUID(WEBHOOK_ID),
        delivery_id=UUID(ID),
        event_type="transcription.completed",
        attempt=DeliveryAttempt(number=1, began_at=NOON, ended_at=ended_at, failure=failure),
        delay_seconds=30.0,
        is_last=failure is None,
    )


UPLOADED = AudioFileUploaded(**about(ID), size_bytes=700, sha256="ab", duration_seconds=60.0)
FELL_BACK = EngineFellBack(**transcription(), engine="openai", next_engine="whisper", failure=OUTAGE)
EVERYTHING: tuple[Event, ...] = (
    UPLOADED,
    AudioFileDeleted(**about(ID), sha256="ab", size_bytes=700, transcriptions=1),
    AudioFileErased(**about(ID), bytes_removed=True, pipeline_runs=1),
    TranscriptionQueued(**transcription(), engine="auto"),
    TranscriptionRetried(**transcription(), engine="auto", parameters_kept=True),
    completed(degraded=True),
    TranscriptionFailed(**transcription(), failure=OUTAGE),
    TranscriptionCancelled(**transcription()),
    TranscriptionInterrupted(**transcription(), run=1, reason="worker_lost"),
    TranscriptionDeleted(**transcription(), status="completed"),
    attempted("succeeded", speech=20.0, processing=4.0),
    FELL_BACK,
    EngineCircuitOpened(**about("openai"), failures=5, retry_at=NOON, failure=OUTAGE),
    EngineCircuitClosed(**about("openai"), by_hand=False),
    EngineDisabled(**about("openai"), reason=None),
    EngineEnabled(**about("openai")),
    started(waited=1.0),
)


@dataclass
class Page:
    """The page of a service on fakes, read as Prometheus reads it."""

    database: FakeDatabase = field(default_factory=FakeDatabase)
    now: float = 1000.0
    questions: int = 0

    def __post_init__(self) -> None:
        registry = CollectorRegistry()
        self.counters = Counters(registry, ENGINES)
        self.model_loads = ModelLoads(registry, "whisper")
        self.requests = RequestCounters(registry)
        self.gauges = ProcessGauges(registry, "worker.1", lambda: self.holdings)
        self.page = MetricsPage(
            registry,
            MachineCollector(lambda: (500, 100), lambda: 3),
            StateCollector(self._read, lambda: self.now),
        )
        self.holdings = Holdings(models={"whisper": 1})
        self.alerts: list[Alert] = []
        self.outstanding = Outstanding(pending=0, overdue_seconds=0.0)
        self.unit_of_work: Callable[[], UnitOfWork] = self.database.unit_of_work

    def _read(self) -> ServiceState:
        self.questions += 1
        with self.unit_of_work() as uow:
            return ServiceState(
                circuits=tuple(uow.circuits.get(engine) for engine in ENGINES),
                backlog=measure_backlog(uow, DEFAULT_OWNER),
                alerts=tuple(self.alerts),
                outstanding=self.outstanding,
                database_bytes={"operational": 9_000_000},
            )

    def count(self, *events: Event) -> None:
        for event in events:
            self.counters.count(event)

    def families(self) -> list[Metric]:
        return list(text_string_to_metric_families(self.page.render().decode()))

    def value(self, name: str, **labels: str) -> float | None:
        """Of the one series with that name and exactly these labels."""
        values = [
            sample.value
            for family in self.families()
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        ]
        assert len(values) <= 1
        return values[0] if values else None


@pytest.fixture
def page() -> Page:
    return Page()


# ── What is counted ──────────────────────────────────────────────────────────────────────────────────────


def test_an_upload_is_counted_with_its_bytes(page: Page) -> None:
    page.count(UPLOADED, UPLOADED)

    assert page.value("hansard_audio_uploads_total") == 2
    assert page.value("hansard_audio_upload_bytes_total") == 1400


def test_what_was_deleted_and_what_was_erased_are_counted_apart(page: Page) -> None:
    page.count(EVERYTHING[1], EVERYTHING[1], EVERYTHING[2])

    assert page.value("hansard_audio_deletions_total") == 2
    assert page.value("hansard_audio_erasures_total") == 1


def test_a_transcription_is_counted_each_time_it_is_asked_for(page: Page) -> None:
    page.count(
        TranscriptionQueued(**transcription(), engine="auto"),
        TranscriptionRetried(**transcription(), engine="auto", parameters_kept=False),
    )

    assert page.value("hansard_transcriptions_queued_total") == 2


def test_ends_are_counted_by_status_category_and_degradation(page: Page) -> None:
    page.count(
        completed(degraded=False),
        completed(degraded=True),
        TranscriptionFailed(**transcription(), failure=OUTAGE),
        TranscriptionCancelled(**transcription()),
    )

    ended = "hansard_transcriptions_ended_total"
    assert page.value(ended, status="completed", category="none", degraded="false") == 1
    assert page.value(ended, status="completed", category="none", degraded="true") == 1
    assert page.value(ended, status="failed", category="server", degraded="false") == 1
    assert page.value(ended, status="cancelled", category="none", degraded="false") == 1
    assert page.value("hansard_transcribed_audio_seconds_total") == 120


def test_interruptions_are_counted_by_reason(page: Page) -> None:
    page.count(TranscriptionInterrupted(**transcription(), run=1, reason="worker_lost"))

    assert page.value("hansard_transcription_interruptions_total", reason="worker_lost") == 1


def test_deleted_transcriptions_are_counted(page: Page) -> None:
    page.count(TranscriptionDeleted(**transcription(), status="failed"))

    assert page.value("hansard_transcription_deletions_total") == 1


def test_attempts_are_counted_by_engine_outcome_and_category(page: Page) -> None:
    page.count(
        attempted("failed", OUTAGE, speech=0.0, processing=1.0),
        attempted("succeeded", speech=20.0, processing=4.0),
    )

    attempts = "hansard_engine_attempts_total"
    assert page.value(attempts, engine="whisper", outcome="failed", category="server") == 1
    assert page.value(attempts, engine="whisper", outcome="succeeded", category="none") == 1
    assert page.value("hansard_engine_recognised_speech_seconds_total", engine="whisper", model="other") == 20
    assert page.value("hansard_engine_processing_seconds_total", engine="whisper", model="other") == 5


def test_the_real_time_factor_is_that_of_attempts_that_recognised_something(page: Page) -> None:
    page.count(
        attempted("failed", OUTAGE, speech=0.0, processing=1.0),
        attempted("succeeded", speech=20.0, processing=4.0),
    )

    factor, of = "hansard_engine_real_time_factor", {"engine": "whisper", "model": "other"}
    assert page.value(f"{factor}_count", **of) == 1
    assert page.value(f"{factor}_bucket", **of, le="0.1") == 0
    assert page.value(f"{factor}_bucket", **of, le="0.2") == 1


def test_the_time_of_an_attempt_whose_worker_was_lost_is_not_known(page: Page) -> None:
    page.count(attempted("abandoned", speech=20.0, processing=3600.0))

    assert page.value("hansard_engine_attempts_total", engine="whisper", outcome="abandoned", category="none") == 1
    of = {"engine": "whisper", "model": "other"}
    assert page.value("hansard_engine_recognised_speech_seconds_total", **of) == 20
    assert page.value("hansard_engine_processing_seconds_total", **of) is None
    assert page.value("hansard_engine_real_time_factor_count", **of) is None


def test_a_clock_that_was_set_back_takes_nothing_from_a_counter(page: Page) -> None:
    page.count(attempted("succeeded", speech=20.0, processing=-3.0))

    assert page.value("hansard_engine_processing_seconds_total", engine="whisper", model="other") == 0


def test_fallbacks_are_counted_by_engines_and_category(page: Page) -> None:
    page.count(FELL_BACK)

    name = "hansard_engine_fallbacks_total"
    assert page.value(name, from_engine="openai", to_engine="whisper", category="server") == 1


@pytest.mark.parametrize(
    ("event", "change"),
    [
        (EngineCircuitOpened(**about("openai"), failures=5, retry_at=NOON, failure=OUTAGE), "opened"),
        (EngineCircuitClosed(**about("openai"), by_hand=False), "closed"),
        (EngineCircuitClosed(**about("openai"), by_hand=True), "reset"),
        (EngineDisabled(**about("openai"), reason="too dear"), "disabled"),
        (EngineEnabled(**about("openai")), "enabled"),
    ],
)
def test_changes_of_a_circuit_are_counted(page: Page, event: Event, change: str) -> None:
    assert page.value("hansard_engine_circuit_changes_total", engine="openai", change=change) == 0

    page.count(event)

    assert page.value("hansard_engine_circuit_changes_total", engine="openai", change=change) == 1


def test_what_somebody_may_be_woken_for_is_told_before_it_happens(page: Page) -> None:
    for engine in ENGINES:
        wrong_key = {"engine": engine, "outcome": "failed", "category": "authentication"}
        assert page.value("hansard_engine_attempts_total", **wrong_key) == 0
        assert page.value("hansard_engine_circuit_changes_total", engine=engine, change="opened") == 0
    assert page.value("hansard_transcription_interruptions_total", reason="worker_lost") == 0
    for category in Category:
        failed = {"status": "failed", "category": category, "degraded": "false"}
        assert page.value("hansard_transcriptions_ended_total", **failed) == 0


def test_each_event_is_counted_by_its_type(page: Page) -> None:
    page.count(UPLOADED, UPLOADED, FELL_BACK)

    assert page.value("hansard_events_total", type="audio.uploaded") == 2
    assert page.value("hansard_events_total", type="transcription.engine_fell_back") == 1
    assert page.value("hansard_events_total", type="webhook.disabled") == 0


def test_how_long_the_first_worker_was_waited_for_is_told(page: Page) -> None:
    page.count(started(waited=3.0), started(waited=None), started(waited=-1.0))

    wait = "hansard_transcription_queue_wait_seconds"
    assert page.value(f"{wait}_count") == 2
    assert page.value(f"{wait}_sum") == 3


def test_processing_and_coverage_of_completed_ones_are_told_where_they_are_known(page: Page) -> None:
    page.count(completed(degraded=False), completed(degraded=False, processing=None, coverage=None))

    assert page.value("hansard_transcription_processing_seconds_sum", engine="whisper") == 12
    assert page.value("hansard_transcription_processing_seconds_count", engine="whisper") == 1
    assert page.value("hansard_transcription_coverage_ratio_count") == 1
    assert page.value("hansard_transcription_coverage_ratio_bucket", le="0.95") == 0
    assert page.value("hansard_transcription_coverage_ratio_bucket", le="0.98") == 1


def test_a_model_of_the_settings_is_told_by_its_name(page: Page) -> None:
    page.count(attempted("succeeded", speech=20.0, processing=4.0, model="small"))

    assert page.value("hansard_engine_real_time_factor_count", engine="whisper", model="small") == 1


def test_an_engine_that_the_settings_do_not_name_any_more_is_another(page: Page) -> None:
    page.count(EngineFellBack(**transcription(), engine="retired", next_engine="whisper", failure=OUTAGE))

    name = "hansard_engine_fallbacks_total"
    assert page.value(name, from_engine="other", to_engine="whisper", category="server") == 1


def test_what_becomes_of_live_sessions_is_counted(page: Page) -> None:
    page.counters.count_live(LiveChange.BEGUN)

    assert page.value("hansard_live_session_changes_total", change="begun") == 1
    assert page.value("hansard_live_session_changes_total", change="stored") == 0


def test_what_a_webhook_took_is_told_with_how_late_it_was(page: Page) -> None:
    page.counters.count_sent(sent())

    assert page.value("hansard_webhook_attempts_total", outcome="delivered") == 1
    assert page.value("hansard_webhook_attempt_duration_seconds_sum") == 2
    assert page.value("hansard_webhook_delivery_seconds_sum") == 32


def test_what_a_webhook_refused_is_no_delivery(page: Page) -> None:
    page.counters.count_sent(sent(OUTAGE))

    assert page.value("hansard_webhook_attempts_total", outcome="failed") == 1
    assert page.value("hansard_webhook_attempt_duration_seconds_count") == 1
    assert page.value("hansard_webhook_delivery_seconds_count") == 0


def test_loading_a_model_is_told_with_its_time(page: Page) -> None:
    page.model_loads.count(1.5)

    assert page.value("hansard_model_load_seconds_sum", engine="whisper") == 1.5


def test_no_label_depends_on_what_users_send(page: Page) -> None:
    do_everything(page)

    labels = {value for family in page.families() for sample in family.samples for value in sample.labels.values()}
    assert labels
    assert not labels & {ID, WEBHOOK_ID, MODEL, "a.wav", "ab", "en"}


# ── What is read ─────────────────────────────────────────────────────────────────────────────────────────


def test_what_runs_is_told(page: Page) -> None:
    (info,) = [family for family in page.families() if family.name == "hansard_build_info"]

    labels = info.samples[0].labels
    assert (labels["version"], labels["python"]) == (__version__, platform.python_version())
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", labels["revision"])


def test_the_disk_and_the_uploads_under_way_are_told(page: Page) -> None:
    assert page.value("hansard_disk_size_bytes") == 500
    assert page.value("hansard_disk_free_bytes") == 100
    assert page.value("hansard_resumable_uploads_open") == 3


def test_a_rule_fires_as_often_as_machines_break_it(page: Page) -> None:
    page.alerts = [
        Alert(name="disk@one", state=AlertState.FIRING, fired_at=NOON),
        Alert(name="disk@two", state=AlertState.RESOLVING, fired_at=NOON),
        Alert(name="no_worker", state=AlertState.PENDING),
    ]

    assert page.value("hansard_alerts_firing", rule="disk") == 2
    assert page.value("hansard_alerts_firing", rule="no_worker") == 0


def test_what_is_still_to_be_sent_to_webhooks_is_told(page: Page) -> None:
    page.outstanding = Outstanding(pending=7, overdue_seconds=61.0)

    assert page.value("hansard_webhook_deliveries_pending") == 7
    assert page.value("hansard_webhook_lag_seconds") == 61


def test_a_circuit_is_in_one_state(page: Page) -> None:
    page.database.circuits["openai"] = Circuit(engine="openai", state=CircuitState.OPEN, disabled=True)

    states = {state: page.value("hansard_engine_circuit_state", engine="openai", state=state) for state in CircuitState}
    assert states == {"closed": 0, "open": 1, "half_open": 0}
    assert page.value("hansard_engine_circuit_state", engine="whisper", state="closed") == 1
    assert page.value("hansard_engine_disabled", engine="openai") == 1


def test_the_queue_and_its_workers_are_told(page: Page) -> None:
    page.database.jobs = [UUID(ID)]
    page.database.job_seconds = {UUID(ID): 61.5}
    page.database.oldest_job_seconds = 12.0
    page.database.workers = [
        WorkerState(
            name="worker.1", host="h", pid=1, started_at=NOON, seen_at=NOON, models=(), transcription_id=UUID(ID)
        )
    ]

    assert page.value("hansard_queue_waiting_jobs") == 1
    assert page.value("hansard_queue_running_jobs") == 0
    assert page.value("hansard_queue_waiting_audio_seconds") == 61.5
    assert page.value("hansard_queue_oldest_waiting_seconds") == 12
    assert page.value("hansard_queue_backlog_seconds") == 61.5 * UNKNOWN_REAL_TIME_FACTOR
    assert page.value("hansard_workers") == 1


def test_the_database_is_not_asked_again_at_once(page: Page) -> None:
    page.page.render()
    page.now += FRESH_SECONDS - 1
    page.page.render()

    assert page.questions == 1


def test_the_database_is_asked_again_after_some_seconds(page: Page) -> None:
    page.page.render()
    page.database.jobs = [UUID(ID)]
    page.now += FRESH_SECONDS

    assert page.value("hansard_queue_waiting_jobs") == 1


def test_a_database_that_is_away_does_not_hide_the_rest(page: Page) -> None:
    def away() -> UnitOfWork:
        raise StorageError("The database does not answer.")

    page.unit_of_work = away
    page.count(UPLOADED)

    assert page.value("hansard_audio_uploads_total") == 1
    assert page.value("hansard_database_up") == 0
    assert page.value("hansard_queue_waiting_jobs") is None


def test_a_database_that_never_answers_is_asked_once_and_keeps_nobody(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_state, "PATIENCE_SECONDS", 0.01)
    answered = Flag()

    def hang() -> UnitOfWork:
        answered.wait(30)
        return page.database.unit_of_work()

    page.unit_of_work = hang

    assert page.value("hansard_database_up") == 0
    page.now += FRESH_SECONDS
    assert page.value("hansard_database_up") == 0
    assert page.questions == 1
    answered.set()


# ── What is documented ───────────────────────────────────────────────────────────────────────────────────


def test_every_metric_is_documented_as_it_is(page: Page) -> None:
    do_everything(page)
    told = {
        (_name(family), family.type, _labels(family), family.documentation)
        for family in page.families()
        if not family.name.endswith("_created")  # told only by a process that counts alone
    }

    assert documented() == told


def do_everything(page: Page) -> None:
    """So that each metric has a series."""
    page.count(*EVERYTHING)
    page.model_loads.count(1.5)
    page.counters.count_sent(sent())
    page.gauges.look()
    page.requests.of("/audio", "GET").observe(200, 0.1)


def documented() -> set[tuple[str, str, tuple[str, ...], str]]:
    rows = re.findall(r"^\| `(hansard_\w+)` \| (\w+) \|(.*?)\| (.*) \|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    return {(name, kind, tuple(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in rows}


def _name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def _labels(family: Metric) -> tuple[str, ...]:
    return tuple(sorted({label for sample in family.samples for label in sample.labels} - {"le"}))
