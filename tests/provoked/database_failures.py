"""Every failure of the database and the queue, by a real PostgreSQL wherever it can be made to fail so."""

from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine, text

from hansard.application.ports.work import Erasure
from hansard.persistence import database, embedded, migrate
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from tests.cut_connections import cut_all_connections
from tests.error_table import Provoked, answered, failure_of, provokes, raised_by, start_fails, storage_fails
from tests.workshop import Workshop, speech

SECTION = "Database and queue"

OUT_OF_ORDER = {
    "serialization_failure": "40001",
    "deadlock_detected": "40P01",
    "out_of_memory": "53200",
    "too_many_connections": "53300",
    "lock_not_available": "55P03",
    "query_canceled": "57014",
    "io_error": "58030",
    "read_only_sql_transaction": "25006",
}
"""PostgreSQL's names and numbers for what may be over the next time."""


def raise_in(engine: Engine, number: str) -> None:
    with engine.connect() as connection:
        connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '{number}'; END $$"))


@provokes(SECTION, "It does not answer, restarts, or cuts a connection")
def connection_cut(engine: Engine) -> Provoked:
    with SqlUnitOfWork(engine, TranscriptionJobs) as uow:
        uow.events.of(uuid4())
        cut_all_connections(engine)
        return storage_fails(raised_by(lambda: uow.events.of(uuid4())))


@provokes(SECTION, "It does not answer, restarts, or cuts a connection")
def server_gone(postgres: str, monkeypatch: pytest.MonkeyPatch) -> Provoked:
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.0)
    engine = database.connect(postgres)
    engine.dispose()
    with monkeypatch.context() as gone:
        gone.setattr(
            psycopg.Connection, "connect", lambda *_, **__: psycopg.connect("postgresql://127.0.0.1:1/hansard")
        )
        error = raised_by(engine.connect)
    return storage_fails(error)


for number in OUT_OF_ORDER.values():

    @provokes(SECTION, "It has no memory, no connections left, a deadlock, or is read-only after a fail-over")
    def _(engine: Engine, number: str = number) -> Provoked:
        return storage_fails(raised_by(lambda: raise_in(engine, number)))


@provokes(SECTION, "Its disk is full")
def disk_full(engine: Engine) -> Provoked:
    return storage_fails(raised_by(lambda: raise_in(engine, "53100")))


@provokes(SECTION, "The job cannot be put into the queue")
def no_queue(engine: Engine) -> Provoked:
    erasure = Erasure(audio_id=uuid4(), stored=None, transcription_ids=())
    with SqlUnitOfWork(engine, TranscriptionJobs) as uow:
        uow._connection.execute(text("SET TRANSACTION READ ONLY"))
        return storage_fails(raised_by(lambda: uow.jobs.defer_erasure(erasure)))


@provokes(SECTION, "Anything else that it refuses, which is a mistake of ours")
def our_mistake(engine: Engine) -> Provoked:
    def stumble(_: int) -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1 / 0"))

    shop = Workshop()
    shop.engine.on_passage = stumble
    record = shop.transcribe(shop.submitted(speech(1)).id)
    with pytest.raises(Exception, match="division by zero") as caught:
        stumble(1)
    return Provoked(failure_of(record, shop), "Job fails", answered(caught.value))


# ── At the start ─────────────────────────────────────────────────────────────────────────────────────────


@provokes(SECTION, "It cannot be reached when the service starts")
def unreachable() -> Provoked:
    provoked = start_fails(raised_by(lambda: database.connect("postgresql://hansard:s3cret@127.0.0.1:1/hansard")))
    assert "s3cret" not in provoked.failure.message
    return provoked


@provokes(SECTION, "Its server is too old")
def too_old(postgres: str, monkeypatch: pytest.MonkeyPatch) -> Provoked:
    monkeypatch.setattr(database, "OLDEST_SERVER", 99)
    return start_fails(raised_by(lambda: database.connect(postgres)))


@provokes(SECTION, "It does not keep text as UTF-8")
def not_utf8(postgres: str) -> Provoked:
    with psycopg.connect(postgres, autocommit=True) as connection:
        name = f"{connection.info.dbname}_errors"
        connection.execute(
            f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
        )
        url = f"postgresql://postgres@/{name}?host={connection.info.host}"
        error = raised_by(lambda: database.connect(url))
        connection.execute(f"DROP DATABASE {name}")
    return start_fails(error)


@provokes(SECTION, "A newer Hansard has used it")
def newer(engine: Engine) -> Provoked:
    rename = "UPDATE alembic_version SET version_num = '{}' WHERE version_num = '{}'"
    head = migrate.status(engine).head
    with engine.begin() as connection:
        connection.execute(text(rename.format("from_the_future", head)))
    try:
        return start_fails(raised_by(lambda: migrate.status(engine)))
    finally:
        with engine.begin() as connection:
            connection.execute(text(rename.format(head, "from_the_future")))


@provokes(SECTION, "The embedded one does not start")
def does_not_start() -> Provoked:
    return start_fails(embedded._broken("The embedded database does not start", "FATAL: could not create any socket"))
