"""What may be asked of the past, over HTTP."""

from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from hansard.domain.errors import AnalyticsUnavailable
from hansard.domain.period import Bucket
from tests.fake_analytics import FakeAnalytics
from tests.unit.http.api import FakeContainer, client_of

ROUTES = ("overview", "throughput", "latency", "engines", "errors", "costs")


@pytest.fixture
def analytics() -> FakeAnalytics:
    return FakeAnalytics()


@pytest.fixture
def client(analytics: FakeAnalytics) -> TestClient:
    return client_of(FakeContainer(analytics=analytics))


@pytest.mark.parametrize("route", ROUTES)
def test_each_report_tells_what_it_is_about_and_what_it_takes_in(client: TestClient, route: str) -> None:
    answer = client.get(f"/analytics/{route}?since=2026-03-01&until=2026-03-02T00:00:00Z&time_zone=Europe/Zurich")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["since"], told["until"]) == ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")
    assert (told["bucket"], told["time_zone"]) == ("hour", "Europe/Zurich")
    assert told["as_of"]["behind"] == 0


def test_what_is_asked_for_is_passed_on(client: TestClient, analytics: FakeAnalytics) -> None:
    client.get("/analytics/latency?owner=alice&engine=whisper&interactive=true&bucket=day")
    (asked,) = analytics.asked
    assert (asked.owner, asked.engine, asked.interactive, asked.period.bucket) == ("alice", "whisper", True, Bucket.DAY)


def test_without_a_time_it_is_the_week_up_to_now(client: TestClient, analytics: FakeAnalytics) -> None:
    client.get("/analytics/overview")
    (asked,) = analytics.asked
    assert (asked.period.until - asked.period.since).days == 7
    assert abs((datetime.now(UTC) - asked.period.until).total_seconds()) < 60


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"since": "2026-03-02", "until": "2026-03-01"}, "empty_period"),
        ({"time_zone": "Mars/Olympus"}, "unknown_time_zone"),
        ({"time_zone": "../etc/passwd"}, "unknown_time_zone"),
        ({"since": "2025-01-01", "until": "2026-01-01", "bucket": "minute"}, "too_many_buckets"),
        ({"bucket": "century"}, "invalid_request"),
    ],
)
def test_what_cannot_be_answered_is_refused(client: TestClient, asked: dict[str, Any], code: str) -> None:
    answer = client.get("/analytics/overview", params=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


@pytest.mark.parametrize("route", ROUTES)
def test_an_analytics_database_that_is_away_is_said_so(
    client: TestClient, analytics: FakeAnalytics, route: str
) -> None:
    analytics.away = AnalyticsUnavailable("It is away.", help="Wait.")
    answer = client.get(f"/analytics/{route}")
    assert (answer.status_code, answer.json()["code"]) == (503, "analytics_unavailable")
    assert "Retry-After" in answer.headers
