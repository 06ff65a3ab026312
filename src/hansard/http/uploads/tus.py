"""The tus protocol 1.0 on the wire: which headers a request must have, what they mean, and what every answer carries.

Source: https://tus.io/protocols/resumable-upload, version 1.0.0, with the extensions of `EXTENSIONS`.
"""

import base64
import binascii
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from hansard.application.ports.storage import PartialUpload
from hansard.application.receive import CHECKSUMS, Checksum, Received
from hansard.domain.errors import HansardError
from hansard.domain.file_name import UNNAMED, clean_file_name
from hansard.domain.transcription import Parameters
from hansard.http.errors import BODY_UNWANTED, TusRefused, TusTypeRefused, TusVersionRefused, refused
from hansard.http.schemas.transcription_requests import TranscriptionWish
from hansard.http.schemas.transcriptions import TRANSCRIPTION_ID_HEADER

VERSION = "1.0.0"
EXTENSIONS = ("creation", "creation-with-upload", "checksum", "expiration", "termination")
CONTENT_TYPE = "application/offset+octet-stream"

AUDIO_ID_HEADER = "X-Hansard-Audio-Id"

WISH_KEY = "transcription"
_NAME_KEYS = ("filename", "name")
_TOLD_BY_CLIENTS = {*_NAME_KEYS, "filetype", "type", "relativePath"}
"""Uppy and tus-js-client send these by themselves."""

_SENDING = {"PATCH", "POST"}

MOST_METADATA_CHARACTERS = 16_384
LARGEST_LENGTH = 2**63 - 1


class TusRoute(APIRoute):
    """Answers as the protocol wants, refusals too. A refused body need not be sent to its end."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_tus(request: Request) -> Response:
            try:
                if request.method != "OPTIONS":
                    _require_version(request.headers)
                answer = await handle(request)
            except HansardError as error:
                answer = refused(request, error, headers=BODY_UNWANTED if request.method in _SENDING else None)
            except HTTPException as error:
                error.headers = {**(error.headers or {}), "Tus-Resumable": VERSION}
                raise
            answer.headers["Tus-Resumable"] = VERSION
            if answer.status_code == HTTPStatus.PRECONDITION_FAILED:
                answer.headers["Tus-Version"] = VERSION
            return answer

        return handle_tus


@dataclass(frozen=True, slots=True)
class Creation:
    """What a client says of the recording it is about to send."""

    length_bytes: int
    metadata: str
    file_name: str
    parameters: Parameters | None


def creation(headers: Headers) -> Creation:
    """Raises `TusRefused`, also for a wish that cannot be read."""
    if "upload-defer-length" in headers:
        raise TusRefused("Upload-Defer-Length is not supported here.", help="Send Upload-Length.")
    if "upload-concat" in headers:
        raise TusRefused("Upload-Concat is not supported here.", help="Send the recording as one upload.")
    metadata = headers.get("upload-metadata", "")
    values = _metadata(metadata)
    name = next((values[key] for key in _NAME_KEYS if key in values), UNNAMED)
    return Creation(_number(headers, "Upload-Length"), metadata, clean_file_name(name), _wish(values.get(WISH_KEY)))


def offset(headers: Headers) -> int:
    """Raises `TusRefused`, `TusTypeRefused`."""
    require_content_type(headers)
    return _number(headers, "Upload-Offset")


def require_content_type(headers: Headers) -> None:
    if headers.get("content-type", "").partition(";")[0].strip().casefold() != CONTENT_TYPE:
        raise TusTypeRefused("The bytes of an upload have another type.", help=f"Send Content-Type: {CONTENT_TYPE}.")


def checksum(headers: Headers) -> Checksum | None:
    """Raises `TusRefused`."""
    given = headers.get("upload-checksum")
    if given is None:
        return None
    algorithm, _, encoded = given.strip().partition(" ")
    if algorithm not in CHECKSUMS:
        raise TusRefused("That algorithm of a checksum is not known here.", help=f"Use one of: {', '.join(CHECKSUMS)}.")
    return Checksum(algorithm, _decoded(encoded.strip(), "Upload-Checksum"))


def declared_bytes(headers: Headers) -> int:
    """0 where the body is sent in chunks, and nobody knows."""
    declared = headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else 0


def has_body(headers: Headers) -> bool:
    return declared_bytes(headers) > 0 or "transfer-encoding" in headers


def parameter(name: str, description: str, *, required: bool = False) -> dict[str, Any]:
    """A header of a request, for the API's description."""
    return {
        "in": "header",
        "name": name,
        "description": description,
        "required": required,
        "schema": {"type": "string"},
    }


def state_headers(state: PartialUpload | Received) -> dict[str, str]:
    """Where the upload is, and what it has become."""
    if isinstance(state, Received):
        told = {"Upload-Offset": str(state.audio.stored.size_bytes), AUDIO_ID_HEADER: str(state.audio.id)}
        if state.transcription_id:
            told[TRANSCRIPTION_ID_HEADER] = str(state.transcription_id)
        return told
    return {
        "Upload-Offset": str(state.offset_bytes),
        "Upload-Expires": format_datetime(state.expires_at, usegmt=True),
    }


def length_headers(state: PartialUpload | Received) -> dict[str, str]:
    """How long it will be, and what the client said of it."""
    if isinstance(state, Received):
        return {"Upload-Length": str(state.audio.stored.size_bytes)}
    metadata = {"Upload-Metadata": state.metadata} if state.metadata else {}
    return {"Upload-Length": str(state.length_bytes), **metadata}


def _require_version(headers: Headers) -> None:
    given = headers.get("tus-resumable")
    if given != VERSION:
        raise TusVersionRefused(
            "Tus-Resumable is missing." if given is None else "That version of the tus protocol is not spoken here.",
            help=f"Send Tus-Resumable: {VERSION}, with a client for tus {VERSION}.",
        )


def _number(headers: Headers, name: str) -> int:
    given = headers.get(name, "")
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(LARGEST_LENGTH))):
        raise TusRefused(f"{name} is missing, or no number of bytes.", help=f"Send {name}: a number, 0 or greater.")
    return int(given)


def _metadata(given: str) -> Mapping[str, str]:
    """Its values by key. Keys that this service has no use for are refused, unless clients send them by themselves."""
    if len(given) > MOST_METADATA_CHARACTERS:
        raise TusRefused("Upload-Metadata is too long.", help=f"{MOST_METADATA_CHARACTERS} characters are the most.")
    values: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in given.split(","))):
        key, _, encoded = pair.partition(" ")
        if key in values or key not in {*_TOLD_BY_CLIENTS, WISH_KEY}:
            raise TusRefused(
                "Upload-Metadata has a key twice, or one that is not known here.",
                help=f"Use filename and {WISH_KEY}: what is asked of its transcription, as JSON.",
            )
        values[key] = _text(_decoded(encoded.strip(), "Upload-Metadata"))
    return values


def _wish(given: str | None) -> Parameters | None:
    if given is None:
        return None
    try:
        return TranscriptionWish.model_validate(json.loads(given)).parameters()
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}" for each in error.errors())
        raise _bad_wish(wrong[:500]) from error
    except (ValueError, RecursionError) as error:
        raise _bad_wish("it is no JSON") from error


def _bad_wish(why: str) -> TusRefused:
    return TusRefused(
        f"What Upload-Metadata asks of the transcription cannot be honoured: {why}.",
        help="It is a JSON object with the fields of POST /audio/{audio_id}/transcriptions.",
    )


def _decoded(encoded: str, header: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise TusRefused(
            f"{header} holds something that is not Base64.", help="Encode each value as Base64."
        ) from error


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TusRefused("Upload-Metadata holds text that is not UTF-8.", help="Encode text as UTF-8.") from error
