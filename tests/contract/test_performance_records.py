"""What is kept of functions and processes: the fake that use cases are tested on, and PostgreSQL."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hansard.analytics.performance import SqlPerformanceRecords
from hansard.application.ports.performance import PerformanceRecords
from hansard.domain.performance import FunctionTimes, ResourceUse
from hansard.timing.calls import Calls, Usage
from tests.fake_performance import FakePerformanceRecords

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(params=["fake", "postgres"])
def records(request: pytest.FixtureRequest) -> PerformanceRecords:
    if request.param == "fake":
        return FakePerformanceRecords()
    return SqlPerformanceRecords(request.getfixturevalue("analytics_database"))


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def calls(function: str = "submit", histogram: dict[int, int] | None = None, **changes: object) -> Calls:
    plain = Calls(
        function=function,
        histogram=histogram or {100: 3},
        errors=1,
        total_seconds=3.0,
        shortest_seconds=0.5,
        longest_seconds=2.0,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def usage(cpu_seconds: float = 1.0) -> Usage:
    return Usage(
        cpu_seconds=cpu_seconds,
        process_cpu_seconds=2.0,
        peak_memory_bytes=int(cpu_seconds * 100),
        memory_growth_bytes=10,
        read_bytes=512,
        written_bytes=1024,
    )


def times(start: datetime = NOON, **changes: object) -> FunctionTimes:
    of = {"process": "worker", "version": "1.0", "calls": calls(), **changes}
    return FunctionTimes(start=start, **of)  # type: ignore[arg-type]


def use(start: datetime = NOON, *, cores: float = 0.5, memory: int = 100, process: str = "api") -> ResourceUse:
    return ResourceUse(
        start=start,
        host="here",
        process=process,
        seconds=15.0,
        samples=1,
        cores_least=cores,
        cores_mean=cores,
        cores_most=cores,
        memory_least_bytes=memory,
        memory_mean_bytes=memory,
        memory_most_bytes=memory,
        threads_most=4,
        open_files_most=20,
        read_bytes=512,
        written_bytes=0,
    )


def test_calls_come_back_as_they_were_kept(records: PerformanceRecords) -> None:
    kept = calls(usage=usage())
    records.add([times(calls=kept)], [])
    assert records.calls(NOON, NOON + DAY) == (kept,)


def test_the_same_five_minutes_are_added_up(records: PerformanceRecords) -> None:
    records.add([times(calls=calls(histogram={100: 3, 101: 1}, usage=usage(1.0)))], [])
    records.add([times(calls=calls(histogram={101: 2, 300: 1}, usage=usage(3.0), shortest_seconds=0.1))], [])
    [found] = records.calls(NOON, NOON + DAY)
    assert found.histogram == {100: 3, 101: 3, 300: 1}
    assert (found.errors, found.total_seconds, found.shortest_seconds, found.longest_seconds) == (2, 6.0, 0.1, 2.0)
    assert found.usage is not None
    assert (found.usage.cpu_seconds, found.usage.peak_memory_bytes, found.usage.read_bytes) == (4.0, 300, 1024)


def test_a_function_s_calls_are_told_together_whenever_and_wherever_they_were(records: PerformanceRecords) -> None:
    everywhere = [times(), times(NOON + minutes(5)), times(process="api"), times(version="2.0")]
    records.add([*everywhere, times(calls=calls("cancel"))], [])
    found = {each.function: each.histogram for each in records.calls(NOON, NOON + DAY)}
    assert found == {"submit": {100: 12}, "cancel": {100: 3}}


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [(0, 10, 2), (3, 10, 2), (5, 10, 1), (0, 5, 1), (10, 20, 0)],
)
def test_what_was_counted_outside_the_time_is_left_out(
    records: PerformanceRecords, since: float, until: float, found: int
) -> None:
    records.add([times(), times(NOON + minutes(5))], [])
    assert sum(each.count for each in records.calls(NOON + minutes(since), NOON + minutes(until))) == found * 3


def test_one_version_or_one_kind_of_process_can_be_asked_for(records: PerformanceRecords) -> None:
    records.add([times(version="1.0"), times(version="2.0", calls=calls(histogram={7: 1}))], [])
    records.add([times(process="api", calls=calls(histogram={9: 1}))], [])
    [newer] = records.calls(NOON, NOON + DAY, version="2.0")
    [api] = records.calls(NOON, NOON + DAY, process="api")
    assert (newer.histogram, api.histogram) == ({7: 1}, {9: 1})


def test_versions_are_told_by_when_they_were_last_seen(records: PerformanceRecords) -> None:
    records.add([times(version="1.0"), times(NOON + minutes(5), version="2.0"), times(NOON - DAY, version="2.0")], [])
    newest, oldest = records.versions()
    assert (newest.version, newest.first, newest.last) == ("2.0", NOON - DAY, NOON + minutes(5))
    assert oldest.version == "1.0"


def test_use_comes_back_as_it_was_kept(records: PerformanceRecords) -> None:
    records.add([], [use()])
    assert records.resource_use(NOON, NOON + DAY, bucket_seconds=60) == (use(),)


def test_use_is_told_by_process_and_bucket(records: PerformanceRecords) -> None:
    first, second = use(cores=0.0, memory=100), use(NOON + timedelta(seconds=15), cores=1.0, memory=300)
    records.add([], [first, second, use(NOON + minutes(1)), use(process="worker.1")])
    api, worker, later = records.resource_use(NOON, NOON + DAY, bucket_seconds=60)
    assert (api.process, worker.process, later.start) == ("api", "worker.1", NOON + minutes(1))
    assert (api.samples, api.seconds, api.read_bytes) == (2, 30.0, 1024)
    assert (api.cores_least, api.cores_mean, api.cores_most) == (0.0, 0.5, 1.0)
    assert (api.memory_least_bytes, api.memory_mean_bytes, api.memory_most_bytes) == (100, 200, 300)


def test_what_is_old_is_kept_by_the_hour(records: PerformanceRecords) -> None:
    old = [times(NOON + minutes(each), calls=calls(histogram={each: 1})) for each in range(5, 60, 5)]
    records.add([*old, times(NOON + minutes(65))], [use(NOON + minutes(1)), use(NOON + minutes(2), cores=1.5)])
    assert records.roll_up(NOON + minutes(70)) == 11 + 2
    [hour] = records.calls(NOON, NOON + minutes(1))
    assert hour.histogram == dict.fromkeys(range(5, 60, 5), 1)
    [rolled] = records.resource_use(NOON, NOON + minutes(1), bucket_seconds=15)
    assert (rolled.start, rolled.samples, rolled.cores_mean, rolled.cores_most) == (NOON, 2, 1.0, 1.5)
    assert records.calls(NOON + minutes(65), NOON + minutes(66)) != ()


def test_rolling_up_again_changes_nothing(records: PerformanceRecords) -> None:
    records.add([times(), times(NOON + minutes(5))], [use(NOON + minutes(1))])
    records.roll_up(NOON + DAY)
    before = records.calls(NOON, NOON + DAY), records.resource_use(NOON, NOON + DAY, bucket_seconds=3600)
    assert records.roll_up(NOON + DAY) == 0
    assert (records.calls(NOON, NOON + DAY), records.resource_use(NOON, NOON + DAY, bucket_seconds=3600)) == before


def test_late_counts_are_added_to_their_hour(records: PerformanceRecords) -> None:
    records.add([times(NOON + minutes(5))], [])
    records.roll_up(NOON + DAY)
    records.add([times(NOON + minutes(10))], [])
    records.roll_up(NOON + DAY)
    [hour] = records.calls(NOON, NOON + minutes(1))
    assert hour.histogram == {100: 6}


def test_what_is_too_old_is_forgotten(records: PerformanceRecords) -> None:
    records.add([times(), times(NOON + minutes(5))], [use(), use(NOON + minutes(5))])
    assert records.count(NOON + minutes(5)) == 2
    assert records.forget(NOON + minutes(5)) == 2
    assert records.count(NOON + minutes(5)) == 0
    assert [each.count for each in records.calls(NOON, NOON + DAY)] == [3]
    assert len(records.resource_use(NOON, NOON + DAY, bucket_seconds=60)) == 1
