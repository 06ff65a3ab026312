"""The way to the analytics database, which may be away without harm to anything else."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg.errors import UndefinedTable
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import ProgrammingError

from hansard.domain.errors import AnalyticsUnavailable, ConfigurationError, StorageError

MIGRATIONS = "hansard.analytics:migrations"
"""Where its migrations are, as Alembic wants it."""


@dataclass(slots=True)
class AnalyticsDatabase:
    """`make_ready` makes the database and its tables where they are missing; it is called until it has succeeded once,
    and again after any failure: whoever drops the database gets a new one.
    """

    engine: Engine
    make_ready: Callable[[], object]
    _is_ready: bool = field(default=False, init=False)

    @contextmanager
    def begin(self) -> Generator[Connection]:
        """One transaction, committed at the end. Raises `AnalyticsUnavailable`."""
        try:
            if not self._is_ready:
                self.make_ready()
                self._is_ready = True
            with self.engine.begin() as connection:
                yield connection
        except (ConfigurationError, StorageError) as error:
            self._is_ready = False
            raise _unavailable() from error
        except ProgrammingError as error:
            if not isinstance(error.orig, UndefinedTable):
                raise
            self._is_ready = False
            raise _unavailable() from error

    def close(self) -> None:
        """Give it its connections back."""
        self.engine.dispose()


def _unavailable() -> AnalyticsUnavailable:
    """Whoever asks for figures is not told where the database is; the log, which has the cause, is."""
    return AnalyticsUnavailable(
        "The analytics database cannot be used now.",
        help="It is tried again by itself, and filled again from the events. Everything else goes on. The log, and "
        "`hansard analytics status`, tell why.",
    )
