"""Remove a recording, or one transcription of it, for good.

What is in the database goes in one commit, with a receipt in the event log. That commit also orders what lies
elsewhere to be erased: see `erase.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from hansard.application.cancel import stop
from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.work import Erasure
from hansard.domain.events import AudioFileDeleted
from hansard.domain.transcription import Transcription
from hansard.timing.decorators import time_it


@dataclass(frozen=True, slots=True)
class DeleteAudio:
    """With all its transcriptions; those that have not ended are cancelled first. Raises `NotFound`."""

    unit_of_work: Callable[[], UnitOfWork]
    clock: Clock

    @time_it
    def __call__(self, audio_id: UUID) -> None:
        with self.unit_of_work() as uow:
            # Locked before its transcriptions: from here on nobody can ask for another one.
            audio = uow.audio.get(audio_id, for_update=True)
            transcriptions = uow.transcriptions.of_audio(audio_id)
            for transcription in transcriptions:
                _remove(uow, transcription, self.clock)
            uow.audio.delete(audio_id)
            uow.events.append(
                AudioFileDeleted(
                    subject=str(audio_id),
                    occurred_at=self.clock(),
                    sha256=audio.stored.sha256,
                    size_bytes=audio.stored.size_bytes,
                    transcriptions=len(transcriptions),
                )
            )
            ids = tuple(transcription.id for transcription in transcriptions)
            uow.jobs.defer_erasure(Erasure(audio_id=audio_id, stored=audio.stored, transcription_ids=ids))
            uow.commit()


@dataclass(frozen=True, slots=True)
class DeleteTranscription:
    """The recording stays. One that has not ended is cancelled first. Raises `NotFound`."""

    unit_of_work: Callable[[], UnitOfWork]
    clock: Clock

    @time_it
    def __call__(self, transcription_id: UUID) -> None:
        with self.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id, for_update=True)
            _remove(uow, transcription, self.clock)
            uow.jobs.defer_erasure(
                Erasure(audio_id=transcription.audio_id, stored=None, transcription_ids=(transcription_id,))
            )
            uow.commit()


def _remove(uow: UnitOfWork, transcription: Transcription, clock: Clock) -> None:
    stop(uow, transcription, clock)
    transcription.delete(clock())
    uow.transcriptions.delete(transcription)
