"""Recordings: in, listed, and out again as the very bytes that came in."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import StreamingResponse

from hansard.http.dependencies import IdempotencyKey, Places, RequestId, TheContainer
from hansard.http.download import download
from hansard.http.mapping.audio import audio_json
from hansard.http.schemas import audio as schemas
from hansard.http.schemas.fields import PageQuery
from hansard.http.uploads.forms import UploadRoute, received
from hansard.http.uploads.urls import URL_ANSWERS, UrlRoute

router = APIRouter(prefix="/audio", tags=["audio"])
upload_router = APIRouter(prefix="/audio", tags=["audio"], route_class=UploadRoute)
url_router = APIRouter(prefix="/audio", tags=["audio"], route_class=UrlRoute)

_BYTES: dict[str, Any] = {"content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}}}
_DOWNLOAD_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole file.", **_BYTES},
    206: {"description": "The range asked for.", **_BYTES},
    304: {"description": "The bytes are those of the ETag in If-None-Match."},
    404: {"description": "There is no such audio file."},
    416: {"description": "The range begins behind the end of the file."},
}

_UPLOAD_ANSWERS: dict[int | str, dict[str, Any]] = {
    201: {"headers": {"Location": {"description": "Where it is.", "schema": {"type": "string"}}}},
    409: {"description": "`idempotency_key_spent`: what was made for this Idempotency-Key has been deleted since."},
    413: {"description": "`too_large`."},
    422: {"description": "`invalid_request`; `idempotency_key_reused`; what is wrong with the recording, or the URL."},
    503: {"description": "`uploads_busy`: as many are coming in as are taken at once."},
    507: {"description": "`disk_scarce`: there is no room for it."},
}


@upload_router.post(
    "",
    status_code=201,
    summary="Upload a recording",
    responses=_UPLOAD_ANSWERS,
)
def upload_audio(
    form: Annotated[schemas.AudioForm, Form(media_type="multipart/form-data")],
    container: TheContainer,
    answer: Response,
    idempotency_key: IdempotencyKey = None,
) -> schemas.Audio:
    """Any container and codec that FFmpeg reads, video included. The same bytes again are a new audio file, but
    are stored once.

    In JSON, with a `url`, it is fetched from there, where the operator allows that (`HANSARD_URL_INPUT`); the request
    is answered once the file is here. For large files and lines that fail there is `POST /uploads`.
    """
    source, file_name = received(form.file, max_upload_bytes=container.settings.max_upload_bytes)
    audio = container.upload(source, file_name=file_name, idempotency_key=idempotency_key)
    answer.headers["Location"] = f"/audio/{audio.id}"
    return audio_json(audio)


@url_router.post("", status_code=201, summary="Upload a recording by its URL", responses=URL_ANSWERS)
async def fetch_audio(
    body: schemas.AudioUrl,
    container: TheContainer,
    places: Places,
    answer: Response,
    idempotency_key: IdempotencyKey = None,
) -> schemas.Audio:
    """Answered once the file is here."""
    audio = await places.during(
        partial(container.fetch.audio, body.url, file_name=body.file_name, idempotency_key=idempotency_key)
    )
    answer.headers["Location"] = f"/audio/{audio.id}"
    return audio_json(audio)


@router.get("", summary="List recordings, newest first")
def list_audio(query: Annotated[PageQuery, Query()], container: TheContainer) -> schemas.AudioPage:
    with container.unit_of_work() as uow:
        page = uow.audio.page(limit=query.limit, cursor=query.cursor)
    return schemas.AudioPage(items=[audio_json(audio) for audio in page.items], next_cursor=page.next_cursor)


@router.get("/{audio_id}", summary="Look a recording up", responses={404: {"description": "There is none."}})
def get_audio(audio_id: UUID, container: TheContainer) -> schemas.Audio:
    with container.unit_of_work() as uow:
        return audio_json(uow.audio.get(audio_id))


@router.delete(
    "/{audio_id}", status_code=204, summary="Delete a recording", responses={404: {"description": "There is none."}}
)
def delete_audio(audio_id: UUID, container: TheContainer) -> None:
    """With all its transcriptions; those that run are stopped first. It can't be undone.

    When this is answered, the recording, its transcripts and whatever was recognised are gone from the database, and
    every route says 404. Within moments a worker erases the rest: the bytes, unless another recording has the same,
    what was decoded from them, and the traces of pipeline runs. Two events remain as receipts: `audio.deleted` now,
    `audio.erased` when nothing is left.
    """
    container.delete_audio(audio_id)


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
