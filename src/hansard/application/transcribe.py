"""Do the work: take a queued transcription through prepare, recognise and settle to its end.

`Transcribe` is what a worker calls with an id; a `PipelineRunner` calls the `Steps` in order. Each step reads what
it needs by id, works outside any transaction and writes the outcome in short ones, so a worker may be killed at any
line: the next one takes up where the last commit left off.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from hansard.application.ports import Clock, PipelineRunner, PreparedAudio, UnitOfWork
from hansard.application.prepare import Prepare
from hansard.application.recognise import Recognise
from hansard.application.run import internal_failure
from hansard.application.settle import Settle
from hansard.domain.errors import HansardError
from hansard.domain.transcription import Status, Transcription


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The pipeline, whoever runs it. Each takes the transcription's id and the number of the run."""

    prepare: Prepare
    recognise: Recognise
    settle: Settle


class BrokenOff(HansardError):
    """A run ended without an outcome. The transcription is queued again; the job is to be repeated."""

    code = "broken_off"
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcribe:
    """Take a transcription to its end, or find that it has ended."""

    unit_of_work: Callable[[], UnitOfWork]
    runner: PipelineRunner
    prepared: PreparedAudio
    clock: Clock

    def __call__(self, transcription_id: UUID) -> Transcription:
        """The transcription as it is afterwards. A failure is on the record, not raised.

        Raises `NotFound`, `BrokenOff` when the run came to no outcome, and `StorageError` when even that could not
        be written down; after both, call it again.
        """
        run = self._take(transcription_id)
        if run is not None:
            self._run(transcription_id, run)
        with self.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id)
        if transcription.status.is_final:
            self.prepared.remove(transcription_id)
        return transcription

    def give_up(self, transcription_id: UUID, reason: str) -> None:
        """Fail a transcription whose job was tried too often; `reason` is for people."""
        with self.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id, for_update=True)
            if not transcription.status.is_final:
                transcription.fail(internal_failure(reason), self.clock())
                uow.transcriptions.save(transcription)
                uow.commit()
        self.prepared.remove(transcription_id)

    def _take(self, transcription_id: UUID) -> int | None:
        with self.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id, for_update=True)
            if transcription.status.is_final:
                return None
            run = transcription.start(self.clock())
            uow.transcriptions.save(transcription)
            uow.commit()
        return run

    def _run(self, transcription_id: UUID, run: int) -> None:
        """The steps record their own outcome; where there is none, the pipeline itself broke."""
        broken: Exception | None = None
        try:
            self.runner.run(transcription_id, run)
        except Exception as error:  # noqa: BLE001 - whatever a pipeline engine raises, the record tells the outcome
            broken = error
        with self.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id, for_update=True)
            if transcription.status is not Status.RUNNING or transcription.run != run:
                return
            transcription.interrupt(self.clock())
            uow.transcriptions.save(transcription)
            uow.commit()
        raise BrokenOff(f"Run {run} of transcription {transcription_id} ended without an outcome.") from broken
