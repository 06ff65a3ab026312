"""An in-memory fake of `PerformanceRecords`. The contract suite holds it to what the real one does."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import add

from hansard.application.ports.performance import VersionSeen
from hansard.domain.errors import HansardError
from hansard.domain.performance import FunctionTimes, ResourceUse, bucket_start
from hansard.timing.calls import Calls

TimesKey = tuple[datetime, str, str, str]
UseKey = tuple[datetime, str, str]


@dataclass
class FakePerformanceRecords:
    """Set `failure` to have everything fail."""

    times: dict[TimesKey, FunctionTimes] = field(default_factory=dict)
    use: dict[UseKey, ResourceUse] = field(default_factory=dict)
    failure: HansardError | None = None

    def add(self, times: Iterable[FunctionTimes], use: Iterable[ResourceUse]) -> None:
        self._work()
        for each in times:
            _put_times(self.times, each)
        for sample in use:
            _put_use(self.use, sample)

    def roll_up(self, before: datetime) -> int:
        self._work()
        edge = _hour(before)
        times = [each for each in self.times.values() if each.start < edge and each.start != _hour(each.start)]
        use = [each for each in self.use.values() if each.start < edge and each.start != _hour(each.start)]
        for each in times:
            del self.times[_times_key(each)]
            _put_times(self.times, each.coarser(_hour(each.start)))
        for sample in use:
            del self.use[_use_key(sample)]
            _put_use(self.use, replace(sample, start=_hour(sample.start)))
        return len(times) + len(use)

    def count(self, before: datetime) -> int:
        self._work()
        return sum(each.start < before for each in (*self.times.values(), *self.use.values()))

    def forget(self, before: datetime) -> int:
        self._work()
        count = len(self.times) + len(self.use)
        self.times = {key: each for key, each in self.times.items() if each.start >= before}
        self.use = {key: each for key, each in self.use.items() if each.start >= before}
        return count - len(self.times) - len(self.use)

    def calls(
        self, since: datetime, until: datetime, *, version: str | None = None, process: str | None = None
    ) -> tuple[Calls, ...]:
        self._work()
        found: dict[str, list[Calls]] = {}
        for each in self.times.values():
            is_of_time = bucket_start(since) <= each.start < until
            if is_of_time and version in {None, each.version} and process in {None, each.process}:
                found.setdefault(each.calls.function, []).append(each.calls)
        return tuple(reduce(add, calls) for calls in found.values())

    def versions(self) -> tuple[VersionSeen, ...]:
        self._work()
        starts: dict[str, list[datetime]] = {}
        for each in self.times.values():
            starts.setdefault(each.version, []).append(each.start)
        seen = [VersionSeen(version=version, first=min(at), last=max(at)) for version, at in starts.items()]
        return tuple(sorted(seen, key=lambda version: version.last, reverse=True))

    def resource_use(self, since: datetime, until: datetime, *, bucket_seconds: float) -> tuple[ResourceUse, ...]:
        self._work()
        found: dict[UseKey, ResourceUse] = {}
        for each in self.use.values():
            if since <= each.start < until:
                seconds = each.start.timestamp() // bucket_seconds * bucket_seconds
                _put_use(found, replace(each, start=datetime.fromtimestamp(seconds, UTC)))
        return tuple(found[key] for key in sorted(found))

    def _work(self) -> None:
        if self.failure is not None:
            raise self.failure


def _hour(moment: datetime) -> datetime:
    return moment - timedelta(minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond)


def _times_key(times: FunctionTimes) -> TimesKey:
    return times.start, times.process, times.version, times.calls.function


def _use_key(use: ResourceUse) -> UseKey:
    return use.start, use.host, use.process


def _put_times(rows: dict[TimesKey, FunctionTimes], times: FunctionTimes) -> None:
    kept = rows.get(_times_key(times))
    rows[_times_key(times)] = times if kept is None else replace(times, calls=kept.calls + times.calls)


def _put_use(rows: dict[UseKey, ResourceUse], use: ResourceUse) -> None:
    kept = rows.get(_use_key(use))
    rows[_use_key(use)] = use if kept is None else _together(kept, use)


def _together(one: ResourceUse, other: ResourceUse) -> ResourceUse:
    seconds = one.seconds + other.seconds

    def mean(a: float, b: float) -> float:
        return (a * one.seconds + b * other.seconds) / seconds

    return replace(
        one,
        seconds=seconds,
        samples=one.samples + other.samples,
        cores_least=min(one.cores_least, other.cores_least),
        cores_mean=mean(one.cores_mean, other.cores_mean),
        cores_most=max(one.cores_most, other.cores_most),
        memory_least_bytes=min(one.memory_least_bytes, other.memory_least_bytes),
        memory_mean_bytes=round(mean(one.memory_mean_bytes, other.memory_mean_bytes)),
        memory_most_bytes=max(one.memory_most_bytes, other.memory_most_bytes),
        threads_most=max(one.threads_most, other.threads_most),
        open_files_most=max(one.open_files_most, other.open_files_most),
        read_bytes=one.read_bytes + other.read_bytes,
        written_bytes=one.written_bytes + other.written_bytes,
    )
