"""How recordings become text: engines, the steps of a job, its runner, live sessions."""

import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from uuid import UUID

from hansard.application.circuit_breaker import CircuitBreaker
from hansard.application.diarize import Diarize
from hansard.application.engine_chain import EngineChain
from hansard.application.live_sessions import LiveObserver, LivePolicy, LiveSessions
from hansard.application.ports.engines import ANYTHING, Diarizer, SpeechEngine
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.storage import AudioStore, PreparedAudio, RemoteFiles
from hansard.application.ports.work import PipelineRunner
from hansard.application.prepare import Prepare, PrepareAudio
from hansard.application.recognise import Recognise
from hansard.application.retry_policy import RetryPolicy
from hansard.application.room import DiskRoom
from hansard.application.run import Runs
from hansard.application.settle import Settle
from hansard.application.submit import Submit
from hansard.application.transcribe import Steps
from hansard.application.upload import Upload
from hansard.application.warm_up import WarmUp
from hansard.audio.decoder import PyAvDecoder
from hansard.audio.live_decoder import stream_decoder
from hansard.audio.voice_activity import SileroDetector, SileroModel, SileroProbabilities
from hansard.bootstrap import foundations
from hansard.bootstrap.foundations import now
from hansard.diarization.basic import WEIGHTS_FILE, BasicDiarizer
from hansard.diarization.pyannote import PyannoteDiarizer
from hansard.diarization.sherpa import SherpaDiarizer
from hansard.domain.circuit import CircuitPolicy
from hansard.domain.errors import ConfigurationError, EngineError
from hansard.engines.mock import MockEngine
from hansard.engines.openai import OpenAiEngine
from hansard.engines.pocketsphinx import PocketSphinxEngine
from hansard.engines.whisper import WhisperEngine
from hansard.observability import tracing
from hansard.observability.attempts import observe_attempt
from hansard.observability.logging import strip_foreign_handlers
from hansard.pipelines.in_process import InProcessRunner
from hansard.pipelines.resilient import TrackedWherePossible
from hansard.pipelines.zenml_runner import ZenmlRunner
from hansard.remote.download import HttpFiles, TimeLimits
from hansard.settings import DiarizerName, Runner, Settings
from hansard.storage.live_spool import LiveSpoolFiles

LONGEST_LIVE_SECONDS = 12 * 3600.0
"""A WAV file of 48 kHz, mono, holds 12.4 hours."""


def engines(settings: Settings, whisper: WhisperEngine) -> dict[str, SpeechEngine]:
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


def models_used(engine: SpeechEngine) -> tuple[str, ...]:
    try:
        return (engine.model_for(ANYTHING),)
    except EngineError:  # the settings name none that there is
        return ()


def _diarizer(settings: Settings) -> Diarizer:
    models = settings.diarization_models
    if settings.diarizer is DiarizerName.SHERPA:
        return SherpaDiarizer(models or settings.data_dir / "models" / "sherpa")
    if settings.diarizer is DiarizerName.PYANNOTE:
        token = settings.huggingface_token
        return PyannoteDiarizer(models, token=token.get_secret_value() if token else None, offline=settings.offline)
    return BasicDiarizer(models / WEIGHTS_FILE if models else None)


def circuit_breaker(settings: Settings, unit_of_work: Callable[[], UnitOfWork]) -> CircuitBreaker:
    policy = CircuitPolicy(
        failures=settings.circuit_failures,
        open_seconds=settings.circuit_open_seconds,
        longest_open_seconds=settings.circuit_longest_open_seconds,
        # As long as one call may take: until then nobody knows how the probe went.
        probe_seconds=settings.openai_timeout_seconds,
    )
    return CircuitBreaker(unit_of_work=unit_of_work, policy=policy, clock=now)


def steps(
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
    chain = EngineChain(engines, settings.engine_chain)
    return Steps(
        prepare=Prepare(runs=runs, prepare_audio=prepare_audio, prepared=prepared),
        recognise=Recognise(
            runs=runs,
            prepare_audio=prepare_audio,
            prepared=prepared,
            chain=chain,
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
            clock=now,
            sleep=time.sleep,
        ),
        diarize=Diarize(runs=runs, prepare_audio=prepare_audio, prepared=prepared, diarizer=_diarizer(settings)),
        settle=Settle(runs=runs, chain=chain, gap_seconds=settings.gap_seconds, clock=now),
    )


def runner(settings: Settings, untracked: InProcessRunner, runs: Runs) -> PipelineRunner:
    if settings.pipeline_runner is Runner.IN_PROCESS:
        return untracked

    def warn(transcription_id: UUID, run: int, warning: str) -> None:
        runs.of(transcription_id, run).warn(warning)

    tracked = ZenmlRunner(foundations.zenml_store(settings), untracked.steps, after_import=strip_foreign_handlers)
    return TrackedWherePossible(tracked=tracked, untracked=untracked, warn=warn, clock=now)


def warm_up(settings: Settings, steps: Steps, engines: Mapping[str, SpeechEngine]) -> WarmUp:
    # A provider is paid for each call.
    free = [engines[name] for name in settings.engine_chain if name != OpenAiEngine.name]
    return WarmUp(steps.prepare.prepare_audio.detector, free)


def live(
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
        clock=now,
    )


def remote_files(settings: Settings, room: DiskRoom) -> RemoteFiles:
    return HttpFiles(
        scratch_directory=settings.data_dir / "tmp",
        max_bytes=settings.max_upload_bytes,
        limits=TimeLimits(
            connect=settings.url_connect_seconds, idle=settings.url_idle_seconds, total=settings.url_total_seconds
        ),
        allowed=settings.url_input_allowed,
        require_room=room.require,
    )
