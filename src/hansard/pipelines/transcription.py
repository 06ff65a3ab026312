"""The transcription pipeline as ZenML sees it: ids go in, measurements come out, no audio and no words.

Imported by `ZenmlRunner` only after `ZenmlStore.activate`, because ZenML reads its environment at import.
"""

# pyright: reportUnknownMemberType=false, reportUntypedFunctionDecorator=false

from typing import cast
from uuid import UUID

from zenml import get_step_context, log_metadata, pipeline, step
from zenml.metadata.metadata_types import MetadataType

from hansard.application.transcribe import Steps
from hansard.pipelines import steps as hansard_step


@step
def prepare(transcription_id: str, run: int) -> None:
    """Decode the recording to 16 kHz mono and find the speech in it."""
    pipeline_run_id = str(get_step_context().pipeline_run.id)
    log_metadata({**hansard_step.prepare(_steps(), UUID(transcription_id), run, pipeline_run_id=pipeline_run_id)})


@step
def recognise(transcription_id: str, run: int) -> None:
    """Turn the speech into text, a passage at a time."""
    log_metadata({**hansard_step.recognise(_steps(), UUID(transcription_id), run)})


@step
def settle(transcription_id: str, run: int) -> None:
    """Put the passages together and close the record; its measurements become the run's."""
    measurements: dict[str, MetadataType] = {**hansard_step.settle(_steps(), UUID(transcription_id), run)}
    log_metadata(metadata=measurements, run_id_name_or_prefix=get_step_context().pipeline_run.id)


@pipeline(enable_cache=False, enable_artifact_metadata=False, enable_step_logs=False, enable_pipeline_logs=False)
def transcription_pipeline(transcription_id: str, run: int) -> None:
    """One transcription, from the stored recording to the settled record."""
    prepare(transcription_id, run)
    recognise(transcription_id, run, after="prepare")
    settle(transcription_id, run, after="recognise")


def _steps() -> Steps:
    """The use cases that `ZenmlRunner` handed to the run."""
    return cast("Steps", get_step_context().pipeline_state)
