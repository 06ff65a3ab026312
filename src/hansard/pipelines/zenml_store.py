"""Our own ZenML: its configuration and its SQL store live in the data directory, apart from any other on the machine.

ZenML reads its environment when it is imported, and importing it takes seconds; so nothing imports it before
`activate` has set that environment, and only those who run or list pipelines import it at all.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from sqlalchemy import Engine, event

import hansard

SOURCE_ROOT = Path(hansard.__file__).parent.parent
"""What ZenML takes the names of modules from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRun:
    """One ZenML run. `measurements` is empty until the run has settled."""

    id: str
    transcription_id: str
    status: str
    created_at: datetime
    measurements: dict[str, object]


@dataclass(frozen=True, slots=True)
class ZenmlStore:
    """`url` is an SQL store (`sqlite:///…`, `mysql://…`); None is a file in `directory`."""

    directory: Path
    url: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a shell needs to have `zenml` commands look at this store."""
        return {
            "ZENML_CONFIG_PATH": str(self.directory),
            "ZENML_STORE_TYPE": "sql",
            "ZENML_STORE_URL": self.url or f"sqlite:///{self.directory / 'zenml.db'}",
        }

    def activate(self) -> None:
        """Point this process at the store. Call before anything imports ZenML."""
        self.directory.mkdir(parents=True, exist_ok=True)
        os.environ.update(
            self.environment,
            # ZenML guesses it from the main module, which may be a script elsewhere, or no file at all.
            ZENML_CUSTOM_SOURCE_ROOT=str(SOURCE_ROOT),
            ZENML_ANALYTICS_OPT_IN="false",
            ZENML_ENABLE_REPO_INIT_WARNINGS="false",
            ZENML_DISABLE_STEP_LOGS_STORAGE="true",
            ZENML_DISABLE_PIPELINE_LOGS_STORAGE="true",
            AUTO_OPEN_DASHBOARD="false",
        )

    def open(self, after_import: Callable[[], None]) -> None:
        """Import ZenML and connect; the first time makes the store. `after_import` may mend what the import broke."""
        self.activate()
        from zenml.client import Client  # noqa: PLC0415 - after `activate`
        from zenml.zen_stores.sql_zen_store import SqlZenStore  # noqa: PLC0415

        after_import()
        # It calls every failing step an error; how bad a failure is, its record tells.
        logging.getLogger("zenml.orchestrators.step_launcher").setLevel(logging.CRITICAL)
        _spare_repetition()
        with self._locked():
            store = Client().zen_store
            if isinstance(store, SqlZenStore):
                _hurry_sqlite(store.engine)
            Client().active_stack_model  # noqa: B018 - creates the default stack

    @contextmanager
    def _locked(self) -> Generator[None]:
        """One process at a time: two that make or migrate the store at once would trip over each other."""
        with (self.directory / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def runs(self, *, limit: int, after_import: Callable[[], None]) -> list[PipelineRun]:
        """The latest runs, newest first."""
        self.open(after_import)
        from zenml.client import Client  # noqa: PLC0415

        page = Client().list_pipeline_runs(sort_by="desc:created", size=limit, hydrate=True)
        return [
            PipelineRun(
                id=str(run.id),
                transcription_id=str((run.config.parameters or {}).get("transcription_id")),
                status=str(run.status),
                created_at=run.created,
                measurements=dict(run.run_metadata),
            )
            for run in page.items
        ]


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
def _spare_repetition() -> None:
    """What is installed does not change while a process lives, but ZenML asks anew in every run: twice for the list
    of packages, in a child process, and once for each of its integrations. That is half of what a run costs.
    """
    from zenml.environment import Environment  # noqa: PLC0415
    from zenml.integrations.registry import integration_registry  # noqa: PLC0415

    Environment.get_python_packages = staticmethod(cache(Environment.get_python_packages))
    integration_registry.activate_integrations()
    integration_registry.activate_integrations = lambda: None
