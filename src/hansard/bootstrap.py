"""The whole object graph on one page: settings in, a container of use cases and adapters out.

Nothing else constructs an adapter. Building starts nothing but the embedded database: engines load their models, and
ZenML is imported, when they are first needed.
"""

import random
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import sqlalchemy
from prometheus_client import CollectorRegistry
from sqlalchemy.pool import QueuePool

from hansard import __version__
from hansard.analytics.benchmarks import SqlBenchmarkRecords
from hansard.analytics.database import MIGRATIONS, AnalyticsDatabase
from hansard.analytics.performance import SqlPerformanceRecords
from hansard.analytics.projection import Projection
from hansard.analytics.queries import SqlAnalytics
from hansard.application.alert_rules import Look, default_rules
from hansard.application.alerts import Alerts
from hansard.application.announce import Announce
from hansard.application.backlog import QueuePolicy, measure_backlog
from hansard.application.benchmark import RunBenchmark
from hansard.application.canary import Canary
from hansard.application.cancel import Cancel
from hansard.application.circuit_breaker import CircuitBreaker
from hansard.application.delete import DeleteAudio, DeleteTranscription
from hansard.application.deliver import Deliver, Sent
from hansard.application.diarize import Diarize, require_diarizer
from hansard.application.edit import EditTranscript
from hansard.application.engine_chain import EngineChain
from hansard.application.erase import Erase
from hansard.application.event_feed import EventFeed
from hansard.application.fetch import Fetch
from hansard.application.health import HealthMonitor
from hansard.application.health_checks import DANGEROUS_PART, HealthChecks
from hansard.application.live_sessions import LiveChange, LiveObserver, LivePolicy, LiveSessions
from hansard.application.performance import (
    ROLL_UP_SECONDS,
    OldPerformance,
    Performance,
    PerformanceRecorder,
    TidyPerformance,
)
from hansard.application.ports.analytics import Analytics
from hansard.application.ports.benchmarks import BenchedService, BenchmarkRecords
from hansard.application.ports.engines import ANYTHING, Diarizer, SpeechEngine
from hansard.application.ports.notifications import Notifier
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.storage import AudioStore, PreparedAudio, RemoteFiles
from hansard.application.ports.work import Changes, Chore, PipelineRunner
from hansard.application.prepare import Prepare, PrepareAudio
from hansard.application.receive import Receive
from hansard.application.recognise import Recognise, recognition
from hansard.application.reconcile import Reconcile
from hansard.application.retention import (
    Holding,
    Kept,
    OldCheckpoints,
    OldDeliveries,
    OldEvents,
    OldPipelineRuns,
    Prune,
)
from hansard.application.retry import Retry
from hansard.application.retry_policy import RetryPolicy
from hansard.application.room import DiskRoom
from hansard.application.run import Runs
from hansard.application.settle import Settle
from hansard.application.submit import Submit
from hansard.application.submit_upload import SubmitUpload
from hansard.application.transcribe import Steps, Transcribe
from hansard.application.upload import Upload
from hansard.application.verify_audit import VerifyAudit
from hansard.application.warm_up import WarmUp
from hansard.application.webhooks import Webhooks
from hansard.audio.decoder import PyAvDecoder
from hansard.audio.live_decoder import stream_decoder
from hansard.audio.prepared import PreparedAudioFiles
from hansard.audio.voice_activity import SileroDetector, SileroModel, SileroProbabilities
from hansard.diarization.basic import WEIGHTS_FILE, BasicDiarizer
from hansard.diarization.pyannote import PyannoteDiarizer
from hansard.diarization.sherpa import SherpaDiarizer
from hansard.domain.alert import Rule
from hansard.domain.audio import DEFAULT_OWNER
from hansard.domain.benchmark import BenchmarkRun, Hearing, Sample, Setting
from hansard.domain.circuit import CircuitPolicy
from hansard.domain.costs import Price, Prices
from hansard.domain.errors import AnalyticsUnavailable, ConfigurationError, EngineError, Failure
from hansard.domain.events import Event
from hansard.domain.transcription import AUTO, Parameters
from hansard.engines.mock import MockEngine
from hansard.engines.openai import OpenAiEngine
from hansard.engines.openai_models import OPENAI_PRICES
from hansard.engines.pocketsphinx import PocketSphinxEngine
from hansard.engines.whisper import WhisperEngine
from hansard.engines.whisper_models import WhisperModels
from hansard.observability import shared_metrics, tracing
from hansard.observability.alerts import log_pruned, log_unmeasured
from hansard.observability.analytics import log_analytics_away, quiet_while_away
from hansard.observability.attempts import observe_attempt
from hansard.observability.audit import log_audit
from hansard.observability.build import UNKNOWN, revision
from hansard.observability.event_counters import Counters, ModelLoads
from hansard.observability.events import log_event, log_mended, log_swept
from hansard.observability.health import log_health
from hansard.observability.live import log_live
from hansard.observability.logging import strip_foreign_handlers
from hansard.observability.machine import this_machine
from hansard.observability.metrics import MachineCollector, MetricsPage
from hansard.observability.performance import log_recording
from hansard.observability.process_gauges import Holdings, ProcessGauges
from hansard.observability.request_counters import RequestCounters
from hansard.observability.resources import ResourceSampler, this_process
from hansard.observability.service_state import ServiceState, StateCollector
from hansard.observability.webhooks import log_recovered, log_sent
from hansard.persistence import database, embedded, migrate, second_database
from hansard.persistence.notifications import Notifications
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.pipelines.in_process import InProcessRunner
from hansard.pipelines.resilient import TrackedWherePossible
from hansard.pipelines.zenml_benchmarks import ZenmlBenchmarks
from hansard.pipelines.zenml_runner import ZenmlRunner
from hansard.pipelines.zenml_store import ZenmlStore
from hansard.queue.chores import keep_house_without_worker
from hansard.queue.jobs import TranscriptionJobs
from hansard.queue.notifications import NotifyWithoutWorkers
from hansard.queue.schema import apply_schema, missing_migrations
from hansard.remote.apprise_notifier import AppriseNotifier
from hansard.remote.download import HttpFiles, TimeLimits
from hansard.remote.webhooks import HttpWebhookSender, make_secret
from hansard.settings import DiarizerName, Runner, Settings
from hansard.storage.live_spool import LiveSpoolFiles
from hansard.storage.object_store import ObjectAudioStore
from hansard.storage.partial_uploads import PartialUploadFiles

RECONCILE_SECONDS = 60.0
RECOVER_WEBHOOKS_SECONDS = 60.0
NOTIFY_SECONDS = 15.0
PROJECT_SECONDS = 15.0
PRUNE_SECONDS_EACH = 60.0
SWEEP_UPLOADS_SECONDS = 300.0
VERIFY_AUDIT_SECONDS = 24 * 3600.0
WORKERS_AWAITED = timedelta(seconds=30)
"""After the start of the API. They need up to ten seconds, on a busy machine more."""
LONGEST_LIVE_SECONDS = 12 * 3600.0
"""A WAV file of 48 kHz, mono, holds 12.4 hours."""
LIBRARIES_THAT_HEAR = ("av", "ctranslate2", "faster-whisper", "numpy", "onnxruntime", "openai", "pocketsphinx")
"""What a benchmark notes beside the commit."""
ANALYTICS_PATIENCE_SECONDS = 2.0
"""A restart of PostgreSQL may take longer, but whoever asks for figures wants to hear that there are none now."""
CANARY_PATIENCE_SECONDS = 60.0
"""Two seconds of speech take less than that even where a model has to be loaded first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What the entry points use. Whoever builds it closes it."""

    settings: Settings
    database: sqlalchemy.Engine
    analytics_database: AnalyticsDatabase
    analytics: Analytics
    projection: Projection
    benchmarks: BenchmarkRecords
    performance: Performance
    performance_recorder: PerformanceRecorder
    unit_of_work: Callable[[], UnitOfWork]
    changes: Changes
    event_feed: EventFeed
    verify_audit: VerifyAudit
    store: AudioStore
    engines: Mapping[str, SpeechEngine]
    whisper: WhisperEngine
    runner: PipelineRunner
    metrics: MetricsPage
    request_counters: RequestCounters
    process_gauges: ProcessGauges
    circuit_breaker: CircuitBreaker
    upload: Upload
    submit: Submit
    submit_upload: SubmitUpload
    fetch: Fetch
    receive: Receive
    disk_room: DiskRoom
    webhooks: Webhooks
    deliver: Deliver
    retry: Retry
    cancel: Cancel
    delete_audio: DeleteAudio
    delete_transcription: DeleteTranscription
    edit_transcript: EditTranscript
    transcribe: Transcribe
    erase: Erase
    chores: tuple[Chore, ...]
    alerts: Alerts
    notifier: Notifier
    prune: Prune
    warm_up: WarmUp
    health: HealthMonitor
    live: LiveSessions

    async def keep_house_without_worker(self) -> None:
        """The chores that need no worker, until this is cancelled."""
        await keep_house_without_worker(database_url(self.settings), self.chores, host=socket.gethostname())

    def models_in_memory(self) -> tuple[str, ...]:
        """Those of all engines, in this process."""
        return tuple(model for engine in self.engines.values() for model in engine.models_in_memory)

    def close(self) -> None:
        """Give the databases their connections back."""
        self.database.dispose()
        self.analytics_database.close()


def prepare(settings: Settings) -> None:
    """Make ready, once, what all processes share: the database's tables, ours and the queue's."""
    engine = database_engine(settings, process="setup")
    try:
        migrate.upgrade(engine, [apply_schema])
    finally:
        engine.dispose()
    _prepare_analytics(settings)


def build(settings: Settings, *, process: str = "cli") -> Container:
    """`process` names this process to the database. Raises `ConfigurationError` when the settings cannot work."""
    engine = database_engine(settings, process=process)
    registry = CollectorRegistry()
    model_loads = ModelLoads(registry, WhisperEngine.name)
    whisper = whisper_engine(settings, model_loads.count)
    engines = _engines(settings, whisper)
    counters = Counters(registry, {engine.name: _models_used(engine) for engine in engines.values()})

    def tell(event: Event) -> None:
        log_event(event)
        counters.count(event)

    people = notifier(settings)
    announce = Announce(
        recipients=people.recipients, occasions=frozenset(settings.notify_on), public_url=settings.public_url
    )
    unit_of_work = partial(
        SqlUnitOfWork, engine, partial(TranscriptionJobs, spans=tracing.span), tell=tell, announce=announce
    )
    store = audio_store(settings)
    prepared = PreparedAudioFiles(settings.data_dir / "prepared")
    breaker = _circuit_breaker(settings, unit_of_work)
    runs = Runs(unit_of_work, _now)
    steps = _steps(settings, runs, store, prepared, engines, breaker)
    quick_runner = InProcessRunner(steps)
    runner = _runner(settings, quick_runner, runs)
    policy = QueuePolicy(most_waiting=settings.max_queued_jobs, most_waiting_of_owner=settings.max_queued_jobs_of_owner)
    upload = Upload(unit_of_work, store, PyAvDecoder(), _now, settings.max_audio_seconds)
    submit = Submit(unit_of_work, engines, steps.diarize.diarizer, policy, _now)
    submit_upload = SubmitUpload(upload, submit)
    disk_room = DiskRoom(free_bytes=partial(_free_disk_bytes, settings), reserve_bytes=_dangerous_disk_bytes(settings))
    receive = Receive(
        unit_of_work=unit_of_work,
        uploads=PartialUploadFiles(settings.data_dir / "uploads"),
        upload=upload,
        submit_upload=submit_upload,
        room=disk_room,
        max_upload_bytes=settings.max_upload_bytes,
        lifetime=timedelta(seconds=settings.upload_lifetime_seconds),
        clock=_now,
    )

    def observe_live(change: LiveChange, session_id: UUID | None, failure: Failure | None) -> None:
        log_live(change, session_id, failure)
        counters.count_live(change)

    live = _live(
        settings,
        unit_of_work,
        upload,
        submit,
        disk_room,
        EngineChain(engines, settings.engine_chain),
        breaker,
        observe_live,
    )
    webhooks, deliver = _webhooks(settings, unit_of_work, counters)
    analytics = analytics_database(settings, process=process)
    projection = Projection(database=analytics, unit_of_work=unit_of_work, clock=_now)
    alerts, prune = _alerts(settings, unit_of_work), _prune(settings, unit_of_work, runner, projection, analytics)
    notifications = Notifications(database_url(settings), application_name=f"hansard {process}")
    return Container(
        settings=settings,
        database=engine,
        analytics_database=analytics,
        analytics=SqlAnalytics(database=analytics, projection=projection, prices=_prices(settings)),
        projection=projection,
        benchmarks=SqlBenchmarkRecords(analytics),
        performance=Performance(records=SqlPerformanceRecords(analytics)),
        performance_recorder=_performance_recorder(settings, analytics, process),
        unit_of_work=unit_of_work,
        changes=notifications,
        event_feed=EventFeed(unit_of_work, notifications),
        verify_audit=VerifyAudit(unit_of_work),
        store=store,
        engines=engines,
        whisper=whisper,
        runner=runner,
        metrics=_metrics(settings, registry, engine, unit_of_work, tuple(engines), receive),
        request_counters=RequestCounters(registry),
        process_gauges=ProcessGauges(registry, process, partial(_holdings, engine, engines, live)),
        circuit_breaker=breaker,
        upload=upload,
        submit=submit,
        submit_upload=submit_upload,
        fetch=Fetch(
            unit_of_work=unit_of_work,
            files=_remote_files(settings, disk_room) if settings.url_input else None,
            upload=upload,
            submit_upload=submit_upload,
            clock=_now,
        ),
        receive=receive,
        disk_room=disk_room,
        webhooks=webhooks,
        deliver=deliver,
        retry=Retry(unit_of_work, submit, _now),
        cancel=Cancel(unit_of_work, _now),
        delete_audio=DeleteAudio(unit_of_work, _now),
        delete_transcription=DeleteTranscription(unit_of_work, _now),
        edit_transcript=EditTranscript(unit_of_work, _now),
        transcribe=Transcribe(
            unit_of_work=unit_of_work,
            runner=runner,
            quick_runner=quick_runner,
            prepared=prepared,
            max_crashes=settings.max_crashes,
            clock=_now,
            runs=runs,
        ),
        erase=Erase(unit_of_work=unit_of_work, store=store, prepared=prepared, forget_runs=runner.forget, clock=_now),
        chores=(
            Chore(
                name="webhooks",
                every_seconds=RECOVER_WEBHOOKS_SECONDS,
                run=lambda: log_recovered(deliver.recover()),
            ),
            *_chores(settings, unit_of_work, prepared, engines, receive),
            Chore(name="analytics", every_seconds=PROJECT_SECONDS, run=quiet_while_away(projection.catch_up)),
            _tidy_performance(settings, analytics),
            *_operators_chores(settings, alerts, prune, NotifyWithoutWorkers(engine, people.send)),
        ),
        alerts=alerts,
        notifier=people,
        prune=prune,
        warm_up=_warm_up(settings, steps, engines),
        health=_health(settings, engine, unit_of_work, store, engines),
        live=live,
    )


# ── Parts that some commands use alone ───────────────────────────────────────────────────────────────────


def database_url(settings: Settings) -> str:
    """The database, which runs when this returns."""
    return settings.database_url or embedded.ensure_running(settings.data_dir)


def pending_migrations(engine: sqlalchemy.Engine) -> tuple[str, ...]:
    """What the database lacks of our tables and the queue's."""
    with engine.connect() as connection:
        return (*migrate.status(engine).pending, *missing_migrations(connection))


def revive_database(settings: Settings) -> None:
    """Start the embedded database again, if there is one and it died. Raises `StorageError` when that fails."""
    if settings.database_url is None:
        embedded.revive(settings.data_dir)


def database_engine(settings: Settings, *, process: str) -> sqlalchemy.Engine:
    """The caller disposes of it."""
    return database.connect(
        database_url(settings), application_name=f"hansard {process}", revive=partial(revive_database, settings)
    )


def analytics_database(settings: Settings, *, process: str) -> AnalyticsDatabase:
    """Connects when it is used. Raises `ConfigurationError` when its URL is none, or the operational database's."""
    variable = "HANSARD_ANALYTICS_DATABASE_URL"
    operational = database_url(settings)
    url = settings.analytics_database_url or second_database.beside(operational, "analytics")
    second_database.require_other(url, operational, variable=variable)
    engine = database.pool(
        url,
        application_name=f"hansard {process} analytics",
        revive=partial(revive_database, settings),
        patience_seconds=ANALYTICS_PATIENCE_SECONDS,
        variable=variable,
    )

    def make_ready() -> None:
        second_database.create_if_missing(url, variable=variable)
        migrate.upgrade(engine, scripts=MIGRATIONS)

    return AnalyticsDatabase(engine, make_ready)


def metrics_directory(settings: Settings) -> Path:
    """Where the processes of this machine count together."""
    return settings.data_dir / "metrics"


def audio_store(settings: Settings) -> AudioStore:
    url = settings.storage_url or (settings.data_dir / "objects").resolve().as_uri()
    return ObjectAudioStore(url, settings.data_dir / "tmp")


def zenml_store(settings: Settings) -> ZenmlStore:
    return ZenmlStore((settings.data_dir / "zenml").resolve(), settings.zenml_store_url)


def whisper_models(settings: Settings) -> WhisperModels:
    return WhisperModels(settings.data_dir / "models", offline=settings.offline)


def whisper_engine(settings: Settings, on_load: Callable[[float], object] = lambda _: None) -> WhisperEngine:
    return WhisperEngine(
        whisper_models(settings),
        model=settings.whisper_model,
        device=settings.whisper_device,
        compute_type=settings.whisper_compute_type,
        beam_size=settings.whisper_beam_size,
        batch_size=settings.whisper_batch_size,
        threads=settings.whisper_threads,
        on_load=on_load,
    )


def benchmark(
    container: Container,
    service: BenchedService,
    samples: Sequence[Sample],
    parameters: Parameters,
    *,
    corpus: str,
    rounds: int,
    note: str | None,
    observe: Callable[[Hearing, int, int], object],
) -> RunBenchmark:
    """Of one engine. Raises the `HansardError` that says why what `parameters` ask for cannot be done here."""
    from hansard.analytics.scoring import WhisperScorer  # noqa: PLC0415 - reads spellings and numbers for a second

    if parameters.diarize:
        require_diarizer(container.submit.diarizer)
    settings, scorer = container.settings, WhisperScorer()
    engine = container.engines.get(parameters.engine)
    model = engine.model_for(recognition(parameters)) if engine else None
    run = BenchmarkRun(
        id=uuid4(),
        started_at=_now(),
        commit=revision(),
        version=__version__,
        engine=parameters.engine,
        model=model,
        corpus=corpus,
        rounds=rounds,
        machine=this_machine(),
        settings={"engine": parameters.engine, "model": model, **_settings_of_benchmark(settings, parameters)},
        libraries={name: version(name) for name in LIBRARIES_THAT_HEAR},
        scoring=scorer.name,
        note=note,
    )
    return RunBenchmark(
        run=run,
        samples=samples,
        parameters=parameters,
        service=service,
        scorer=scorer,
        records=container.benchmarks,
        observe=observe,
        clock=_now,
    )


def benchmark_pipeline(settings: Settings) -> ZenmlBenchmarks:
    return ZenmlBenchmarks(zenml_store(settings), after_import=strip_foreign_handlers)


# ── The rest of the graph ────────────────────────────────────────────────────────────────────────────────


def _prepare_analytics(settings: Settings) -> None:
    """The service does without it, and tries again by itself."""
    analytics = analytics_database(settings, process="setup")
    try:
        with analytics.begin():
            pass
    except AnalyticsUnavailable as error:
        log_analytics_away(error)
    finally:
        analytics.close()


def _engines(settings: Settings, whisper: WhisperEngine) -> dict[str, SpeechEngine]:
    key = settings.openai_api_key
    engines: list[SpeechEngine] = [
        OpenAiEngine(
            api_key=key.get_secret_value() if key else None,
            base_url=settings.openai_base_url,
            model=settings.openai_model,
            timeout_seconds=settings.openai_timeout_seconds,
            offline=settings.offline,
            spans=tracing.span,
        ),
        whisper,
        PocketSphinxEngine(),
    ]
    if settings.testing or "mock" in settings.engine_chain:
        engines.append(MockEngine(testing=settings.testing))
    known = {engine.name: engine for engine in engines}
    unknown = [name for name in settings.engine_chain if name not in known]
    if unknown:
        raise ConfigurationError(
            f"HANSARD_ENGINE_CHAIN names engines that don't exist: {', '.join(unknown)}.",
            help=f"Use some of: {', '.join(known)}.",
        )
    return known


def _diarizer(settings: Settings) -> Diarizer:
    models = settings.diarization_models
    if settings.diarizer is DiarizerName.SHERPA:
        return SherpaDiarizer(models or settings.data_dir / "models" / "sherpa")
    if settings.diarizer is DiarizerName.PYANNOTE:
        token = settings.huggingface_token
        return PyannoteDiarizer(models, token=token.get_secret_value() if token else None, offline=settings.offline)
    return BasicDiarizer(models / WEIGHTS_FILE if models else None)


def _circuit_breaker(settings: Settings, unit_of_work: Callable[[], UnitOfWork]) -> CircuitBreaker:
    policy = CircuitPolicy(
        failures=settings.circuit_failures,
        open_seconds=settings.circuit_open_seconds,
        longest_open_seconds=settings.circuit_longest_open_seconds,
        # As long as one call may take: until then nobody knows how the probe went.
        probe_seconds=settings.openai_timeout_seconds,
    )
    return CircuitBreaker(unit_of_work=unit_of_work, policy=policy, clock=_now)


def _steps(
    settings: Settings,
    runs: Runs,
    store: AudioStore,
    prepared: PreparedAudio,
    engines: Mapping[str, SpeechEngine],
    breaker: CircuitBreaker,
) -> Steps:
    prepare_audio = PrepareAudio(
        store=store,
        decoder=PyAvDecoder(),
        detector=partial(SileroDetector, SileroModel()),
        prepared=prepared,
        max_audio_seconds=settings.max_audio_seconds,
    )
    return Steps(
        prepare=Prepare(runs=runs, prepare_audio=prepare_audio, prepared=prepared),
        recognise=Recognise(
            runs=runs,
            prepare_audio=prepare_audio,
            prepared=prepared,
            chain=EngineChain(engines, settings.engine_chain),
            breaker=breaker,
            retry=RetryPolicy(
                max_attempts=settings.retry_max_attempts,
                base_seconds=settings.retry_base_seconds,
                cap_seconds=settings.retry_cap_seconds,
                budget_seconds=settings.retry_budget_seconds,
                jitter=random.random,
            ),
            observe=observe_attempt,
            gap_seconds=settings.gap_seconds,
            clock=_now,
            sleep=time.sleep,
        ),
        diarize=Diarize(runs=runs, prepare_audio=prepare_audio, prepared=prepared, diarizer=_diarizer(settings)),
        settle=Settle(runs=runs, engines=engines, gap_seconds=settings.gap_seconds, clock=_now),
    )


def _live(
    settings: Settings,
    unit_of_work: Callable[[], UnitOfWork],
    upload: Upload,
    submit: Submit,
    room: DiskRoom,
    chain: EngineChain,
    breaker: CircuitBreaker,
    observe: LiveObserver,
) -> LiveSessions:
    return LiveSessions(
        policy=LivePolicy(
            most_sessions=settings.live_sessions,
            longest_seconds=min(settings.max_audio_seconds, LONGEST_LIVE_SECONDS),
            backlog_seconds=settings.live_backlog_seconds,
            interim_seconds=settings.live_interim_seconds,
            charged_by_call=frozenset({"openai"}),
        ),
        spool=LiveSpoolFiles(settings.data_dir / "live"),
        decoder=stream_decoder,
        voice=partial(SileroProbabilities, SileroModel()),
        chain=chain,
        breaker=breaker,
        upload=upload,
        submit=submit,
        room=room,
        unit_of_work=unit_of_work,
        observe=observe,
        clock=_now,
    )


def _metrics(
    settings: Settings,
    registry: CollectorRegistry,
    engine: sqlalchemy.Engine,
    unit_of_work: Callable[[], UnitOfWork],
    engines: Sequence[str],
    receive: Receive,
) -> MetricsPage:
    def read() -> ServiceState:
        with unit_of_work() as uow:
            return ServiceState(
                circuits=tuple(uow.circuits.get(name) for name in engines),
                backlog=measure_backlog(uow, DEFAULT_OWNER),
                alerts=uow.alerts.all(),
                outstanding=uow.deliveries.outstanding(_now()),
                database_bytes=database.sizes_bytes(engine),
            )

    def disk() -> tuple[int, int]:
        usage = shutil.disk_usage(settings.data_dir)
        return usage.total, usage.free

    return MetricsPage(
        shared_metrics.collector(registry),
        MachineCollector(disk, lambda: len(receive.uploads.ids())),
        StateCollector(read),
    )


def _holdings(engine: sqlalchemy.Engine, engines: Mapping[str, SpeechEngine], live: LiveSessions) -> Holdings:
    pool, load = cast("QueuePool", engine.pool), live.load()
    return Holdings(
        connections_in_use=pool.checkedout(),
        connections_idle=pool.checkedin(),
        models={name: len(engine.models_in_memory) for name, engine in engines.items()},
        live_sessions=load.sessions,
        live_backlog_seconds=load.backlog_seconds,
        live_audio_seconds=load.heard_seconds,
    )


def _models_used(engine: SpeechEngine) -> tuple[str, ...]:
    try:
        return (engine.model_for(ANYTHING),)
    except EngineError:  # the settings name none that there is
        return ()


def _warm_up(settings: Settings, steps: Steps, engines: Mapping[str, SpeechEngine]) -> WarmUp:
    # A provider is paid for each call.
    free = [engines[name] for name in settings.engine_chain if name != OpenAiEngine.name]
    return WarmUp(steps.prepare.prepare_audio.detector, free)


def _runner(settings: Settings, untracked: InProcessRunner, runs: Runs) -> PipelineRunner:
    if settings.pipeline_runner is Runner.IN_PROCESS:
        return untracked

    def warn(transcription_id: UUID, run: int, warning: str) -> None:
        runs.of(transcription_id, run).warn(warning)

    tracked = ZenmlRunner(zenml_store(settings), untracked.steps, after_import=strip_foreign_handlers)
    return TrackedWherePossible(tracked=tracked, untracked=untracked, warn=warn, clock=_now)


def _webhooks(
    settings: Settings, unit_of_work: Callable[[], UnitOfWork], counters: Counters
) -> tuple[Webhooks, Deliver]:
    def observe(sent: Sent) -> None:
        log_sent(sent)
        tracing.trace_sent(sent)
        counters.count_sent(sent)

    sender = HttpWebhookSender(timeout_seconds=settings.webhooks_timeout_seconds, allowed=settings.webhooks_allowed)
    source = settings.public_url or "hansard"
    webhooks = Webhooks(unit_of_work=unit_of_work, sender=sender, make_secret=make_secret, source=source, clock=_now)
    deliver = Deliver(
        unit_of_work=unit_of_work,
        sender=sender,
        source=source,
        dead_after_seconds=settings.webhooks_dead_after_seconds,
        jitter=random.random,
        clock=_now,
        observe=observe,
    )
    return webhooks, deliver


def _chores(
    settings: Settings,
    unit_of_work: Callable[[], UnitOfWork],
    prepared: PreparedAudio,
    engines: Mapping[str, SpeechEngine],
    receive: Receive,
) -> Iterator[Chore]:
    reconcile = Reconcile(unit_of_work=unit_of_work, prepared=prepared, clock=_now)
    yield Chore(
        name="reconcile",
        every_seconds=RECONCILE_SECONDS,
        run=lambda: log_mended(reconcile()),
        on_each_machine=True,
    )
    yield Chore(
        name="uploads",
        every_seconds=SWEEP_UPLOADS_SECONDS,
        run=lambda: log_swept(receive.sweep()),
        on_each_machine=True,
    )
    verify_audit = VerifyAudit(unit_of_work)
    yield Chore(name="audit", every_seconds=VERIFY_AUDIT_SECONDS, run=lambda: log_audit(verify_audit()))
    if settings.canary_seconds:
        canary = Canary(
            unit_of_work=unit_of_work,
            engines=engines,
            chain=settings.engine_chain,
            decoder=PyAvDecoder(),
            clip=files("hansard.audio").joinpath("canary.mp3").read_bytes,
            patience_seconds=CANARY_PATIENCE_SECONDS,
            clock=_now,
        )
        yield Chore(name="canary", every_seconds=settings.canary_seconds, run=canary)


def _performance_recorder(settings: Settings, analytics: AnalyticsDatabase, process: str) -> PerformanceRecorder:
    host = socket.gethostname()
    samplers = [ResourceSampler(process, this_process, host=host)]
    if settings.database_url is None and process == "api":  # one of the processes of a machine
        find = partial(embedded.server_process, settings.data_dir)
        samplers.append(ResourceSampler("postgres", find, host=host, shares_memory=True))
    return PerformanceRecorder(
        process=process.partition(".")[0],  # worker.1 and worker.2 do the same
        version=__version__ if revision() == UNKNOWN else f"{__version__}+{revision()[:7]}",
        records=SqlPerformanceRecords(analytics),
        is_timing=settings.timing,
        sample=lambda now: chain.from_iterable(sampler(now) for sampler in samplers),
        observe=log_recording,
        clock=_now,
    )


def _settings_of_benchmark(settings: Settings, parameters: Parameters) -> dict[str, Setting]:
    """Those that the outcome depends on, where the engine is, or may be, the one that they are for."""
    used: dict[str, Setting] = {"diarize": parameters.diarize, "gap_seconds": settings.gap_seconds}
    if parameters.diarize:
        used["diarizer"] = settings.diarizer.value
    if parameters.engine == AUTO:
        used["engine_chain"] = ", ".join(settings.engine_chain)
    if parameters.engine in {AUTO, WhisperEngine.name}:
        names = ("model", "device", "compute_type", "beam_size", "batch_size", "threads")
        used |= {f"whisper_{name}": getattr(settings, f"whisper_{name}") for name in names}
    if parameters.engine in {AUTO, OpenAiEngine.name}:
        used["openai_model"] = settings.openai_model
    return used


def _prices(settings: Settings) -> Prices:
    is_openai_itself = settings.openai_base_url is None and settings.currency == "USD"
    given = {name: Price(**price.model_dump()) for name, price in settings.prices.items()}
    return Prices(of={**(OPENAI_PRICES if is_openai_itself else {}), **given}, currency=settings.currency)


def _tidy_performance(settings: Settings, analytics: AnalyticsDatabase) -> Chore:
    raw = timedelta(hours=settings.performance_raw_hours)
    tidy = TidyPerformance(records=SqlPerformanceRecords(analytics), raw=raw, clock=_now)
    return Chore(name="performance", every_seconds=ROLL_UP_SECONDS, run=quiet_while_away(tidy))


def _alerts(settings: Settings, unit_of_work: Callable[[], UnitOfWork]) -> Alerts:
    def tuned(rule: Rule) -> Rule:
        tuning = settings.alerts.get(rule.name)
        return replace(rule, **tuning.model_dump(exclude_none=True, exclude={"enabled"})) if tuning else rule

    rules = default_rules(scarce_disk_bytes=settings.scarce_disk_bytes)
    look = partial(
        Look,
        unit_of_work=unit_of_work,
        free_disk_bytes=partial(_free_disk_bytes, settings),
        chain=settings.engine_chain,
        window_seconds=settings.alert_window_seconds,
        least_jobs=settings.alert_least_jobs,
        low_coverage=settings.alert_low_coverage,
        clock=_now,
    )
    return Alerts(
        rules=[tuned(rule) for rule in rules if rule.name not in settings.alerts or settings.alerts[rule.name].enabled],
        look=look,
        machine=socket.gethostname(),
        unit_of_work=unit_of_work,
        tell_trouble=log_unmeasured,
        clock=_now,
    )


def notifier(settings: Settings) -> Notifier:
    urls = settings.notify_urls.get_secret_value() if settings.notify_urls else ""
    # A comma may stand within a URL, so it ends one only where another begins.
    return AppriseNotifier(url for url in re.split(r"[\s,]+(?=[a-z][a-z0-9+.-]*://)|\s+", urls.strip(" ,")) if url)


def _prune(
    settings: Settings,
    unit_of_work: Callable[[], UnitOfWork],
    runner: PipelineRunner,
    projection: Projection,
    analytics: AnalyticsDatabase,
) -> Prune:
    deliveries = OldDeliveries(unit_of_work=unit_of_work)
    unread = (deliveries.first_unread, lambda: projection.state().position + 1)

    def kept(name: str, days: float, holding: Holding) -> Kept:
        return Kept(name=name, keep_for=timedelta(days=days) if days else None, holding=holding)

    return Prune(
        kept=(
            kept("events", settings.events_keep_days, OldEvents(unit_of_work=unit_of_work, unread=unread, clock=_now)),
            kept("webhook deliveries", settings.webhook_deliveries_keep_days, deliveries),
            kept("checkpoints", settings.checkpoints_keep_days, OldCheckpoints(unit_of_work=unit_of_work)),
            kept(
                "performance", settings.performance_keep_days, OldPerformance(records=SqlPerformanceRecords(analytics))
            ),
            kept(
                "pipeline runs",
                settings.pipeline_runs_keep_days,
                OldPipelineRuns(unit_of_work=unit_of_work, runner=runner),
            ),
        ),
        seconds_each=PRUNE_SECONDS_EACH,
        clock=_now,
    )


def _operators_chores(
    settings: Settings, alerts: Alerts, prune: Prune, notify_without_workers: NotifyWithoutWorkers
) -> Iterator[Chore]:
    every_seconds = settings.alert_seconds
    yield Chore(name="alerts", every_seconds=every_seconds, run=alerts.evaluate, needs_no_worker=True)
    yield Chore(
        name="alerts of a machine",
        every_seconds=every_seconds,
        run=alerts.evaluate_here,
        on_each_machine=True,
        needs_no_worker=True,
    )
    yield Chore(name="notify", every_seconds=NOTIFY_SECONDS, run=notify_without_workers, needs_no_worker=True)
    yield Chore(
        name="prune",
        every_seconds=settings.prune_seconds,
        run=lambda: log_pruned(prune()),
        on_each_machine=True,  # for ZenML's store, which each may have of its own
    )


def _health(
    settings: Settings,
    engine: sqlalchemy.Engine,
    unit_of_work: Callable[[], UnitOfWork],
    store: AudioStore,
    engines: Mapping[str, SpeechEngine],
) -> HealthMonitor:
    checks = HealthChecks(
        unit_of_work=unit_of_work,
        ping=partial(database.ping, engine),
        pending_migrations=lambda: pending_migrations(engine),
        store=store,
        free_disk_bytes=partial(_free_disk_bytes, settings),
        scarce_disk_bytes=settings.scarce_disk_bytes,
        engines=engines,
        chain=settings.engine_chain,
        workers_awaited_until=_now() + WORKERS_AWAITED,
        clock=_now,
    )
    return HealthMonitor(checks.checks(), _now, log_health)


def _remote_files(settings: Settings, room: DiskRoom) -> RemoteFiles:
    return HttpFiles(
        scratch_directory=settings.data_dir / "tmp",
        max_bytes=settings.max_upload_bytes,
        limits=TimeLimits(
            connect=settings.url_connect_seconds, idle=settings.url_idle_seconds, total=settings.url_total_seconds
        ),
        allowed=settings.url_input_allowed,
        require_room=room.require,
    )


def _free_disk_bytes(settings: Settings) -> int:
    return shutil.disk_usage(settings.data_dir).free


def _dangerous_disk_bytes(settings: Settings) -> int:
    """What must stay free, whatever comes in."""
    return int(settings.scarce_disk_bytes * DANGEROUS_PART)


def _now() -> datetime:
    return datetime.now(UTC)
