"""Spans kept in memory, for tests of what traces tell."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hansard.observability import tracing
from hansard.observability.otlp import OtlpRecorder


class Spans:
    """`named` finds one by its name."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def all(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        (found,) = (span for span in self.all if span.name == name)
        return found


@contextmanager
def recorded(*, ratio: float = 1.0) -> Iterator[Spans]:
    exporter = InMemorySpanExporter()
    tracing.start(lambda: OtlpRecorder(SimpleSpanProcessor(exporter), process="tests", ratio=ratio))
    try:
        yield Spans(exporter)
    finally:
        tracing.stop()


def parent_of(span: ReadableSpan) -> str | None:
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def id_of(span: ReadableSpan) -> str:
    return f"{span.context.span_id:016x}"


def trace_of(span: ReadableSpan) -> str:
    return f"{span.context.trace_id:032x}"
