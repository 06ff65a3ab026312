"""The whole object graph on one page: settings in, a container of use cases and adapters out.

Nothing else constructs an adapter. Building starts nothing but the embedded database: engines load their models, and
ZenML is imported, when they are first needed.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import sqlalchemy

from hansard.application.cancel import Cancel
from hansard.application.choose_engine import ChooseEngine
from hansard.application.ports import AudioStore, PipelineRunner, PreparedAudio, SpeechEngine, UnitOfWork
from hansard.application.prepare import Prepare, PrepareAudio
from hansard.application.recognise import Recognise
from hansard.application.retry import RetryPolicy
from hansard.application.settle import Settle
from hansard.application.submit import Submit
from hansard.application.transcribe import Steps, Transcribe
from hansard.application.upload import Upload
from hansard.audio.decoder import PyAvDecoder
from hansard.audio.prepared import PreparedAudioFiles
from hansard.audio.voice_activity import SileroDetector, SileroModel
from hansard.domain.errors import ConfigurationError
from hansard.engines.mock import MockEngine
from hansard.engines.openai import OpenAiEngine
from hansard.engines.pocketsphinx import PocketSphinxEngine
from hansard.engines.whisper import WhisperEngine
from hansard.engines.whisper_models import WhisperModels
from hansard.observability.attempts import log_attempt
from hansard.observability.logging import strip_foreign_handlers
from hansard.persistence import database, embedded, migrate
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.pipelines.in_process import InProcessRunner
from hansard.pipelines.zenml_runner import ZenmlRunner
from hansard.pipelines.zenml_store import ZenmlStore
from hansard.queue.jobs import TranscriptionJobs
from hansard.queue.schema import apply_schema
from hansard.settings import Runner, Settings
from hansard.storage.object_store import ObjectAudioStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What the entry points use. Whoever builds it closes it."""

    settings: Settings
    database: sqlalchemy.Engine
    unit_of_work: Callable[[], UnitOfWork]
    store: AudioStore
    engines: Mapping[str, SpeechEngine]
    whisper: WhisperEngine
    runner: PipelineRunner
    upload: Upload
    submit: Submit
    cancel: Cancel
    transcribe: Transcribe

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
    unit_of_work = partial(SqlUnitOfWork, engine, TranscriptionJobs)
    store = audio_store(settings)
    whisper = whisper_engine(settings)
    engines = _engines(settings, whisper)
    prepared = PreparedAudioFiles(settings.data_dir / "prepared")
    steps = _steps(settings, unit_of_work, store, prepared, engines)
    runner = _runner(settings, steps)
    return Container(
        settings=settings,
        database=engine,
        unit_of_work=unit_of_work,
        store=store,
        engines=engines,
        whisper=whisper,
        runner=runner,
        upload=Upload(unit_of_work, store, PyAvDecoder(), _now),
        submit=Submit(unit_of_work, engines, _now),
        cancel=Cancel(unit_of_work, _now),
        transcribe=Transcribe(unit_of_work=unit_of_work, runner=runner, prepared=prepared, clock=_now),
    )


# ── Parts that some commands use alone ───────────────────────────────────────────────────────────────────


def database_url(settings: Settings) -> str:
    """The database, which runs when this returns."""
    return settings.database_url or embedded.ensure_running(settings.data_dir)


def database_engine(settings: Settings, *, process: str) -> sqlalchemy.Engine:
    """The caller disposes of it."""
    return database.connect(
        database_url(settings), application_name=f"hansard {process}", revive=partial(database_url, settings)
    )


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


def _steps(
    settings: Settings,
    unit_of_work: Callable[[], UnitOfWork],
    store: AudioStore,
    prepared: PreparedAudio,
    engines: Mapping[str, SpeechEngine],
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
            choose_engine=ChooseEngine(engines, settings.engine_chain, time.sleep),
            retry=RetryPolicy(
                max_attempts=settings.retry_max_attempts,
                base_seconds=settings.retry_base_seconds,
                cap_seconds=settings.retry_cap_seconds,
                budget_seconds=settings.retry_budget_seconds,
                jitter=random.random,
            ),
            observe=log_attempt,
            clock=_now,
            sleep=time.sleep,
        ),
        settle=Settle(unit_of_work=unit_of_work, engines=engines, clock=_now),
    )


def _runner(settings: Settings, steps: Steps) -> PipelineRunner:
    if settings.pipeline_runner is Runner.IN_PROCESS:
        return InProcessRunner(steps)
    return ZenmlRunner(zenml_store(settings), steps, after_import=strip_foreign_handlers)


def _now() -> datetime:
    return datetime.now(UTC)
