# pyright: reportMissingTypeStubs=false
"""The queue's own tables: procrastinate brings their SQL and its changes; this remembers which were applied."""

from pathlib import Path

from loguru import logger
from procrastinate.schema import SchemaManager
from sqlalchemy import Connection, text

_APPLIED = "procrastinate_hansard_migrations"


def missing_migrations(connection: Connection) -> tuple[str, ...]:
    """The names of procrastinate's schema changes that this database lacks, oldest first."""
    return tuple(name for name in _known() if name not in _applied(connection))


def apply_schema(connection: Connection) -> None:
    """Bring the queue's tables up to date, committing each step. The caller lets one process at a time do this."""
    fresh = not _exists(connection, "procrastinate_jobs")
    connection.execute(text(f"CREATE TABLE IF NOT EXISTS {_APPLIED} (name text PRIMARY KEY)"))
    missing = missing_migrations(connection)
    if fresh:
        _execute(connection, SchemaManager.get_schema())
        _remember(connection, missing)
        return
    for name in missing:
        _execute(connection, (_directory() / name).read_text(encoding="utf-8"))
        _remember(connection, [name])
        logger.bind(migration=name).info("The queue's tables were migrated.")


def _directory() -> Path:
    return Path(SchemaManager.get_migrations_path())


def _known() -> list[str]:
    return sorted(path.name for path in _directory().glob("*.sql"))


def _applied(connection: Connection) -> set[str]:
    if not _exists(connection, _APPLIED):
        return set()
    return set(connection.execute(text(f"SELECT name FROM {_APPLIED}")).scalars())  # noqa: S608 - our own constant


def _remember(connection: Connection, names: list[str] | tuple[str, ...]) -> None:
    for name in names:
        connection.execute(text(f"INSERT INTO {_APPLIED} VALUES (:name)"), {"name": name})  # noqa: S608 - as above
    connection.commit()


def _exists(connection: Connection, table: str) -> bool:
    return connection.execute(text("SELECT to_regclass(:table)"), {"table": table}).scalar() is not None


def _execute(connection: Connection, statements: str) -> None:
    # Many statements, with percent signs in them: only the driver's own execute, without parameters, takes that.
    connection.exec_driver_sql(statements, execution_options={"no_parameters": True})
