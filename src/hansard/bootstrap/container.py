"""The container: what the entry points use, and how it is put together."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

import sqlalchemy
from prometheus_client import CollectorRegistry

from hansard.analytics.benchmarks import SqlBenchmarkRecords
from hansard.analytics.database import AnalyticsDatabase
from hansard.analytics.performance import SqlPerformanceRecords
from hansard.analytics.projection import Projection
from hansard.analytics.queries import SqlAnalytics
from hansard.application.alerts import Alerts
from hansard.application.announce import Announce
from hansard.application.backlog import QueuePolicy
from hansard.application.cancel import Cancel
from hansard.application.circuit_breaker import CircuitBreaker
from hansard.application.delete import DeleteAudio, DeleteTranscription
from hansard.application.deliver import Deliver
from hansard.application.edit import EditTranscript
from hansard.application.engine_chain import EngineChain
from hansard.application.erase import Erase
from hansard.application.event_feed import EventFeed
from hansard.application.fetch import Fetch
from hansard.application.health import HealthMonitor
from hansard.application.live_sessions import LiveChange, LiveSessions
from hansard.application.orphans import Orphans
from hansard.application.performance import (
    Performance,
    PerformanceRecorder,
)
from hansard.application.ports.analytics import Analytics
from hansard.application.ports.benchmarks import BenchmarkRecords
from hansard.application.ports.engines import SpeechEngine
from hansard.application.ports.notifications import Notifier
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.storage import AudioStore
from hansard.application.ports.work import Changes, Chore, PipelineRunner
from hansard.application.receive import Receive
from hansard.application.retention import (
    Prune,
)
from hansard.application.retry import Retry
from hansard.application.room import DiskRoom
from hansard.application.run import Runs
from hansard.application.submit import Submit
from hansard.application.submit_upload import SubmitUpload
from hansard.application.transcribe import Transcribe
from hansard.application.upload import Upload
from hansard.application.verify_audit import VerifyAudit
from hansard.application.warm_up import WarmUp
from hansard.application.webhooks import Webhooks
from hansard.audio.decoder import PyAvDecoder
from hansard.audio.prepared import PreparedAudioFiles, this_boot
from hansard.bootstrap import chores, foundations, listening, watching
from hansard.bootstrap.foundations import now
from hansard.domain.errors import AnalyticsUnavailable, Failure
from hansard.domain.events import Event
from hansard.engines.whisper import WhisperEngine
from hansard.observability import tracing
from hansard.observability.analytics import log_analytics_away
from hansard.observability.event_counters import Counters, ModelLoads
from hansard.observability.events import log_event
from hansard.observability.live import log_live
from hansard.observability.metrics import MetricsPage
from hansard.observability.process_gauges import ProcessGauges
from hansard.observability.request_counters import RequestCounters
from hansard.persistence import migrate
from hansard.persistence.notifications import Notifications
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.pipelines.in_process import InProcessRunner
from hansard.queue.chores import keep_house_without_worker
from hansard.queue.jobs import TranscriptionJobs
from hansard.queue.notifications import NotifyWithoutWorkers
from hansard.queue.schema import apply_schema
from hansard.settings import Settings
from hansard.storage.partial_uploads import PartialUploadFiles


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
    orphans: Orphans
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
        await keep_house_without_worker(foundations.database_url(self.settings), self.chores, host=socket.gethostname())

    def models_in_memory(self) -> tuple[str, ...]:
        """Those of all engines, in this process."""
        return tuple(model for engine in self.engines.values() for model in engine.models_in_memory)

    def close(self) -> None:
        """End what goes on in the background, and give the databases their connections back."""
        self.whisper.close()
        self.database.dispose()
        self.analytics_database.close()


def prepare(settings: Settings) -> None:
    """Make ready, once, what all processes share: the database's tables, ours and the queue's."""
    engine = foundations.database_engine(settings, process="setup")
    try:
        migrate.upgrade(engine, [apply_schema])
    finally:
        engine.dispose()
    _prepare_analytics(settings)


def _prepare_analytics(settings: Settings) -> None:
    """The service does without it, and tries again by itself."""
    analytics = foundations.analytics_database(settings, process="setup")
    try:
        with analytics.begin():
            pass
    except AnalyticsUnavailable as error:
        log_analytics_away(error)
    finally:
        analytics.close()


def build(settings: Settings, *, process: str = "cli") -> Container:
    """`process` names this process to the database. Raises `ConfigurationError` when the settings cannot work."""
    engine = foundations.database_engine(settings, process=process)
    registry = CollectorRegistry()
    model_loads = ModelLoads(registry, WhisperEngine.name)
    whisper = foundations.whisper_engine(settings, model_loads.count)
    engines = listening.engines(settings, whisper)
    counters = Counters(registry, {engine.name: listening.models_used(engine) for engine in engines.values()})

    def tell(event: Event) -> None:
        log_event(event)
        counters.count(event)

    people = watching.notifier(settings)
    announce = Announce(
        recipients=people.recipients, occasions=frozenset(settings.notify_on), public_url=settings.public_url
    )
    unit_of_work = partial(
        SqlUnitOfWork, engine, partial(TranscriptionJobs, spans=tracing.span), tell=tell, announce=announce
    )
    store = foundations.audio_store(settings)
    prepared = PreparedAudioFiles(settings.data_dir / "prepared", boot=this_boot())
    verify_audit = VerifyAudit(unit_of_work)
    breaker = listening.circuit_breaker(settings, unit_of_work)
    runs = Runs(unit_of_work, now)
    steps = listening.steps(settings, runs, store, prepared, engines, breaker)
    quick_runner = InProcessRunner(steps)
    runner = listening.runner(settings, quick_runner, runs)
    policy = QueuePolicy(most_waiting=settings.max_queued_jobs, most_waiting_of_owner=settings.max_queued_jobs_of_owner)
    upload = Upload(unit_of_work, store, PyAvDecoder(), now, settings.max_audio_seconds)
    submit = Submit(unit_of_work, engines, steps.diarize.diarizer, policy, now)
    submit_upload = SubmitUpload(upload, submit)
    disk_room = DiskRoom(
        free_bytes=partial(foundations.free_disk_bytes, settings),
        reserve_bytes=foundations.dangerous_disk_bytes(settings),
    )
    receive = Receive(
        unit_of_work=unit_of_work,
        uploads=PartialUploadFiles(settings.data_dir / "uploads"),
        upload=upload,
        submit_upload=submit_upload,
        room=disk_room,
        max_upload_bytes=settings.max_upload_bytes,
        lifetime=timedelta(seconds=settings.upload_lifetime_seconds),
        clock=now,
    )

    def observe_live(change: LiveChange, session_id: UUID | None, failure: Failure | None) -> None:
        log_live(change, session_id, failure)
        counters.count_live(change)

    live = listening.live(
        settings,
        unit_of_work,
        upload,
        submit,
        disk_room,
        EngineChain(engines, settings.engine_chain),
        breaker,
        observe_live,
    )
    webhooks, deliver = watching.webhooks(settings, unit_of_work, counters)
    analytics = foundations.analytics_database(settings, process=process)
    projection = Projection(database=analytics, unit_of_work=unit_of_work, clock=now)
    alerts = watching.alerts(settings, unit_of_work)
    prune = watching.prune(settings, unit_of_work, runner, projection, analytics)
    notifications = Notifications(foundations.database_url(settings), application_name=f"hansard {process}")
    return Container(
        settings=settings,
        database=engine,
        analytics_database=analytics,
        analytics=SqlAnalytics(database=analytics, projection=projection, prices=watching.prices(settings)),
        projection=projection,
        benchmarks=SqlBenchmarkRecords(analytics),
        performance=Performance(records=SqlPerformanceRecords(analytics)),
        performance_recorder=watching.performance_recorder(settings, analytics, process),
        unit_of_work=unit_of_work,
        changes=notifications,
        event_feed=EventFeed(unit_of_work, notifications),
        verify_audit=verify_audit,
        store=store,
        engines=engines,
        whisper=whisper,
        runner=runner,
        metrics=watching.metrics(settings, registry, engine, unit_of_work, tuple(engines), receive),
        request_counters=RequestCounters(registry),
        process_gauges=ProcessGauges(registry, process, partial(watching.holdings, engine, engines, live)),
        circuit_breaker=breaker,
        upload=upload,
        submit=submit,
        submit_upload=submit_upload,
        fetch=Fetch(
            unit_of_work=unit_of_work,
            files=listening.remote_files(settings, disk_room) if settings.url_input else None,
            upload=upload,
            submit_upload=submit_upload,
            clock=now,
        ),
        receive=receive,
        disk_room=disk_room,
        webhooks=webhooks,
        deliver=deliver,
        retry=Retry(unit_of_work, submit, now),
        cancel=Cancel(unit_of_work, now),
        delete_audio=DeleteAudio(unit_of_work, now),
        orphans=Orphans(unit_of_work=unit_of_work, store=store, clock=now),
        delete_transcription=DeleteTranscription(unit_of_work, now),
        edit_transcript=EditTranscript(unit_of_work, now),
        transcribe=Transcribe(
            unit_of_work=unit_of_work,
            runner=runner,
            quick_runner=quick_runner,
            prepared=prepared,
            max_crashes=settings.max_crashes,
            clock=now,
            runs=runs,
        ),
        erase=Erase(unit_of_work=unit_of_work, store=store, prepared=prepared, forget_runs=runner.forget, clock=now),
        chores=(
            *chores.upkeep(settings, unit_of_work, prepared, engines, receive, verify_audit),
            chores.webhooks(deliver),
            *chores.analytics(settings, projection, analytics),
            *chores.operators(settings, alerts, prune, NotifyWithoutWorkers(engine, people.send)),
        ),
        alerts=alerts,
        notifier=people,
        prune=prune,
        warm_up=listening.warm_up(settings, steps, engines),
        health=watching.health(settings, engine, unit_of_work, store, engines),
        live=live,
    )
