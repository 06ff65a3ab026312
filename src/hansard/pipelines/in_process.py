"""The steps without a pipeline engine: for a request that waits for its answer, for the command line, and for every
job while ZenML is out of order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hansard.application.ports.work import PipelineTrace
from hansard.application.transcribe import Steps
from hansard.observability import tracing
from hansard.pipelines.steps import MeasuredSteps


@dataclass(frozen=True, slots=True)
class InProcessRunner:
    """A `PipelineRunner` that leaves no trace but the record itself."""

    steps: Steps

    def run(self, transcription_id: UUID, run: int) -> None:
        with tracing.span("pipeline", facts={"hansard.runner": "in_process"}):
            MeasuredSteps(self.steps).run_rest(transcription_id, run)

    def forget(self, transcription_id: UUID) -> int:  # noqa: ARG002 - the port's; there is nothing to forget
        return 0

    def traces_before(self, moment: datetime, *, limit: int | None = None) -> tuple[PipelineTrace, ...]:  # noqa: ARG002
        return ()

    def remove(self, traces: Sequence[PipelineTrace]) -> None:
        pass
