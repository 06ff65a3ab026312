"""Recordings that come as a form: spooled to disk while they come, under a name that is safe to give back."""

from collections.abc import Callable, Coroutine
from typing import Any, BinaryIO, cast

from fastapi import Request, Response, UploadFile
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from hansard.bootstrap import Container
from hansard.domain.audio import DEFAULT_OWNER
from hansard.domain.errors import HansardError, InvalidRequest, StorageError
from hansard.domain.file_name import clean_file_name
from hansard.http.errors import BODY_UNWANTED, TooLarge, refused

MOST_FIELDS = 32
MOST_FIELD_BYTES = 128 * 1024
"""Room for 20 metadata values of 500 characters, each escaped in JSON."""


class UploadRoute(APIRoute):
    """Reads the form before FastAPI would, with narrower limits: one file, few fields, each once."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_form(request: Request) -> Response:
            form = await read_form(request)
            try:
                _require_unique_fields(form)
                return await handle(request)
            finally:
                await form.close()

        return handle_form


async def read_form(
    request: Request, *, most_fields: int = MOST_FIELDS, most_field_bytes: int = MOST_FIELD_BYTES
) -> FormData:
    """With one file at most, on the disk; the caller closes it."""
    try:
        return await request.form(max_files=1, max_fields=most_fields, max_part_size=most_field_bytes)
    except OSError as error:
        raise StorageError(
            "The recording could not be written to the disk while it came in.",
            code="upload_not_written",
            help="Free space in HANSARD_DATA_DIR, then send it again.",
        ) from error


class QueueingUploadRoute(UploadRoute):
    """Refuses, while the queue is full, before hours of audio are sent for nothing.

    Whether there is still room when the form is there is found out when the job is made.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle_form = super().get_route_handler()

        async def handle_if_room(request: Request) -> Response:
            container = cast(Container, request.app.state.container)
            try:
                await run_in_threadpool(container.submit.require_room, DEFAULT_OWNER)
            except HansardError as error:
                return refused(request, error, headers=BODY_UNWANTED)
            return await handle_form(request)

        return handle_if_room


def _require_unique_fields(form: FormData) -> None:
    if repeated := sorted(name for name in form if len(form.getlist(name)) > 1):
        raise InvalidRequest(
            f"A field may be given once; these come more often: {', '.join(repeated)}.",
            help="`metadata` takes many values at once, as one JSON object.",
        )


def received(file: UploadFile, *, max_upload_bytes: int) -> tuple[BinaryIO, str]:
    """The recording and a name for it that is safe to give back. Raises `TooLarge`."""
    if file.size is not None and file.size > max_upload_bytes:
        raise TooLarge(max_upload_bytes)
    return file.file, clean_file_name(_as_named(file.filename or ""))


def _as_named(form_name: str) -> str:
    """Browsers and curl write three characters of a file name otherwise in a form, and only these.

    Source: WHATWG HTML, "Multipart form data", encoding algorithm.
    """
    for escaped, character in (("%22", '"'), ("%0D", "\r"), ("%0A", "\n")):
        form_name = form_name.replace(escaped, character)
    return form_name
