"""Hours that are summed up say what their facts say, whatever comes late."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from hansard.analytics import tables
from hansard.analytics.database import AnalyticsDatabase
from hansard.analytics.histograms import LEAST, RELATIVE_ERROR, bucket, of_all, of_one, percentiles
from hansard.analytics.projection import HOUR_TABLES, Projection
from hansard.analytics.queries import SqlAnalytics
from hansard.application.ports.analytics import Asked, Report
from hansard.domain.costs import Price, Prices
from hansard.domain.events import Event
from hansard.domain.period import Bucket, Period
from tests.fakes import FakeClock, FakeDatabase
from tests.story import BEGIN, Story

ROUTES = ("overview", "throughput", "latency", "engines", "errors", "costs")
SHARES = (0.5, 0.9, 0.95, 0.99, 0.4, 0.6)
HOUR = timedelta(hours=1)


@pytest.fixture
def database() -> FakeDatabase:
    return FakeDatabase()


def asking(analytics: AnalyticsDatabase, database: FakeDatabase) -> SqlAnalytics:
    projection = Projection(database=analytics, unit_of_work=database.unit_of_work, clock=FakeClock())
    prices = Prices(of={"whisper": Price(per_processing_hour=0.36)}, currency="EUR")
    return SqlAnalytics(database=analytics, projection=projection, prices=prices)


def tell(database: FakeDatabase, events: Sequence[Event]) -> None:
    with database.unit_of_work() as uow:
        for event in events:
            uow.events.append(event)
        uow.commit()


def asked(since: datetime = BEGIN, length: timedelta = timedelta(days=1), **filters: Any) -> Asked:
    return Asked(period=Period.of(now=since, since=since, until=since + length, bucket=Bucket.HOUR), **filters)


def hours_of(analytics: AnalyticsDatabase) -> dict[str, list[Any]]:
    with analytics.begin() as connection:
        return {
            table.name: list(connection.execute(select(table).order_by(*table.columns)).all()) for table in HOUR_TABLES
        }


def told(report: Any) -> Any:
    """All that it says, with room for the order of additions."""
    if is_dataclass(report):
        return {each.name: told(getattr(report, each.name)) for each in fields(report)}
    if isinstance(report, tuple):
        return [told(each) for each in report]
    return pytest.approx(report) if isinstance(report, float) else report


def answers(analytics: SqlAnalytics, question: Asked) -> dict[str, Report]:
    return {route: getattr(analytics, route)(question) for route in ROUTES}


def unseal(analytics: AnalyticsDatabase) -> None:
    with analytics.begin() as connection:
        for table in HOUR_TABLES:
            connection.execute(table.delete())
        # Without a latest event there is nothing that whoever asks would seal again.
        connection.execute(update(tables.projection).values(sealed_until=None, latest_at=None))


periods = st.builds(
    lambda begin, length, bucket, zone: Period.of(
        now=BEGIN,
        since=BEGIN + timedelta(seconds=begin),
        until=BEGIN + timedelta(seconds=begin + length),
        bucket=bucket,
        time_zone=zone,
    ),
    st.integers(-4_000, 40_000),
    st.integers(1, 60_000),
    st.sampled_from(Bucket),
    st.sampled_from(["UTC", "Asia/Kolkata", "Europe/Zurich", "Asia/Kathmandu"]),
)
filters = st.fixed_dictionaries(
    {},
    optional={
        "owner": st.sampled_from(["alice", "bob"]),
        "engine": st.sampled_from(["whisper", "openai"]),
        "interactive": st.booleans(),
    },
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), period=periods, only=filters)
def test_answers_are_the_same_from_hours_and_from_facts(
    analytics_database: AnalyticsDatabase, seed: int, period: Period, only: dict[str, Any]
) -> None:
    database, story = FakeDatabase(), Story(seed)
    for _ in range(25):
        story.any_life()
        story.after(story.random.uniform(0, 3_600))
    tell(database, story.events)
    analytics, question = asking(analytics_database, database), Asked(period=period, **only)
    analytics.projection.rebuild(force=True)
    from_hours = answers(analytics, question)
    unseal(analytics_database)
    from_facts = answers(analytics, question)
    for route in ROUTES:
        said, exact = told(from_hours[route]), told(from_facts[route])
        said.pop("as_of"), exact.pop("as_of")
        assert said == exact


def test_sealed_hours_are_not_read_again(analytics_database: AnalyticsDatabase, database: FakeDatabase) -> None:
    story = Story()
    story.complete(story.queue())
    story.after(2 * 3_600)
    story.complete(story.queue())
    tell(database, story.events)
    analytics = asking(analytics_database, database)
    assert analytics.overview(asked()).now.completed == 2
    with analytics_database.begin() as connection:
        connection.execute(text("DELETE FROM transcription_facts"))
    assert analytics.overview(asked()).now.completed == 1
    assert analytics.latency(asked()).overall.total_seconds.count == 1


def test_what_comes_late_into_a_sealed_hour_counts(
    analytics_database: AnalyticsDatabase, database: FakeDatabase
) -> None:
    story = Story()
    story.complete(story.queue())
    story.after(3 * 3_600)
    story.complete(story.queue())
    tell(database, story.events)
    analytics = asking(analytics_database, database)
    assert analytics.overview(asked()).now.completed == 2
    late = Story(seed=1)
    late.fail(late.queue(owner="bob"))
    tell(database, late.events)
    first_hour = asked(length=HOUR)
    assert (analytics.overview(first_hour).now.completed, analytics.overview(first_hour).now.failed) == (1, 1)
    as_they_came = hours_of(analytics_database)
    analytics.projection.rebuild()
    assert hours_of(analytics_database) == as_they_came


def test_what_was_deleted_later_stays_a_number_of_its_hour(
    analytics_database: AnalyticsDatabase, database: FakeDatabase
) -> None:
    story = Story()
    failed = story.queue()
    story.fail(failed)
    story.after(2 * 3_600)
    story.queue()
    tell(database, story.events)
    analytics = asking(analytics_database, database)
    assert analytics.errors(asked()).transcriptions[0].examples == (failed.id,)
    story.events.clear()
    failed.delete(story.after(1))
    story.take(failed)
    tell(database, story.events)
    report = analytics.errors(asked())
    assert (report.failed, report.transcriptions[0].examples) == (1, ())


def test_the_hour_of_the_last_event_stays_open(analytics_database: AnalyticsDatabase, database: FakeDatabase) -> None:
    story = Story()
    story.complete(story.queue())
    tell(database, story.events)
    asking(analytics_database, database).projection.catch_up()
    assert not any(hours_of(analytics_database).values())


def test_facts_from_before_there_were_hours_are_summed_up(
    analytics_database: AnalyticsDatabase, database: FakeDatabase
) -> None:
    story = Story()
    for _ in range(3):
        story.complete(story.queue())
        story.after(12 * 3_600)
    tell(database, story.events)
    analytics = asking(analytics_database, database)
    analytics.projection.catch_up()
    summed = hours_of(analytics_database)
    with analytics_database.begin() as connection:
        for table in HOUR_TABLES:
            connection.execute(table.delete())
        connection.execute(update(tables.projection).values(sealed_until=None))
    analytics.projection.catch_up()
    assert summed["transcription_hours"]
    assert hours_of(analytics_database) == summed


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    measures=st.lists(st.one_of(st.floats(LEAST, 1e8), st.just(0.0)), min_size=1, max_size=60),
    cut=st.integers(0, 60),
)
def test_percentiles_are_within_one_in_a_hundred(
    analytics_database: AnalyticsDatabase, measures: list[float], cut: int
) -> None:
    with analytics_database.begin() as connection:
        statement = f"""
            SELECT percentile_cont(CAST(:shares AS float8[])) WITHIN GROUP (ORDER BY measure),
                   {of_all("array_agg(number) FILTER (WHERE place <= :cut)")},
                   string_agg({of_one("number")}, ''::bytea) FILTER (WHERE place > :cut)
              FROM (SELECT place, measure, {bucket("measure")} AS number
                      FROM unnest(CAST(:measures AS float8[])) WITH ORDINALITY AS given (measure, place)) AS numbered
        """
        row = connection.execute(text(statement), {"shares": list(SHARES), "measures": measures, "cut": cut}).one()
    exact, summed, single = row
    ((count, found),) = percentiles([(summed or b"") + (single or b"")], SHARES)
    assert count == len(measures)
    assert found == pytest.approx(exact, rel=RELATIVE_ERROR * (1 + 1e-9), abs=1e-12)


def test_histograms_of_nothing_have_no_percentiles() -> None:
    assert percentiles([], SHARES) == []
    assert percentiles([None, b""], SHARES) == [(0, None), (0, None)]
