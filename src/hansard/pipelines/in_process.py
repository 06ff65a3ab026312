"""The steps without a pipeline engine: for a request that waits for its answer, and for the command line."""

from dataclasses import dataclass
from uuid import UUID

from hansard.application.transcribe import Steps
from hansard.pipelines import steps as step


@dataclass(frozen=True, slots=True)
class InProcessRunner:
    """A `PipelineRunner` that leaves no trace but the record itself."""

    steps: Steps

    def run(self, transcription_id: UUID, run: int) -> None:
        step.prepare(self.steps, transcription_id, run)
        step.recognise(self.steps, transcription_id, run)
        step.settle(self.steps, transcription_id, run)
