"""Counts requests, by the route's template and never by the path that a client sent."""

from dataclasses import dataclass, field
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

DURATIONS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
NO_ANSWER = "none"
"""The status where the client went away before it was answered."""


@dataclass(frozen=True, slots=True)
class RouteSeries:
    """What is counted for one route and method. Looked up once: that costs more than counting."""

    duration: Histogram
    in_flight: Gauge
    streams_open: Gauge
    request_bytes: Counter
    response_bytes: Counter
    _by_status: dict[str, Histogram] = field(default_factory=dict[str, Histogram])
    _labels: dict[str, str] = field(default_factory=dict[str, str])

    def observe(self, status: int | None, seconds: float) -> None:
        status_class = NO_ANSWER if status is None else f"{status // 100}xx"
        child = self._by_status.get(status_class)
        if child is None:
            child = self._by_status[status_class] = self.duration.labels(**self._labels, status=status_class)
        child.observe(seconds)


class RequestCounters:
    """Counts into `registry`. One for each process that answers requests, made after `shared_metrics.share`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, namespace="hansard", registry=registry)
        gauge = partial(Gauge, namespace="hansard", registry=registry, multiprocess_mode="livesum")
        self._duration = Histogram(
            "http_request_duration_seconds",
            "Time until a request was answered whole; where the answer is a stream of events, until it began.",
            ["route", "method", "status"],
            namespace="hansard",
            registry=registry,
            buckets=DURATIONS_SECONDS,
        )
        self._request_bytes = counter("http_request_bytes", "Bytes of the bodies of requests.", ["route", "method"])
        self._response_bytes = counter("http_response_bytes", "Bytes of the bodies of answers.", ["route", "method"])
        self._in_flight = gauge("http_requests_in_flight", "Requests that are being answered.", ["route", "method"])
        self._streams_open = gauge("http_event_streams_open", "Streams of events that are being sent.", ["route"])
        self._series: dict[tuple[str, str], RouteSeries] = {}

    def of(self, route: str, method: str) -> RouteSeries:
        """`route` is one of those there are; `method` may be anything."""
        known = self._series.get((route, method))
        return known or self._make(route, method if method in METHODS else OTHER)

    def _make(self, route: str, method: str) -> RouteSeries:
        labels = {"route": route, "method": method}
        made = RouteSeries(
            duration=self._duration,
            in_flight=self._in_flight.labels(**labels),
            streams_open=self._streams_open.labels(route=route),
            request_bytes=self._request_bytes.labels(**labels),
            response_bytes=self._response_bytes.labels(**labels),
            _labels=labels,
        )
        return self._series.setdefault((route, method), made)
