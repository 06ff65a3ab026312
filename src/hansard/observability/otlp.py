# pyright: reportUnknownMemberType=false
"""OpenTelemetry records the spans, and sends them to a collector by OTLP over HTTP.

Nothing here holds up work: spans wait in memory, 2048 at most, for a thread that sends them every few seconds. While
the collector is away, those there is no room for are dropped. That is said once, in the log, and once when it is back.

Imported only where traces are wanted.
"""

import logging
import os
import platform
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from loguru import logger
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as SdkSpan
from opentelemetry.trace import SpanKind as SdkKind
from opentelemetry.util.re import parse_env_headers

import hansard
from hansard.application.origin import Origin, current_origin
from hansard.application.ports.tracing import Fact, SpanKind

LAST_SECONDS = 1.0
"""What sending the last spans may hold up the end of a process."""

ANSWER_SECONDS = 10.0
"""How long a batch is tried to be sent, before it is dropped."""

_LOGGERS = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")
"""They tell of every try that failed, and of every span that is dropped; `_Reported` says it once."""


class OtlpRecorder:
    """A `Recorder`. `process` names this process in its spans."""

    def __init__(self, processor: SpanProcessor, *, process: str, ratio: float) -> None:
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)),
            resource=Resource.create(
                {
                    "service.name": os.environ.get("OTEL_SERVICE_NAME", "hansard"),
                    "service.version": hansard.__version__,
                    "service.instance.id": f"{platform.node()}/{process}/{os.getpid()}",
                    "host.name": platform.node(),
                    "process.pid": os.getpid(),
                    "hansard.process": process,
                }
            ),
            id_generator=_SameTrace(),
            shutdown_on_exit=False,  # it would wait for as long as a collector that is away
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("hansard", hansard.__version__)

    def begin(
        self,
        name: str,
        kind: SpanKind,
        facts: Mapping[str, Fact | None],
        parent: Origin,
        at: datetime | None = None,
    ) -> "_Recorded":
        return _Recorded(
            self._tracer.start_span(
                name,
                context=_context_of(parent),
                kind=SdkKind[kind.name],
                attributes=_known(facts),
                start_time=_nanoseconds(at),
            )
        )

    def close(self) -> None:
        # In a thread that nobody waits for: the provider would wait for half a minute.
        closing = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        closing.start()
        closing.join(LAST_SECONDS)


def sent_to(endpoint: str, headers: str | None) -> SpanProcessor:
    """`endpoint` is the collector's base URL, as in OTEL_EXPORTER_OTLP_ENDPOINT; `headers` as in its …_HEADERS."""
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    exporter = OTLPSpanExporter(
        f"{endpoint.rstrip('/')}/v1/traces",
        headers=dict(parse_env_headers(headers, liberal=True)) if headers else None,
        timeout=ANSWER_SECONDS,
    )
    return BatchSpanProcessor(_Reported(exporter, endpoint))


class _Reported(SpanExporter):
    """Tells the log when the collector cannot be reached, and when it is back."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._is_away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        with suppress(Exception):  # whatever goes wrong here, only spans are lost
            result = self._exporter.export(spans)
        is_away = result is not SpanExportResult.SUCCESS
        if is_away and not self._is_away:
            logger.bind(url=self._endpoint).warning("Traces cannot be delivered; spans are lost until they can be.")
        elif self._is_away and not is_away:
            logger.bind(url=self._endpoint).info("Traces are delivered again.")
        self._is_away = is_away
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _SameTrace(RandomIdGenerator):
    """A trace that begins here has the id that stands in the log already."""

    def generate_trace_id(self) -> int:
        known = current_origin().trace_id
        return int(known, 16) if known else super().generate_trace_id()


class _Recorded:
    """An `OpenSpan`."""

    def __init__(self, span: SdkSpan) -> None:
        self._span = span
        context = span.get_span_context()
        trace_id = f"{context.trace_id:032x}"
        self.trace = {
            "trace_id": trace_id,
            "traceparent": f"00-{trace_id}-{context.span_id:016x}-{int(context.trace_flags):02x}",
        }

    def note(self, facts: Mapping[str, Fact | None]) -> None:
        self._span.set_attributes(_known(facts))

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, error_type: str) -> None:
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self, at: datetime | None = None) -> None:
        self._span.end(_nanoseconds(at))


def _context_of(parent: Origin) -> Context:
    if parent.traceparent is None:
        return Context()
    _, trace_id, span_id, flags = parent.traceparent.split("-")
    context = SpanContext(
        trace_id=int(trace_id, 16),
        span_id=int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16)),
        trace_state=TraceState.from_header([parent.tracestate]) if parent.tracestate else None,
    )
    return set_span_in_context(NonRecordingSpan(context), Context())


def _known(facts: Mapping[str, Fact | None]) -> dict[str, Fact]:
    return {name: fact for name, fact in facts.items() if fact is not None}


def _nanoseconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1_000_000) * 1000
