"""Histograms whose percentiles are known to one in a hundred, and that are merged by putting one behind the other.

The scheme is DDSketch's (Masson, Rim, Lee: DDSketch, PVLDB 12, 2019; <https://arxiv.org/abs/1908.10693>): with
γ = (1 + α) / (1 - α), bucket i holds what is above γ^(i-1) and at most γ^i, and stands for 2γ^i / (γ + 1), which is
within α of all of it. Nothing is ever collapsed: from a microsecond to thirty years there are 1,700 buckets.

PostgreSQL writes them, by the expressions here: a record for each bucket that holds something, its number in two bytes
and its count in four. A bucket may come more than once, so bytes of several hours, joined, are the histogram of all.
"""

# pyright: reportUnknownMemberType=false

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

RELATIVE_ERROR = 0.01
LEAST = 1e-6
"""What is smaller counts as 0."""

_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_ZERO = math.ceil(math.log(LEAST) / math.log(_GAMMA)) - 1
"""The bucket of what counts as 0, below all others."""
_RECORD = np.dtype([("bucket", ">i2"), ("count", ">i4")])

Percentiles = tuple[int, list[float] | None]
"""How many measures there are, and their percentiles, in the order that they were asked for; None of no measures."""


def bucket(measure: str) -> str:
    """The number of its bucket, as PostgreSQL works it out."""
    return (
        f"(CASE WHEN {measure} < {LEAST} THEN {_ZERO} "
        f"ELSE ceil(ln(CAST({measure} AS double precision)) / {math.log(_GAMMA)!r}) END)::smallint"
    )


def of_one(bucket_number: str) -> str:
    """The histogram of a single measure, as PostgreSQL writes it; NULL of NULL."""
    return _record(bucket_number, "1")


def of_all(bucket_numbers: str) -> str:
    """The histogram of measures whose buckets are in this array, as PostgreSQL writes it; NULL of none."""
    counted = f"SELECT number, count(*)::int AS size FROM unnest({bucket_numbers}) AS number GROUP BY number"  # noqa: S608
    return f"(SELECT string_agg({_record('number', 'size')}, ''::bytea ORDER BY number) FROM ({counted}) AS counted)"  # noqa: S608


def _record(number: str, size: str) -> str:
    return f"int2send({number}) || int4send({size})"


def percentiles(histograms: Sequence[bytes | None], shares: Sequence[float]) -> list[Percentiles]:
    """Of each histogram, what `shares` of its measures are at most: within α of what lies between the two nearest
    measures, which is PostgreSQL's percentile_cont.
    """
    parts = [each or b"" for each in histograms]
    records = np.frombuffer(b"".join(parts), dtype=_RECORD)
    if not records.size:
        return [(0, None)] * len(parts)
    numbers = records["bucket"].astype(np.int64)
    lowest = int(numbers.min())
    width = int(numbers.max()) - lowest + 1
    rows = np.repeat(np.arange(len(parts)), [len(part) // _RECORD.itemsize for part in parts])
    sizes = np.bincount(rows * width + numbers - lowest, weights=records["count"], minlength=len(parts) * width)
    at_most = sizes.reshape(len(parts), width).cumsum(axis=1)
    counts = at_most[:, -1]
    values = _values(lowest, width)
    columns = [_measure_at(at_most, values, share * np.maximum(counts - 1, 0)) for share in shares]
    found = cast("list[list[float]]", np.stack(columns, axis=1).tolist())
    return [(int(count), row if count else None) for count, row in zip(counts, found, strict=True)]


def _values(lowest: int, width: int) -> NDArray[np.float64]:
    """What the buckets from the lowest on stand for."""
    numbers = np.arange(lowest, lowest + width, dtype=float)
    return np.where(numbers <= _ZERO, 0.0, 2 * _GAMMA**numbers / (_GAMMA + 1))


def _measure_at(
    at_most: NDArray[np.float64], values: NDArray[np.float64], ranks: NDArray[np.float64]
) -> NDArray[np.float64]:
    """In each row, the measure with this rank, from 0 on; between two of them, what lies between."""
    lower, upper = (
        values[np.minimum((at_most <= edge[:, None]).sum(axis=1), len(values) - 1)]
        for edge in (np.floor(ranks), np.ceil(ranks))
    )
    return lower + (ranks - np.floor(ranks)) * (upper - lower)
