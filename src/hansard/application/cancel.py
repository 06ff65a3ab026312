"""Stop a transcription that is not wanted any more."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.domain.errors import IllegalMove
from hansard.domain.transcription import Status, Transcription
from hansard.timing.decorators import time_it


@dataclass(frozen=True, slots=True)
class Cancel:
    """Takes effect at once on the record, with its job taken out of the queue; a worker that is at it notices within
    two seconds. What was recognised stays.

    Cancelling once more is no error: who did not get the answer may ask again. Raises `NotFound`, and `IllegalMove` for
    a transcription that has completed or failed.
    """

    unit_of_work: Callable[[], UnitOfWork]
    clock: Clock

    @time_it
    def __call__(self, transcription_id: UUID) -> Transcription:
        with self.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id, for_update=True)
            if transcription.status is Status.CANCELLED:
                return transcription
            if transcription.status.is_final:
                raise IllegalMove(
                    f"There is nothing to cancel: the transcription has {transcription.status}.",
                    help="DELETE /transcriptions/{id} removes it.",
                )
            stop(uow, transcription, self.clock)
            uow.transcriptions.save(transcription)
            uow.commit()
        return transcription


def stop(uow: UnitOfWork, transcription: Transcription, clock: Clock) -> None:
    """Cancel it, unless it has ended, and take its job out of the queue."""
    if not transcription.status.is_final:
        transcription.cancel(clock())
    uow.jobs.withdraw(transcription.id)
