"""A second database beside the operational one: where it is, and making it."""

import psycopg
from loguru import logger
from psycopg import sql
from sqlalchemy import URL, make_url

from hansard.domain.errors import ConfigurationError
from hansard.persistence.database import without_password

_CONNECT_SECONDS = 5
_MAINTENANCE = "postgres"
"""The database that every server has, from which others are made."""


def beside(url: str, suffix: str) -> str:
    """The URL of the database on the same server whose name is that of `url` with `_suffix`."""
    address = make_url(url)
    return _as_text(address.set(database=f"{address.database}_{suffix}"))


def require_other(url: str, first: str, *, variable: str) -> None:
    """Raise `ConfigurationError` where `url` is the database of `first`, whose tables it would mix with its own."""
    one, other = (make_url(each).set(drivername="postgresql") for each in (url, first))
    if one == other:
        raise ConfigurationError(
            f"{variable} is the service's own database.",
            help="Give it a database of its own, on the same server or another.",
        )


def create_if_missing(url: str, *, variable: str) -> None:
    """Make the database of `url` where its server lacks it; `variable` is the setting that names it.

    Raises `ConfigurationError` when that may not be done, or when the server cannot be reached.
    """
    address = make_url(url)
    try:
        psycopg.connect(_as_text(address), connect_timeout=_CONNECT_SECONDS).close()
    except psycopg.OperationalError as refusal:
        statement = sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(
            sql.Identifier(address.database or "")
        )
        if not _created(address, statement):
            raise ConfigurationError(
                f"The database at {without_password(url)} cannot be used: {str(refusal).strip()}",
                help=f"Check {variable}, and that the server runs. If the database is missing there, make it once, as "
                f"somebody who may: {statement.as_string(None)};",
            ) from refusal


def _created(address: URL, statement: sql.Composed) -> bool:
    """Whether it is there now and was not before: why a connection was refused is said in words, of any language."""
    maintenance = _as_text(address.set(database=_MAINTENANCE))
    exists = "SELECT FROM pg_database WHERE datname = %s"
    try:
        with psycopg.connect(maintenance, autocommit=True, connect_timeout=_CONNECT_SECONDS) as connection:
            if connection.execute(exists, [address.database]).fetchone() is not None:
                return False
            connection.execute(statement)
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return True  # another process was faster
    except psycopg.Error:
        return False
    logger.bind(database=address.database).info("A database was made.")
    return True


def _as_text(address: URL) -> str:
    return address.set(drivername="postgresql").render_as_string(hide_password=False)
