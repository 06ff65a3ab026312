"""Remove what a deletion leaves outside the database: bytes, prepared audio, traces of pipeline runs.

The queue calls this until it succeeds, so each part may be repeated: a worker may be killed at any line.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.storage import AudioStore, PreparedAudio
from hansard.application.ports.work import Erasure
from hansard.domain.audio import StoredObject
from hansard.domain.errors import HansardError
from hansard.domain.events import AudioFileErased
from hansard.timing.decorators import monitor_performance


class StillAtWork(HansardError):
    """A worker has not noticed yet that what it works on was deleted. What it writes now would be left behind."""

    code = "still_at_work"
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase:
    """`forget_runs` removes every trace of the pipeline runs about a transcription and tells how many there were.

    Raises `StillAtWork` and `StorageError`; after both, call it again. Only this machine's prepared audio is removed:
    on another one, the worker that was at it, or the sweep there (`Reconcile`), does that.
    """

    unit_of_work: Callable[[], UnitOfWork]
    store: AudioStore
    prepared: PreparedAudio
    forget_runs: Callable[[UUID], int]
    clock: Clock

    @monitor_performance
    def __call__(self, erasure: Erasure) -> None:
        self._require_let_go(erasure.transcription_ids)
        # What was recorded goes first: no trouble with anything else should keep it here.
        bytes_removed = erasure.stored is not None and self._remove_bytes(erasure.stored)
        for transcription_id in erasure.transcription_ids:
            self.prepared.remove(transcription_id)
        pipeline_runs = sum(self.forget_runs(transcription_id) for transcription_id in erasure.transcription_ids)
        if erasure.stored is not None:
            self._tell_once(erasure.audio_id, erasure.stored, bytes_removed=bytes_removed, pipeline_runs=pipeline_runs)

    def _require_let_go(self, transcription_ids: tuple[UUID, ...]) -> None:
        with self.unit_of_work() as uow:
            for transcription_id in transcription_ids:
                # A job that was in a worker's hands when the deletion withdrew the rest may have come back since.
                uow.jobs.withdraw(transcription_id)
            at_work = [str(each) for each in transcription_ids if uow.jobs.has_job(each)]
            uow.commit()
        if at_work:
            raise StillAtWork(f"Workers have not let go of these deleted transcriptions yet: {', '.join(at_work)}.")

    def _remove_bytes(self, stored: StoredObject) -> bool:
        with self.unit_of_work() as uow:
            return remove_unused_bytes(uow, self.store, stored)

    def _tell_once(self, audio_id: UUID, stored: StoredObject, *, bytes_removed: bool, pipeline_runs: int) -> None:
        """A worker that was killed after this commit, and before its job was done, comes here again."""
        with self.unit_of_work() as uow:
            uow.audio.hold_bytes(stored)
            if any(isinstance(event, AudioFileErased) for event in uow.events.of(audio_id)):
                return
            uow.events.append(
                AudioFileErased(
                    subject=str(audio_id),
                    occurred_at=self.clock(),
                    bytes_removed=bytes_removed,
                    pipeline_runs=pipeline_runs,
                )
            )
            uow.commit()


def remove_unused_bytes(uow: UnitOfWork, store: AudioStore, stored: StoredObject) -> bool:
    """Remove the bytes, unless an audio file has them; whether they were removed.

    Whoever takes in the same bytes at the same time waits for the end of `uow`, and then finds them gone.
    """
    uow.audio.hold_bytes(stored)
    if uow.audio.uses_bytes(stored):
        return False
    store.delete(stored)
    return True
