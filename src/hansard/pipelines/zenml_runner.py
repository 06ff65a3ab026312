"""Runs each transcription as a ZenML pipeline run, on the stack that is active in our ZenML store."""

from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Lock
from uuid import UUID

from hansard.application.ports.work import PipelineTrace
from hansard.application.transcribe import Steps
from hansard.domain.errors import HansardError
from hansard.observability import tracing
from hansard.pipelines.steps import MeasuredSteps
from hansard.pipelines.zenml_store import ZenmlStore


class ZenmlFailed(HansardError):
    """ZenML broke the run, not one of our steps. `steps` are those of the run: the rest of them can still be done."""

    code = "pipeline_failed"
    retryable = True

    def __init__(self, steps: MeasuredSteps) -> None:
        super().__init__(f"ZenML failed; finished: {', '.join(sorted(steps.finished)) or 'nothing'}.")
        self.steps = steps


class ZenmlRunner:
    """A `PipelineRunner`. `after_import` is called once ZenML is imported, to undo what that does to logging.

    ZenML's local orchestrator keeps the run it is at in process-wide state, so runs take turns: scale with processes.
    """

    def __init__(self, store: ZenmlStore, steps: Steps, *, after_import: Callable[[], None]) -> None:
        self._store = store
        self._steps = steps
        self._after_import = after_import
        self._turn = Lock()
        self._opening = Lock()
        self._is_open = False

    def warm_up(self) -> None:
        """Import ZenML and open its store now (about 5 s), rather than under the first job. Raises `StorageError`."""
        with self._opening:
            if not self._is_open:
                self._store.open(self._after_import)
                self._is_open = True

    def run(self, transcription_id: UUID, run: int) -> None:
        """Raises what a failing step raised, and `ZenmlFailed` when the failure is ZenML's own."""
        steps = MeasuredSteps(self._steps)
        with self._turn:
            try:
                self.warm_up()
                from hansard.pipelines.transcription import run_pipeline  # noqa: PLC0415 - imports ZenML

                with tracing.span("pipeline", facts={"hansard.runner": "zenml"}):
                    run_pipeline(steps, transcription_id, run)
            except Exception as error:
                if steps.failed:
                    raise
                # Opened anew for the next run, which finds out whether it is the store.
                self._is_open = False
                raise ZenmlFailed(steps) from error

    def forget(self, transcription_id: UUID) -> int:
        """Raises `StorageError`. Does not wait for a run that is under way."""
        self.warm_up()
        return self._store.forget(transcription_id)

    def traces_before(self, moment: datetime, *, limit: int | None = None) -> tuple[PipelineTrace, ...]:
        """Raises `StorageError`."""
        self.warm_up()
        return self._store.traces_before(moment, limit=limit)

    def remove(self, traces: Sequence[PipelineTrace]) -> None:
        """Raises `StorageError`. Does not wait for a run that is under way."""
        self.warm_up()
        self._store.remove(traces)
