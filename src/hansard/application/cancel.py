"""Stop a transcription that is not wanted any more."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from hansard.application.ports import Clock, UnitOfWork
from hansard.domain.transcription import Transcription


@dataclass(frozen=True, slots=True)
class Cancel:
    """Takes effect at once on the record; a worker at work notices before its next segment is kept.

    Raises `NotFound`, and `IllegalMove` when the transcription has already ended.
    """

    unit_of_work: Callable[[], UnitOfWork]
    clock: Clock

    def __call__(self, transcription_id: UUID) -> Transcription:
        with self.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id, for_update=True)
            transcription.cancel(self.clock())
            uow.transcriptions.save(transcription)
            uow.commit()
        return transcription
