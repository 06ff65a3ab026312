"""Runs each benchmark as a ZenML pipeline run, in the store where the transcriptions' runs are."""

from collections.abc import Callable

from hansard.application.benchmark import RunBenchmark
from hansard.pipelines.zenml_store import ZenmlStore


class ZenmlBenchmarks:
    """`after_import` is called once ZenML is imported, to undo what that does to logging."""

    def __init__(self, store: ZenmlStore, *, after_import: Callable[[], None]) -> None:
        self._store = store
        self._after_import = after_import

    def __call__(self, benchmark: RunBenchmark) -> None:
        """Raises what a failing step raised; `StorageError` when ZenML's store cannot be used; or what ZenML raises."""
        self._store.open(self._after_import)
        from hansard.pipelines.benchmark import run_pipeline  # noqa: PLC0415 - imports ZenML

        run_pipeline(benchmark)
