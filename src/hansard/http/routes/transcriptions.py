"""Transcriptions: asked for, looked at while they come about, exported, cancelled."""

from pathlib import PurePath
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Form, Query, Response
from fastapi.responses import PlainTextResponse

from hansard import formats
from hansard.bootstrap import Container
from hansard.domain.errors import Conflict
from hansard.domain.transcript import Transcript
from hansard.domain.transcription import Status, Transcription
from hansard.http import mapping, schemas, uploads
from hansard.http.dependencies import RequestId, TheContainer
from hansard.http.download import content_disposition

router = APIRouter(tags=["transcriptions"])
upload_router = APIRouter(tags=["transcriptions"], route_class=uploads.UploadRoute)

_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such id."}}
_REFUSED: dict[int | str, dict[str, Any]] = {422: {"description": "The request or the recording cannot be honoured."}}
_ENDED: dict[int | str, dict[str, Any]] = {409: {"description": "Its status does not allow that."}}
_FILES = {each.media_type: {"schema": {"type": "string"}} for each in formats.FORMATS.values()}
_LOCATION: dict[int | str, dict[str, Any]] = {
    202: {"headers": {"Location": {"description": "Where to look for it.", "schema": {"type": "string"}}}}
}


@router.post(
    "/audio/{audio_id}/transcriptions",
    status_code=202,
    summary="Ask for a transcription of an uploaded recording",
    responses={**_LOCATION, **_NOT_FOUND, **_REFUSED},
)
def transcribe_audio(
    audio_id: UUID,
    container: TheContainer,
    request_id: RequestId,
    answer: Response,
    wish: Annotated[schemas.TranscriptionRequest | None, Body()] = None,
) -> schemas.TranscriptionSummary:
    """It is queued when this is answered. Follow it with `GET /transcriptions/{id}`."""
    parameters = (wish or schemas.TranscriptionRequest()).parameters()
    return _accepted(container.submit(audio_id, parameters, request_id=request_id), answer)


@upload_router.post(
    "/transcriptions",
    status_code=202,
    summary="Upload a recording and ask for its transcription",
    responses={**_LOCATION, 413: {"description": "The file is too large."}, **_REFUSED},
)
def transcribe_upload(
    form: Annotated[schemas.TranscriptionForm, Form(media_type="multipart/form-data")],
    container: TheContainer,
    request_id: RequestId,
    answer: Response,
) -> schemas.TranscriptionSummary:
    """`curl -F file=@talk.mp3 …/transcriptions` and follow it with `GET /transcriptions/{id}`."""
    parameters = form.parameters()
    # Before anything is stored: a misspelt engine should not leave a recording behind.
    container.submit.check(parameters)
    audio = uploads.receive(container.upload, form.file, max_upload_bytes=container.settings.max_upload_bytes)
    return _accepted(container.submit(audio.id, parameters, request_id=request_id), answer)


@router.get("/transcriptions", summary="List transcriptions, newest first")
def list_transcriptions(
    query: Annotated[schemas.TranscriptionsQuery, Query()], container: TheContainer
) -> schemas.TranscriptionPage:
    """Without their words: `GET /transcriptions/{id}` has them."""
    with container.unit_of_work() as uow:
        page = uow.transcriptions.page(
            limit=query.limit, cursor=query.cursor, status=query.status, audio_id=query.audio_id
        )
    items = [mapping.summary_json(transcription) for transcription in page.items]
    return schemas.TranscriptionPage(items=items, next_cursor=page.next_cursor)


@router.get("/transcriptions/{transcription_id}", summary="Look a transcription up", responses=_NOT_FOUND)
def get_transcription(transcription_id: UUID, container: TheContainer) -> schemas.TranscriptionDetail:
    """While it runs, `segments` grows with every passage that is recognised; `text` comes with completion."""
    transcription, transcript = _with_words(container, transcription_id)
    completed = transcription.status is Status.COMPLETED
    return mapping.detail_json(transcription, text=transcript.text if completed else None, segments=transcript.segments)


@router.get(
    "/transcriptions/{transcription_id}/export",
    summary="Export a transcript as a file",
    response_class=PlainTextResponse,
    responses={200: {"description": "The file.", "content": _FILES}, **_NOT_FOUND, **_ENDED},
)
def export_transcription(
    transcription_id: UUID, query: Annotated[schemas.ExportQuery, Query()], container: TheContainer
) -> Response:
    transcription, transcript = _with_words(container, transcription_id)
    if transcription.status is not Status.COMPLETED:
        raise Conflict(
            f"There is no transcript to export: the transcription is {transcription.status}.",
            code="not_completed",
            help=f"GET /transcriptions/{transcription_id} tells how it stands.",
        )
    text = formats.write(transcript, query.format)
    with container.unit_of_work() as uow:
        recording = uow.audio.get(transcription.audio_id).file_name
    disposition = content_disposition(f"{PurePath(recording).stem}.{query.format}")
    media_type = formats.FORMATS[query.format].media_type
    return PlainTextResponse(text, media_type=media_type, headers={"Content-Disposition": disposition})


@router.post(
    "/transcriptions/{transcription_id}/cancel",
    summary="Cancel a transcription",
    responses={**_NOT_FOUND, **_ENDED},
)
def cancel_transcription(transcription_id: UUID, container: TheContainer) -> schemas.TranscriptionSummary:
    return mapping.summary_json(container.cancel(transcription_id))


def _with_words(container: Container, transcription_id: UUID) -> tuple[Transcription, Transcript]:
    """A transcription and its transcript; before it is completed, what its finished passages make."""
    with container.unit_of_work() as uow:
        transcription = uow.transcriptions.get(transcription_id)
        if transcription.status is Status.COMPLETED:
            transcript = uow.transcripts.get(transcription_id)
        else:
            transcript = Transcript.of(uow.transcripts.passages(transcription_id))
    return transcription, transcript or Transcript(language=None, segments=())


def _accepted(transcription: Transcription, answer: Response) -> schemas.TranscriptionSummary:
    answer.headers["Location"] = f"/transcriptions/{transcription.id}"
    return mapping.summary_json(transcription)
