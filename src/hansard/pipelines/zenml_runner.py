"""Runs each transcription as a ZenML pipeline run, on the stack that is active in our ZenML store."""

# pyright: reportUnknownMemberType=false

from collections.abc import Callable
from threading import Lock
from uuid import UUID

from hansard.application.transcribe import Steps
from hansard.pipelines.zenml_store import ZenmlStore


class ZenmlRunner:
    """A `PipelineRunner`. `after_import` is called once ZenML is imported, to undo what that does to logging.

    ZenML's local orchestrator keeps the run it is at in process-wide state, so runs take turns: scale with processes.
    """

    def __init__(self, store: ZenmlStore, steps: Steps, *, after_import: Callable[[], None]) -> None:
        self._store = store
        self._steps = steps
        self._after_import = after_import
        self._turn = Lock()

    def warm_up(self) -> None:
        """Import ZenML and open its store now (about 5 s), rather than under the first job."""
        with self._turn:
            self._store.open(self._after_import)

    def run(self, transcription_id: UUID, run: int) -> None:
        """Raises what a failing step raised, or a bare `RuntimeError`: read the outcome from the record."""
        self.warm_up()
        from zenml.steps.step_context import get_or_create_run_context  # noqa: PLC0415 - see `ZenmlStore`

        from hansard.pipelines.transcription import transcription_pipeline  # noqa: PLC0415

        with self._turn:
            context = get_or_create_run_context()
            if not context.initialized:
                context.initialize(self._steps)
            transcription_pipeline(str(transcription_id), run)
