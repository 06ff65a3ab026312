"""Times are drawn on a grid of tenths of a second, so that what is covered can be compared as sets of cells."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.domain.speech import SHORTEST_SPAN_SECONDS, PassageLimits, Span, plan_passages, remaining

ROUNDING = 1e-9


def cells(spans: list[Span]) -> set[int]:
    return {cell for span in spans for cell in range(round(span.start_seconds * 10), round(span.end_seconds * 10))}


@st.composite
def regions(draw: st.DrawFn) -> list[Span]:
    """Ordered spans that don't overlap; some of them touch."""
    edges = sorted(draw(st.sets(st.integers(0, 600), max_size=24)))
    kept = draw(st.lists(st.booleans(), min_size=len(edges), max_size=len(edges)))
    return [Span(start / 10, end / 10) for start, end, keep in zip(edges, edges[1:], kept, strict=False) if keep]


@st.composite
def any_spans(draw: st.DrawFn) -> list[Span]:
    pairs = draw(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 600)), max_size=12))
    return [Span(min(pair) / 10, max(pair) / 10) for pair in pairs]


limits = st.builds(
    PassageLimits,
    seconds=st.integers(1, 300).map(lambda tenths: tenths / 10),
    pause_seconds=st.integers(0, 50).map(lambda tenths: tenths / 10),
)


@given(regions(), any_spans())
def test_what_remains_is_exactly_what_is_not_done(speech: list[Span], done: list[Span]) -> None:
    assert cells(list(remaining(speech, done))) == cells(speech) - cells(done)


@given(regions(), any_spans())
def test_what_remains_is_in_order_and_does_not_overlap(speech: list[Span], done: list[Span]) -> None:
    left = list(remaining(speech, done))
    assert all(a.end_seconds <= b.start_seconds for a, b in pairwise(left))


def test_a_left_over_too_short_to_hold_a_word_is_not_worth_a_passage() -> None:
    almost_all = Span(0, 1 - SHORTEST_SPAN_SECONDS / 2)
    assert list(remaining([Span(0, 1)], [almost_all])) == []


def test_work_done_in_pieces_leaves_the_gaps_between_them() -> None:
    left = remaining([Span(0, 10)], [Span(6, 7), Span(2, 3)])
    assert list(left) == [Span(0, 2), Span(3, 6), Span(7, 10)]


@given(regions(), limits)
def test_passages_cover_all_of_the_speech(speech: list[Span], limit: PassageLimits) -> None:
    assert list(remaining(speech, plan_passages(speech, limit))) == []


@given(regions(), limits)
def test_passages_keep_within_the_limit(speech: list[Span], limit: PassageLimits) -> None:
    assert all(passage.seconds <= limit.seconds + ROUNDING for passage in plan_passages(speech, limit))


@given(regions(), limits)
def test_passages_are_in_order_and_do_not_overlap(speech: list[Span], limit: PassageLimits) -> None:
    plan = list(plan_passages(speech, limit))
    assert all(a.end_seconds <= b.start_seconds for a, b in pairwise(plan))


@given(regions(), limits)
def test_no_pause_inside_a_passage_is_longer_than_allowed(speech: list[Span], limit: PassageLimits) -> None:
    for passage in plan_passages(speech, limit):
        pauses = remaining([passage], speech)
        assert all(pause.seconds <= limit.pause_seconds + ROUNDING for pause in pauses)


@given(regions(), limits)
def test_passages_begin_and_end_in_speech(speech: list[Span], limit: PassageLimits) -> None:
    for passage in plan_passages(speech, limit):
        assert any(region.start_seconds <= passage.start_seconds < region.end_seconds for region in speech)
        assert any(region.start_seconds < passage.end_seconds <= region.end_seconds for region in speech)


@given(regions(), limits, limits, st.integers(0, 8))
def test_another_engine_takes_up_exactly_where_the_last_one_stopped(
    speech: list[Span], first: PassageLimits, second: PassageLimits, finished: int
) -> None:
    done = list(plan_passages(speech, first))[:finished]
    rest = list(plan_passages(remaining(speech, done), second))
    assert list(remaining(speech, done + rest)) == []


def test_neighbours_join_up_to_the_limit() -> None:
    plan = plan_passages([Span(0, 4), Span(5, 9), Span(10, 14)], PassageLimits(seconds=10, pause_seconds=1))
    assert list(plan) == [Span(0, 9), Span(10, 14)]


def test_a_long_pause_ends_a_passage() -> None:
    plan = plan_passages([Span(0, 1), Span(4, 5)], PassageLimits(seconds=10, pause_seconds=2))
    assert list(plan) == [Span(0, 1), Span(4, 5)]


def test_a_region_over_the_limit_is_cut_evenly() -> None:
    plan = plan_passages([Span(10, 22)], PassageLimits(seconds=5, pause_seconds=0))
    assert list(plan) == [Span(10, 14), Span(14, 18), Span(18, 22)]


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 1), (float("nan"), 1), (0, float("nan"))])
def test_what_is_not_a_stretch_of_time_is_refused(start: float, end: float) -> None:
    with pytest.raises(ValueError, match="not a span of time"):
        Span(start, end)
