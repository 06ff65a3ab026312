"""What a run leaves in ZenML's store, and how to remove it.

ZenML's own deletion of a run leaves its configuration, which names the transcription, and its measurements; and in
SQLite it reads all steps and measurements of all runs, because the columns it cascades over have no index there: a
second in a store of 50,000 runs, during which nobody else writes. So the rows are removed here, by index.

Imported only after `ZenmlStore.open`.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Connection, Engine, Table, delete, select
from zenml.zen_stores.schemas import (
    PipelineRunSchema,
    PipelineSchema,
    PipelineSnapshotSchema,
    RunMetadataResourceSchema,
    RunMetadataSchema,
    StepConfigurationSchema,
    StepRunParentsSchema,
    StepRunSchema,
)

from hansard.application.ports.work import PipelineTrace

PIPELINE = "transcription_pipeline"


def _table(schema: type) -> Table:
    return schema.__table__  # type: ignore[attr-defined] - SQLModel adds it


_RUN = _table(PipelineRunSchema)
_PIPELINE = _table(PipelineSchema)
_SNAPSHOT = _table(PipelineSnapshotSchema)
_STEP = _table(StepRunSchema)
_STEP_PARENT = _table(StepRunParentsSchema)
_STEP_CONFIGURATION = _table(StepConfigurationSchema)
_MEASUREMENT = _table(RunMetadataSchema)
_MEASUREMENT_OF = _table(RunMetadataResourceSchema)


def run_name(transcription_id: UUID, run: int) -> str:
    """A template for ZenML, which fills in when. Names are unique and indexed: `remove_traces` finds runs by them.

    The time is there for a database that is restored from a backup: its runs then come again.
    """
    return f"{transcription_id}.{run}-{{date}}-{{time}}"


def remove_traces(engine: Engine, transcription_id: UUID) -> int:
    """Delete every row about the runs of this transcription, also of a run that is under way; how many runs."""
    with _connected(engine) as connection:
        # "/" comes next after ".": between them is what begins with the id and a dot.
        named = _RUN.c.name.between(f"{transcription_id}.", f"{transcription_id}/")
        runs = connection.execute(select(_RUN.c.id, _RUN.c.project_id, _RUN.c.snapshot_id).where(named)).all()
        snapshot_ids = {*(run.snapshot_id for run in runs), *_without_run(connection, transcription_id)}
        for run in runs:
            _remove_run(connection, run.id, run.project_id)
        for snapshot_id in snapshot_ids:
            _remove_snapshot(connection, snapshot_id)
        connection.commit()
    return len(runs)


def traces_before(engine: Engine, moment: datetime, limit: int | None) -> tuple[PipelineTrace, ...]:
    """The runs about transcriptions that were begun before that moment, oldest first."""
    of_ours = select(_PIPELINE.c.id).where(_PIPELINE.c.name == PIPELINE)
    began_before = _RUN.c.created < moment.astimezone(UTC).replace(tzinfo=None)
    query = select(_RUN.c.id, _RUN.c.name).where(_RUN.c.pipeline_id.in_(of_ours), began_before)
    with engine.connect() as connection:
        runs = connection.execute(query.order_by(_RUN.c.created).limit(limit)).all()
    return tuple(PipelineTrace(str(run.id), UUID(run.name.partition(".")[0])) for run in runs)


def remove_runs(engine: Engine, run_ids: Sequence[UUID]) -> None:
    """Delete every row about these runs. A commit for each, since nobody else can write to SQLite meanwhile."""
    with _connected(engine) as connection:
        for run_id in run_ids:
            query = select(_RUN.c.id, _RUN.c.project_id, _RUN.c.snapshot_id).where(_RUN.c.id == run_id)
            run = connection.execute(query).one_or_none()
            if run is not None:
                _remove_run(connection, run.id, run.project_id)
                _remove_snapshot(connection, run.snapshot_id)
            connection.commit()


@contextmanager
def _connected(engine: Engine) -> Generator[Connection]:
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # Off, it does not look for what else points to a row: nothing does. The setting is the connection's, so
            # nobody else must get this one.
            connection.detach()
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        yield connection


def _remove_snapshot(connection: Connection, snapshot_id: UUID) -> None:
    connection.execute(delete(_STEP_CONFIGURATION).where(_STEP_CONFIGURATION.c.snapshot_id == snapshot_id))
    connection.execute(delete(_SNAPSHOT).where(_SNAPSHOT.c.id == snapshot_id))


def _remove_run(connection: Connection, run_id: UUID, project_id: UUID) -> None:
    # The project is in the condition for the index, which begins with it.
    steps = connection.scalars(
        select(_STEP.c.id).where(_STEP.c.project_id == project_id, _STEP.c.pipeline_run_id == run_id)
    ).all()
    measured = _MEASUREMENT_OF.c.resource_id.in_([run_id, *steps])
    measurements = connection.scalars(select(_MEASUREMENT_OF.c.run_metadata_id).where(measured)).all()
    connection.execute(delete(_MEASUREMENT_OF).where(measured))
    connection.execute(delete(_MEASUREMENT).where(_MEASUREMENT.c.id.in_(measurements)))
    connection.execute(delete(_STEP_PARENT).where(_STEP_PARENT.c.parent_id.in_(steps)))
    connection.execute(delete(_STEP).where(_STEP.c.id.in_(steps)))
    connection.execute(delete(_RUN).where(_RUN.c.id == run_id))


def _without_run(connection: Connection, transcription_id: UUID) -> Sequence[UUID]:
    """Configurations whose run was never made, because its worker was killed at that moment. What they are named has
    no index: first those without a run are found, by reading two indexes (15 ms for 50,000 runs).
    """
    every = _SNAPSHOT.alias()
    lone = select(every.c.id).where(~select(_RUN.c.id).where(_RUN.c.snapshot_id == every.c.id).exists())
    named = _SNAPSHOT.c.run_name_template.startswith(f"{transcription_id}.")
    return connection.scalars(select(_SNAPSHOT.c.id).where(_SNAPSHOT.c.id.in_(lone), named)).all()
