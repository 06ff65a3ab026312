"""What a pipeline's steps measure, kept with its run in ZenML.

Imported, as ZenML is, only after `ZenmlStore.open`.
"""

# pyright: reportUnknownMemberType=false

from collections.abc import Mapping

from zenml import get_step_context
from zenml.client import Client
from zenml.enums import MetadataResourceTypes
from zenml.metadata.metadata_types import MetadataType
from zenml.models import RunMetadataResource


def log_metadata(facts: Mapping[str, MetadataType | None], *, of_the_run: bool = False) -> None:
    """Of the step at work, or `of_the_run`; what is None is left out.

    ZenML's own `log_metadata` looks the run up again for each call: a quarter of a run's cost.
    """
    context = get_step_context()
    resource = (
        RunMetadataResource(id=context.pipeline_run.id, type=MetadataResourceTypes.PIPELINE_RUN)
        if of_the_run
        else RunMetadataResource(id=context.step_run.id, type=MetadataResourceTypes.STEP_RUN)
    )
    known = {name: value for name, value in facts.items() if value is not None}
    Client().create_run_metadata(metadata=known, resources=[resource])
