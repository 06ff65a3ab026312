"""Recordings: in, listed, and out again as the very bytes that came in."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import StreamingResponse

from hansard.http import mapping, schemas, uploads
from hansard.http.dependencies import RequestId, TheContainer
from hansard.http.download import download

router = APIRouter(prefix="/audio", tags=["audio"])
upload_router = APIRouter(prefix="/audio", tags=["audio"], route_class=uploads.UploadRoute)

_BYTES: dict[str, Any] = {"content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}}}
_DOWNLOAD_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole file.", **_BYTES},
    206: {"description": "The range asked for.", **_BYTES},
    304: {"description": "The bytes are those of the ETag in If-None-Match."},
    404: {"description": "There is no such audio file."},
    416: {"description": "The range begins behind the end of the file."},
}


@upload_router.post(
    "",
    status_code=201,
    summary="Upload a recording",
    responses={413: {"description": "The file is too large."}, 422: {"description": "It cannot be transcribed."}},
)
def upload_audio(
    form: Annotated[schemas.AudioForm, Form(media_type="multipart/form-data")],
    container: TheContainer,
    answer: Response,
) -> schemas.Audio:
    """Any container and codec that FFmpeg reads, video included. The same bytes again are a new audio file, but
    are stored once.
    """
    limit = container.settings.max_upload_bytes
    audio = uploads.receive(container.upload, form.file, max_upload_bytes=limit)
    answer.headers["Location"] = f"/audio/{audio.id}"
    return mapping.audio_json(audio)


@router.get("", summary="List recordings, newest first")
def list_audio(query: Annotated[schemas.PageQuery, Query()], container: TheContainer) -> schemas.AudioPage:
    with container.unit_of_work() as uow:
        page = uow.audio.page(limit=query.limit, cursor=query.cursor)
    return schemas.AudioPage(items=[mapping.audio_json(audio) for audio in page.items], next_cursor=page.next_cursor)


@router.get("/{audio_id}", summary="Look a recording up", responses={404: {"description": "There is none."}})
def get_audio(audio_id: UUID, container: TheContainer) -> schemas.Audio:
    with container.unit_of_work() as uow:
        return mapping.audio_json(uow.audio.get(audio_id))


@router.head("/{audio_id}/download", include_in_schema=False)
@router.get(
    "/{audio_id}/download",
    summary="Download the original bytes",
    response_class=StreamingResponse,
    responses=_DOWNLOAD_ANSWERS,
)
def download_audio(audio_id: UUID, request: Request, container: TheContainer, request_id: RequestId) -> Response:
    """One range at a time (several are answered with the whole file), If-Range, If-None-Match and HEAD work as
    RFC 9110 says; the ETag is the file's SHA-256.
    """
    with container.unit_of_work() as uow:
        audio = uow.audio.get(audio_id)
    return download(audio, container.store, method=request.method, headers=request.headers, request_id=request_id)
