"""The benchmark pipeline as ZenML sees it: an id goes in, figures come out, no audio, no words, no names of files.

Imported by `ZenmlBenchmarks` only after `ZenmlStore.open`, because ZenML reads its environment at import.
"""

# pyright: reportUnknownMemberType=false, reportUntypedFunctionDecorator=false

from contextvars import ContextVar
from dataclasses import asdict

from zenml import pipeline, step
from zenml.enums import ExecutionMode

from hansard.application.benchmark import RunBenchmark
from hansard.pipelines.metadata import log_metadata

_benchmark: ContextVar[RunBenchmark] = ContextVar("benchmark")


def run_pipeline(benchmark: RunBenchmark) -> None:
    """Raises what a failing step raised, and anything at all when ZenML fails."""
    ours = _benchmark.set(benchmark)
    try:
        named = benchmark_pipeline.with_options(run_name=f"benchmark-{benchmark.run.id}")
        named(str(benchmark.run.id))
    finally:
        _benchmark.reset(ours)


@step
def begin(benchmark_id: str) -> None:  # noqa: ARG001 - for whoever reads the run in ZenML
    """Load the engine's model, and note what is measured on what."""
    benchmark = _benchmark.get()
    begun = benchmark.begin()
    run, machine = benchmark.run, benchmark.run.machine
    log_metadata({**asdict(begun), **{f"setting_{name}": value for name, value in run.settings.items()}})
    about = {"commit": run.commit, "version": run.version, "engine": run.engine, "model": run.model}
    log_metadata(
        {**about, "machine": machine.id, "processor": machine.processor, "cores": machine.cores}, of_the_run=True
    )


@step
def measure(benchmark_id: str) -> None:  # noqa: ARG001
    """Hear each recording in each round, and count the errors."""
    log_metadata(asdict(_benchmark.get().measure()))


@step
def conclude(benchmark_id: str) -> None:  # noqa: ARG001
    """Sum up; the figures become the run's."""
    log_metadata(asdict(_benchmark.get().conclude()), of_the_run=True)


@pipeline(
    enable_cache=False,
    enable_artifact_metadata=False,
    enable_step_logs=False,
    enable_pipeline_logs=False,
    execution_mode=ExecutionMode.FAIL_FAST,
)
def benchmark_pipeline(benchmark_id: str) -> None:
    """One engine on one set of recordings."""
    begin(benchmark_id)
    measure(benchmark_id, after="begin")
    conclude(benchmark_id, after="measure")
