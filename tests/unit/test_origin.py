import asyncio

import pytest

from hansard.application.origin import Origin, acting, carried, current_origin, trace_given

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"


def test_what_is_not_given_stays_as_it_was() -> None:
    with acting(actor="client", request_id="r-1"), acting(actor="worker.1"):
        assert current_origin() == Origin(actor="worker.1", request_id="r-1")


def test_it_ends_with_its_block() -> None:
    with acting(actor="client"):
        pass

    assert current_origin() == Origin()


def test_another_trace_does_not_keep_the_parent_of_the_first() -> None:
    with acting(**trace_given([TRACEPARENT], ["a=b"])), acting(trace_id="b" * 32):
        assert current_origin() == Origin(trace_id="b" * 32)


def test_it_goes_along_into_threads_and_tasks() -> None:
    async def work() -> list[str | None]:
        with acting(request_id="r-1"):
            in_thread = await asyncio.to_thread(current_origin)
            in_task = await asyncio.create_task(asyncio.sleep(0, current_origin()))
        return [in_thread.request_id, in_task.request_id]

    assert asyncio.run(work()) == ["r-1", "r-1"]


def test_a_traceparent_is_taken_up_with_its_state() -> None:
    assert trace_given([TRACEPARENT], ["vendor=1", "other=2"]) == {
        "trace_id": TRACE_ID,
        "traceparent": TRACEPARENT,
        "tracestate": "vendor=1,other=2",
    }


def test_a_later_version_is_read_as_far_as_this_one_knows_it() -> None:
    given = trace_given([f"01-{TRACE_ID}-{SPAN_ID}-01-what-comes-later"])

    assert given["traceparent"] == TRACEPARENT


@pytest.mark.parametrize(
    "given",
    [
        "",
        "nonsense",
        f"00-{TRACE_ID}-{SPAN_ID}",
        f"00-{TRACE_ID.upper()}-{SPAN_ID}-01",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-01-more",
        f"00-{TRACE_ID}-{SPAN_ID}-1",
    ],
)
def test_a_traceparent_that_is_none_counts_for_nothing(given: str) -> None:
    assert trace_given([given], ["vendor=1"]) == {}


def test_two_traceparents_count_for_nothing() -> None:
    assert trace_given([TRACEPARENT, TRACEPARENT]) == {}


@pytest.mark.parametrize("state", ["x=" + "y" * 511, "é=1", "a=1\x00"])
def test_a_tracestate_that_cannot_be_passed_on_is_left_out(state: str) -> None:
    assert "tracestate" not in trace_given([TRACEPARENT], [state])


def test_what_is_sent_to_others_names_the_request_and_a_trace_that_somebody_records() -> None:
    with acting(actor="client", request_id="r-1", **trace_given([TRACEPARENT], ["a=b"])):
        assert current_origin().headers == {"X-Request-ID": "r-1", "traceparent": TRACEPARENT, "tracestate": "a=b"}


def test_a_trace_that_nobody_records_is_not_told_to_others() -> None:
    with acting(request_id="r-1", trace_id=TRACE_ID):
        assert current_origin().headers == {"X-Request-ID": "r-1"}


def test_a_job_carries_all_but_who_asked_for_it() -> None:
    with acting(actor="client", request_id="r-1", **trace_given([TRACEPARENT])):
        arguments = {"transcription_id": "t-1", "priority": 3, **current_origin().carried}

    assert carried(arguments) == {"request_id": "r-1", "trace_id": TRACE_ID, "traceparent": TRACEPARENT}


def test_a_job_from_before_it_carried_anything_carries_nothing() -> None:
    assert carried({"transcription_id": "t-1", "request_id": None}) == {}
