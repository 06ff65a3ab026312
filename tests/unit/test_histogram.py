"""Histograms keep percentiles within their promise, and know how sure they are."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hansard.timing.histogram import RELATIVE_ERROR, bounds, bucket_of, merged, quantile, quantile_range

HOURS = st.integers(min_value=0, max_value=10**14)


def histogram_of(numbers: list[int]) -> dict[int, int]:
    return dict(Counter(map(bucket_of, numbers)))


@given(HOURS)
def test_a_number_lies_within_its_bucket(number: int) -> None:
    lowest, highest = bounds(bucket_of(number))
    assert lowest <= number <= highest


@given(HOURS)
def test_the_middle_of_a_bucket_is_within_the_stated_error(number: int) -> None:
    lowest, highest = bounds(bucket_of(number))
    assert abs((lowest + highest) / 2 - number) <= number * RELATIVE_ERROR


@given(st.integers(min_value=0, max_value=2000))
def test_buckets_follow_each_other_without_a_gap(bucket: int) -> None:
    assert bounds(bucket)[1] + 1 == bounds(bucket + 1)[0]


@given(st.lists(HOURS, min_size=1), st.floats(min_value=0, max_value=1))
def test_a_quantile_is_that_of_the_numbers(numbers: list[int], q: float) -> None:
    ordered = sorted(numbers)
    exact = ordered[max(0, -int(-q * len(ordered) // 1) - 1)]
    assert abs(quantile(histogram_of(numbers), q) - exact) <= exact * RELATIVE_ERROR


@given(st.lists(HOURS), st.lists(HOURS))
def test_adding_histograms_up_is_counting_together(some: list[int], others: list[int]) -> None:
    assert merged([histogram_of(some), histogram_of(others)]) == histogram_of([*some, *others])


def test_more_numbers_make_a_quantile_surer() -> None:
    numbers = list(range(1000, 9000, 80))
    few, many = histogram_of(numbers), histogram_of(numbers * 100)
    (few_low, few_high), (many_low, many_high) = quantile_range(few, 0.5), quantile_range(many, 0.5)
    assert few_low < many_low <= quantile(many, 0.5) <= many_high < few_high
