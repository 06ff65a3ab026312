"""The page of analytics: complete in itself, readable by anybody, and proof against what names and messages say."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from hansard.application.ports import analytics as port
from hansard.application.ports.analytics import Asked, Spread
from hansard.domain.benchmark import Figures
from hansard.domain.errors import AnalyticsUnavailable, StorageError
from hansard.domain.performance import FunctionTimes, bucket_start
from tests.contract.test_performance_records import calls, usage, use
from tests.fake_analytics import FakeAnalytics
from tests.fake_benchmarks import a_hearing, a_run
from tests.unit.http.api import FakeContainer, client_of
from tests.unit.test_performance import calls_of

HOSTILE = "<script>alert(1)</script>\"'&"
SPREAD = Spread(count=40, p50=2.0, p90=8.0, p95=9.0, p99=70.0)
SECTIONS = (
    "now", "overview", "throughput", "latency", "engines", "errors", "costs", "functions", "resources", "benchmarks",
    "alerts",
)  # fmt: skip
VOID = {"meta", "link", "br"}


class BusyAnalytics(FakeAnalytics):
    """Of a service in which something happened in each piece of time, with names that somebody chose with malice."""

    def overview(self, asked: Asked) -> port.Overview:
        quiet = super().overview(asked)
        busy = replace(quiet.now, asked=120, completed=100, failed=20, failure_rate=1 / 6, total_seconds=SPREAD)
        return replace(quiet, now=busy, currency="EUR")

    def throughput(self, asked: Asked) -> port.Throughput:
        counts = {"asked": 6, "completed": 5, "failed": 1, "cancelled": 0, "degraded": 0, "uploads": 6}
        measures = {"audio_seconds": 300.0, "uploaded_bytes": 1000}
        starts = asked.period.starts()
        buckets = tuple(port.ThroughputBucket(start=start, **counts, **measures) for start in starts)
        return port.Throughput(**self._report(asked), buckets=buckets)

    def latency(self, asked: Asked) -> port.Latency:
        measures = ("queue_seconds", "preparing_seconds", "recognising_seconds", "total_seconds", "real_time_factor")
        spreads = dict.fromkeys(measures, SPREAD)
        return port.Latency(
            **self._report(asked),
            overall=port.LatencySpreads(**spreads),
            waits=port.Waits(queue=0.5, preparing=0.1, recognising=0.4),
            slower=(),
            buckets=tuple(port.LatencyBucket(start=start, **spreads) for start in asked.period.starts()),
        )

    def errors(self, asked: Asked) -> port.Errors:
        now = datetime.now(UTC)
        example = UUID(int=7)
        error = {"code": HOSTILE, "category": "server", "engine": HOSTILE, "count": 3, "share": 1.0}
        report = port.ErrorReport(**error, first_at=now, last_at=now, examples=(example,))
        counted = {"failed": 3, "ended": 9, "failure_rate": 1 / 3, "transcriptions": (report,), "attempts": ()}
        buckets = tuple(port.ErrorBucket(start=start, failed=1, failed_attempts=2) for start in asked.period.starts())
        return port.Errors(**self._report(asked), **counted, buckets=buckets)

    def costs(self, asked: Asked) -> port.Costs:
        used = {"attempts": 1, "audio_seconds": 60.0, "input_tokens": 0, "output_tokens": 0, "processing_seconds": 9.0}
        item = port.CostReport(engine=HOSTILE, model=HOSTILE, owner=HOSTILE, **used, cost=1.5)
        told = {"currency": "EUR", "cost": 1.5, "unpriced": (HOSTILE,), "items": (item,)}
        buckets = tuple(port.CostBucket(start=start, cost=1.5, audio_seconds=60.0) for start in asked.period.starts())
        return port.Costs(**self._report(asked), **told, buckets=buckets)


class Page(HTMLParser):
    """Fails where an element is closed that is not the innermost one."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def values(self, name: str) -> list[str]:
        """Of one attribute, of all elements."""
        return [value for _, attributes in self.elements if (value := attributes.get(name)) is not None]


@pytest.fixture
def busy() -> FakeContainer:
    container = FakeContainer(analytics=BusyAnalytics())
    start = bucket_start(datetime.now(UTC) - timedelta(hours=1))
    slow = FunctionTimes(start=start, process="worker", version=HOSTILE, calls=calls(HOSTILE, usage=usage()))
    container.performance_records.add([slow], [use(start, process=HOSTILE), use(start + timedelta(minutes=15))])
    container.benchmarks.begin(run := a_run(engine=HOSTILE, corpus=HOSTILE, ended_at=None))
    container.benchmarks.end(run.id, run.started_at, Figures.of([a_hearing("a.wav")]))
    return container


def text_of(container: FakeContainer, **asked: Any) -> str:
    answer = client_of(container).get("/analytics", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.text


def sections_of(text: str) -> list[str]:
    return [attributes["id"] or "" for tag, attributes in Page(text).elements if tag == "section"]


def test_all_sections_are_there_and_well_formed(busy: FakeContainer) -> None:
    assert sections_of(text_of(busy)) == list(SECTIONS)


def test_a_service_in_which_nothing_happened_has_them_too_and_says_what_to_do(client: TestClient) -> None:
    text = client.get("/analytics").text
    assert sections_of(text) == list(SECTIONS)
    assert "curl -F file=@talk.mp3 http://testserver/transcriptions" in text


@pytest.mark.parametrize("asked", ["1h", "24h", "7d", "30d"])
def test_each_range_can_be_seen_and_is_marked(busy: FakeContainer, asked: str) -> None:
    chosen = [attributes for _, attributes in Page(text_of(busy, range=asked)).elements if "aria-current" in attributes]
    assert [attributes["href"] for attributes in chosen] == [f"/analytics?range={asked}"]


def test_nothing_that_others_named_becomes_part_of_the_page(busy: FakeContainer) -> None:
    text = text_of(busy)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>alert" not in text
    assert [tag for tag, _ in Page(text).elements].count("script") == 1


def test_nothing_is_loaded_from_anywhere(busy: FakeContainer) -> None:
    text = text_of(busy)
    page = Page(text)
    assert page.values("src") == []
    assert all(link.startswith(("/", "#", "data:")) for link in page.values("href"))
    assert re.findall(r"url\(|@import", text) == []


def test_only_its_own_script_and_style_may_run(busy: FakeContainer) -> None:
    answer = client_of(busy).get("/analytics")
    policy = answer.headers["Content-Security-Policy"]
    nonces = {attributes["nonce"] for _, attributes in Page(answer.text).elements if "nonce" in attributes}
    assert len(nonces) == 1
    assert f"script-src 'nonce-{nonces.pop()}'" in policy
    assert "default-src 'none'" in policy
    assert Page(answer.text).values("style") == []  # which the policy would not let be


def test_each_page_has_a_nonce_of_its_own(client: TestClient) -> None:
    policies = {client.get("/analytics").headers["Content-Security-Policy"] for _ in range(2)}
    assert len(policies) == 2


def test_an_error_leads_to_transcriptions_that_had_it(busy: FakeContainer) -> None:
    assert f"/transcriptions/{UUID(int=7)}" in Page(text_of(busy)).values("href")


def test_every_chart_has_a_title_and_its_numbers_as_a_table(busy: FakeContainer) -> None:
    tags = [tag for tag, _ in Page(text_of(busy)).elements]
    assert tags.count("figure") == tags.count("figcaption") == tags.count("details") > 5


def test_every_link_within_the_page_leads_somewhere(busy: FakeContainer) -> None:
    page = Page(text_of(busy))
    places = {link.removeprefix("#") for link in page.values("href") if link.startswith("#")}
    assert places <= set(page.values("id"))


def test_what_got_slower_is_told(busy: FakeContainer) -> None:
    start = bucket_start(datetime.now(UTC))
    for ago, version, milliseconds in ((30, "1.0", 100.0), (5, "2.0", 300.0)):
        times = FunctionTimes(
            start=start - timedelta(minutes=ago),
            process="api",
            version=version,
            calls=calls_of([milliseconds] * 200, "application.submit.Submit"),
        )
        busy.performance_records.add([times], [])
    text = text_of(busy)
    assert "2.0 beside 1.0" in text
    assert "3.0 × slower" in text


def test_the_latest_benchmarks_are_told(busy: FakeContainer) -> None:
    text = text_of(busy)
    assert "Nothing was measured yet." not in text
    assert "0 of 1" in text
    assert "Nothing was measured yet." in text_of(FakeContainer())


def test_without_the_analytics_database_the_present_is_told_and_why_the_past_is_not() -> None:
    away = AnalyticsUnavailable("It is away <now>.", help="Wait & see.")
    text = text_of(FakeContainer(analytics=FakeAnalytics(away=away)))
    assert sections_of(text) == ["now", "past", "engines", "alerts"]
    assert "It is away &lt;now&gt;." in text
    assert "Wait &amp; see." in text


def test_without_the_database_the_past_is_told_and_why_the_present_is_not(
    busy: FakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(busy)

    def no_answer() -> None:
        raise StorageError("The database does not answer.", help="Wait.")

    monkeypatch.setattr(FakeContainer, "unit_of_work", lambda _: no_answer())
    text = client.get("/analytics").text
    assert sections_of(text) == list(SECTIONS)
    assert text.count("The database does not answer.") == 2


def test_times_are_those_of_the_zone_that_was_asked_for(busy: FakeContainer) -> None:
    assert "times in Asia/Tokyo" in text_of(busy, time_zone="Asia/Tokyo")


@pytest.mark.parametrize(
    ("asked", "code"), [({"range": "2y"}, "invalid_request"), ({"time_zone": "Mars/Base"}, "unknown_time_zone")]
)
def test_what_cannot_be_shown_is_refused(client: TestClient, asked: dict[str, str], code: str) -> None:
    answer = client.get("/analytics", params=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
