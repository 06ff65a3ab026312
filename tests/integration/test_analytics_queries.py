"""The questions of operators, against facts that can be counted by hand."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from hansard.analytics.database import AnalyticsDatabase
from hansard.analytics.histograms import RELATIVE_ERROR
from hansard.analytics.insight import LEAST_COMPLETED, LEAST_MEASURES
from hansard.analytics.projection import Projection
from hansard.analytics.queries import SqlAnalytics
from hansard.application.ports.analytics import Asked
from hansard.domain.costs import Price, Prices
from hansard.domain.events import CanaryRecognised, EngineCircuitOpened
from hansard.domain.period import Bucket, Period
from tests.fakes import FakeClock, FakeDatabase
from tests.story import BEGIN, BROKEN, Story
from tests.unit.http.api import FakeContainer, client_of

PRICES = Prices(
    of={
        "openai": Price(per_audio_minute=0.006),
        "openai:gpt": Price(per_million_input_tokens=2, per_million_output_tokens=10),
        "whisper": Price(per_processing_hour=0.36),
    },
    currency="EUR",
)
DAY = timedelta(days=1)


def asked(since: datetime = BEGIN, length: timedelta = DAY, bucket: Bucket = Bucket.HOUR, **filters: Any) -> Asked:
    period = Period.of(now=since, since=since, until=since + length, bucket=bucket)
    return Asked(period=period, **filters)


def about(exact: float) -> Any:
    """What a percentile may be that comes of a histogram."""
    return pytest.approx(exact, rel=RELATIVE_ERROR)


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def database() -> FakeDatabase:
    return FakeDatabase()


@pytest.fixture
def analytics(
    analytics_database: AnalyticsDatabase, database: FakeDatabase, story: Story
) -> Callable[[], SqlAnalytics]:
    """What there is to be asked once the story is told."""

    def tell() -> SqlAnalytics:
        with database.unit_of_work() as uow:
            for event in story.events:
                uow.events.append(event)
            uow.commit()
        story.events.clear()
        projection = Projection(database=analytics_database, unit_of_work=database.unit_of_work, clock=FakeClock())
        return SqlAnalytics(database=analytics_database, projection=projection, prices=PRICES)

    return tell


def test_the_sums_of_a_day(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    story.complete(story.queue(), degraded=True)
    story.fail(story.queue())
    cancelled = story.queue()
    cancelled.cancel(story.after(1))
    story.take(cancelled)
    story.queue()
    report = analytics().overview(asked())
    assert (report.now.asked, report.now.completed, report.now.failed, report.now.cancelled) == (4, 1, 1, 1)
    assert (report.now.failure_rate, report.now.degraded, report.now.audio_seconds) == (0.5, 1, 60)
    assert report.now.coverage == pytest.approx(0.98)
    assert (report.waiting, report.running, report.before.asked, report.currency) == (1, 0, 0, "EUR")
    assert report.as_of.behind == 0


def test_percentiles_are_of_the_transcriptions_themselves(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    for seconds in range(1, 101):
        story.complete(story.queue(), seconds=seconds)
    spread = analytics().latency(asked()).overall.recognising_seconds
    assert (spread.count, spread.p50, spread.p90) == (100, about(50.5), about(90.1))
    assert (spread.p95, spread.p99) == (about(95.05), about(99.01))


def test_where_jobs_wait(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    story.complete(story.queue(), waits=12, seconds=6)
    waits = analytics().latency(asked()).waits
    assert waits is not None
    assert (waits.queue, waits.preparing, waits.recognising) == (0.6, 0.1, 0.3)


def test_a_chart_has_a_piece_for_each_hour_also_for_those_in_which_nothing_happened(
    analytics: Callable[[], SqlAnalytics], story: Story
) -> None:
    story.complete(story.queue())
    story.after(2 * 3600)
    story.fail(story.queue())
    told = analytics()
    buckets = told.throughput(asked(length=timedelta(hours=4))).buckets
    assert [(bucket.asked, bucket.completed, bucket.failed) for bucket in buckets] == [
        (1, 1, 0),
        (0, 0, 0),
        (1, 0, 1),
        (0, 0, 0),
    ]
    assert buckets[1].start == BEGIN + timedelta(hours=1)
    latency = told.latency(asked(length=timedelta(hours=4))).buckets
    assert [bucket.total_seconds.p50 for bucket in latency] == [about(17), None, None, None]


def test_days_are_those_of_the_time_zone(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    story.after(14.5 * 3600)  # 23:30 UTC is half past midnight in Zurich
    story.queue()
    period = Period.of(
        now=BEGIN,
        since=datetime(2026, 3, 1, tzinfo=UTC),
        until=datetime(2026, 3, 3, tzinfo=UTC),
        bucket=Bucket.DAY,
        time_zone="Europe/Zurich",
    )
    buckets = analytics().throughput(Asked(period=period)).buckets
    (busy,) = [bucket for bucket in buckets if bucket.asked]
    assert busy.start == datetime(2026, 3, 1, 23, tzinfo=UTC)


def test_what_is_not_asked_for_does_not_count(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    story.complete(story.queue(owner="alice"))
    story.complete(story.queue(owner="bob", interactive=True), engine="openai")
    told = analytics()

    def completed(**filters: Any) -> int:
        return sum(bucket.completed for bucket in told.throughput(asked(**filters)).buckets)

    assert completed() == 2
    assert completed(owner="alice") == completed(engine="openai") == completed(interactive=True) == 1
    assert completed(owner="alice", engine="openai") == completed(since=BEGIN + DAY) == 0


def test_errors_have_ids_to_look_at_of_what_is_still_there(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    kept, deleted = story.queue(), story.queue()
    story.fail(kept)
    story.fail(deleted)
    deleted.delete(story.after(1))
    story.take(deleted)
    story.complete(story.queue())
    report = analytics().errors(asked())
    (failed,) = report.transcriptions
    assert (failed.code, failed.category, failed.engine, failed.count) == ("engine_failed", "server", "openai", 2)
    assert failed.examples == (kept.id,)
    assert (report.failed, report.ended, report.failure_rate) == (2, 3, pytest.approx(2 / 3))
    (attempts,) = report.attempts
    assert (attempts.count, attempts.examples) == (2, (kept.id,))
    assert (report.buckets[0].failed, report.buckets[0].failed_attempts) == (2, 2)


def test_a_failure_that_was_made_up_for_stays_on_record(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    transcription = story.queue()
    story.fail(transcription)
    transcription.retry(story.after(1))
    story.complete(transcription)
    report = analytics().errors(asked())
    assert (report.failed, report.ended) == (1, 2)


def test_costs_are_told_by_engine_and_owner(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    story.complete(story.queue(owner="alice"), engine="openai")
    story.complete(story.queue(owner="bob"), engine="openai")
    story.complete(story.queue(owner="bob"), seconds=100)
    story.complete(story.queue(owner="bob"), engine="pocketsphinx")
    report = analytics().costs(asked())
    cost = {(item.engine, item.owner): item.cost for item in report.items}
    assert cost["openai", "alice"] == cost["openai", "bob"] == pytest.approx(50 / 60 * 0.006)
    assert cost["whisper", "bob"] == pytest.approx(0.01)
    assert cost["pocketsphinx", "bob"] is None
    assert report.unpriced == ("pocketsphinx:small",)
    assert report.cost == pytest.approx(0.01 + 2 * 50 / 60 * 0.006) == pytest.approx(report.buckets[0].cost)


def test_tokens_are_paid_for_where_they_were_counted(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    transcription = story.queue()
    transcription.start(story.after(1))
    transcription.begin_attempt(engine="openai", model="gpt", at=story.after(1))
    transcription.advance_attempt(60, input_tokens=1000, output_tokens=100)
    transcription.end_attempt(story.after(1), BROKEN)
    story.take(transcription)
    (item,) = analytics().costs(asked()).items
    assert (item.input_tokens, item.output_tokens) == (1000, 100)
    assert item.cost == pytest.approx(0.002 + 0.001)


def test_an_engine_is_told_by_what_it_did(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    story.complete(story.queue(), seconds=5)
    story.fail(story.queue())
    story.events.append(
        EngineCircuitOpened(subject="openai", occurred_at=story.now, failures=5, retry_at=story.now, failure=BROKEN)
    )
    story.events.append(
        CanaryRecognised(
            subject="whisper", occurred_at=story.now, passed=True, word_accuracy=1, processing_seconds=1, failure=None
        )
    )
    report = analytics().engines(asked())
    engines = {item.engine: item for item in report.items}
    whisper, openai = engines["whisper"], engines["openai"]
    assert (whisper.real_time_factor.p50, whisper.failure_rate, whisper.completed) == (about(0.1), 0, 1)
    assert (whisper.audio_seconds, whisper.cost_per_audio_hour) == (50, pytest.approx(0.036))
    assert (openai.failure_rate, openai.completed, openai.coverage) == (1, 0, None)
    happenings = {each.engine: each for each in report.happenings}
    assert (happenings["openai"].circuit_opened, happenings["whisper"].canary_passed) == (1, 1)


def test_an_engine_that_another_beats_is_told_by_which(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    for _ in range(LEAST_COMPLETED):
        story.complete(story.queue(), engine="openai", seconds=5, transcribed_seconds=49)
        story.complete(story.queue(), engine="whisper", seconds=4, transcribed_seconds=49)
    beaten = {item.engine: item.beaten_by for item in analytics().engines(asked()).items}
    assert beaten == {"openai": "whisper:small", "whisper": None}


def test_who_costs_more_and_hears_more_is_beaten_by_nobody(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    for _ in range(LEAST_COMPLETED):
        story.complete(story.queue(), engine="openai", seconds=5, transcribed_seconds=50)
        story.complete(story.queue(), engine="whisper", seconds=4, transcribed_seconds=40)
    assert [item.beaten_by for item in analytics().engines(asked()).items] == [None, None]


def test_too_few_transcriptions_are_not_judged(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    for _ in range(LEAST_COMPLETED - 1):
        story.complete(story.queue(), engine="openai", transcribed_seconds=10)
        story.complete(story.queue(), engine="whisper", seconds=1)
    assert [item.beaten_by for item in analytics().engines(asked()).items] == [None, None]


def two_weeks(story: Story, *, before: Callable[[], float], now: Callable[[], float], size: int) -> Asked:
    """`size` transcriptions in each of two days that lie a week apart; told is how long each is recognised."""
    for _ in range(size):
        story.complete(story.queue(), seconds=before())
    story.now = BEGIN + timedelta(days=7)
    for _ in range(size):
        story.complete(story.queue(), seconds=now())
    return asked(since=BEGIN + timedelta(days=7))


def test_what_got_slower_than_the_week_before_is_told(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    draw = story.random.uniform
    question = two_weeks(story, before=lambda: draw(4, 6), now=lambda: draw(8, 12), size=LEAST_MEASURES)
    found = {each.what: each for each in analytics().overview(question).slower}
    assert set(found) == {"recognising", "total"}
    assert (found["recognising"].engine, found["recognising"].count_before) == ("whisper", LEAST_MEASURES)
    assert found["recognising"].ratio == pytest.approx(2, rel=0.2)


def test_chance_is_not_called_slower(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    def draw() -> float:
        return story.random.lognormvariate(1.5, 1)

    question = two_weeks(story, before=draw, now=draw, size=LEAST_MEASURES)
    assert analytics().latency(question).slower == ()


def test_a_few_slow_ones_are_not_called_slower(analytics: Callable[[], SqlAnalytics], story: Story) -> None:
    question = two_weeks(story, before=lambda: 5, now=lambda: 50, size=LEAST_MEASURES - 1)
    assert analytics().engines(question).slower == ()


@pytest.mark.parametrize("route", ["overview", "throughput", "latency", "engines", "errors", "costs"])
def test_real_reports_go_over_the_wire(analytics: Callable[[], SqlAnalytics], story: Story, route: str) -> None:
    for _ in range(20):
        story.any_life()
    client: TestClient = client_of(FakeContainer(analytics=analytics()))
    answer = client.get(f"/analytics/{route}", params={"since": BEGIN.isoformat(), "until": story.now.isoformat()})
    assert answer.status_code == 200, answer.text
    assert answer.json()["as_of"]["position"] > 0


@pytest.mark.parametrize("route", ["overview", "throughput", "latency", "engines", "errors", "costs"])
def test_no_facts_are_an_answer_too(analytics: Callable[[], SqlAnalytics], route: str) -> None:
    answer = client_of(FakeContainer(analytics=analytics())).get(f"/analytics/{route}")
    assert answer.status_code == 200, answer.text
