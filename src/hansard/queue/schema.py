# pyright: reportMissingTypeStubs=false
"""The queue's tables: procrastinate brings its own with their changes, we add ours; this remembers what was applied."""

from pathlib import Path

from loguru import logger
from procrastinate.schema import SchemaManager
from sqlalchemy import Connection, text

_APPLIED = "procrastinate_hansard_migrations"

_OURS = {
    "hansard_01_workers_and_chores": """
        -- What procrastinate does not keep of its workers. They vanish from here as they do from there.
        CREATE TABLE IF NOT EXISTS queue_workers (
            worker_id bigint PRIMARY KEY REFERENCES procrastinate_workers ON DELETE CASCADE,
            name text NOT NULL,
            host text NOT NULL,
            pid integer NOT NULL,
            started_at timestamptz NOT NULL,
            models text[] NOT NULL
        );
        -- When each chore was last begun.
        CREATE TABLE IF NOT EXISTS queue_chores (name text PRIMARY KEY, began_at timestamptz NOT NULL);
        -- Whether a transcription has a job is asked at every turn, and procrastinate's index on locks begins with ids.
        CREATE INDEX IF NOT EXISTS queue_open_jobs_lock ON procrastinate_jobs (lock) WHERE status IN ('todo', 'doing');
    """,
}
"""Our own changes by name, oldest first. They come after procrastinate's, which make what they refer to."""


def missing_migrations(connection: Connection) -> tuple[str, ...]:
    """The names of the schema changes that this database lacks, oldest first."""
    applied = _applied(connection)
    return tuple(name for name in (*_theirs(), *_OURS) if name not in applied)


def apply_schema(connection: Connection) -> None:
    """Bring the queue's tables up to date, committing each step. The caller lets one process at a time do this."""
    fresh = not _exists(connection, "procrastinate_jobs")
    connection.execute(text(f"CREATE TABLE IF NOT EXISTS {_APPLIED} (name text PRIMARY KEY)"))
    if fresh:
        _execute(connection, SchemaManager.get_schema())
        _remember(connection, *_theirs())
    for name in missing_migrations(connection):
        _execute(connection, _OURS.get(name) or (_directory() / name).read_text(encoding="utf-8"))
        _remember(connection, name)
        if not fresh:
            logger.bind(migration=name).info("The queue's tables were migrated.")


def _directory() -> Path:
    return Path(SchemaManager.get_migrations_path())


def _theirs() -> list[str]:
    return sorted(path.name for path in _directory().glob("*.sql"))


def _applied(connection: Connection) -> set[str]:
    if not _exists(connection, _APPLIED):
        return set()
    return set(connection.execute(text(f"SELECT name FROM {_APPLIED}")).scalars())  # noqa: S608 - our own constant


def _remember(connection: Connection, *names: str) -> None:
    for name in names:
        connection.execute(text(f"INSERT INTO {_APPLIED} VALUES (:name)"), {"name": name})  # noqa: S608 - as above
    connection.commit()


def _exists(connection: Connection, table: str) -> bool:
    return connection.execute(text("SELECT to_regclass(:table)"), {"table": table}).scalar() is not None


def _execute(connection: Connection, statements: str) -> None:
    # Many statements, with percent signs in them: only the driver's own execute, without parameters, takes that.
    connection.exec_driver_sql(statements, execution_options={"no_parameters": True})
