"""Every failure of the analytics, by a real analytics database."""

from fastapi.testclient import TestClient
from sqlalchemy import text

from hansard.analytics.database import AnalyticsDatabase
from hansard.analytics.projection import Projection
from hansard.analytics.queries import SqlAnalytics
from hansard.domain.costs import Prices
from hansard.persistence import database
from tests.error_table import Provoked, provokes, raised_by, refused
from tests.fakes import FakeClock, FakeDatabase
from tests.story import Story
from tests.unit.http.api import FakeContainer, client_of

SECTION = "Analytics"


def asking(analytics: AnalyticsDatabase, events: FakeDatabase) -> TestClient:
    projection = Projection(database=analytics, unit_of_work=events.unit_of_work, clock=FakeClock())
    prices = Prices(of={}, currency="USD")
    return client_of(FakeContainer(analytics=SqlAnalytics(database=analytics, projection=projection, prices=prices)))


def told(seed: int) -> FakeDatabase:
    events, story = FakeDatabase(), Story(seed)
    story.complete(story.queue())
    with events.unit_of_work() as uow:
        for event in story.events:
            uow.events.append(event)
        uow.commit()
    return events


@provokes(SECTION, "The analytics database is away, or cannot be made")
def database_away() -> Provoked:
    engine = database.pool("postgresql://127.0.0.1:1/nowhere", patience_seconds=0)
    return refused(asking(AnalyticsDatabase(engine, lambda: None), FakeDatabase()).get("/analytics/overview"))


@provokes(SECTION, "The analytics database is away, or cannot be made")
def tables_gone(analytics_database: AnalyticsDatabase) -> Provoked:
    with analytics_database.begin() as connection:
        connection.execute(text("ALTER TABLE projection RENAME TO hidden"))
    answer = asking(analytics_database, FakeDatabase()).get("/analytics/overview")
    with analytics_database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE hidden RENAME TO projection"))
    return refused(answer)


@provokes(SECTION, "The facts were made of other events than there are now: of those before a backup was restored")
def another_history(analytics_database: AnalyticsDatabase) -> Provoked:
    asking(analytics_database, told(seed=1)).get("/analytics/overview")
    return refused(asking(analytics_database, FakeDatabase()).get("/analytics/overview"))


@provokes(SECTION, "`hansard analytics rebuild` would lose facts whose events were pruned")
def events_pruned(analytics_database: AnalyticsDatabase) -> Provoked:
    events, story = told(seed=1), Story()
    story.after(60)
    story.complete(story.queue())
    projection = Projection(database=analytics_database, unit_of_work=events.unit_of_work, clock=FakeClock())
    projection.catch_up()
    with events.unit_of_work() as uow:
        for event in story.events:
            uow.events.append(event)
        uow.commit()
    del events.trail[:5]
    return Provoked(raised_by(projection.rebuild).failure, "Refused")


@provokes(SECTION, "The time asked about is none")
def empty_period() -> Provoked:
    return asked_for(since="2026-03-02", until="2026-03-01")


@provokes(SECTION, "There is no such time zone")
def unknown_time_zone() -> Provoked:
    return asked_for(time_zone="Mars/Olympus")


@provokes(SECTION, "The pieces asked for are too many")
def too_many_buckets() -> Provoked:
    return asked_for(since="2025-01-01", until="2026-01-01", bucket="minute")


def asked_for(**parameters: str) -> Provoked:
    return refused(client_of(FakeContainer()).get("/analytics/overview", params=parameters))
