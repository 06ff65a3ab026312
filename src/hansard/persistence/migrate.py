"""Bringing a database to the version that the code was written for: the operational one, or one with its own scripts.

Migrations only go forward; the way back is a backup.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from loguru import logger
from sqlalchemy import Connection, Engine, text

from hansard.domain.errors import ConfigurationError

_LOCK = 0x48414E53
"""Names the advisory lock that keeps two processes from migrating at once ("HANS")."""

OPERATIONAL = "hansard.persistence:migrations"
"""Where the migrations of the operational database are, as Alembic wants it."""

Extra = Callable[[Connection], object]
"""Brings what others keep in this database up to date: the queue. It commits what it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationStatus:
    """`current` is None for an empty database; `pending` lists the revisions still to be applied, oldest first."""

    current: str | None
    head: str
    pending: tuple[str, ...]


def upgrade(engine: Engine, extras: Iterable[Extra] = (), *, scripts: str = OPERATIONAL) -> None:
    """Apply what is pending of `scripts`, then `extras`. Of any number of processes that call this at once, one does
    the work.
    """
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        connection.commit()
        try:
            before = _status(connection, scripts)
            connection.rollback()
            if before.pending:
                command.upgrade(configuration(connection, scripts), "head")
                connection.commit()
                logger.bind(scripts=scripts, before=before.current, now=before.head).info("A database was migrated.")
            for extra in extras:
                extra(connection)
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
            connection.commit()


def status(engine: Engine, *, scripts: str = OPERATIONAL) -> MigrationStatus:
    with engine.connect() as connection:
        return _status(connection, scripts)


def configuration(connection: Connection, scripts: str = OPERATIONAL) -> Config:
    """Alembic's, without a file. To draft a migration, pass it to `alembic.command.revision(…, autogenerate=True)`."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", scripts)
    return config


def _status(connection: Connection, location: str) -> MigrationStatus:
    scripts = ScriptDirectory.from_config(configuration(connection, location))
    current = MigrationContext.configure(connection).get_current_revision()
    head = scripts.get_current_head() or ""
    try:
        pending = [script.revision for script in scripts.iterate_revisions(head, current or "base")]
    except RevisionError as error:
        raise ConfigurationError(
            f"The database was migrated by a newer version of Hansard, to {current}; this one knows {head}.",
            code="database_newer",
            help="Install that newer version, or restore the backup made before it.",
        ) from error
    return MigrationStatus(current=current, head=head, pending=tuple(reversed(pending)))
