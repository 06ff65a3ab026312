"""What every request goes through: its correlation id, its line in the log, and the limit on its size."""

import re
import time
from dataclasses import dataclass
from uuid import uuid4

from loguru import logger
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hansard.http.errors import TooLarge, unexpected_problem
from hansard.observability import logging

REQUEST_ID_HEADER = "X-Request-ID"
ACCEPTED_REQUEST_ID = re.compile(r"[!-~]{1,128}")
"""Visible ASCII: what cannot break a log line or a header."""

FORM_FIELDS_BYTES = 1024 * 1024
"""What a form may hold beside its file."""

MOST_JSON_BYTES = 1024 * 1024

ASKED_AGAIN_AND_AGAIN = frozenset({"/health", "/metrics"})
"""By machines, which would fill the log."""

CLIENT_CLOSED_REQUEST = 499
"""nginx's number for a request whose client went away before it was answered."""


@dataclass(frozen=True, slots=True)
class RequestLog:
    """Gives each request its id, logs its end in one line, and answers exceptions that nobody expected."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        exchange = _Exchange(receive, send, request_id)
        with logging.context(request_id=request_id):
            started = time.perf_counter()
            try:
                await self.app(scope, exchange.receive, exchange.send)
            except ClientDisconnect:
                exchange.status = CLIENT_CLOSED_REQUEST
            except Exception:  # noqa: BLE001 - nobody is left to handle it: it is logged once, and answered
                logger.exception("An unexpected error stopped the request.")
                if exchange.status is None:
                    await unexpected_problem(request_id)(scope, receive, exchange.send)
            finally:
                _log(scope, exchange, duration_ms=(time.perf_counter() - started) * 1000)


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if ACCEPTED_REQUEST_ID.fullmatch(given) else uuid4().hex


class _Exchange:
    """Listens in on one request: its status once the answer began, and the bytes that passed."""

    def __init__(self, receive: Receive, send: Send, request_id: str) -> None:
        self._receive, self._send, self._request_id = receive, send, request_id
        self.status: int | None = None
        self.received_bytes = 0
        self.sent_bytes = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.received_bytes += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)[REQUEST_ID_HEADER] = self._request_id
        self.sent_bytes += len(message.get("body", b""))
        await self._send(message)


def _log(scope: Scope, exchange: _Exchange, *, duration_ms: float) -> None:
    # As the client sent it, percent-encoded: a decoded path could break the line.
    path = scope.get("raw_path", b"").decode("latin-1") or scope["path"]
    level = "DEBUG" if path in ASKED_AGAIN_AND_AGAIN or path.startswith("/health/") else "INFO"
    logger.bind(
        method=scope["method"],
        path=path,
        status=exchange.status,
        duration_ms=round(duration_ms, 1),
        received_bytes=exchange.received_bytes,
        sent_bytes=exchange.sent_bytes,
    ).log(level, "Request answered.")


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
        is_form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        told_bytes = self.max_upload_bytes if is_form else MOST_JSON_BYTES
        limit_bytes = told_bytes + FORM_FIELDS_BYTES if is_form else told_bytes
        received_bytes = 0

        async def limited_receive() -> Message:
            nonlocal received_bytes
            # Raised here, where the application reads, so that its own error handling answers.
            if _declared_bytes(headers) > limit_bytes:
                raise TooLarge(told_bytes)
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > limit_bytes:
                raise TooLarge(told_bytes)
            return message

        await self.app(scope, limited_receive, send)


def _declared_bytes(headers: Headers) -> int:
    declared = headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else 0
