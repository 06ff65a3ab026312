"""What every request has: its ids, its line in the log and its span."""

import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from uuid import uuid4

from loguru import logger
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hansard.application.origin import acting, current_origin, new_trace_id, trace_given
from hansard.application.ports.tracing import NO_SPAN, Fact, Span, SpanKind
from hansard.http.errors import REFUSAL, unexpected_problem
from hansard.observability import tracing

CLIENT = "client"
"""The actor of what requests do."""

REQUEST_ID_HEADER = "X-Request-ID"
ACCEPTED_REQUEST_ID = re.compile(r"[!-~]{1,128}")
"""Visible ASCII: what cannot break a log line or a header."""

ASKED_AGAIN_AND_AGAIN = frozenset({"/health", "/metrics"})
"""By machines, which would fill the log, as do all below `/health/`."""

CLIENT_CLOSED_REQUEST = 499
"""nginx's number for a request whose client went away before it was answered."""


@dataclass(frozen=True, slots=True)
class RequestLog:
    """Gives each request its id and its place in a trace, logs its end in one line, and answers exceptions that nobody
    expected.

    Of questions that machines ask again and again, and that are answered well, one in `probe_every` is logged at INFO;
    0: none.
    """

    app: ASGIApp
    probe_every: int = 0
    _probes: Iterator[int] = field(default_factory=count, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        given = trace_given(headers.getlist("traceparent"), headers.getlist("tracestate"))
        trace = given or {"trace_id": new_trace_id()}
        answer = self._connect if scope["type"] == "websocket" else self._answer
        with acting(actor=CLIENT, request_id=request_id, **trace), _span(scope, request_id) as span:
            await answer(scope, receive, send, span)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, span: Span) -> None:
        exchange = _Exchange(receive, send)
        started = time.perf_counter()
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = CLIENT_CLOSED_REQUEST
        except Exception:  # noqa: BLE001 - nobody is left to handle it: it is logged once, and answered
            logger.exception("An unexpected error stopped the request.")
            if exchange.status is None:
                await unexpected_problem(scope)(scope, receive, exchange.send)
        finally:
            self._log(scope, exchange, duration_ms=(time.perf_counter() - started) * 1000)
            _note(span, scope, exchange)

    async def _connect(self, scope: Scope, receive: Receive, send: Send, span: Span) -> None:
        """The same for a WebSocket, which has one line at its beginning, too: it may stay for hours."""

        async def send_with_id(message: Message) -> None:
            if message["type"] in {"websocket.accept", "websocket.http.response.start"}:
                _add_ids(message)
            await send(message)

        # Not the query, which may hold a session's id or a prompt.
        told, started = logger.bind(path=_path(scope)), time.perf_counter()
        told.info("WebSocket asked for.")
        try:
            await self.app(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001 - nobody is left to handle it: it is logged once, the server closes
            logger.exception("An unexpected error stopped the connection.")
            span.fail(type(error).__name__)
        finally:
            span.rename(f"WebSocket {_route(scope) or ''}".rstrip())
            told.bind(duration_ms=round((time.perf_counter() - started) * 1000, 1)).info("WebSocket ended.")

    def _log(self, scope: Scope, exchange: "_Exchange", *, duration_ms: float) -> None:
        refusal = scope["state"].get(REFUSAL, {})
        told = logger.bind(
            method=scope["method"],
            path=_path(scope),
            route=_route(scope),
            status=exchange.status,
            duration_ms=round(duration_ms, 1),
            received_bytes=exchange.received_bytes,
            sent_bytes=exchange.sent_bytes,
            **refusal,
        )
        told.log("DEBUG" if self._is_passed_over(scope, exchange) else "INFO", "Request answered.")

    def _is_passed_over(self, scope: Scope, exchange: "_Exchange") -> bool:
        if not _is_probe(scope) or exchange.status is None or exchange.status >= HTTPStatus.BAD_REQUEST:
            return False
        return not self.probe_every or next(self._probes) % self.probe_every != 0


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if ACCEPTED_REQUEST_ID.fullmatch(given) else uuid4().hex


def _span(scope: Scope, request_id: str) -> AbstractContextManager[Span]:
    """By https://opentelemetry.io/docs/specs/semconv/http/http-spans/; the query and the client's address stay out."""
    if _is_probe(scope) or not tracing.is_on():
        return nullcontext(NO_SPAN)
    method, server = scope.get("method", "GET"), scope.get("server") or (None, None)
    facts: dict[str, Fact | None] = {
        "http.request.method": method,
        "url.path": _path(scope),
        "url.scheme": scope.get("scheme"),
        "server.address": server[0],
        "server.port": server[1],
        "network.protocol.version": scope.get("http_version"),
        "hansard.request_id": request_id,
    }
    return tracing.span(method, kind=SpanKind.SERVER, facts=facts)


def _note(span: Span, scope: Scope, exchange: "_Exchange") -> None:
    route = _route(scope)
    if route is not None:
        span.rename(f"{scope['method']} {route}")
    span.note(
        {
            "http.route": route,
            "http.response.status_code": exchange.status,
            "http.request.body.size": exchange.received_bytes,
            "http.response.body.size": exchange.sent_bytes,
            "hansard.error.code": scope["state"].get(REFUSAL, {}).get("code"),
        }
    )
    if exchange.status is None or exchange.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.fail(str(exchange.status or "no_answer"))


class _Exchange:
    """Listens in on one request: its status once the answer began, and the bytes that passed."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
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
            _add_ids(message)
        self.sent_bytes += len(message.get("body", b""))
        await self._send(message)


def _add_ids(message: Message) -> None:
    """`traceresponse` is W3C's draft for what a request has become part of; `traceparent` goes the other way only."""
    origin, headers = current_origin(), MutableHeaders(scope=message)
    headers[REQUEST_ID_HEADER] = origin.request_id or ""
    if tracing.is_on() and origin.traceparent is not None:
        headers["traceresponse"] = origin.traceparent


def _path(scope: Scope) -> str:
    """As the client sent it, percent-encoded: a decoded path could break the line."""
    return scope.get("raw_path", b"").decode("latin-1") or scope["path"]


def _route(scope: Scope) -> str | None:
    """The template of the path, as `/audio/{audio_id}`; None where there is nothing at it."""
    return getattr(scope.get("route"), "path", None)


def _is_probe(scope: Scope) -> bool:
    return scope["path"] in ASKED_AGAIN_AND_AGAIN or scope["path"].startswith("/health/")
