"""What the calls of functions came to: numbers of each thread, which whoever collects them adds up.

A call adds to numbers that belong to its thread alone, so no thread waits for another, and they only ever grow: who
collects takes what was added since the last time, and never resets what somebody is adding to. So nothing is lost.
"""

import inspect
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from threading import Lock, get_ident
from threading import enumerate as living_threads
from time import perf_counter_ns, process_time_ns, thread_time_ns

from hansard.timing import histogram
from hansard.timing.histogram import Histogram

NANOSECONDS = 1_000_000_000
_BLOCK_BYTES = 512  # of getrusage(2), on any file system
_MAXRSS_BYTES = 1024
_NEVER = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What calls used, together; `peak_memory_bytes` is the highest. The module says what each number means."""

    cpu_seconds: float
    process_cpu_seconds: float
    peak_memory_bytes: int
    memory_growth_bytes: int
    read_bytes: int
    written_bytes: int

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            process_cpu_seconds=self.process_cpu_seconds + other.process_cpu_seconds,
            peak_memory_bytes=max(self.peak_memory_bytes, other.peak_memory_bytes),
            memory_growth_bytes=self.memory_growth_bytes + other.memory_growth_bytes,
            read_bytes=self.read_bytes + other.read_bytes,
            written_bytes=self.written_bytes + other.written_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The calls of one function. `histogram` is of nanoseconds; `usage` is None where it is not monitored."""

    function: str
    histogram: Histogram
    errors: int
    total_seconds: float
    shortest_seconds: float
    longest_seconds: float
    usage: Usage | None = None

    @property
    def count(self) -> int:
        return sum(self.histogram.values())

    def __add__(self, other: "Calls") -> "Calls":
        """Of the same function."""
        return replace(
            self,
            histogram=histogram.merged((self.histogram, other.histogram)),
            errors=self.errors + other.errors,
            total_seconds=self.total_seconds + other.total_seconds,
            shortest_seconds=min(self.shortest_seconds, other.shortest_seconds),
            longest_seconds=max(self.longest_seconds, other.longest_seconds),
            usage=self.usage + other.usage if self.usage and other.usage else self.usage or other.usage,
        )


class Stopwatch:
    """Adds up the time between each start and stop."""

    __slots__ = ("_started_ns", "duration_ns")

    def __init__(self) -> None:
        self.duration_ns: int = 0

    def start(self) -> None:
        self._started_ns = perf_counter_ns()

    def stop(self) -> None:
        self.duration_ns += perf_counter_ns() - self._started_ns


class Meters(Stopwatch):
    """Adds up what the current thread, and the process, used between each start and stop."""

    __slots__ = ("_before", "cpu_ns", "grown", "peak", "process_cpu_ns", "read", "written")

    def __init__(self) -> None:
        super().__init__()
        self.cpu_ns = self.process_cpu_ns = self.peak = self.grown = self.read = self.written = 0

    def start(self) -> None:
        usage = resource.getrusage(resource.RUSAGE_THREAD)
        self._before = (usage.ru_maxrss, usage.ru_inblock, usage.ru_oublock, process_time_ns(), thread_time_ns())
        self._started_ns = perf_counter_ns()

    def stop(self) -> None:
        self.duration_ns += perf_counter_ns() - self._started_ns
        peak, read, written, process_cpu_ns, cpu_ns = self._before
        self.cpu_ns += thread_time_ns() - cpu_ns
        self.process_cpu_ns += process_time_ns() - process_cpu_ns
        usage = resource.getrusage(resource.RUSAGE_THREAD)
        self.peak = usage.ru_maxrss
        self.grown += usage.ru_maxrss - peak
        self.read += usage.ru_inblock - read
        self.written += usage.ru_oublock - written


class _Cell:
    """What one thread's calls of one function came to. Written by that thread alone; all but the extremes only grow."""

    __slots__ = (
        "buckets",
        "collected",
        "cpu_ns",
        "errors",
        "grown",
        "longest_ns",
        "peak",
        "process_cpu_ns",
        "read",
        "shortest_ns",
        "total_ns",
        "written",
    )

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.total_ns = self.errors = self.longest_ns = 0
        self.shortest_ns = _NEVER
        self.cpu_ns = self.process_cpu_ns = self.peak = self.grown = self.read = self.written = 0
        self.collected: tuple[Mapping[int, int], tuple[int, ...]] = ({}, (0,) * 7)
        """How far it had come when it was last collected."""

    def collect(self, function: str, *, is_monitored: bool) -> Calls | None:
        """What was added since the last time; None: nothing."""
        buckets_before, sums_before = self.collected
        buckets = self.buckets.copy()  # in one step of the interpreter, whoever adds
        added = {bucket: more for bucket, n in buckets.items() if (more := n - buckets_before.get(bucket, 0))}
        if not added:
            return None
        sums = (self.total_ns, self.errors, self.cpu_ns, self.process_cpu_ns, self.grown, self.read, self.written)
        self.collected = (buckets, sums)
        shortest_ns, longest_ns = self.shortest_ns, self.longest_ns
        self.shortest_ns, self.longest_ns = _NEVER, 0
        # A call that ends at this moment may have its extreme lost, or left behind: the histogram knows better.
        least, most = histogram.bounds(min(added)), histogram.bounds(max(added))
        total_ns, errors, cpu_ns, process_cpu_ns, grown, read, written = (
            now - before for now, before in zip(sums, sums_before, strict=True)
        )
        usage = Usage(
            cpu_seconds=cpu_ns / NANOSECONDS,
            process_cpu_seconds=process_cpu_ns / NANOSECONDS,
            peak_memory_bytes=self.peak * _MAXRSS_BYTES,
            memory_growth_bytes=grown * _MAXRSS_BYTES,
            read_bytes=read * _BLOCK_BYTES,
            written_bytes=written * _BLOCK_BYTES,
        )
        return Calls(
            function=function,
            histogram=added,
            errors=errors,
            total_seconds=total_ns / NANOSECONDS,
            shortest_seconds=min(max(shortest_ns, least[0]), least[1]) / NANOSECONDS,
            longest_seconds=max(min(longest_ns, most[1]), most[0]) / NANOSECONDS,
            usage=usage if is_monitored else None,
        )


class CountedFunction:
    """One decorated function, and a cell for each thread that called it.

    A thread's number may be given again when it is gone; who gets it goes on in its cell.
    """

    def __init__(self, function: Callable[..., object], *, is_monitored: bool) -> None:
        self.name = _name(function)
        self.is_monitored = is_monitored
        self._cells: dict[int, _Cell] = {}
        self._retired: list[_Cell] = []
        registry.functions[self.name] = self

    def add(self, duration_ns: int, failed: bool, meters: Stopwatch | None = None) -> None:  # noqa: FBT001 - see `_timed`
        thread = get_ident()
        cell = self._cells.get(thread)
        if cell is None:
            cell = self._cells[thread] = _Cell()
        # `histogram.bucket_of`, without the price of a call
        shift = duration_ns.bit_length() - 6
        bucket = duration_ns if shift <= 0 else (shift << 5) + (duration_ns >> shift)
        cell.total_ns += duration_ns
        if duration_ns > cell.longest_ns:  # noqa: PLR1730 - `max` takes five times as long
            cell.longest_ns = duration_ns
        if duration_ns < cell.shortest_ns:  # noqa: PLR1730
            cell.shortest_ns = duration_ns
        if failed:
            cell.errors += 1
        if isinstance(meters, Meters):
            cell.cpu_ns += meters.cpu_ns
            cell.process_cpu_ns += meters.process_cpu_ns
            cell.peak = meters.peak
            cell.grown += meters.grown
            cell.read += meters.read
            cell.written += meters.written
        # Last: a cell is collected when its buckets have changed.
        cell.buckets[bucket] = cell.buckets.get(bucket, 0) + 1

    def collect(self, alive: "set[int | None]") -> Calls | None:
        # The cells of threads that are gone are kept for one more time: a new thread of that number, which has looked
        # its cell up just now, may still be adding to it.
        gone = [self._cells.pop(thread) for thread in tuple(self._cells) if thread not in alive]
        cells = [*self._retired, *gone, *self._cells.copy().values()]
        self._retired = gone
        added = [cell.collect(self.name, is_monitored=self.is_monitored) for cell in cells]
        return reduce(add, news) if (news := [calls for calls in added if calls]) else None


class Registry:
    """Of a process: decorators work while modules are imported, before there is anybody to hand them a place."""

    def __init__(self) -> None:
        self.is_on = False
        self.functions: dict[str, CountedFunction] = {}
        self.collecting = Lock()


registry = Registry()


def counted_functions() -> tuple[str, ...]:
    """The names of all that are decorated, in modules that are imported by now."""
    return tuple(sorted(registry.functions))


def switch_on() -> None:
    """Count from now on, in this process."""
    registry.is_on = True


def switch_off() -> None:
    """Decorated functions run as if they were not."""
    registry.is_on = False


def collect() -> tuple[Calls, ...]:
    """What was counted since this was last called; functions that were not called are left out. Thread-safe."""
    with registry.collecting:
        alive = {thread.ident for thread in living_threads()}
        collected = (function.collect(alive) for function in tuple(registry.functions.values()))
        return tuple(calls for calls in collected if calls is not None)


def _name(function: Callable[..., object]) -> str:
    """As `application.submit.Submit`, which stands for its `__call__`."""
    if inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__qualname__} is an asynchronous generator, whose time cannot be told.")
    return f"{function.__module__}.{function.__qualname__}".removeprefix("hansard.").removesuffix(".__call__")
