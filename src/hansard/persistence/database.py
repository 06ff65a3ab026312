"""Connections to PostgreSQL, embedded or yours.

A server that goes away for a moment (a restart, a fail-over) costs its users a moment: connecting is tried again for
some seconds before anybody hears of it.
"""

import json
import select
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import psycopg
from loguru import logger
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from sqlalchemy import URL, Dialect, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from hansard.domain.errors import ConfigurationError, StorageError

OLDEST_SERVER = 15

PATIENCE_SECONDS = 10.0
"""How long a new connection is tried for, once the server has been reached: PostgreSQL restarts in less."""

MOST_CONNECTIONS = 40
"""One for each thread that may serve a request at the same time, so that none waits for another's."""

TRIED_OUT_AFTER_SECONDS = 5.0
"""A connection that lay idle for longer is tried out before it is used: what is between it and the server may have
forgotten it. Of one used just now it is enough that the server has not hung up."""

FROZEN_SECONDS = 30.0
"""How long a transaction may do nothing. Writers of events wait for each other: one that froze (a process that was
stopped, a machine that is gone) would hold up all others for good. Ours are short, and come to a rest for milliseconds.
"""

_POLL_SECONDS = 0.2
_CONNECT_SECONDS = 5
_DRIVER = "postgresql+psycopg"
VARIABLE = "HANSARD_DATABASE_URL"

Revive = Callable[[], object]
"""Called when the server does not answer, before the next try: starts the embedded one again. It may raise
`StorageError` to say why that cannot be done."""


def connect(url: str, *, application_name: str = "hansard", revive: Revive | None = None) -> Engine:
    """A pool of connections to `url` (`postgresql://…` or `postgres://…`), which is tried out first.

    Raises `ConfigurationError` when there is no PostgreSQL 15 or newer that can be used. Later, a server that stays
    away is a `StorageError`, raised by whatever needed it.
    """
    _check(_address(url))
    return pool(url, application_name=application_name, revive=revive, patience_seconds=PATIENCE_SECONDS)


def pool(
    url: str,
    *,
    application_name: str = "hansard",
    revive: Revive | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
    frozen_seconds: float = FROZEN_SECONDS,
    variable: str = VARIABLE,
) -> Engine:
    """As `connect`, without trying it out: whether there is anything shows when it is used. Each new connection is
    tried for `patience_seconds`, and the server ends a transaction that does nothing for `frozen_seconds`. `variable`
    is where `url` comes from.
    """
    address = _address(url, variable)
    given = address.query.get("options", "")
    engine = create_engine(
        address,
        connect_args={
            "application_name": application_name,
            "connect_timeout": _CONNECT_SECONDS,
            # Before what the URL says, which wins.
            "options": f"-c idle_in_transaction_session_timeout={frozen_seconds * 1000:.0f} {given}".rstrip(),
        },
        isolation_level="READ COMMITTED",  # who waits for a row's lock has to see what the holder wrote
        pool_size=5,
        max_overflow=MOST_CONNECTIONS - 5,
        json_serializer=_to_json,
        hide_parameters=True,  # an error's message ends in the log, and they hold what people said
    )
    event.listen(engine, "do_connect", _patiently(revive, patience_seconds))
    event.listen(engine, "handle_error", _translate)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _trying_out(engine.dialect))
    return engine


def ping(engine: Engine) -> None:
    """Ask the server anything at all. Raises `StorageError` when it does not answer."""
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))


def sizes_bytes(engine: Engine) -> dict[str, int]:
    """What the database takes on its disk, and the one of the analytics where that is on the same server."""
    sizes = text(
        "SELECT CASE WHEN datname = current_database() THEN 'operational' ELSE 'analytics' END, pg_database_size(oid) "
        "FROM pg_database WHERE datname IN (current_database(), current_database() || '_analytics') "
        "AND has_database_privilege(oid, 'CONNECT')"
    )
    with engine.connect() as connection:
        return dict(connection.execute(sizes).tuples().all())


def without_password(url: str) -> str:
    """`url` as it may be shown and logged."""
    return _shown(_address(url))


def _address(url: str, variable: str = VARIABLE) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:
        address = None
    if address is None or address.drivername not in {"postgresql", "postgres"}:
        raise ConfigurationError(
            f"{variable} is not the URL of a PostgreSQL database.",
            help="Write it as postgresql://user:password@host:5432/name, or unset it for its default.",
        )
    return address.set(drivername=_DRIVER)


def _shown(address: URL) -> str:
    plain = address.difference_update_query(["password"]).set(drivername="postgresql")
    return plain.render_as_string(hide_password=True)


def _check(address: URL) -> None:
    try:
        conninfo = address.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(conninfo, connect_timeout=_CONNECT_SECONDS) as connection:
            major = connection.info.server_version // 10_000
            encoding = connection.info.parameter_status("server_encoding")
    except psycopg.Error as error:
        raise ConfigurationError(
            f"The database at {_shown(address)} cannot be used: {str(error).strip()}",
            code="database_unreachable",
            help="Check HANSARD_DATABASE_URL (host, port, name, user, password) and that the server runs; "
            "or unset it to use the embedded database.",
        ) from error
    if major < OLDEST_SERVER:
        raise ConfigurationError(
            f"The server at {_shown(address)} is PostgreSQL {major}; Hansard needs {OLDEST_SERVER} or newer.",
            code="database_version",
            help="Upgrade the server, or unset HANSARD_DATABASE_URL to use the embedded database.",
        )
    if encoding != "UTF8":
        raise ConfigurationError(
            f"The database at {_shown(address)} keeps text as {encoding}; Hansard needs UTF8.",
            code="database_encoding",
            help="Create it anew with: CREATE DATABASE hansard ENCODING 'UTF8' TEMPLATE template0",
        )


class _Connection(psycopg.Connection[Any]):
    """Whatever the server has prepared stays prepared.

    psycopg has it all forgotten at each rollback, since that may undo the making of a table that a statement reads.
    Here, a transaction that only reads ends with a rollback, which undoes nothing.
    """

    def rollback(self) -> None:
        with self.lock:
            if self.pgconn.transaction_status == TransactionStatus.IDLE:
                return
            result = self.pgconn.exec_(b"ROLLBACK")
            if result.status != ExecStatus.COMMAND_OK:
                raise error_from_result(result)


def _patiently(revive: Revive | None, patience_seconds: float) -> Callable[..., DBAPIConnection]:
    def dial(_dialect: Dialect, _record: object, args: Sequence[Any], options: dict[str, Any]) -> DBAPIConnection:
        give_up_at = time.monotonic() + patience_seconds
        reason: StorageError | None = None
        while True:
            try:
                return cast("DBAPIConnection", _Connection.connect(*args, **options))
            except psycopg.OperationalError as error:
                logger.debug("The database does not answer; trying again: {}", str(error).strip())
                failure = reason or error
            if time.monotonic() > give_up_at:
                raise failure
            try:
                if revive is not None:
                    revive()
            except StorageError as error:
                # No reason to give up: after a kill -9 of the server, its last children hold the data for some seconds.
                reason = error
            time.sleep(_POLL_SECONDS)

    return dial


def _note_use(_connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
    entry.info["used_at"] = time.monotonic()


def _trying_out(dialect: Dialect) -> Callable[..., None]:
    """As SQLAlchemy's `pool_pre_ping`, which asks the server each time: one more round trip in each transaction."""

    def try_out(connection: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: object) -> None:
        used_at = entry.info.get("used_at")
        if used_at is None:  # it is new
            return
        is_idle_for_long = time.monotonic() - used_at > TRIED_OUT_AFTER_SECONDS
        try:
            if is_idle_for_long or _has_news(connection):
                dialect.do_ping(connection)
        except psycopg.Error as error:
            # None of the others is any better then: the pool replaces them all.
            raise InvalidatePoolError from error

    return try_out


def _has_news(connection: DBAPIConnection) -> bool:
    """Whether the server has sent something unasked: most of all, that it hung up."""
    poll = select.poll()
    poll.register(cast("psycopg.Connection[Any]", connection).fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _translate(context: ExceptionContext) -> None:
    """What befalls a server (it is away, full, short of memory, read-only after a fail-over) may be over the next time;
    anything else that it refuses is our fault and stays as it is.
    """
    error = context.original_exception
    if isinstance(error, psycopg.errors.DiskFull):
        raise StorageError(
            "The disk of the database is full.",
            code="database_full",
            help="Make room on it: for the embedded database, in HANSARD_DATA_DIR.",
        ) from error
    is_away = context.is_disconnect or context.connection is None
    if is_away or isinstance(error, psycopg.OperationalError | psycopg.errors.ReadOnlySqlTransaction):
        raise StorageError(
            "The database does not answer." if is_away else "The database cannot do its work now.",
            code="database_unavailable",
            help="It is tried again by itself. If it stays away, look at the server's log, and at `hansard doctor`.",
        ) from error


def _to_json(value: object) -> str:
    # Not escaped to ASCII, which would double most of the world's scripts; NaN, which JSONB refuses, is an error here.
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
