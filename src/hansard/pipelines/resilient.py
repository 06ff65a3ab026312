"""A transcription matters more than its trace in ZenML: where ZenML fails, the job goes on without it and says so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from loguru import logger

from hansard.application.ports.clock import Clock
from hansard.application.ports.work import PipelineRunner, PipelineTrace
from hansard.domain.errors import StorageError
from hansard.pipelines.zenml_runner import ZenmlFailed

Warn = Callable[[UUID, int, str], None]
"""Put a warning for people on the record of a transcription that this run, by its number, still owns."""

UNTRACKED = "ZenML could not be used, so this job has no complete run there. The transcript is not affected."


class TrackingRunner(PipelineRunner, Protocol):
    """`ZenmlRunner`: `run` raises `ZenmlFailed` for a failure that is not a step's, `warm_up` raises `StorageError`."""

    def warm_up(self) -> None: ...


@dataclass(kw_only=True)
class TrackedWherePossible:
    """A `PipelineRunner` that does without `tracked` when that fails, from the step at which it failed.

    Afterwards `tracked` is left alone for `rest_seconds`, so that not every job waits for its time-out; `untracked`
    takes the jobs meanwhile.
    """

    tracked: TrackingRunner
    untracked: PipelineRunner
    warn: Warn
    clock: Clock
    rest_seconds: float = 60
    _resting_until: datetime | None = field(default=None, init=False)

    def warm_up(self) -> None:
        """Do now what takes seconds. Never raises: what fails here fails again under a job, which survives it."""
        try:
            self.tracked.warm_up()
        except StorageError as error:
            self._rest(error, "ZenML cannot be used; jobs run without it.")

    def run(self, transcription_id: UUID, run: int) -> None:
        """Raises what a failing step raised, and what `warn` raises: the run is lost then."""
        if self._resting_until is not None and self.clock() < self._resting_until:
            self.warn(transcription_id, run, UNTRACKED)
            logger.warning("ZenML is left alone for a while after a failure; the job runs without it.")
            self.untracked.run(transcription_id, run)
        elif (failure := self._failure_of(transcription_id, run)) is not None:
            self._go_on(transcription_id, run, failure)
        else:
            self._recovered()

    def forget(self, transcription_id: UUID) -> int:
        """Raises `StorageError`; then it is to be repeated."""
        return self.tracked.forget(transcription_id)

    def traces_before(self, moment: datetime, *, limit: int | None = None) -> tuple[PipelineTrace, ...]:
        """Raises `StorageError`."""
        return self.tracked.traces_before(moment, limit=limit)

    def remove(self, traces: Sequence[PipelineTrace]) -> None:
        """Raises `StorageError`; then it is to be repeated."""
        self.tracked.remove(traces)

    def _failure_of(self, transcription_id: UUID, run: int) -> ZenmlFailed | None:
        try:
            self.tracked.run(transcription_id, run)
        except ZenmlFailed as failure:
            return failure
        return None

    def _go_on(self, transcription_id: UUID, run: int, failure: ZenmlFailed) -> None:
        if failure.steps.settled:
            self._rest(failure, "ZenML failed when the job was done; the record is complete.")
            return
        # First, since it raises when the transcription is gone or taken over: that may be all that ZenML stumbled at.
        self.warn(transcription_id, run, UNTRACKED)
        self._rest(failure, "ZenML failed; the job goes on without it.")
        failure.steps.run_rest(transcription_id, run)

    def _rest(self, error: Exception, sentence: str) -> None:
        self._resting_until = self.clock() + timedelta(seconds=self.rest_seconds)
        logger.bind(cause=_cause(error), retry_in_seconds=self.rest_seconds).warning(sentence)

    def _recovered(self) -> None:
        if self._resting_until is not None:
            self._resting_until = None
            logger.info("ZenML works again.")


def _cause(error: BaseException) -> str:
    """The innermost reason in a line; the rest of a database error is SQL."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}".partition("\n")[0]
