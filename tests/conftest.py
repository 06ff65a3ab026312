"""A real PostgreSQL for the tests that want one: one server for the whole run, one database for each of its processes.

The server is the embedded one, started when the first test asks for it, and gone when the run ends.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from loguru import logger
from sqlalchemy import Engine, text

from hansard.analytics import tables as analytics_tables
from hansard.analytics.database import MIGRATIONS, AnalyticsDatabase
from hansard.persistence import database, embedded, migrate, second_database, tables
from hansard.queue.schema import apply_schema

SERVER_DIRECTORY = "HANSARD_TEST_POSTGRES"
QUEUE_TABLES = ("procrastinate_jobs", "procrastinate_workers", "procrastinate_periodic_defers", "queue_chores")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        # Not pytest's own temporary directory: as root, the database's user could not enter it.
        os.environ[SERVER_DIRECTORY] = f"/tmp/hansard-tests-{os.getpid()}"
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # A shell has what it starts with `&` ignore Ctrl+C. What the tests start would inherit that.
            signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        directory = Path(os.environ.pop(SERVER_DIRECTORY))
        embedded.stop(directory, shelter=directory / "shelter")
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(autouse=True)
def _log_without_fields() -> Iterator[None]:
    """What a test has the log put on every line is not on the lines of the next."""
    yield
    logger.configure(extra={}, patcher=lambda _: None)


@pytest.fixture(scope="session")
def postgres() -> str:
    """The URL of an empty database, on a server that forgets faster than it should: nobody pulls its plug."""
    directory = Path(os.environ[SERVER_DIRECTORY])
    url = embedded.ensure_running(directory, shelter=directory / "shelter")
    name = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET synchronous_commit = off")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(f"CREATE DATABASE {name}")
    return url.replace("/hansard?", f"/{name}?")


@pytest.fixture(scope="session")
def migrated(postgres: str) -> Iterator[Engine]:
    engine = database.connect(postgres, application_name="tests")
    migrate.upgrade(engine, [apply_schema])
    yield engine
    engine.dispose()


@pytest.fixture
def engine(migrated: Engine) -> Iterator[Engine]:
    """A database with all its tables, and nothing in them."""
    yield migrated
    everything = ", ".join([*tables.metadata.tables, *QUEUE_TABLES])
    with migrated.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role TO replica"))  # events refuse to be removed
        connection.execute(text(f"TRUNCATE {everything} RESTART IDENTITY CASCADE"))


@pytest.fixture(scope="session")
def analytics_migrated(postgres: str) -> Iterator[AnalyticsDatabase]:
    url = second_database.beside(postgres, "analytics")
    second_database.create_if_missing(url, variable="HANSARD_ANALYTICS_DATABASE_URL")
    engine = database.connect(url, application_name="tests of analytics")
    database_of_analytics = AnalyticsDatabase(engine, lambda: migrate.upgrade(engine, scripts=MIGRATIONS))
    with database_of_analytics.begin():
        pass
    yield database_of_analytics
    database_of_analytics.close()


@pytest.fixture
def analytics_database(analytics_migrated: AnalyticsDatabase) -> Iterator[AnalyticsDatabase]:
    """The analytics database with all its tables, and nothing in them."""
    yield analytics_migrated
    with analytics_migrated.begin() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(analytics_tables.metadata.tables)} RESTART IDENTITY CASCADE"))
