"""Transcriptions: asked for, looked at while they come about, exported, stopped, asked for again, deleted."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Form, Query, Response

from hansard import formats
from hansard.application.edit import transcript_at
from hansard.application.words_so_far import with_words_so_far
from hansard.bootstrap import Container
from hansard.domain.errors import Conflict
from hansard.domain.transcript import Transcript
from hansard.domain.transcription import Status, Transcription
from hansard.http import etags
from hansard.http.dependencies import IdempotencyKey, Places, RequestId, TheContainer
from hansard.http.download import content_disposition
from hansard.http.mapping.transcriptions import detail_json, summary_json
from hansard.http.mapping.transcripts import paragraphs_json, sentences_json
from hansard.http.schemas.export import ExportQuery
from hansard.http.schemas.transcription_requests import (
    TranscriptionForm,
    TranscriptionRequest,
    TranscriptionUrl,
    TranscriptionWish,
)
from hansard.http.schemas.transcriptions import (
    TranscriptionDetail,
    TranscriptionPage,
    TranscriptionsQuery,
    TranscriptionSummary,
)
from hansard.http.schemas.transcripts import Paragraphs, Sentences
from hansard.http.uploads.forms import QueueingUploadRoute, received
from hansard.http.uploads.urls import URL_ANSWERS, UrlRoute

router = APIRouter(tags=["transcriptions"])
upload_router = APIRouter(tags=["transcriptions"], route_class=QueueingUploadRoute)
url_router = APIRouter(tags=["transcriptions"], route_class=UrlRoute)

_Answers = dict[int | str, dict[str, Any]]
_RETRY_AFTER = {"Retry-After": {"description": "Seconds until there should be room.", "schema": {"type": "integer"}}}
_NOT_FOUND: _Answers = {404: {"description": "`not_found`: there is no such id."}}
_TAGGED: _Answers = {
    200: {"headers": {"ETag": {"description": "Of its revision, once completed.", "schema": {"type": "string"}}}},
    304: {"description": "It is still at the revision of the ETag in If-None-Match."},
}
_REFUSED: _Answers = {422: {"description": "`invalid_request`, `unknown_engine`, or what that engine cannot do."}}
_MADE_BEFORE: _Answers = {
    409: {"description": "`idempotency_key_spent`: what was made for this Idempotency-Key has been deleted since."},
    422: {
        "description": "`invalid_request`, `unknown_engine`, or what that engine cannot do; `idempotency_key_reused`; "
        "what is wrong with the recording."
    },
}
_CANNOT: _Answers = {409: {"description": "`illegal_move`: its status does not allow that."}}
_NOTHING_TO_EXPORT: _Answers = {409: {"description": "`not_completed`: there is no transcript to export."}}
_NO_USE: _Answers = {
    422: {
        "description": "`unknown_format`; `option_not_applicable`: the format has no use for a parameter; "
        "`no_word_times`, `no_speakers`: the transcript lacks what was asked for; `invalid_request`."
    }
}
_QUEUED: _Answers = {
    202: {"headers": {"Location": {"description": "Where to look for it.", "schema": {"type": "string"}}}},
    429: {"description": "`owner_queue_full`: enough of yours is waiting.", "headers": _RETRY_AFTER},
    503: {"description": "`queue_full`: more is waiting than is taken on here.", "headers": _RETRY_AFTER},
}
_ENDED_EARLY = frozenset({Status.FAILED, Status.CANCELLED})
_FILES = {
    each.media_type: {"schema": {"type": "string"} if each.is_text else {"type": "string", "format": "binary"}}
    for each in formats.FORMATS.values()
}


@router.post(
    "/audio/{audio_id}/transcriptions",
    status_code=202,
    summary="Ask for a transcription of an uploaded recording",
    responses={**_QUEUED, **_NOT_FOUND, **_MADE_BEFORE},
)
def transcribe_audio(
    audio_id: UUID,
    container: TheContainer,
    request_id: RequestId,
    answer: Response,
    wish: Annotated[TranscriptionRequest | None, Body()] = None,
    idempotency_key: IdempotencyKey = None,
) -> TranscriptionSummary:
    """It is queued when this is answered. Follow it with `GET /transcriptions/{id}`."""
    wish = wish or TranscriptionRequest()
    made = container.submit(
        audio_id,
        wish.parameters(),
        request_id=request_id,
        idempotency_key=idempotency_key,
        coalesce=wish.coalesce,
    )
    return _accepted(made, answer)


@upload_router.post(
    "/transcriptions",
    status_code=202,
    summary="Upload a recording and ask for its transcription",
    responses={**_QUEUED, **_MADE_BEFORE, 413: {"description": "`too_large`."}},
)
def transcribe_upload(
    form: Annotated[TranscriptionForm, Form(media_type="multipart/form-data")],
    container: TheContainer,
    request_id: RequestId,
    answer: Response,
    idempotency_key: IdempotencyKey = None,
) -> TranscriptionSummary:
    """`curl -F file=@talk.mp3 …/transcriptions` and follow it with `GET /transcriptions/{id}`.

    In JSON, with a `url` in place of the file, it is fetched from there, where the operator allows that.
    """
    source, file_name = received(form.file, max_upload_bytes=container.settings.max_upload_bytes)
    made = container.submit_upload(
        source,
        file_name=file_name,
        parameters=form.parameters(),
        request_id=request_id,
        idempotency_key=idempotency_key,
        coalesce=form.coalesce,
    )
    return _accepted(made, answer)


@url_router.post(
    "/transcriptions",
    status_code=202,
    summary="Ask for a transcription of a recording by its URL",
    responses=URL_ANSWERS,
)
async def transcribe_url(
    body: TranscriptionUrl,
    container: TheContainer,
    places: Places,
    request_id: RequestId,
    answer: Response,
    idempotency_key: IdempotencyKey = None,
) -> TranscriptionSummary:
    """Answered once the file is here."""
    made = await places.during(
        partial(
            container.fetch.transcription,
            body.url,
            file_name=body.file_name,
            parameters=body.parameters(),
            request_id=request_id,
            idempotency_key=idempotency_key,
            coalesce=body.coalesce,
        )
    )
    return _accepted(made, answer)


@router.get("/transcriptions", summary="List transcriptions, newest first")
def list_transcriptions(query: Annotated[TranscriptionsQuery, Query()], container: TheContainer) -> TranscriptionPage:
    """Without their words: `GET /transcriptions/{id}` has them, and `GET /search` looks for words."""
    with container.unit_of_work() as uow:
        page = uow.transcriptions.page(query.filter(), limit=query.limit, cursor=query.cursor)
    items = [summary_json(transcription) for transcription in page.items]
    return TranscriptionPage(items=items, next_cursor=page.next_cursor)


@router.get(
    "/transcriptions/{transcription_id}",
    summary="Look a transcription up",
    response_model=TranscriptionDetail,
    responses={**_TAGGED, **_NOT_FOUND},
)
def get_transcription(
    transcription_id: UUID, container: TheContainer, answer: Response, if_none_match: etags.IfNoneMatch = None
) -> TranscriptionDetail | Response:
    """While it runs, `segments` grows with every passage that is recognised; `text` comes with completion.

    One that failed or was cancelled keeps the segments that it had, marked with `partial`. One that is completed has
    an ETag, of the transcript's revision: name it in If-Match to correct the transcript.
    """
    revision = _revision(container, transcription_id)
    if revision is not None and etags.is_unchanged(if_none_match, etags.of_revision(revision)):
        etags.mark(unchanged := Response(status_code=304), revision)
        return unchanged
    # After the revision: a tag that is too old costs an editor another try, one that is too new somebody's correction.
    transcription, transcript = _with_words(container, transcription_id)
    if revision is not None:
        etags.mark(answer, revision)
    completed = transcription.status is Status.COMPLETED
    return detail_json(
        transcription,
        text=transcript.text if completed else None,
        segments=transcript.segments,
        revision=revision,
    )


@router.get(
    "/transcriptions/{transcription_id}/sentences", summary="Read a transcript by sentences", responses=_NOT_FOUND
)
def get_sentences(transcription_id: UUID, container: TheContainer) -> Sentences:
    """Until it is completed: of what was recognised so far, or until it ended, marked with `partial`.

    They end where the engine's punctuation says so; where it writes none, as PocketSphinx, they are phrases between
    pauses, and no full stops are made up. Another speaker always begins another one.
    """
    return sentences_json(*_with_words(container, transcription_id))


@router.get(
    "/transcriptions/{transcription_id}/paragraphs", summary="Read a transcript by paragraphs", responses=_NOT_FOUND
)
def get_paragraphs(transcription_id: UUID, container: TheContainer) -> Paragraphs:
    """Sentences put together until another person speaks, a pause is long, or a paragraph is.

    Until it is completed: of what was recognised so far, or until it ended, marked with `partial`.
    """
    return paragraphs_json(*_with_words(container, transcription_id))


@router.delete(
    "/transcriptions/{transcription_id}", status_code=204, summary="Delete a transcription", responses=_NOT_FOUND
)
def delete_transcription(transcription_id: UUID, container: TheContainer) -> None:
    """One that runs is stopped first. Its recording stays. It can't be undone.

    When this is answered, its words and whatever was recognised are gone from the database, and every route says 404.
    Within moments a worker erases the rest: what was decoded for it, and the traces of its pipeline runs. The event
    `transcription.deleted` remains as a receipt.
    """
    container.delete_transcription(transcription_id)


@router.get(
    "/transcriptions/{transcription_id}/export",
    summary="Export a transcript as a file",
    response_class=Response,
    responses={200: {"description": "The file.", "content": _FILES}, **_NOT_FOUND, **_NOTHING_TO_EXPORT, **_NO_USE},
)
def export_transcription(
    transcription_id: UUID, query: Annotated[ExportQuery, Query()], container: TheContainer
) -> Response:
    """The file is named like its recording; one that is `partial` says so in its name. Text is UTF-8.

    Each format takes the parameters that it has a use for, as they say, and refuses the others: nothing is ignored.
    `zip` has all the others in it, and takes the parameters of all.

    Captions (`srt`, `vtt`) are cut anew, into cues that can be read, by rules that broadcasters publish; `fit=false`
    gives a cue for each segment of the engine instead. `docs/transcript.schema.json` describes `json`. In `csv` and
    `tsv` a cell that a spreadsheet would take for a formula begins with an apostrophe. `rttm` has who spoke when.
    """
    transcription, transcript = _with_words(container, transcription_id)
    is_whole = transcription.status is Status.COMPLETED
    has_part = transcription.status in _ENDED_EARLY and bool(transcript.text)
    if not (is_whole or (query.partial and has_part)):
        raise _nothing_to_export(transcription, has_part=has_part)
    with container.unit_of_work() as uow:
        file_name = uow.audio.get(transcription.audio_id).file_name
        corrections = uow.transcripts.revision(transcription_id) if is_whole else 0
        if query.revision is not None:
            corrections, transcript = query.revision, transcript_at(uow, transcription_id, query.revision)
    document = formats.Document.of(transcription, transcript, file_name=file_name, corrections=corrections)
    written = formats.write(document, query.format, query.options())
    disposition = content_disposition(f"{document.stem}.{query.format}")
    media_type = formats.FORMATS[query.format].media_type
    return Response(written, media_type=media_type, headers={"Content-Disposition": disposition})


@router.post(
    "/transcriptions/{transcription_id}/cancel",
    summary="Cancel a transcription",
    responses={**_NOT_FOUND, **_CANNOT},
)
def cancel_transcription(transcription_id: UUID, container: TheContainer) -> TranscriptionSummary:
    """It is cancelled when this is answered; a worker that is at it stops within two seconds. Once more is no error.

    What was recognised stays to be read, marked with `partial`, and is not done again by a retry.
    """
    return summary_json(container.cancel(transcription_id))


@router.post(
    "/transcriptions/{transcription_id}/retry",
    status_code=202,
    summary="Ask again for a transcription that failed or was cancelled",
    responses={**_QUEUED, **_NOT_FOUND, **_CANNOT, **_REFUSED},
)
def retry_transcription(
    transcription_id: UUID,
    container: TheContainer,
    answer: Response,
    wish: Annotated[TranscriptionWish | None, Body()] = None,
) -> TranscriptionSummary:
    """Without a body, or with an empty one: for the same, and what was recognised already is not done again.

    Otherwise for what the body says: it takes the place of all that was asked for, and the work begins anew.
    """
    parameters = wish.parameters() if wish and wish.model_fields_set else None
    return _accepted(container.retry(transcription_id, parameters), answer)


def _revision(container: Container, transcription_id: UUID) -> int | None:
    """The current one; None before the transcription is completed."""
    with container.unit_of_work() as uow:
        completed = uow.transcriptions.get(transcription_id).status is Status.COMPLETED
        return uow.transcripts.revision(transcription_id) if completed else None


def _with_words(container: Container, transcription_id: UUID) -> tuple[Transcription, Transcript]:
    with container.unit_of_work() as uow:
        return with_words_so_far(uow, transcription_id)


def _nothing_to_export(transcription: Transcription, *, has_part: bool) -> Conflict:
    where = f"/transcriptions/{transcription.id}"
    way_on = f"GET {where}/export?partial=true exports what had been recognised. " if has_part else ""
    return Conflict(
        f"There is no transcript to export: the transcription is {transcription.status}.",
        code="not_completed",
        help=f"{way_on}GET {where} tells how it stands.",
    )


def _accepted(transcription: Transcription, answer: Response) -> TranscriptionSummary:
    answer.headers["Location"] = f"/transcriptions/{transcription.id}"
    return summary_json(transcription)
