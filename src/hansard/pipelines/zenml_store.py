"""Our own ZenML: its configuration and its SQL store live in the data directory, apart from any other on the machine.

ZenML reads its environment when it is imported, and importing it takes seconds; so nothing imports it before
`activate` has set that environment, and only those who run, list or forget pipelines import it at all.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Dialect, Engine, event
from sqlalchemy.exc import DBAPIError

import hansard
from hansard.application.ports.work import PipelineTrace
from hansard.domain.errors import StorageError

SOURCE_ROOT = Path(hansard.__file__).parent.parent
"""What ZenML takes the names of modules from."""

ANSWER_SECONDS = 5
"""How long a store may take: to be reached, for one answer, and to give up a lock that another process holds."""

OPENING_SECONDS = 60
"""How long to wait for another process that is making or migrating the store."""

_FILE = "zenml.db"

_OVERSTATED = (
    "zenml.orchestrators.local.local_orchestrator",
    "zenml.orchestrators.step_launcher",
    "zenml.zen_stores.migrations.backup.base",
)
"""Each failing step, and a store that is away, is an error with a traceback to them. How bad it is, its record tells;
what became of a job whose store is away, `TrackedWherePossible` does.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRun:
    """One ZenML run: of a transcription, or a benchmark. `measurements` is empty until the run has settled."""

    id: str
    transcription_id: str
    status: str
    created_at: datetime
    measurements: dict[str, object]


@dataclass(frozen=True, slots=True)
class ZenmlStore:
    """`url` is an SQL store (`sqlite:///…`, `mysql://…`); None is a file in `directory`.

    Every method but `activate` raises `StorageError` when the store, or ZenML itself, cannot be used.
    """

    directory: Path
    url: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a shell needs to have `zenml` commands look at this store."""
        return {
            "ZENML_CONFIG_PATH": str(self.directory),
            "ZENML_STORE_TYPE": "sql",
            "ZENML_STORE_URL": self.url or f"sqlite:///{self.directory / _FILE}",
        }

    def activate(self) -> None:
        """Point this process at the store. Call before anything imports ZenML."""
        os.environ.update(
            self.environment,
            # ZenML guesses it from the main module, which may be a script elsewhere, or no file at all.
            ZENML_CUSTOM_SOURCE_ROOT=str(SOURCE_ROOT),
            ZENML_ENABLE_REPO_INIT_WARNINGS="false",
            ZENML_DISABLE_STEP_LOGS_STORAGE="true",
            ZENML_DISABLE_PIPELINE_LOGS_STORAGE="true",
            AUTO_OPEN_DASHBOARD="false",
        )

    def open(self, after_import: Callable[[], None]) -> None:
        """Import ZenML and connect; the first time makes the store. `after_import` may mend what the import broke.

        Starts anew each time: of a store that failed, or that was half open, nothing is kept.
        """
        with _translated():
            self.directory.mkdir(parents=True, exist_ok=True)
            self.activate()
            from zenml.client import Client  # noqa: PLC0415 - after `activate`

            after_import()
            for name in _OVERSTATED:
                logging.getLogger(name).setLevel(logging.CRITICAL)
            _spare_repetition()
            _bound_waits()
            _let_go()
            with self._locked(), self._whole_or_not_at_all():
                _hurry_sqlite(_engine())
                Client().active_stack_model  # noqa: B018 - creates the default stack

    def runs(self, *, limit: int, after_import: Callable[[], None]) -> list[PipelineRun]:
        """The latest runs, newest first."""
        self.open(after_import)
        with _translated():
            from zenml.client import Client  # noqa: PLC0415

            page = Client().list_pipeline_runs(sort_by="desc:created", size=limit, hydrate=True)
            return [
                PipelineRun(
                    id=str(run.id),
                    transcription_id=str((run.config.parameters or {}).get("transcription_id", "(a benchmark)")),
                    status=str(run.status),
                    created_at=run.created,
                    measurements=dict(run.run_metadata),
                )
                for run in page.items
            ]

    def forget(self, transcription_id: UUID) -> int:
        """Remove every trace of the runs about this transcription; how many there were. The store has to be open.

        In any thread, also while another runs a pipeline.
        """
        with _translated():
            from hansard.pipelines.zenml_traces import remove_traces  # noqa: PLC0415 - imports ZenML

            return remove_traces(_engine(), transcription_id)

    def traces_before(self, moment: datetime, *, limit: int | None) -> tuple[PipelineTrace, ...]:
        """The runs about transcriptions that were begun before that moment, oldest first. The store has to be open."""
        with _translated():
            from hansard.pipelines.zenml_traces import traces_before  # noqa: PLC0415 - imports ZenML

            return traces_before(_engine(), moment, limit)

    def remove(self, traces: Sequence[PipelineTrace]) -> None:
        """Remove these runs, each in a commit of its own. The store has to be open. In any thread."""
        with _translated():
            from hansard.pipelines.zenml_traces import remove_runs  # noqa: PLC0415 - imports ZenML

            remove_runs(_engine(), [UUID(trace.run_id) for trace in traces])

    @contextmanager
    def _locked(self) -> Generator[None]:
        """One process at a time: two that make or migrate the store at once would trip over each other."""
        give_up_at = time.monotonic() + OPENING_SECONDS
        with (self.directory / ".lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > give_up_at:
                        raise
                    time.sleep(0.05)
            yield

    @contextmanager
    def _whole_or_not_at_all(self) -> Generator[None]:
        """ZenML cannot use a store whose making was cut short, nor make the rest of it: our own is then made anew."""
        made, unfinished = self.directory / _FILE, self.directory / "unfinished"
        if self.url is None and not made.exists():
            unfinished.touch()
        if self.url is None and unfinished.exists():
            for part in self.directory.glob(f"{_FILE}*"):
                part.unlink()
        yield
        unfinished.unlink(missing_ok=True)


@contextmanager
def _translated() -> Generator[None]:
    """Whatever goes wrong in ZenML means the same to us."""
    try:
        yield
    except Exception as error:
        # The database's words are repeated, ZenML's are not: they may quote the store's URL.
        reason = error.orig if isinstance(error, DBAPIError) else type(error).__name__
        raise StorageError(
            f"ZenML's store cannot be used: {reason}",
            code="pipeline_store_unavailable",
            help="See that the database of ZENML_STORE_URL runs and lets us in, or, without one, that `zenml` in the "
            "data directory is whole and can be written to. `hansard pipelines runs` tries it.",
        ) from error


def _engine() -> Engine:
    from zenml.client import Client  # noqa: PLC0415
    from zenml.zen_stores.sql_zen_store import SqlZenStore  # noqa: PLC0415

    store = Client().zen_store
    if not isinstance(store, SqlZenStore):
        raise TypeError(f"not an SQL store: {type(store).__name__}")
    return store.engine


def _let_go() -> None:
    """ZenML keeps one store for the life of a process, even one that it failed to open."""
    from zenml.client import Client  # noqa: PLC0415
    from zenml.config.global_config import GlobalConfiguration  # noqa: PLC0415

    configuration = GlobalConfiguration.get_instance()
    if configuration is not None and configuration.is_initialized:
        _engine().dispose()
    Client._reset_instance()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    GlobalConfiguration._reset_instance()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def _hurry_sqlite(engine: Engine) -> None:
    """A run commits some thirty times. With a write-ahead log that is not flushed at each of them, a run takes half as
    long, and workers don't wait for one another. A machine that loses power may lose its last runs, which hold
    measurements only; the store itself stays sound (https://www.sqlite.org/wal.html).
    """
    if engine.dialect.name != "sqlite" or event.contains(engine, "connect", _on_sqlite_connect):
        return
    event.listen(engine, "connect", _on_sqlite_connect)
    engine.dispose()


def _on_sqlite_connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


@cache
def _bound_waits() -> None:
    """ZenML waits for a MySQL server without end, and for a lock in SQLite a minute, at each of its queries. It makes
    its engines itself, so the bounds are set for all of this process; nothing else here uses these two drivers.

    They hold for migrations too: one that takes longer is done with any `zenml` command before the workers start.
    """
    event.listen(Engine, "do_connect", _on_do_connect)


def _on_do_connect(dialect: Dialect, _record: object, _arguments: object, options: dict[str, Any]) -> None:
    if dialect.driver == "pymysql":
        options |= dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), ANSWER_SECONDS)
    elif dialect.driver == "pysqlite":
        options["timeout"] = ANSWER_SECONDS


@cache
def _spare_repetition() -> None:
    """What is installed does not change while a process lives, but ZenML asks anew in every run: twice for the list
    of packages, in a child process, and once for each of its integrations. That is half of what a run costs.
    """
    from zenml.environment import Environment  # noqa: PLC0415
    from zenml.integrations.registry import integration_registry  # noqa: PLC0415

    Environment.get_python_packages = staticmethod(cache(Environment.get_python_packages))
    integration_registry.activate_integrations()
    integration_registry.activate_integrations = lambda: None
