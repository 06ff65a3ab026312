"""Histograms of whole numbers, as sparse counts: any number of them add up to one, from which percentiles are read.

Buckets are log-linear, as in HdrHistogram (https://hdrhistogram.github.io/HdrHistogram/): each power of two is cut into
32 of equal width. So a bucket is at most 1/32 of its value wide, and its middle within 1/64 (1.6 %) of each number in
it, from nanoseconds to hours; below 64 a bucket is one number.
"""

from collections.abc import Iterable, Mapping
from math import ceil, sqrt

Histogram = Mapping[int, int]
"""How many numbers fell into each bucket; empty ones are left out."""

RELATIVE_ERROR = 1 / 64

_BITS = 5
_EXACT_BITS = _BITS + 1

_CERTAINTY = 1.96
"""Standard deviations to either side that hold 95 % of a normal distribution."""


def bucket_of(value: int) -> int:
    """`value` is not negative."""
    shift = value.bit_length() - _EXACT_BITS
    return value if shift <= 0 else (shift << _BITS) + (value >> shift)


def bounds(bucket: int) -> tuple[int, int]:
    """Its lowest and its highest number."""
    shift = max(0, (bucket >> _BITS) - 1)
    lowest = (bucket - (shift << _BITS)) << shift
    return lowest, lowest + (1 << shift) - 1


def merged(histograms: Iterable[Histogram]) -> dict[int, int]:
    total: dict[int, int] = {}
    for histogram in histograms:
        for bucket, count in histogram.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def quantile(histogram: Histogram, q: float) -> float:
    """The number that a share `q` (0 … 1) of all does not exceed, within `RELATIVE_ERROR`. Not of an empty one."""
    return _ranked(histogram, ceil(q * sum(histogram.values())))


def quantile_range(histogram: Histogram, q: float) -> tuple[float, float]:
    """Where, with 95 % certainty, the quantile of what the numbers are a sample of lies, whatever its distribution.

    By order statistics: how many of n independent numbers lie below the quantile is binomial.
    """
    count = sum(histogram.values())
    middle, spread = q * count, _CERTAINTY * sqrt(count * q * (1 - q))
    return _ranked(histogram, ceil(middle - spread)), _ranked(histogram, ceil(middle + spread) + 1)


def _ranked(histogram: Histogram, rank: int) -> float:
    """The number that stands at `rank` (from 1; the last for all beyond) when all stand in order."""
    passed = 0
    for bucket in sorted(histogram):
        passed += histogram[bucket]
        if passed >= rank:
            break
    else:
        bucket = max(histogram)
    lowest, highest = bounds(bucket)
    return (lowest + highest) / 2
