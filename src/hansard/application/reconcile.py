"""The sweep: find rows that disagree with the queue, or with what is kept on this machine, and mend them.

None of this should ever be needed. A queue restored from a backup, a job removed by hand, a machine that lost its
power: each leaves a transcription that nobody would take up, or audio that nobody would remove.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from hansard.application.idempotency import KEPT_FOR
from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.storage import PreparedAudio
from hansard.domain.errors import NotFound
from hansard.domain.events import Interruption
from hansard.domain.transcription import Status, Transcription
from hansard.timing.decorators import time_it


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """Transcriptions that had no job and have one now, that had a job and no use for it, and whose prepared audio was
    left behind; and idempotency keys that nobody may use again.
    """

    queued: tuple[UUID, ...]
    withdrawn: tuple[UUID, ...]
    audio_removed: tuple[UUID, ...]
    keys_forgotten: int

    @property
    def found_disagreement(self) -> bool:
        """Whether there was more than keys, which come to their end every day."""
        return bool(self.queued or self.withdrawn or self.audio_removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """To be called now and then, on each machine that keeps prepared audio; any number at a time.

    What is found at a glance may be somebody's work in progress. So each find is locked and looked at again: whoever
    changes a transcription and its job does so in one commit, under the same lock.
    """

    unit_of_work: Callable[[], UnitOfWork]
    prepared: PreparedAudio
    clock: Clock

    @time_it
    def __call__(self) -> Mended:
        with self.unit_of_work() as uow:
            unfinished = uow.transcriptions.unfinished()
            jobs = uow.jobs.jobs()
        return Mended(
            queued=_those(self._queue_again, (each for each in unfinished if each not in jobs)),
            withdrawn=_those(self._withdraw, jobs.difference(unfinished)),
            audio_removed=_those(self._remove_audio, self.prepared.kept()),
            keys_forgotten=self._forget_keys(),
        )

    def _queue_again(self, transcription_id: UUID) -> bool:
        with self.unit_of_work() as uow:
            transcription = _locked(uow, transcription_id)
            if transcription is None or transcription.status.is_final or uow.jobs.has_job(transcription_id):
                return False
            if transcription.status is Status.RUNNING:
                transcription.interrupt(self.clock(), Interruption.JOB_LOST)
                uow.transcriptions.save(transcription)
            audio = uow.audio.get(transcription.audio_id)
            uow.jobs.defer_transcription(transcription, audio_seconds=audio.properties.duration_seconds)
            uow.commit()
        return True

    def _withdraw(self, transcription_id: UUID) -> bool:
        with self.unit_of_work() as uow:
            transcription = _locked(uow, transcription_id)
            is_over = transcription is None or transcription.status.is_final
            if not is_over or not uow.jobs.has_job(transcription_id):
                return False
            uow.jobs.withdraw(transcription_id)
            # A worker that has it in its hands finds out by itself.
            is_withdrawn = not uow.jobs.has_job(transcription_id)
            uow.commit()
        return is_withdrawn

    def _remove_audio(self, transcription_id: UUID) -> bool:
        with self.unit_of_work() as uow:
            transcription = _locked(uow, transcription_id)
            is_over = transcription is None or transcription.status.is_final
            # A worker that has not noticed yet may be writing it, and removes it by itself.
            if not is_over or uow.jobs.has_job(transcription_id):
                return False
            # Under the lock, nobody can ask for it again and begin to write.
            self.prepared.remove(transcription_id)
        return True

    def _forget_keys(self) -> int:
        with self.unit_of_work() as uow:
            forgotten = uow.idempotency.forget_before(self.clock() - KEPT_FOR)
            uow.commit()
        return forgotten


def _locked(uow: UnitOfWork, transcription_id: UUID) -> Transcription | None:
    """None where it was deleted."""
    try:
        return uow.transcriptions.get(transcription_id, for_update=True)
    except NotFound:
        return None


def _those(mend: Callable[[UUID], bool], candidates: Iterable[UUID]) -> tuple[UUID, ...]:
    return tuple(candidate for candidate in candidates if mend(candidate))
