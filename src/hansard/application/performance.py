"""What functions and processes take: counted in memory, written down every half minute, told to operators.

Nothing is written when a function is called. A process that is killed loses the counts of the last half minute; one
that stops writes them first. While they cannot be written they are kept, and added up to coarser ones if that lasts.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Event as Flag
from threading import Lock, Thread

from hansard.application.ports.clock import Clock
from hansard.application.ports.performance import PerformanceRecords, VersionSeen
from hansard.application.ports.retention import Amount
from hansard.domain.performance import (
    FunctionTimes,
    ResourceUse,
    Slowdown,
    bucket_start,
    duration_seconds,
    slowdowns,
)
from hansard.timing.calls import Calls, collect, switch_on
from hansard.timing.decorators import time_it

SAMPLE_SECONDS = 15.0
SAMPLES_A_FLUSH = 2

MOST_BUCKETS_KEPT = 72
"""Six hours; with more, the two oldest become one."""

MOST_SAMPLES_KEPT = 1440
"""Six hours of one process; with more, the oldest are dropped."""

STOPPING_SECONDS = 3.0

COMPARED_BACK = timedelta(days=7)
"""How far from now the time lies that now is compared with; and how much of an earlier version's time is looked at."""

ROLL_UP_SECONDS = 3600.0


@dataclass(kw_only=True, eq=False)
class PerformanceRecorder:
    """One process's part: its functions' times, and what it uses.

    Functions are timed from the start on if it `is_timing`. `collect` takes what was counted since the last time,
    `sample` looks at what is used. `observe` is told when writing
    begins to fail, with the error, and when it is possible again, with None.
    """

    process: str
    version: str
    records: PerformanceRecords
    is_timing: bool = True
    collect: Callable[[], Iterable[Calls]] = collect
    sample: Callable[[datetime], Iterable[ResourceUse]]
    observe: Callable[[Exception | None], None]
    clock: Clock
    _times: dict[tuple[datetime, str], FunctionTimes] = field(default_factory=dict[tuple[datetime, str], FunctionTimes])
    _use: deque[ResourceUse] = field(default_factory=lambda: deque[ResourceUse](maxlen=MOST_SAMPLES_KEPT))
    _stopped: Flag = field(default_factory=Flag)
    _flushing: Lock = field(default_factory=Lock)
    _fails: bool = False
    _thread: Thread | None = None

    def start(self) -> None:
        if self.is_timing:
            switch_on()
        self._thread = Thread(target=self._run, name="performance", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, unless the database keeps us waiting for too long."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(STOPPING_SECONDS)

    def look(self) -> None:
        """Take a sample of what is used now."""
        self._use.extend(self.sample(self.clock()))

    @time_it
    def flush(self) -> None:
        """Write down what there is, or keep it for the next time."""
        with self._flushing:
            start = bucket_start(self.clock())
            for calls in self.collect():
                self._keep(FunctionTimes(start=start, process=self.process, version=self.version, calls=calls))
            times, use = tuple(self._times.values()), tuple(self._use)
            if not times and not use:
                return
            try:
                self.records.add(times, use)
            except Exception as error:  # noqa: BLE001 - whatever it is, counting goes on
                self._tell(error)
                self._coarsen()
                return
            self._times.clear()
            for _ in use:
                self._use.popleft()
            self._tell(None)

    def _run(self) -> None:
        rounds = 0
        while not self._stopped.wait(SAMPLE_SECONDS):
            rounds += 1
            self.look()
            if rounds % SAMPLES_A_FLUSH == 0:
                self.flush()
        self.look()
        self.flush()

    def _keep(self, times: FunctionTimes) -> None:
        key = times.start, times.calls.function
        kept = self._times.get(key)
        if kept is None:
            self._times[key] = times
        else:
            self._times[key] = FunctionTimes(
                start=kept.start, process=kept.process, version=kept.version, calls=kept.calls + times.calls
            )

    def _coarsen(self) -> None:
        starts = sorted({start for start, _ in self._times})
        if len(starts) <= MOST_BUCKETS_KEPT:
            return
        oldest, next_oldest = starts[:2]
        for key in [key for key in self._times if key[0] == next_oldest]:
            self._keep(self._times.pop(key).coarser(oldest))

    def _tell(self, error: Exception | None) -> None:
        if (error is not None) is not self._fails:
            self._fails = error is not None
            self.observe(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What got slower since `before`: a version, or "the week before"."""

    before: str
    now: str
    slower: tuple[Slowdown, ...]


class Order(StrEnum):
    """By what functions are told, most first."""

    TOTAL = "total"
    P95 = "p95"
    CALLS = "calls"
    ERRORS = "errors"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionReport:
    """`functions` are in the order asked for. `version` is the one that ran last."""

    functions: tuple[Calls, ...]
    version: str | None
    since_last_version: Comparison | None
    since_week_before: Comparison | None


def in_order(calls: Iterable[Calls], order: Order) -> tuple[Calls, ...]:
    keys: dict[Order, Callable[[Calls], float]] = {
        Order.TOTAL: lambda each: each.total_seconds,
        Order.P95: lambda each: duration_seconds(each, 0.95),
        Order.CALLS: lambda each: each.count,
        Order.ERRORS: lambda each: each.errors,
    }
    return tuple(sorted(calls, key=keys[order], reverse=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What operators ask about functions and processes."""

    records: PerformanceRecords

    def functions(
        self, since: datetime, until: datetime, *, process: str | None = None, order: Order = Order.TOTAL
    ) -> FunctionReport:
        """Raises `AnalyticsUnavailable`."""
        calls = self.records.calls(since, until, process=process)
        versions = self.records.versions()
        return FunctionReport(
            functions=in_order(calls, order),
            version=versions[0].version if versions else None,
            since_last_version=self._against_last_version(versions, since, until, process),
            since_week_before=self._against_week_before(calls, since, until, process),
        )

    def _against_last_version(
        self, versions: tuple[VersionSeen, ...], since: datetime, until: datetime, process: str | None
    ) -> Comparison | None:
        """The latest version, in the time asked about, and the last days of the one before."""
        if len(versions) < 2:
            return None
        latest, previous = versions[:2]
        end = previous.last + timedelta(microseconds=1)
        now = self.records.calls(since, until, version=latest.version, process=process)
        before = self.records.calls(end - COMPARED_BACK, end, version=previous.version, process=process)
        return Comparison(before=previous.version, now=latest.version, slower=slowdowns(now, before))

    def _against_week_before(
        self, now: Iterable[Calls], since: datetime, until: datetime, process: str | None
    ) -> Comparison | None:
        if until - since > COMPARED_BACK:  # which would be compared with itself
            return None
        before = self.records.calls(since - COMPARED_BACK, until - COMPARED_BACK, process=process)
        if not before:
            return None
        return Comparison(before="the week before", now="this time", slower=slowdowns(now, before))

    def resource_use(self, since: datetime, until: datetime, *, bucket_seconds: float) -> tuple[ResourceUse, ...]:
        """Raises `AnalyticsUnavailable`."""
        return self.records.resource_use(since, until, bucket_seconds=bucket_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class TidyPerformance:
    """Keeps what is older than `raw` by the hour only. What is too old to be kept is removed by retention."""

    records: PerformanceRecords
    raw: timedelta
    clock: Clock

    def __call__(self) -> int:
        """How many records went up in others. Raises `AnalyticsUnavailable`."""
        return self.records.roll_up(self.clock() - self.raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class OldPerformance:
    """For retention: what functions and processes took, long ago. There is little of it, so it goes at once."""

    records: PerformanceRecords

    def measure(self, before: datetime) -> Amount:
        return Amount(self.records.count(before), None)

    def remove_some(self, before: datetime) -> Amount:
        return Amount(self.records.forget(before), None)
