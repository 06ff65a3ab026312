"""Connecting: what is refused, and how it is told."""

from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from hansard.analytics.database import AnalyticsDatabase
from hansard.domain.errors import ConfigurationError, StorageError
from hansard.persistence import database
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from tests.cut_connections import cut_all_connections


@pytest.mark.parametrize("url", ["mysql://root@localhost/hansard", "hansard.db", "postgresql+asyncpg://localhost/x"])
def test_a_url_of_anything_but_postgresql_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not the URL of a PostgreSQL"):
        database.connect(url)


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        database.connect("postgresql://hansard:s3cret@127.0.0.1:1/hansard?password=s3cret")
    assert "hansard:***@127.0.0.1:1/hansard" in str(refusal.value)
    assert "s3cret" not in str(refusal.value)
    assert refusal.value.failure.code == "database_unreachable"


def test_a_database_that_does_not_exist_is_a_matter_of_configuration(postgres: str) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        database.connect(postgres.replace("/test_", "/no_such_"))


def test_a_database_that_cannot_hold_all_text_is_refused(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        name = f"{connection.info.dbname}_ascii"
        connection.execute(
            f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
        )
        with pytest.raises(ConfigurationError, match="SQL_ASCII"):
            database.connect(f"postgresql://postgres@/{name}?host={connection.info.host}")
        connection.execute(f"DROP DATABASE {name}")


def test_the_older_spelling_of_the_url_will_do(postgres: str) -> None:
    engine = database.connect(postgres.replace("postgresql://", "postgres://"), application_name="spelling")
    with engine.connect() as connection:
        assert connection.execute(text("SHOW application_name")).scalar_one() == "spelling"
    engine.dispose()


def test_the_sizes_of_the_database_and_of_its_analytics_are_told(
    engine: Engine, postgres: str, analytics_database: AnalyticsDatabase
) -> None:
    both = database.sizes_bytes(engine)
    other = database.connect(postgres.replace(f"/{engine.url.database}?", "/postgres?"))
    alone = database.sizes_bytes(other)
    other.dispose()

    assert set(alone) == {"operational"}
    assert set(both) == {"operational", "analytics"}
    assert min(both.values()) > 1_000_000


def test_a_connection_that_was_cut_while_it_was_idle_is_replaced_unnoticed(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    cut_all_connections(engine)
    with SqlUnitOfWork(engine, TranscriptionJobs) as uow:
        assert uow.events.of(uuid4()) == ()


def test_a_connection_that_is_cut_in_the_middle_is_a_storage_error(engine: Engine) -> None:
    with SqlUnitOfWork(engine, TranscriptionJobs) as uow:
        uow.events.of(uuid4())
        cut_all_connections(engine)
        with pytest.raises(StorageError) as failure:
            uow.events.of(uuid4())
    assert failure.value.failure.code == "database_unavailable"


def test_why_a_server_cannot_be_started_again_is_told(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def revive() -> None:
        raise StorageError("Its disk is full.")

    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.1)
    engine = database.connect(postgres, revive=revive)
    monkeypatch.setattr(psycopg.Connection, "connect", unanswered)
    with pytest.raises(StorageError, match="disk is full"), SqlUnitOfWork(engine, TranscriptionJobs) as uow:
        uow.events.of(uuid4())
    engine.dispose()


def test_a_server_that_was_started_again_is_waited_for(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = database.connect(postgres, revive=monkeypatch.undo)
    monkeypatch.setattr(psycopg.Connection, "connect", unanswered)
    with SqlUnitOfWork(engine, TranscriptionJobs) as uow:
        assert uow.events.of(uuid4()) == ()
    engine.dispose()


def test_what_the_server_has_prepared_outlasts_transactions_that_only_read(postgres: str) -> None:
    engine = database.connect(postgres, application_name="preparing")
    prepared = text("SELECT count(*) FROM pg_prepared_statements")
    for _ in range(10):  # psycopg has the server prepare what it is asked again and again
        with engine.connect() as connection:
            count = connection.execute(prepared).scalar_one()
    assert count > 0
    engine.dispose()


def test_a_transaction_that_failed_is_rolled_back(postgres: str) -> None:
    engine = database.connect(postgres, application_name="failing")
    with engine.connect() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE kept (number int)"))
        connection.commit()
        connection.execute(text("INSERT INTO kept VALUES (1)"))
        with pytest.raises(ProgrammingError):
            connection.execute(text("SELECT nothing_of_that_name"))
        connection.rollback()
        assert connection.execute(text("SELECT count(*) FROM kept")).scalar_one() == 0
    engine.dispose()


def test_a_rollback_without_a_server_is_an_outage(postgres: str) -> None:
    engine = database.connect(postgres, application_name="tests")
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        cut_all_connections(engine)
        with pytest.raises(StorageError):
            connection.rollback()
    engine.dispose()


def unanswered(*_: object, **__: object) -> None:
    raise psycopg.OperationalError("nobody there")
