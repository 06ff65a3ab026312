"""Migrations bring any database to what `tables.py` says, once, whoever asks."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, text

from hansard.domain.errors import ConfigurationError
from hansard.persistence import database, migrate, tables
from hansard.queue.schema import apply_schema, missing_migrations


@pytest.fixture
def empty(postgres: str) -> Iterator[Engine]:
    """A database without a table."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        name = f"{connection.info.dbname}_empty"
        connection.execute(f"CREATE DATABASE {name}")
        engine = database.connect(f"postgresql://postgres@/{name}?host={connection.info.host}")
        yield engine
        engine.dispose()
        connection.execute(f"DROP DATABASE {name}")


def test_an_empty_database_has_everything_pending(empty: Engine) -> None:
    status = migrate.status(empty)
    assert status.current is None
    assert status.pending[-1] == status.head


def test_a_migrated_database_has_nothing_pending(empty: Engine) -> None:
    migrate.upgrade(empty)
    status = migrate.status(empty)
    assert status.current == status.head
    assert status.pending == ()


def test_the_migrations_make_what_the_tables_say(empty: Engine) -> None:
    migrate.upgrade(empty)
    with empty.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_migrating_again_changes_nothing(empty: Engine) -> None:
    migrate.upgrade(empty, [apply_schema])
    with empty.begin() as connection:
        connection.execute(
            text("INSERT INTO events (type, subject_id, occurred_at, data) VALUES ('x', :id, now(), '{}')"),
            {"id": "00000000-0000-0000-0000-000000000001"},
        )
    migrate.upgrade(empty, [apply_schema])
    with empty.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM events")).scalar_one() == 1


def test_processes_that_migrate_at_once_do_not_disturb_each_other(empty: Engine) -> None:
    with ThreadPoolExecutor(4) as together:
        for done in [together.submit(migrate.upgrade, empty, [apply_schema]) for _ in range(4)]:
            done.result()
    with empty.connect() as connection:
        assert missing_migrations(connection) == ()


def test_the_queue_has_its_tables_and_knows_what_was_applied(empty: Engine) -> None:
    with empty.connect() as connection:
        assert missing_migrations(connection) != ()
    migrate.upgrade(empty, [apply_schema])
    with empty.connect() as connection:
        assert missing_migrations(connection) == ()
        assert inspect(connection).has_table("procrastinate_jobs")


def test_a_change_of_the_queues_tables_that_came_later_is_applied(empty: Engine) -> None:
    migrate.upgrade(empty, [apply_schema])
    with empty.begin() as connection:
        last = max(connection.execute(text("SELECT name FROM procrastinate_hansard_migrations")).scalars())
        connection.execute(text("DELETE FROM procrastinate_hansard_migrations WHERE name = :last"), {"last": last})
        connection.execute(text("DROP FUNCTION procrastinate_retry_job_v1"))
    migrate.upgrade(empty, [apply_schema])
    with empty.connect() as connection:
        assert missing_migrations(connection) == ()


def test_a_step_that_fails_leaves_no_lock_behind(empty: Engine) -> None:
    def fail(_connection: Connection) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        migrate.upgrade(empty, [fail])
    migrate.upgrade(empty)
    assert migrate.status(empty).pending == ()


def test_a_database_of_a_newer_hansard_is_refused_and_left_alone(empty: Engine) -> None:
    migrate.upgrade(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError) as refusal:
        migrate.upgrade(empty)
    assert refusal.value.failure.code == "database_newer"


def test_migrating_leaves_the_logging_of_the_process_alone(empty: Engine) -> None:
    before = (list(logging.root.handlers), logging.root.level)
    migrate.upgrade(empty)
    assert (list(logging.root.handlers), logging.root.level) == before
