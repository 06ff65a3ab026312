"""Counts every request and what became of it, also of those that are refused before a route has seen them."""

import re
import time
from collections.abc import Sequence

from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hansard.observability.request_counters import RequestCounters, RouteSeries

UNKNOWN = "unknown"
"""The route of a path that there is not: there are as many of those as somebody cares to try."""

EVENT_STREAM = b"text/event-stream"


class RouteTemplates:
    """Tells the route of a path, as `/audio/{audio_id}`: before it is routed, and without asking each route."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._fixed: dict[str, str] = {}
        patterns: dict[str, str] = {}
        for route in iter_route_contexts(routes):
            path = route.path_format or route.path
            if isinstance(route.original_route, Mount):
                patterns[route.original_route.path] = f"{re.escape(route.original_route.path)}(?:/.*)?"
            elif not path:  # a WebSocket's
                continue
            elif "{" in path:
                patterns[path] = _without_names(compile_path(route.path or path)[0])
            else:
                self._fixed[path] = path
        self._templates = (UNKNOWN, *patterns)
        self._pattern = re.compile("|".join(f"({pattern})" for pattern in patterns.values()))

    def of(self, path: str) -> str:
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed
        found = self._pattern.fullmatch(path)
        return self._templates[(found.lastindex or 0) if found else 0]


def _without_names(pattern: "re.Pattern[str]") -> str:
    """Names of groups may stand in one pattern only once; and the whole path is matched anyway."""
    return re.sub(r"\(\?P<\w+>", "(?:", pattern.pattern).removeprefix("^").removesuffix("$")


class RequestMetrics:
    """Around everything else, so that what it counts is what clients got."""

    def __init__(self, app: ASGIApp, counters: RequestCounters, routes: Sequence[BaseRoute]) -> None:
        self.app = app
        self._counters = counters
        self._templates = RouteTemplates(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(self._counters.of(self._templates.of(scope["path"]), scope["method"]), receive, send)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        finally:
            exchange.end()


class _Exchange:
    """One request on its way, and the bytes that pass."""

    __slots__ = ("_began", "_is_stream", "_receive", "_received_bytes", "_send", "_sent_bytes", "_series", "_status")

    def __init__(self, series: RouteSeries, receive: Receive, send: Send) -> None:
        self._series, self._receive, self._send = series, receive, send
        self._began = time.perf_counter()
        self._status: int | None = None
        self._received_bytes, self._sent_bytes = 0, 0
        self._is_stream = False
        series.in_flight.inc()

    async def receive(self) -> Message:
        message = await self._receive()
        self._received_bytes += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begin_answer(message)
        else:
            self._sent_bytes += len(message.get("body", b""))
        await self._send(message)

    def end(self) -> None:
        series = self._series
        series.in_flight.dec()
        if self._is_stream:
            series.streams_open.dec()
        else:
            series.observe(self._status, time.perf_counter() - self._began)
        if self._received_bytes:
            series.request_bytes.inc(self._received_bytes)
        if self._sent_bytes:
            series.response_bytes.inc(self._sent_bytes)

    def _begin_answer(self, message: Message) -> None:
        self._status = message["status"]
        headers = message.get("headers", ())
        if any(name == b"content-type" and value.startswith(EVENT_STREAM) for name, value in headers):
            self._is_stream = True
            self._series.streams_open.inc()
            self._series.observe(self._status, time.perf_counter() - self._began)
