"""The limits on what comes in: how much in one request, and how many recordings at once."""

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hansard.application.room import DiskRoom
from hansard.domain.errors import HansardError
from hansard.http.errors import BODY_UNWANTED, TooLarge, refused
from hansard.http.uploads import tus
from hansard.http.uploads.places import UploadPlaces

FORM_FIELDS_BYTES = 1024 * 1024
"""What a form may hold beside its file."""

MOST_JSON_BYTES = 8 * 1024 * 1024
"""Room for the transcript of a whole day, as an editor saves it."""


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """Refuses a body that is too large with 413: by its Content-Length, else as soon as too much has come in."""

    app: ASGIApp
    max_upload_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        told_bytes = self.max_upload_bytes if _is_upload(headers) else MOST_JSON_BYTES
        limit_bytes = told_bytes + FORM_FIELDS_BYTES if _is_form(headers) else told_bytes
        received_bytes = 0

        async def limited_receive() -> Message:
            nonlocal received_bytes
            # Raised here, where the application reads, so that its own error handling answers.
            if tus.declared_bytes(headers) > limit_bytes:
                raise TooLarge(told_bytes)
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > limit_bytes:
                raise TooLarge(told_bytes)
            return message

        await self.app(scope, limited_receive, send)


@dataclass(frozen=True, slots=True)
class UploadGate:
    """Lets so many recordings come in at once, while there is room on the disk; others are refused at their headers.

    A place is taken until the body is there: what is done with it then has limits of its own.
    """

    app: ASGIApp
    places: UploadPlaces
    room: DiskRoom
    max_upload_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if not _is_upload(headers):
            await self.app(scope, receive, send)
            return
        declared_bytes = tus.declared_bytes(headers)
        try:
            # What is too large is refused as that, by `BodyLimit`.
            self.room.require(declared_bytes if declared_bytes <= self.max_upload_bytes + FORM_FIELDS_BYTES else 0)
            place = self.places.take()
        except HansardError as error:
            await refused(Request(scope), error, headers=BODY_UNWANTED)(scope, receive, send)
            return

        async def watched_receive() -> Message:
            message = await receive()
            if not message.get("more_body", False):
                place.leave()
            return message

        try:
            await self.app(scope, watched_receive, send)
        finally:
            place.leave()


def _is_upload(headers: Headers) -> bool:
    return _is_form(headers) or headers.get("content-type", "").lower().startswith(tus.CONTENT_TYPE)


def _is_form(headers: Headers) -> bool:
    return headers.get("content-type", "").lower().startswith("multipart/form-data")
