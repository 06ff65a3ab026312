"""Traces: what a request led to, in whichever process, as one tree of spans.

Off, which is the default, a span costs a microsecond and OpenTelemetry is not even imported. On, `otlp.py` has
OpenTelemetry record the spans and send them to a collector. What goes from process to process, and to others, is in
`current_origin`: it names the span at work as the parent of the next.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hansard.application.deliver import Sent
from hansard.application.origin import Origin, acting, current_origin, resume
from hansard.application.ports.tracing import NO_SPAN, Fact, Span, SpanKind
from hansard.domain.errors import Failure, HansardError
from hansard.domain.transcription import Attempt, AttemptOutcome

ABANDONED = "abandoned"
"""An attempt whose end nobody told: it was called off, or gave way."""


class OpenSpan(Span, Protocol):
    @property
    def trace(self) -> Mapping[str, str]:
        """For `acting`: what names this span as the parent of others."""
        ...

    def end(self, at: datetime | None = None) -> None: ...


class Recorder(Protocol):
    def begin(
        self,
        name: str,
        kind: SpanKind,
        facts: Mapping[str, Fact | None],
        parent: Origin,
        at: datetime | None = None,
    ) -> OpenSpan: ...

    def close(self) -> None:
        """Send what is not sent yet, for a moment at most."""
        ...


@dataclass(slots=True)
class _OpenAttempt:
    span: OpenSpan
    before: Origin


@dataclass(slots=True)
class _Tracing:
    """One a process, as its log is. A process is at one attempt at a time."""

    recorder: Recorder | None = None
    attempt: _OpenAttempt | None = None


_TRACING = _Tracing()


def start(make_recorder: Callable[[], Recorder]) -> None:
    """Record spans from now on."""
    _TRACING.recorder = make_recorder()


def start_sending(*, process: str, endpoint: str | None, headers: str | None, ratio: float) -> None:
    """Send traces to the collector at `endpoint`, an OTLP base URL; None: off. `headers` are `name=value,…`.

    `ratio` of the traces that begin here are recorded; one that a client began is where the client records it.
    """
    if endpoint is None:
        return
    from hansard.observability.otlp import OtlpRecorder, sent_to  # noqa: PLC0415 - 0.1 s, for those who trace

    start(lambda: OtlpRecorder(sent_to(endpoint, headers), process=process, ratio=ratio))


def stop() -> None:
    """Send what is left, for a second at most, and record no more."""
    recorder, _TRACING.recorder, _TRACING.attempt = _TRACING.recorder, None, None
    if recorder is not None:
        recorder.close()


def is_on() -> bool:
    return _TRACING.recorder is not None


@contextmanager
def span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    expected: tuple[type[BaseException], ...] = (),
    facts: Mapping[str, Fact | None] | None = None,
) -> Generator[Span]:
    """Implements `Spans`."""
    if _TRACING.recorder is None:
        yield NO_SPAN
        return
    opened = _TRACING.recorder.begin(name, kind, facts or {}, current_origin())
    try:
        with acting(**opened.trace):
            yield opened
    except expected:
        raise
    except BaseException as error:
        opened.fail(_error_type(error))
        raise
    finally:
        opened.end()


def trace_attempt(attempt: Attempt, retry_in_seconds: float | None) -> None:
    """An `AttemptObserver`: a span for each try of an engine, the parent of what the engine asks of a provider."""
    if _TRACING.recorder is None:
        return
    if attempt.outcome is AttemptOutcome.RUNNING:
        end_open_attempt()
        before = current_origin()
        facts = {"hansard.engine": attempt.engine, "hansard.model": attempt.model, "hansard.attempt": attempt.number}
        opened = _TRACING.recorder.begin(
            f"attempt {attempt.engine}", SpanKind.INTERNAL, facts, before, at=attempt.started_at
        )
        _TRACING.attempt = _OpenAttempt(opened, before)
        with acting(**opened.trace):
            within = current_origin()
        resume(within)
        return
    facts = {"hansard.outcome": attempt.outcome.value, "hansard.audio_seconds": attempt.recognised_seconds}
    end_open_attempt({**facts, "hansard.retry_in_seconds": retry_in_seconds}, attempt.failure, attempt.ended_at)


def end_open_attempt(
    facts: Mapping[str, Fact | None] | None = None, failure: Failure | None = None, at: datetime | None = None
) -> None:
    """Also for whoever began the job: an attempt that was called off has nobody to tell its end."""
    attempt, _TRACING.attempt = _TRACING.attempt, None
    if attempt is None:
        return
    attempt.span.note(facts or {"hansard.outcome": ABANDONED})
    if failure is not None:
        attempt.span.note({"hansard.error.category": failure.category.value})
        attempt.span.fail(failure.code)
    attempt.span.end(at)
    if current_origin().traceparent == attempt.span.trace["traceparent"]:
        resume(attempt.before)


def trace_sent(sent: Sent) -> None:
    """A span for each attempt to send something to a webhook, in the trace of what it tells of."""
    if _TRACING.recorder is None:
        return
    attempt = sent.attempt
    facts = {
        "http.request.method": "POST",
        "http.response.status_code": attempt.answer.status if attempt.answer else None,
        "hansard.webhook_id": str(sent.webhook_id),
        "hansard.delivery_id": str(sent.delivery_id),
        "hansard.event_type": sent.event_type,
        "hansard.attempt": attempt.number,
    }
    span = _TRACING.recorder.begin("POST webhook", SpanKind.CLIENT, facts, current_origin(), at=attempt.began_at)
    if attempt.failure is not None:
        span.fail(attempt.failure.code)
    span.end(attempt.ended_at)


def _error_type(error: BaseException) -> str:
    return error.failure.code if isinstance(error, HansardError) else type(error).__name__
