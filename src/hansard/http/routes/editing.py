"""Correcting a transcript, and everything it has been.

Each change names, in If-Match, the revision that it was made to; each answer has the tag of the one that it made.
"""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Response

from hansard.application.edit import Edited, transcript_at
from hansard.domain import editing
from hansard.domain.revision import RevisionNote
from hansard.http import etags
from hansard.http.dependencies import TheContainer
from hansard.http.mapping.transcripts import segment_json
from hansard.http.schemas import editing as schemas
from hansard.http.schemas.fields import PageQuery

router = APIRouter(prefix="/transcriptions/{transcription_id}", tags=["editing"])

_Answers = dict[int | str, dict[str, Any]]
_TAGGED = {"headers": {"ETag": {"description": "Of the revision that this is.", "schema": {"type": "string"}}}}
_NOT_COMPLETED: _Answers = {409: {"description": "`not_completed`: there is no transcript yet."}}
_EDITED: _Answers = {
    200: _TAGGED,
    404: {"description": "`not_found`; `no_such_segment`."},
    **_NOT_COMPLETED,
    412: {"description": "`revision_mismatch`: the transcript was edited since."},
    428: {"description": "`precondition_required`: there is no If-Match."},
}
_NO_SUCH_REVISION: _Answers = {404: {"description": "`not_found`; `no_such_revision`."}}
_CANNOT_SPLIT: _Answers = {422: {"description": "`nothing_to_split`: one half would have no text; `invalid_request`."}}
_CANNOT_MERGE: _Answers = {422: {"description": "`nothing_to_merge`: there is no next segment; `invalid_request`."}}
_OUT_OF_ORDER: _Answers = {422: {"description": "`times_out_of_order`; `invalid_request`."}}

Position = Annotated[int, Path(ge=0, description="Of the segment among `segments`, counted from 0.")]
Number = Annotated[int, Path(ge=0, description="Of the revision; 0 is what the engine wrote.")]


@router.patch("/segments/{position}", summary="Correct a segment", responses=_EDITED)
def correct_segment(
    transcription_id: UUID,
    position: Position,
    amendment: schemas.SegmentAmendment,
    container: TheContainer,
    expected: etags.Expected,
    answer: Response,
) -> schemas.EditedTranscript:
    """Words keep the times that they had; others share those of the words they replace, or of their neighbours.

    What a person wrote has no `probability`, and its segment no `confidence`.
    """
    edit = partial(editing.amend, position=position, text=amendment.text, speaker=amendment.speaker)
    edited = container.edit_transcript(transcription_id, edit, expected=expected, author=amendment.author)
    return _answered(edited, answer)


@router.post("/segments/{position}/split", summary="Split a segment", responses={**_EDITED, **_CANNOT_SPLIT})
def split_segment(
    transcription_id: UUID,
    position: Position,
    where: schemas.SegmentSplit,
    container: TheContainer,
    expected: etags.Expected,
    answer: Response,
) -> schemas.EditedTranscript:
    """Both halves keep their words. Where the character is inside of a word, that is split as well."""
    edit = partial(editing.split, position=position, word=where.word, character=where.character)
    edited = container.edit_transcript(transcription_id, edit, expected=expected, author=where.author)
    return _answered(edited, answer)


@router.post(
    "/segments/{position}/merge", summary="Merge a segment with the next", responses={**_EDITED, **_CANNOT_MERGE}
)
def merge_segment(
    transcription_id: UUID,
    position: Position,
    container: TheContainer,
    expected: etags.Expected,
    answer: Response,
    signature: Annotated[schemas.Signature | None, Body()] = None,
) -> schemas.EditedTranscript:
    """The speaker of the first says all of it."""
    edit = partial(editing.merge, position=position)
    author = signature.author if signature else None
    return _answered(container.edit_transcript(transcription_id, edit, expected=expected, author=author), answer)


@router.put("/segments", summary="Save a transcript as a whole", responses={**_EDITED, **_OUT_OF_ORDER})
def save_segments(
    transcription_id: UUID,
    written: schemas.WrittenTranscript,
    container: TheContainer,
    expected: etags.Expected,
    answer: Response,
) -> schemas.EditedTranscript:
    """For editors that save everything at once. Segments that are as they were keep all that is known of them.

    In the others, words keep the times at which they were heard, whatever segment they are in now.
    """
    edit = partial(editing.rewrite, drafts=[segment.draft() for segment in written.segments])
    edited = container.edit_transcript(transcription_id, edit, expected=expected, author=written.author)
    return _answered(edited, answer)


# A label may have a slash in it.
@router.patch(
    "/speakers/{label:path}",
    summary="Rename a speaker, or merge two",
    responses={**_EDITED, 404: {"description": "`not_found`; `no_such_speaker`."}},
)
def rename_speaker(
    transcription_id: UUID,
    label: str,
    renaming: schemas.SpeakerRenaming,
    container: TheContainer,
    expected: etags.Expected,
    answer: Response,
) -> schemas.EditedTranscript:
    """In all segments, and all words, of that speaker."""
    edit = partial(editing.rename_speaker, label=label, name=renaming.name)
    edited = container.edit_transcript(transcription_id, edit, expected=expected, author=renaming.author)
    return _answered(edited, answer)


@router.get(
    "/revisions",
    summary="List the revisions of a transcript, newest first",
    responses={404: {"description": "`not_found`."}},
)
def list_revisions(
    transcription_id: UUID, query: Annotated[PageQuery, Query()], container: TheContainer
) -> schemas.TranscriptRevisions:
    """Who changed what, and when. What the engine wrote is revision 0, and is not in the list."""
    with container.unit_of_work() as uow:
        uow.transcriptions.get(transcription_id)
        page = uow.transcripts.history(transcription_id, limit=query.limit, cursor=query.cursor)
    return schemas.TranscriptRevisions(items=[_note_json(note) for note in page.items], next_cursor=page.next_cursor)


@router.get(
    "/revisions/{number}",
    summary="Look at a transcript as it was",
    responses={200: _TAGGED, **_NO_SUCH_REVISION, **_NOT_COMPLETED},
)
def get_revision(
    transcription_id: UUID, number: Number, container: TheContainer, answer: Response
) -> schemas.TranscriptAtRevision:
    """At any revision; 0 is what the engine wrote. `GET …/export?revision=` gives it as a file."""
    with container.unit_of_work() as uow:
        transcript = transcript_at(uow, transcription_id, number)
    etags.mark(answer, number)
    return schemas.TranscriptAtRevision(
        number=number,
        language=transcript.language,
        text=transcript.text,
        segments=[segment_json(segment) for segment in transcript.segments],
    )


@router.post("/revisions/{number}/restore", summary="Go back to a revision", responses={**_EDITED, **_NO_SUCH_REVISION})
def restore_revision(
    transcription_id: UUID,
    number: Number,
    container: TheContainer,
    expected: etags.Expected,
    answer: Response,
    signature: Annotated[schemas.Signature | None, Body()] = None,
) -> schemas.EditedTranscript:
    """It makes a revision, too: going back can be undone like anything else."""
    author = signature.author if signature else None
    edited = container.edit_transcript.restore(transcription_id, number, expected=expected, author=author)
    return _answered(edited, answer)


def _answered(edited: Edited, answer: Response) -> schemas.EditedTranscript:
    etags.mark(answer, edited.revision)
    changes = [
        schemas.SegmentsChange(
            at=hunk.at,
            removed=len(hunk.removed),
            segments=[segment_json(segment) for segment in hunk.inserted],
        )
        for hunk in edited.hunks
    ]
    return schemas.EditedTranscript(revision=edited.revision, changes=changes)


def _note_json(note: RevisionNote) -> schemas.TranscriptRevision:
    return schemas.TranscriptRevision(
        number=note.number, made_at=note.made_at, author=note.author, change=note.change, summary=note.summary
    )
