"""What functions and processes took over time, and which functions got slower, told apart from noise."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hansard.timing.calls import NANOSECONDS, Calls
from hansard.timing.histogram import quantile, quantile_range

BUCKET = timedelta(minutes=5)
"""Calls are kept by the five minutes in which they were counted; later, by the hour."""

LEAST_CALLS = 100
"""With fewer, on either side, nothing is said about what got slower."""

LEAST_RATIO = 1.2
"""What is less than a fifth slower may be the machine's mood."""

LEAST_SECONDS = 0.001
"""Of a call: what takes a moment longer than a moment concerns nobody."""

COMPARED = (0.5, 0.95)
"""The quantiles in which a function can get slower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionTimes:
    """The calls of one function in one `BUCKET`, by processes of one kind (`api`, `worker`) that ran one version."""

    start: datetime
    process: str
    version: str
    calls: Calls

    def coarser(self, start: datetime) -> "FunctionTimes":
        return replace(self, start=start)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceUse:
    """What one process, with its children, used from `start` for `seconds`, as seen in `samples` looks.

    Processor use is in cores: 1.0 is one core, all of the time. Memory is what is resident. `process` is its name, as
    `worker.1`; `postgres` is the embedded database.
    """

    start: datetime
    host: str
    process: str
    seconds: float
    samples: int
    cores_least: float
    cores_mean: float
    cores_most: float
    memory_least_bytes: int
    memory_mean_bytes: int
    memory_most_bytes: int
    threads_most: int
    open_files_most: int
    read_bytes: int
    written_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowdown:
    """A quantile of a function's durations that rose by more than chance explains, and by more than `LEAST_RATIO`."""

    function: str
    quantile: float
    before_seconds: float
    now_seconds: float
    before_calls: int
    now_calls: int

    @property
    def ratio(self) -> float:
        return self.now_seconds / self.before_seconds


def bucket_start(moment: datetime) -> datetime:
    """The start of the `BUCKET` that holds `moment`."""
    return moment - (moment - datetime.min.replace(tzinfo=moment.tzinfo)) % BUCKET


def duration_seconds(calls: Calls, q: float) -> float:
    """A quantile of the calls' durations, from their histogram."""
    return min(max(quantile(calls.histogram, q) / NANOSECONDS, calls.shortest_seconds), calls.longest_seconds)


def slowdowns(now: Iterable[Calls], before: Iterable[Calls]) -> tuple[Slowdown, ...]:
    """The functions that got slower, the worst first; each is told once, by the quantile that got worse.

    A quantile counts as risen when the ranges in which it lies with 95 % certainty, before and now, do not meet. Calls
    that come in bursts are less independent than that takes them for: hence `LEAST_RATIO` and `LEAST_CALLS`.
    """
    earlier: Mapping[str, Calls] = {calls.function: calls for calls in before}
    found: list[Slowdown] = []
    for calls in now:
        past = earlier.get(calls.function)
        if past is not None and min(calls.count, past.count) >= LEAST_CALLS:
            risen = [rise for q in COMPARED if (rise := _rise(calls, past, q)) is not None]
            found += sorted(risen, key=lambda rise: rise.ratio)[-1:]
    return tuple(sorted(found, key=lambda rise: rise.ratio, reverse=True))


def _rise(now: Calls, before: Calls, q: float) -> Slowdown | None:
    _, before_at_most = quantile_range(before.histogram, q)
    now_at_least, _ = quantile_range(now.histogram, q)
    rise = Slowdown(
        function=now.function,
        quantile=q,
        before_seconds=duration_seconds(before, q),
        now_seconds=duration_seconds(now, q),
        before_calls=before.count,
        now_calls=now.count,
    )
    is_beyond_chance = now_at_least > before_at_most
    matters = rise.ratio >= LEAST_RATIO and rise.now_seconds - rise.before_seconds >= LEAST_SECONDS
    return rise if is_beyond_chance and matters else None
