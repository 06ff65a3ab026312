"""A benchmark of one engine, as the service has it."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from uuid import uuid4

from hansard import __version__
from hansard.application.benchmark import RunBenchmark
from hansard.application.diarize import require_diarizer
from hansard.application.ports.benchmarks import BenchedService
from hansard.application.recognise import recognition
from hansard.bootstrap import foundations
from hansard.bootstrap.container import Container
from hansard.bootstrap.foundations import now
from hansard.domain.benchmark import BenchmarkRun, Hearing, Sample, Setting
from hansard.domain.transcription import AUTO, Parameters
from hansard.engines.openai import OpenAiEngine
from hansard.engines.whisper import WhisperEngine
from hansard.observability.build import revision
from hansard.observability.logging import strip_foreign_handlers
from hansard.observability.machine import this_machine
from hansard.pipelines.zenml_benchmarks import ZenmlBenchmarks
from hansard.settings import Settings

LIBRARIES_THAT_HEAR = ("av", "ctranslate2", "faster-whisper", "numpy", "onnxruntime", "openai", "pocketsphinx")
"""What a benchmark notes beside the commit."""


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
        started_at=now(),
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
        clock=now,
    )


def benchmark_pipeline(settings: Settings) -> ZenmlBenchmarks:
    return ZenmlBenchmarks(foundations.zenml_store(settings), after_import=strip_foreign_handlers)


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
