"""The whole object graph on one page: settings in, a container of use cases and adapters out.

Nothing else constructs an adapter. Building starts nothing but the embedded database: engines load their models, and
ZenML is imported, when they are first needed.
"""

import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from pathlib import Path
from uuid import UUID

import sqlalchemy

from hansard.application.backlog import QueuePolicy
from hansard.application.canary import Canary
from hansard.application.cancel import Cancel
from hansard.application.circuit_breaker import CircuitBreaker
from hansard.application.delete import DeleteAudio, DeleteTranscription
from hansard.application.diarize import Diarize
from hansard.application.edit import EditTranscript
from hansard.application.engine_chain import EngineChain
from hansard.application.erase import Erase
from hansard.application.fetch import Fetch
from hansard.application.health import HealthMonitor
from hansard.application.health_checks import DANGEROUS_PART, HealthChecks
from hansard.application.live_sessions import LivePolicy, LiveSessions
from hansard.application.ports.engines import Diarizer, SpeechEngine
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.storage import AudioStore, PreparedAudio, RemoteFiles
from hansard.application.ports.work import Changes, Chore, PipelineRunner
from hansard.application.prepare import Prepare, PrepareAudio
from hansard.application.receive import Receive
from hansard.application.recognise import Recognise
from hansard.application.reconcile import Reconcile
from hansard.application.retry import Retry
from hansard.application.retry_policy import RetryPolicy
from hansard.application.room import DiskRoom
from hansard.application.run import Run
from hansard.application.settle import Settle
from hansard.application.submit import Submit
from hansard.application.submit_upload import SubmitUpload
from hansard.application.transcribe import Steps, Transcribe
from hansard.application.upload import Upload
from hansard.application.warm_up import WarmUp
from hansard.audio.decoder import PyAvDecoder
from hansard.audio.live_decoder import stream_decoder
from hansard.audio.prepared import PreparedAudioFiles
from hansard.audio.voice_activity import SileroDetector, SileroModel, SileroProbabilities
from hansard.diarization.basic import WEIGHTS_FILE, BasicDiarizer
from hansard.diarization.pyannote import PyannoteDiarizer
from hansard.diarization.sherpa import SherpaDiarizer
from hansard.domain.circuit import CircuitPolicy
from hansard.domain.errors import ConfigurationError
from hansard.domain.events import Event
from hansard.engines.mock import MockEngine
from hansard.engines.openai import OpenAiEngine
from hansard.engines.pocketsphinx import PocketSphinxEngine
from hansard.engines.whisper import WhisperEngine
from hansard.engines.whisper_models import WhisperModels
from hansard.observability.attempts import log_attempt
from hansard.observability.events import log_event, log_mended, log_swept
from hansard.observability.health import log_health
from hansard.observability.live import log_live
from hansard.observability.logging import strip_foreign_handlers
from hansard.observability.metrics import Counters, MetricsPage
from hansard.persistence import database, embedded, migrate
from hansard.persistence.notifications import Notifications
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.pipelines.in_process import InProcessRunner
from hansard.pipelines.resilient import TrackedWherePossible
from hansard.pipelines.zenml_runner import ZenmlRunner
from hansard.pipelines.zenml_store import ZenmlStore
from hansard.queue.jobs import TranscriptionJobs
from hansard.queue.schema import apply_schema, missing_migrations
from hansard.remote.download import HttpFiles, TimeLimits
from hansard.settings import DiarizerName, Runner, Settings
from hansard.storage.live_spool import LiveSpoolFiles
from hansard.storage.object_store import ObjectAudioStore
from hansard.storage.partial_uploads import PartialUploadFiles

RECONCILE_SECONDS = 60.0
SWEEP_UPLOADS_SECONDS = 300.0
WORKERS_AWAITED = timedelta(seconds=30)
"""After the start of the API. They need up to ten seconds, on a busy machine more."""
LONGEST_LIVE_SECONDS = 12 * 3600.0
"""A WAV file of 48 kHz, mono, holds 12.4 hours."""
CANARY_PATIENCE_SECONDS = 60.0
"""Two seconds of speech take less than that even where a model has to be loaded first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What the entry points use. Whoever builds it closes it."""

    settings: Settings
    database: sqlalchemy.Engine
    unit_of_work: Callable[[], UnitOfWork]
    changes: Changes
    store: AudioStore
    engines: Mapping[str, SpeechEngine]
    whisper: WhisperEngine
    runner: PipelineRunner
    metrics: MetricsPage
    circuit_breaker: CircuitBreaker
    upload: Upload
    submit: Submit
    submit_upload: SubmitUpload
    fetch: Fetch
    receive: Receive
    disk_room: DiskRoom
    retry: Retry
    cancel: Cancel
    delete_audio: DeleteAudio
    delete_transcription: DeleteTranscription
    edit_transcript: EditTranscript
    transcribe: Transcribe
    erase: Erase
    chores: tuple[Chore, ...]
    warm_up: WarmUp
    health: HealthMonitor
    live: LiveSessions

    def models_in_memory(self) -> tuple[str, ...]:
        """Those of all engines, in this process."""
        return tuple(model for engine in self.engines.values() for model in engine.models_in_memory)

    def close(self) -> None:
        """Give the database its connections back."""
        self.database.dispose()


def prepare(settings: Settings) -> None:
    """Make ready, once, what all processes share: the database's tables, ours and the queue's."""
    engine = database_engine(settings, process="setup")
    try:
        migrate.upgrade(engine, [apply_schema])
    finally:
        engine.dispose()


def build(settings: Settings, *, process: str = "cli") -> Container:
    """`process` names this process to the database. Raises `ConfigurationError` when the settings cannot work."""
    engine = database_engine(settings, process=process)
    whisper = whisper_engine(settings)
    engines = _engines(settings, whisper)
    counters = Counters(engines)

    def tell(event: Event) -> None:
        log_event(event)
        counters.count(event)

    unit_of_work = partial(SqlUnitOfWork, engine, TranscriptionJobs, tell=tell)
    store = audio_store(settings)
    prepared = PreparedAudioFiles(settings.data_dir / "prepared")
    breaker = _circuit_breaker(settings, unit_of_work)
    steps = _steps(settings, unit_of_work, store, prepared, engines, breaker)
    quick_runner = InProcessRunner(steps)
    runner = _runner(settings, quick_runner, unit_of_work)
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
    return Container(
        settings=settings,
        database=engine,
        unit_of_work=unit_of_work,
        changes=Notifications(database_url(settings), application_name=f"hansard {process}"),
        store=store,
        engines=engines,
        whisper=whisper,
        runner=runner,
        metrics=MetricsPage(counters, unit_of_work, tuple(engines)),
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
        ),
        erase=Erase(unit_of_work=unit_of_work, store=store, prepared=prepared, forget_runs=runner.forget, clock=_now),
        chores=tuple(_chores(settings, unit_of_work, prepared, engines, receive)),
        warm_up=_warm_up(settings, steps, engines),
        health=_health(settings, engine, unit_of_work, store, engines),
        live=_live(
            settings, unit_of_work, upload, submit, disk_room, EngineChain(engines, settings.engine_chain), breaker
        ),
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


def whisper_engine(settings: Settings) -> WhisperEngine:
    return WhisperEngine(
        whisper_models(settings),
        model=settings.whisper_model,
        device=settings.whisper_device,
        compute_type=settings.whisper_compute_type,
        beam_size=settings.whisper_beam_size,
        batch_size=settings.whisper_batch_size,
        threads=settings.whisper_threads,
    )


# ── The rest of the graph ────────────────────────────────────────────────────────────────────────────────


def _engines(settings: Settings, whisper: WhisperEngine) -> dict[str, SpeechEngine]:
    key = settings.openai_api_key
    engines: list[SpeechEngine] = [
        OpenAiEngine(
            api_key=key.get_secret_value() if key else None,
            base_url=settings.openai_base_url,
            model=settings.openai_model,
            timeout_seconds=settings.openai_timeout_seconds,
            offline=settings.offline,
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
    unit_of_work: Callable[[], UnitOfWork],
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
        prepare=Prepare(unit_of_work=unit_of_work, prepare_audio=prepare_audio, prepared=prepared, clock=_now),
        recognise=Recognise(
            unit_of_work=unit_of_work,
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
            observe=log_attempt,
            gap_seconds=settings.gap_seconds,
            clock=_now,
            sleep=time.sleep,
        ),
        diarize=Diarize(
            unit_of_work=unit_of_work,
            prepare_audio=prepare_audio,
            prepared=prepared,
            diarizer=_diarizer(settings),
            clock=_now,
        ),
        settle=Settle(unit_of_work=unit_of_work, engines=engines, gap_seconds=settings.gap_seconds, clock=_now),
    )


def _live(
    settings: Settings,
    unit_of_work: Callable[[], UnitOfWork],
    upload: Upload,
    submit: Submit,
    room: DiskRoom,
    chain: EngineChain,
    breaker: CircuitBreaker,
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
        observe=log_live,
        clock=_now,
    )


def _warm_up(settings: Settings, steps: Steps, engines: Mapping[str, SpeechEngine]) -> WarmUp:
    # A provider is paid for each call.
    free = [engines[name] for name in settings.engine_chain if name != OpenAiEngine.name]
    return WarmUp(steps.prepare.prepare_audio.detector, free)


def _runner(settings: Settings, untracked: InProcessRunner, unit_of_work: Callable[[], UnitOfWork]) -> PipelineRunner:
    if settings.pipeline_runner is Runner.IN_PROCESS:
        return untracked

    def warn(transcription_id: UUID, run: int, warning: str) -> None:
        Run(transcription_id, run, unit_of_work, _now).warn(warning)

    tracked = ZenmlRunner(zenml_store(settings), untracked.steps, after_import=strip_foreign_handlers)
    return TrackedWherePossible(tracked=tracked, untracked=untracked, warn=warn, clock=_now)


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
