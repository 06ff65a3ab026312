"""The analytics database is made where it is missing, and nothing minds when it is away."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from hansard import bootstrap
from hansard.analytics import tables
from hansard.analytics.database import MIGRATIONS, AnalyticsDatabase
from hansard.domain.errors import AnalyticsUnavailable, ConfigurationError
from hansard.persistence import database, migrate, second_database
from hansard.settings import Settings


@pytest.fixture
def settings(postgres: str, tmp_path: Path) -> Iterator[Settings]:
    """Of a service whose two databases are not there yet."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        name = f"{connection.info.dbname}_fresh"
        connection.execute(f"CREATE DATABASE {name}")
        yield Settings(database_url=f"postgresql://postgres@/{name}?host={connection.info.host}", data_dir=tmp_path)
        connection.execute(f"DROP DATABASE IF EXISTS {name}_analytics WITH (FORCE)")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def fresh(settings: Settings) -> Iterator[AnalyticsDatabase]:
    analytics = bootstrap.analytics_database(settings, process="tests")
    yield analytics
    analytics.close()


def test_the_migrations_make_what_the_tables_say(analytics_database: AnalyticsDatabase) -> None:
    with analytics_database.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_it_is_made_beside_the_service_s_own(settings: Settings, fresh: AnalyticsDatabase) -> None:
    bootstrap.prepare(settings)
    with fresh.engine.connect() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
    assert name.endswith("_fresh_analytics")
    assert migrate.status(fresh.engine, scripts=MIGRATIONS).pending == ()


def test_whoever_drops_it_gets_a_new_one(fresh: AnalyticsDatabase, postgres: str) -> None:
    with fresh.begin() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    with pytest.raises(AnalyticsUnavailable), fresh.begin():
        pass
    with fresh.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM projection")).scalar_one() == 0


def test_whoever_drops_its_tables_gets_new_ones(fresh: AnalyticsDatabase) -> None:
    with fresh.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    with pytest.raises(AnalyticsUnavailable), fresh.begin() as connection:
        connection.execute(text("SELECT count(*) FROM projection"))
    with fresh.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM projection")).scalar_one() == 0


def test_a_service_whose_analytics_database_is_away_starts(settings: Settings) -> None:
    away = settings.model_copy(update={"analytics_database_url": "postgresql://127.0.0.1:9/nowhere"})
    bootstrap.prepare(away)
    container = bootstrap.build(away)
    try:
        with pytest.raises(AnalyticsUnavailable) as refusal, container.analytics_database.begin():
            pass
        assert "nowhere" not in str(refusal.value)  # it goes to whoever asks
        assert "nowhere" in str(refusal.value.__cause__)
        database.ping(container.database)
    finally:
        container.close()


def test_a_database_that_may_not_be_made_is_asked_for_with_the_line_that_makes_it(settings: Settings) -> None:
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE modest LOGIN")
    try:
        url = settings.database_url.replace("postgres@", "modest@").replace("_fresh", "_unmade")
        with pytest.raises(ConfigurationError) as refusal:
            second_database.create_if_missing(url, variable="HANSARD_ANALYTICS_DATABASE_URL")
        assert "CREATE DATABASE" in (refusal.value.failure.help or "")
    finally:
        with psycopg.connect(settings.database_url, autocommit=True) as connection:
            connection.execute("DROP ROLE modest")


def test_the_service_s_own_database_is_refused(settings: Settings) -> None:
    mixed = settings.model_copy(update={"analytics_database_url": settings.database_url})
    with pytest.raises(ConfigurationError, match="own database"):
        bootstrap.analytics_database(mixed, process="tests")


def test_something_that_is_no_url_is_told_by_its_own_name(settings: Settings) -> None:
    wrong = settings.model_copy(update={"analytics_database_url": "mysql://x/y"})
    with pytest.raises(ConfigurationError, match="HANSARD_ANALYTICS_DATABASE_URL"):
        bootstrap.analytics_database(wrong, process="tests")
