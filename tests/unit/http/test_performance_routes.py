"""What functions and processes took, as operators ask for it."""

from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from hansard.domain.benchmark import Figures
from hansard.domain.errors import AnalyticsUnavailable
from hansard.domain.performance import FunctionTimes, bucket_start
from tests.contract.test_performance_records import calls, usage, use
from tests.fake_benchmarks import BEGAN, a_hearing, a_run
from tests.unit.http.api import FakeContainer
from tests.unit.test_performance import calls_of

HOUR = timedelta(hours=1)


def some_time_ago(ago: timedelta = HOUR) -> datetime:
    return bucket_start(datetime.now(UTC) - ago)


def keep(container: FakeContainer, *each: FunctionTimes) -> None:
    container.performance_records.add(each, [])


def times(**changes: object) -> FunctionTimes:
    of = {"start": some_time_ago(), "process": "worker", "version": "1.0", "calls": calls(), **changes}
    return FunctionTimes(**of)  # type: ignore[arg-type]


def test_a_function_is_told_with_its_percentiles(container: FakeContainer, client: TestClient) -> None:
    keep(container, times(calls=calls_of([10.0] * 90 + [1000.0] * 10)))
    [item] = client.get("/analytics/functions").json()["items"]
    assert (item["function"], item["calls"], item["errors"], item["usage"]) == ("submit", 100, 0, None)
    assert item["p50_seconds"] == pytest.approx(0.01, rel=0.016)
    assert item["p95_seconds"] == pytest.approx(1.0, rel=0.016)
    assert item["mean_seconds"] == pytest.approx(0.109)


def test_what_a_monitored_function_used_is_told(container: FakeContainer, client: TestClient) -> None:
    keep(container, times(calls=calls(usage=usage())))
    [item] = client.get("/analytics/functions").json()["items"]
    assert item["usage"]["cpu_seconds"] == 1.0
    assert item["usage"]["written_bytes"] == 1024


def test_the_order_and_how_many_can_be_chosen(container: FakeContainer, client: TestClient) -> None:
    keep(container, times(calls=calls_of([1.0] * 5000, "often")), times(calls=calls_of([900.0], "slow")))
    by_p95 = client.get("/analytics/functions", params={"order": "p95", "limit": 1}).json()
    assert [item["function"] for item in by_p95["items"]] == ["slow"]


def test_what_got_slower_with_the_new_version_is_told(container: FakeContainer, client: TestClient) -> None:
    before = times(start=some_time_ago(2 * HOUR), calls=calls_of([100.0] * 200))
    keep(container, before, times(version="2.0", calls=calls_of([300.0] * 200)))
    told = client.get("/analytics/functions").json()
    assert told["version"] == "2.0"
    [slower] = told["since_last_version"]["slower"]
    assert (slower["function"], round(slower["ratio"])) == ("submit", 3)
    assert told["since_week_before"] is None


def test_processes_are_told_each_with_its_points(container: FakeContainer, client: TestClient) -> None:
    start = some_time_ago()
    container.performance_records.add([], [use(start), use(start + HOUR / 2), use(start, process="worker.1")])
    told = client.get("/analytics/resources", params={"bucket_seconds": 60}).json()
    assert [(each["process"], len(each["points"])) for each in told["processes"]] == [("api", 2), ("worker.1", 1)]
    assert told["processes"][0]["points"][0]["cores_mean"] == 0.5


@pytest.mark.parametrize(
    ("hours", "bucket_seconds"),
    [(0.25, 15.0), (1, 60.0), (24, 900.0), (24 * 7, 3600.0), (24 * 30, 6 * 3600.0), (24 * 400, 24 * 3600.0)],
)
def test_pieces_of_time_are_chosen_so_that_a_chart_can_be_read(
    client: TestClient, hours: float, bucket_seconds: float
) -> None:
    since = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    told = client.get("/analytics/resources", params={"since": since})
    assert told.status_code == 200, told.text
    assert told.json()["bucket_seconds"] == bucket_seconds


@pytest.mark.parametrize("path", ["/analytics/functions", "/analytics/resources"])
def test_while_the_analytics_database_is_away_that_is_said(
    container: FakeContainer, client: TestClient, path: str
) -> None:
    container.performance_records.failure = AnalyticsUnavailable("It is away.", help="Wait.")
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (503, "analytics_unavailable")


def test_benchmarks_that_ended_are_told_the_latest_first(container: FakeContainer, client: TestClient) -> None:
    older, newer = a_run(commit="older"), a_run(commit="newer", started_at=BEGAN + HOUR)
    for run in (older, newer, a_run(ended_at=None, started_at=BEGAN + 2 * HOUR)):
        container.benchmarks.begin(run)
    container.benchmarks.end(newer.id, BEGAN, Figures.of([a_hearing("a.wav"), a_hearing("b.wav")]))

    items = client.get("/analytics/benchmarks").json()["items"]

    assert [item["commit"] for item in items] == ["newer", "older"]
    assert (items[0]["figures"]["files"], items[0]["figures"]["wer"]) == (2, 0.2)
    assert items[1]["figures"] is None
    assert len(client.get("/analytics/benchmarks?limit=1").json()["items"]) == 1
