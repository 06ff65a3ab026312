"""What functions take is written down without loss, and what got slower is told apart from noise."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from hansard.application.performance import (
    MOST_BUCKETS_KEPT,
    Order,
    Performance,
    PerformanceRecorder,
    TidyPerformance,
)
from hansard.domain.errors import AnalyticsUnavailable
from hansard.domain.performance import BUCKET, FunctionTimes, ResourceUse, bucket_start, duration_seconds, slowdowns
from hansard.timing.calls import Calls
from hansard.timing.histogram import bucket_of
from tests.contract.test_performance_records import use
from tests.fake_performance import FakePerformanceRecords
from tests.fakes import FakeClock

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
AWAY = AnalyticsUnavailable("It is away.", help="Wait.")


def calls_of(milliseconds: list[float], function: str = "submit") -> Calls:
    durations = [int(each * 1e6) for each in milliseconds]
    return Calls(
        function=function,
        histogram=dict(Counter(map(bucket_of, durations))),
        errors=0,
        total_seconds=sum(milliseconds) / 1000,
        shortest_seconds=min(milliseconds) / 1000,
        longest_seconds=max(milliseconds) / 1000,
    )


class Counted:
    """What functions counted, waiting to be collected."""

    def __init__(self) -> None:
        self.calls: list[Calls] = []

    def collect(self) -> list[Calls]:
        taken, self.calls = self.calls, []
        return taken


class Desk:
    """A recorder on fakes."""

    def __init__(self) -> None:
        self.records, self.counted, self.clock = FakePerformanceRecords(), Counted(), FakeClock()
        self.told: list[Exception | None] = []
        self.samples: list[ResourceUse] = []
        self.recorder = PerformanceRecorder(
            process="api",
            version="1.0",
            records=self.records,
            collect=self.counted.collect,
            sample=lambda now: self.samples,
            observe=self.told.append,
            clock=self.clock,
        )

    def call(self, *milliseconds: float, function: str = "submit") -> None:
        self.counted.calls.append(calls_of(list(milliseconds), function))

    def written(self) -> int:
        return sum(times.calls.count for times in self.records.times.values())


# ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────


def test_calls_are_written_with_their_five_minutes_process_and_version() -> None:
    desk = Desk()
    desk.call(1, 2)
    desk.recorder.flush()
    [times] = desk.records.times.values()
    assert (times.start, times.process, times.version) == (bucket_start(desk.clock()), "api", "1.0")
    assert times.calls.count == 2


def test_what_was_written_is_not_written_again() -> None:
    desk = Desk()
    desk.call(1)
    desk.samples = [use()]
    desk.recorder.look()
    desk.recorder.flush()
    desk.recorder.flush()
    assert desk.written() == 1
    [sample] = desk.records.use.values()
    assert sample.samples == 1


def test_what_cannot_be_written_is_kept_and_written_later() -> None:
    desk = Desk()
    desk.records.failure = AWAY
    desk.call(1)
    desk.recorder.flush()
    desk.call(2, 3)
    desk.call(4, function="cancel")
    desk.recorder.flush()
    desk.records.failure = None
    desk.recorder.flush()
    assert desk.written() == 4


def test_that_writing_fails_is_told_once_and_so_is_its_return() -> None:
    desk = Desk()
    desk.records.failure = AWAY
    for _ in range(3):
        desk.call(1)
        desk.recorder.flush()
    desk.records.failure = None
    desk.recorder.flush()
    assert desk.told == [AWAY, None]


def test_a_database_that_stays_away_costs_detail_never_counts_and_no_more_memory() -> None:
    desk = Desk()
    desk.records.failure = AWAY
    for _ in range(MOST_BUCKETS_KEPT * 2):
        desk.call(1)
        desk.recorder.flush()
        desk.clock.sleep(BUCKET.total_seconds())
    desk.records.failure = None
    desk.recorder.flush()
    assert desk.written() == MOST_BUCKETS_KEPT * 2
    assert len(desk.records.times) <= MOST_BUCKETS_KEPT


def test_what_is_left_is_written_when_the_process_stops() -> None:
    desk = Desk()
    desk.recorder.start()
    desk.call(1)
    desk.samples = [use()]
    desk.recorder.stop()
    assert (desk.written(), len(desk.records.use)) == (1, 1)


def test_tidying_keeps_what_is_older_than_the_raw_days_by_the_hour() -> None:
    records, clock = FakePerformanceRecords(), FakeClock()
    old = clock() - DAY - timedelta(hours=2)
    start = old.replace(minute=25, second=0, microsecond=0)
    records.add([FunctionTimes(start=start, process="api", version="1", calls=calls_of([1]))], [])
    assert TidyPerformance(records=records, raw=DAY, clock=clock)() == 1
    [kept] = records.times.values()
    assert kept.start == start.replace(minute=0)


# ── What got slower ──────────────────────────────────────────────────────────────────────────────────────


def noisy(rng: random.Random, median: float, count: int) -> Calls:
    """Durations with the long tail that durations have, in milliseconds."""
    return calls_of([median * rng.lognormvariate(0, 0.5) for _ in range(count)])


def test_a_function_that_became_half_as_slow_again_is_told() -> None:
    rng = random.Random(1)
    [slower] = slowdowns([noisy(rng, 150, 400)], [noisy(rng, 100, 400)])
    assert slower.function == "submit"
    assert 1.3 < slower.ratio < 1.7
    assert (slower.before_calls, slower.now_calls) == (400, 400)


def test_noise_alone_is_hardly_ever_told() -> None:
    rng = random.Random(2)
    alarms = [slowdowns([noisy(rng, 100, 120)], [noisy(rng, 100, 120)]) for _ in range(500)]
    assert sum(1 for alarm in alarms if alarm) <= 5


def test_a_tail_that_grew_is_told_by_its_quantile() -> None:
    before, now = calls_of([100.0] * 950 + [200.0] * 50), calls_of([100.0] * 900 + [900.0] * 100)
    [slower] = slowdowns([now], [before])
    assert (slower.quantile, round(slower.ratio)) == (0.95, 9)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param(calls_of([1.0] * 99), calls_of([9.0] * 500), id="too few before"),
        pytest.param(calls_of([1.0] * 500), calls_of([9.0] * 99), id="too few now"),
        pytest.param(calls_of([100.0] * 500), calls_of([115.0] * 500), id="hardly slower"),
        pytest.param(calls_of([0.1] * 500), calls_of([0.9] * 500), id="slower by less than a millisecond"),
        pytest.param(calls_of([9.0] * 500), calls_of([1.0] * 500), id="faster"),
        pytest.param(calls_of([1.0] * 500, "cancel"), calls_of([9.0] * 500), id="another function"),
    ],
)
def test_nothing_is_said_where_nothing_can_be(before: Calls, now: Calls) -> None:
    assert slowdowns([now], [before]) == ()


def test_the_worst_comes_first() -> None:
    before = [calls_of([100.0] * 200, name) for name in "abc"]
    now = [calls_of([slow] * 200, name) for name, slow in zip("abc", (150.0, 400.0, 200.0), strict=True)]
    assert [slower.function for slower in slowdowns(now, before)] == ["b", "c", "a"]


def test_a_quantile_never_lies_outside_of_what_was_measured() -> None:
    calls = calls_of([1.01])
    assert duration_seconds(calls, 0.95) == pytest.approx(0.00101)


# ── Reports ──────────────────────────────────────────────────────────────────────────────────────────────


def keep(records: FakePerformanceRecords, start: datetime, calls: Calls, version: str = "1.0") -> None:
    records.add([FunctionTimes(start=start, process="worker", version=version, calls=calls)], [])


def test_functions_are_told_by_their_total_and_by_their_95th_percentile() -> None:
    records = FakePerformanceRecords()
    keep(records, NOON, calls_of([1.0] * 5000, "often"))
    keep(records, NOON, calls_of([900.0], "slow"))
    performance = Performance(records=records)
    by_total = performance.functions(NOON, NOON + DAY, order=Order.TOTAL)
    by_p95 = performance.functions(NOON, NOON + DAY, order=Order.P95)
    assert [calls.function for calls in by_total.functions] == ["often", "slow"]
    assert [calls.function for calls in by_p95.functions] == ["slow", "often"]


def test_the_version_is_compared_with_the_one_before() -> None:
    records = FakePerformanceRecords()
    keep(records, NOON - DAY, calls_of([100.0] * 200), version="1.0")
    keep(records, NOON, calls_of([300.0] * 200), version="2.0")
    report = Performance(records=records).functions(NOON, NOON + DAY)
    assert report.since_last_version is not None
    assert (report.since_last_version.before, report.since_last_version.now, report.version) == ("1.0", "2.0", "2.0")
    assert [slower.function for slower in report.since_last_version.slower] == ["submit"]


def test_this_time_is_compared_with_the_week_before() -> None:
    records = FakePerformanceRecords()
    keep(records, NOON - timedelta(days=7), calls_of([100.0] * 200))
    keep(records, NOON, calls_of([300.0] * 200))
    report = Performance(records=records).functions(NOON, NOON + DAY)
    assert report.since_week_before is not None
    assert [round(slower.ratio) for slower in report.since_week_before.slower] == [3]


def test_where_there_is_nothing_to_compare_with_nothing_is_compared() -> None:
    records = FakePerformanceRecords()
    keep(records, NOON, calls_of([300.0] * 200))
    report = Performance(records=records).functions(NOON, NOON + DAY)
    assert (report.since_last_version, report.since_week_before) == (None, None)
