"""What traces tell, as OpenTelemetry records it; and that without them there is no OpenTelemetry."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Thread
from uuid import uuid4

import pytest
from opentelemetry.trace import SpanKind as SdkKind
from opentelemetry.trace import StatusCode

from hansard.application.deliver import Sent
from hansard.application.origin import acting, current_origin, new_trace_id, trace_given
from hansard.application.ports.tracing import SpanKind
from hansard.application.watched import watched_call
from hansard.domain.delivery import Answer, DeliveryAttempt
from hansard.domain.errors import EngineRateLimited
from hansard.domain.transcription import Attempt, AttemptOutcome
from hansard.observability import tracing
from tests.spans import Spans, id_of, parent_of, recorded, trace_of

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEGUN = Attempt(number=2, engine="openai", model="whisper-1", started_at=NOON)


@pytest.fixture
def spans() -> Iterator[Spans]:
    with recorded() as spans:
        yield spans


def test_a_span_within_another_is_its_child(spans: Spans) -> None:
    with tracing.span("outer"), tracing.span("inner"):
        pass

    outer, inner = spans.named("outer"), spans.named("inner")
    assert parent_of(inner) == id_of(outer)
    assert trace_of(inner) == trace_of(outer)


def test_a_clients_span_is_the_parent_of_ours(spans: Spans) -> None:
    with acting(**trace_given([f"00-{TRACE_ID}-{SPAN_ID}-01"], ["a=b"])), tracing.span("ours"):
        pass

    ours = spans.named("ours")
    assert (trace_of(ours), parent_of(ours)) == (TRACE_ID, SPAN_ID)
    assert ours.context.trace_state.to_header() == "a=b"


def test_a_trace_that_begins_here_has_the_id_that_is_in_the_log(spans: Spans) -> None:
    with acting(trace_id=TRACE_ID), tracing.span("first"):
        assert current_origin().trace_id == TRACE_ID

    assert (trace_of(spans.named("first")), parent_of(spans.named("first"))) == (TRACE_ID, None)


def test_what_is_sent_to_others_names_the_span_at_work_as_their_parent(spans: Spans) -> None:
    with tracing.span("call", kind=SpanKind.CLIENT):
        headers = current_origin().headers

    call = spans.named("call")
    assert call.kind is SdkKind.CLIENT
    assert headers["traceparent"].startswith(f"00-{trace_of(call)}-{id_of(call)}-0")


def test_a_span_goes_along_into_the_thread_that_does_the_work(spans: Spans) -> None:
    def work(_: object) -> None:
        with tracing.span("inner"):
            pass

    with tracing.span("outer"):
        watched_call(work, still_wanted=lambda: None)

    assert parent_of(spans.named("inner")) == id_of(spans.named("outer"))


def test_what_is_raised_ends_the_span_in_error_by_its_code(spans: Spans) -> None:
    with pytest.raises(EngineRateLimited), tracing.span("call"):
        raise EngineRateLimited("Slower, says the provider.", engine="openai")

    call = spans.named("call")
    assert call.status.status_code is StatusCode.ERROR
    assert call.attributes == {"error.type": "engine_rate_limited"}
    assert not call.events  # which would have the message and the traceback


def test_what_is_expected_is_no_error(spans: Spans) -> None:
    with pytest.raises(StopIteration), tracing.span("call", expected=(StopIteration,)):
        raise StopIteration

    assert spans.named("call").status.status_code is StatusCode.UNSET


def test_facts_that_are_not_known_are_left_out(spans: Spans) -> None:
    with tracing.span("call", facts={"a": 1, "b": None}) as span:
        span.note({"c": "x", "d": None})

    assert spans.named("call").attributes == {"a": 1, "c": "x"}


def test_a_client_that_does_not_record_its_trace_is_followed(spans: Spans) -> None:
    with acting(**trace_given([f"00-{TRACE_ID}-{SPAN_ID}-00"])), tracing.span("ours"):
        assert current_origin().headers["traceparent"].endswith("-00")

    assert not spans.all


def test_traces_that_are_not_sampled_are_not_recorded() -> None:
    with recorded(ratio=0.0) as spans, tracing.span("ours"):
        pass

    assert not spans.all


def test_a_part_of_the_traces_is_sampled_as_asked_for() -> None:
    with recorded(ratio=0.5) as spans:
        for _ in range(400):
            with acting(trace_id=new_trace_id()), tracing.span("ours"):
                pass

    assert 120 < len(spans.all) < 280


def test_an_attempt_has_the_engines_times_and_is_the_parent_of_its_calls(spans: Spans) -> None:
    ended = replace(
        BEGUN, outcome=AttemptOutcome.SUCCEEDED, ended_at=NOON + timedelta(seconds=3), recognised_seconds=61
    )
    with tracing.span("recognise"):
        tracing.trace_attempt(BEGUN, None)
        with tracing.span("call"):
            pass
        tracing.trace_attempt(ended, None)
        with tracing.span("afterwards"):
            pass

    attempt = spans.named("attempt openai")
    assert parent_of(attempt) == parent_of(spans.named("afterwards")) == id_of(spans.named("recognise"))
    assert parent_of(spans.named("call")) == id_of(attempt)
    assert attempt.end_time - attempt.start_time == 3_000_000_000
    assert attempt.attributes == {
        "hansard.engine": "openai",
        "hansard.model": "whisper-1",
        "hansard.attempt": 2,
        "hansard.outcome": "succeeded",
        "hansard.audio_seconds": 61,
    }


def test_an_attempt_that_failed_says_why_and_when_the_next_one_is(spans: Spans) -> None:
    failure = EngineRateLimited("Slower.", engine="openai").failure
    tracing.trace_attempt(BEGUN, None)
    tracing.trace_attempt(replace(BEGUN, outcome=AttemptOutcome.FAILED, ended_at=NOON, failure=failure), 1.5)

    attempt = spans.named("attempt openai")
    assert attempt.status.status_code is StatusCode.ERROR
    assert attempt.attributes["error.type"] == "engine_rate_limited"
    assert attempt.attributes["hansard.error.category"] == "rate_limit"
    assert attempt.attributes["hansard.retry_in_seconds"] == 1.5


def test_an_attempt_that_was_called_off_ends_with_its_job(spans: Spans) -> None:
    tracing.trace_attempt(BEGUN, None)
    tracing.end_open_attempt()
    tracing.end_open_attempt()

    assert spans.named("attempt openai").attributes["hansard.outcome"] == tracing.ABANDONED


def test_an_attempt_told_of_after_its_step_still_ends_at_its_own_time(spans: Spans) -> None:
    """The last passage of a recording is written down together with the settled record."""
    with tracing.span("process transcribe"):
        with tracing.span("recognise"):
            tracing.trace_attempt(BEGUN, None)
        with tracing.span("settle"):
            tracing.trace_attempt(replace(BEGUN, outcome=AttemptOutcome.SUCCEEDED, ended_at=NOON), None)

    assert parent_of(spans.named("attempt openai")) == id_of(spans.named("recognise"))
    assert parent_of(spans.named("settle")) == id_of(spans.named("process transcribe"))
    assert spans.named("attempt openai").end_time == spans.named("attempt openai").start_time


def test_a_delivery_belongs_to_the_trace_of_its_event(spans: Spans) -> None:
    attempt = DeliveryAttempt(
        number=1, began_at=NOON, ended_at=NOON + timedelta(seconds=1), answer=Answer(status=503, body="busy")
    )
    attempt = replace(attempt, failure=attempt.answer.failure if attempt.answer else None)
    sent = Sent(
        webhook_id=uuid4(),
        delivery_id=uuid4(),
        event_type="transcription.completed",
        attempt=attempt,
        delay_seconds=1.0,
        is_last=False,
    )
    with acting(request_id="r-1", trace_id=TRACE_ID):
        tracing.trace_sent(sent)

    span = spans.named("POST webhook")
    assert trace_of(span) == TRACE_ID
    assert span.attributes["http.response.status_code"] == 503
    assert span.status.status_code is StatusCode.ERROR


def test_two_jobs_at_once_have_each_their_own_parents(spans: Spans) -> None:
    def job(name: str) -> None:
        with acting(trace_id=uuid4().hex), tracing.span(name), tracing.span(f"{name}'s"):
            pass

    threads = [Thread(target=job, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for name in ("one", "two"):
        assert parent_of(spans.named(f"{name}'s")) == id_of(spans.named(name))
    assert trace_of(spans.named("one")) != trace_of(spans.named("two"))


def test_without_a_collector_nothing_is_recorded_and_no_header_made_up() -> None:
    with acting(trace_id=TRACE_ID), tracing.span("nothing", facts={"a": 1}) as span:
        span.note({"b": 2})
        span.rename("still nothing")
        span.fail("whatever")
        assert current_origin().headers == {}


def test_without_a_collector_opentelemetry_is_not_even_imported() -> None:
    program = (
        "import sys\n"
        "import hansard.http.app, hansard.worker\n"
        "from hansard.observability import tracing\n"
        "tracing.start_sending(process='api', endpoint=None, headers=None, ratio=1.0)\n"
        "with tracing.span('nothing'): pass\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
