"""The transcription pipeline as ZenML sees it: ids go in, measurements come out, no audio and no words.

Imported by `ZenmlRunner` only after `ZenmlStore.open`, because ZenML reads its environment at import.
"""

# pyright: reportUnknownMemberType=false, reportUntypedFunctionDecorator=false

from contextvars import ContextVar
from uuid import UUID

from zenml import get_step_context, pipeline, step
from zenml.enums import ExecutionMode

from hansard.application.origin import current_origin
from hansard.pipelines.metadata import log_metadata
from hansard.pipelines.steps import MeasuredSteps
from hansard.pipelines.zenml_traces import run_name

_steps: ContextVar[MeasuredSteps] = ContextVar("steps")
"""The use cases for the run at work. ZenML's own way to hand them over outlives a run that breaks early."""


def run_pipeline(steps: MeasuredSteps, transcription_id: UUID, run: int) -> None:
    """Raises what a failing step raised, and anything at all when ZenML fails."""
    ours = _steps.set(steps)
    try:
        named = transcription_pipeline.with_options(run_name=run_name(transcription_id, run))
        named(str(transcription_id), run, diarized=steps.diarization_is_wanted(transcription_id, run))
    finally:
        _steps.reset(ours)


@step
def prepare(transcription_id: str, run: int) -> None:
    """Decode the recording to 16 kHz mono and find the speech in it."""
    pipeline_run_id = str(get_step_context().pipeline_run.id)
    log_metadata(_steps.get().prepare(UUID(transcription_id), run, pipeline_run_id=pipeline_run_id))


@step
def recognise(transcription_id: str, run: int) -> None:
    """Turn the speech into text, a passage at a time."""
    log_metadata(_steps.get().recognise(UUID(transcription_id), run))


@step
def diarize(transcription_id: str, run: int) -> None:
    """Find out who speaks when."""
    log_metadata(_steps.get().diarize(UUID(transcription_id), run))


@step
def settle(transcription_id: str, run: int) -> None:
    """Put the passages together and close the record; its measurements become the run's, with the request's id."""
    measured, origin = _steps.get().settle(UUID(transcription_id), run), current_origin()
    log_metadata({**measured, "request_id": origin.request_id, "trace_id": origin.trace_id}, of_the_run=True)


@pipeline(
    enable_cache=False,
    enable_artifact_metadata=False,
    enable_step_logs=False,
    enable_pipeline_logs=False,
    execution_mode=ExecutionMode.FAIL_FAST,
)
def transcription_pipeline(transcription_id: str, run: int, *, diarized: bool = False) -> None:
    """One transcription, from the stored recording to the settled record."""
    prepare(transcription_id, run)
    recognise(transcription_id, run, after="prepare")
    if diarized:
        diarize(transcription_id, run, after="recognise")
    settle(transcription_id, run, after="diarize" if diarized else "recognise")
