"""Uploads that go on where they broke off, by the tus protocol: for large files, and for lines that fail."""

from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import anyio
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from hansard.application.ports.storage import PartialUpload
from hansard.application.receive import CHECKSUMS, Piece, Receive, Received, require_offset
from hansard.http.dependencies import RequestId, TheContainer
from hansard.http.errors import BODY_UNWANTED
from hansard.http.schemas.transcriptions import TRANSCRIPTION_ID_HEADER
from hansard.http.uploads import tus

router = APIRouter(prefix="/uploads", tags=["uploads"], route_class=tus.TusRoute)

BLOCK_BYTES = 1024 * 1024
IDLE_SECONDS = 30.0
"""After so long without a byte the connection is taken for dead, so that the client can go on over another."""

METHOD_OVERRIDE = "X-HTTP-Method-Override"
"""For clients, or proxies on the way, that know GET and POST only."""

_VERSION = tus.parameter("Tus-Resumable", f"`{tus.VERSION}`: the version of the protocol.", required=True)
_LENGTH = tus.parameter("Upload-Length", "The recording's size in bytes.", required=True)
_METADATA = tus.parameter(
    "Upload-Metadata",
    "`filename` and, to have it transcribed, `transcription`: a JSON object with the fields of "
    "`POST /audio/{audio_id}/transcriptions`. Each key is followed by a space and its value in Base64; commas stand "
    "between.",
)
_OFFSET = tus.parameter("Upload-Offset", "Where the bytes belong, which is where the upload is.", required=True)
_CHECKSUM = tus.parameter(
    "Upload-Checksum", "`sha1` or `sha256`, a space, and that of this request's bytes, in Base64."
)

_STATE: dict[str, Any] = {
    name: {"description": description, "schema": {"type": "string"}}
    for name, description in {
        "Tus-Resumable": "The version of the protocol.",
        "Upload-Offset": "The bytes that are here, safe.",
        "Upload-Expires": "Until when it waits to be gone on with.",
        tus.AUDIO_ID_HEADER: "The recording it has become.",
        TRANSCRIPTION_ID_HEADER: "The transcription that was asked for with it.",
    }.items()
}
_NOT_THERE: dict[int | str, dict[str, Any]] = {
    404: {"description": "`not_found`: there is no such upload."},
    410: {"description": "`upload_gone`: it expired, or what it had become was deleted."},
}
_BODY: dict[str, Any] = {"content": {tus.CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}}}}


@router.options("", status_code=204, summary="What is spoken here", responses={204: {"description": "In headers."}})
async def tus_options(container: TheContainer) -> Response:
    """Versions and extensions of the tus protocol, and the largest upload."""
    headers = {
        "Tus-Version": tus.VERSION,
        "Tus-Extension": ",".join(tus.EXTENSIONS),
        "Tus-Max-Size": str(container.settings.max_upload_bytes),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }
    return Response(status_code=204, headers=headers)


@router.post(
    "",
    status_code=201,
    summary="Begin a resumable upload",
    openapi_extra={"parameters": [_VERSION, _LENGTH, _METADATA, _CHECKSUM], "requestBody": _BODY},
    responses={
        201: {"headers": {"Location": {"description": "Where to send it.", "schema": {"type": "string"}}, **_STATE}},
        400: {"description": "`bad_upload_request`: a header is missing or cannot be read."},
        412: {"description": "`tus_version_unsupported`."},
        413: {"description": "`too_large`."},
        507: {"description": "`disk_scarce`: there is no room for it."},
    },
)
async def begin_upload(
    request: Request,
    container: TheContainer,
    request_id: RequestId,
) -> Response:
    """With any client of the tus protocol 1.0: tus-js-client, Uppy, tuspy … The first bytes may come along.

    Once all of it is here the upload is a recording with the same id: `/uploads/{id}` becomes `/audio/{id}`.
    """
    asked = tus.creation(request.headers)
    if tus.has_body(request.headers):
        tus.require_content_type(request.headers)
    upload = await run_in_threadpool(
        container.receive.begin,
        length_bytes=asked.length_bytes,
        file_name=asked.file_name,
        metadata=asked.metadata,
        parameters=asked.parameters,
        request_id=request_id,
    )
    state: PartialUpload | Received = upload
    if tus.has_body(request.headers) or not asked.length_bytes:
        state = await _receive(request, container.receive, upload.id, 0)
    headers = {"Location": f"/uploads/{upload.id}", **tus.state_headers(state)}
    return Response(status_code=201, headers=headers)


@router.head(
    "/{upload_id}",
    summary="How far an upload is",
    openapi_extra={"parameters": [_VERSION]},
    responses={200: {"headers": _STATE}, **_NOT_THERE},
)
async def look_at_upload(upload_id: UUID, container: TheContainer) -> Response:
    """Go on from `Upload-Offset`. For one that is whole, the headers name the recording it has become."""
    state = await run_in_threadpool(container.receive.look, upload_id)
    headers = {"Cache-Control": "no-store", **tus.state_headers(state), **tus.length_headers(state)}
    return Response(status_code=200, headers=headers)


@router.patch(
    "/{upload_id}",
    status_code=204,
    summary="Send bytes of an upload",
    openapi_extra={"parameters": [_VERSION, _OFFSET, _CHECKSUM], "requestBody": _BODY},
    responses={
        204: {"description": "They are safe.", "headers": _STATE},
        **_NOT_THERE,
        400: {"description": "`bad_upload_request`: a header is missing or cannot be read."},
        409: {"description": "`offset_mismatch`: the upload is at another offset."},
        412: {"description": "`tus_version_unsupported`."},
        413: {"description": "`too_large`: more than Upload-Length."},
        415: {"description": "`upload_type_unsupported`."},
        422: {"description": "With the last bytes: what is wrong with the recording."},
        423: {"description": "`upload_in_use`: another request is sending it."},
        460: {"description": "`checksum_mismatch`: the bytes were damaged on the way, and are not kept."},
    },
)
async def send_to_upload(
    upload_id: UUID,
    request: Request,
    container: TheContainer,
) -> Response:
    """When this is answered, the bytes are on the disk. Those of a request that breaks off count as far as they came,
    unless it had a checksum. With the last ones, the recording is made, and the headers name it.
    """
    offset_bytes = tus.offset(request.headers)
    state = await _receive(request, container.receive, upload_id, offset_bytes)
    return Response(status_code=204, headers=tus.state_headers(state))


@router.delete(
    "/{upload_id}",
    status_code=204,
    summary="Give an upload up",
    openapi_extra={"parameters": [_VERSION]},
    responses=_NOT_THERE,
)
async def abandon_upload(upload_id: UUID, container: TheContainer) -> Response:
    """What had come is removed. One that has become a recording is deleted as that: `DELETE /audio/{audio_id}`."""
    await run_in_threadpool(container.receive.abandon, upload_id)
    return Response(status_code=204)


@router.post("/{upload_id}", include_in_schema=False)
async def overridden_method(upload_id: UUID, request: Request, container: TheContainer) -> Response:
    match request.headers.get(METHOD_OVERRIDE):
        case "PATCH":
            return await send_to_upload(upload_id, request, container)
        case "HEAD":
            return await look_at_upload(upload_id, container)
        case "DELETE":
            return await abandon_upload(upload_id, container)
        case _:
            raise HTTPException(405)


async def _receive(request: Request, receive: Receive, upload_id: UUID, offset_bytes: int) -> PartialUpload | Received:
    """The upload with the request's body, settled if it is whole now."""
    checksum = tus.checksum(request.headers)
    state = await run_in_threadpool(receive.look, upload_id)
    if isinstance(state, Received):
        require_offset(offset_bytes, state.audio.stored.size_bytes)
        return state
    piece_of: AbstractContextManager[Piece] = receive.piece(upload_id, offset_bytes=offset_bytes, checksum=checksum)
    async with contextmanager_in_threadpool(piece_of) as piece:
        piece.require_room(tus.declared_bytes(request.headers))
        async for block in _blocks(request):
            await run_in_threadpool(piece.add, block)
    if piece.upload.is_whole:
        return await run_in_threadpool(receive.settle, upload_id)
    return piece.upload


async def _blocks(request: Request) -> AsyncGenerator[bytes]:
    """The body, in blocks of about `BLOCK_BYTES`; all that came, before it is told that no more will come."""
    gathered, gathered_bytes = list[bytes](), 0
    failure: Exception | None = None
    stream = request.stream()
    while failure is None:
        try:
            with anyio.fail_after(IDLE_SECONDS):
                gathered.append(await anext(stream))
        except (StopAsyncIteration, ClientDisconnect, TimeoutError) as error:
            failure = error
        else:
            gathered_bytes += len(gathered[-1])
        if gathered_bytes >= BLOCK_BYTES or (failure and gathered_bytes):
            yield b"".join(gathered)
            gathered, gathered_bytes = [], 0
    if isinstance(failure, TimeoutError):
        raise HTTPException(408, f"No byte came for {IDLE_SECONDS:g} s", headers=BODY_UNWANTED)
    if isinstance(failure, ClientDisconnect):
        raise failure
