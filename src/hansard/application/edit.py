"""Correct a transcript: one commit for the transcript, the revision that tells of it, and the event."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from uuid import UUID

from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.domain.editing import Edit, restore
from hansard.domain.errors import Conflict, NotFound, RevisionMismatch
from hansard.domain.events import TranscriptEdited
from hansard.domain.revision import Hunk, Revised, Revision, at_revision, difference
from hansard.domain.transcript import Transcript
from hansard.domain.transcription import Status
from hansard.timing.decorators import time_it


@dataclass(frozen=True, slots=True)
class Edited:
    """`revision` is the current one now; without `hunks` it was before."""

    revision: int
    hunks: tuple[Hunk, ...]


@dataclass(frozen=True, slots=True)
class EditTranscript:
    """What changes nothing makes no revision. The measurements of the transcription stay the engine's.

    `expected` are the revisions that the editor may have had before him; None: whatever is there. `author` is as he
    names himself. Raises `NotFound`, `Conflict` before the transcription is completed, `RevisionMismatch`, and what
    the edit raises.
    """

    unit_of_work: Callable[[], UnitOfWork]
    clock: Clock

    @time_it
    def __call__(
        self,
        transcription_id: UUID,
        edit: Callable[[Transcript], Edit],
        *,
        expected: Collection[int] | None,
        author: str | None = None,
    ) -> Edited:
        return self._edit(transcription_id, lambda _, revised: edit(revised.transcript), expected, author)

    @time_it
    def restore(
        self, transcription_id: UUID, number: int, *, expected: Collection[int] | None, author: str | None = None
    ) -> Edited:
        """Back to an earlier revision, which is a revision itself: nothing in between is lost."""

        def back(uow: UnitOfWork, revised: Revised) -> Edit:
            _require_revision(number, revised)
            return restore(revised, uow.transcripts.revisions(transcription_id, after=number), number)

        return self._edit(transcription_id, back, expected, author)

    def _edit(
        self,
        transcription_id: UUID,
        make: Callable[[UnitOfWork, Revised], Edit],
        expected: Collection[int] | None,
        author: str | None,
    ) -> Edited:
        with self.unit_of_work() as uow:
            # Locked: of two editors at once, the second is told that he comes too late.
            transcription = uow.transcriptions.get(transcription_id, for_update=True)
            revised = current(uow, transcription_id, transcription.status)
            _require_expected(revised, expected)
            edit = make(uow, revised)
            hunks = difference(revised.transcript.segments, edit.transcript.segments)
            if not hunks:
                return Edited(revised.number, ())
            revision = Revision(
                number=revised.number + 1,
                made_at=self.clock(),
                author=author,
                change=edit.change,
                summary=edit.summary,
                hunks=hunks,
            )
            uow.transcripts.revise(transcription, edit.transcript, revision)
            uow.events.append(
                TranscriptEdited(
                    subject=str(transcription_id),
                    occurred_at=revision.made_at,
                    audio_id=transcription.audio_id,
                    revision=revision.number,
                    change=revision.change.value,
                    author=author,
                )
            )
            uow.commit()
        return Edited(revision.number, hunks)


def current(uow: UnitOfWork, transcription_id: UUID, status: Status) -> Revised:
    """The transcript as it is now. Raises `Conflict` before it is completed."""
    revised = uow.transcripts.current(transcription_id) if status is Status.COMPLETED else None
    if revised is None:
        raise Conflict(
            f"There is no transcript to edit: the transcription is {status}.",
            code="not_completed",
            help=f"GET /transcriptions/{transcription_id} tells how it stands.",
        )
    return revised


def transcript_at(uow: UnitOfWork, transcription_id: UUID, number: int) -> Transcript:
    """The transcript as it was at a revision; 0 is what the engine wrote. Raises `NotFound`, and as `current` does."""
    revised = current(uow, transcription_id, uow.transcriptions.get(transcription_id).status)
    _require_revision(number, revised)
    return at_revision(revised, uow.transcripts.revisions(transcription_id, after=number), number)


def _require_expected(revised: Revised, expected: Collection[int] | None) -> None:
    if expected is not None and revised.number not in expected:
        raise RevisionMismatch(
            f"The change was made to another revision than the current one, which is {revised.number}.",
            help="Fetch the transcript again, with its ETag, and make the change to what is there now.",
        )


def _require_revision(number: int, revised: Revised) -> None:
    if not 0 <= number <= revised.number:
        raise NotFound(
            f"There is no revision {number}: the transcript is at revision {revised.number}.",
            code="no_such_revision",
            help="GET /transcriptions/{id}/revisions lists them; 0 is what the engine wrote.",
        )
