"""What is to be seen of a service from every side: its answers, its tables, its files, its processes."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tests.chaos.book import Book
from tests.e2e.service import Service

MAY_NAME_WHAT_IS_DELETED = {"events", "idempotency_keys"}
"""Receipts, and keys that must not be used a second time."""


@dataclass(frozen=True)
class Event:
    type: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """`transcriptions` are the rows; `details` what the API says of those that were promised; `downloads` the SHA-256
    of what it sends, or the status of its refusal.
    """

    transcriptions: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, list[Event]] = field(default_factory=dict)
    details: dict[str, dict[str, Any] | int] = field(default_factory=dict)
    downloads: dict[str, str | int] = field(default_factory=dict)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    prepared: list[str] = field(default_factory=list)
    objects: set[str] = field(default_factory=set)
    kept_bytes: set[str] = field(default_factory=set)
    """The SHA-256 of recordings that have a row."""
    remains: list[str] = field(default_factory=list)
    """Where something is left of what was deleted."""
    workers: int = 0
    health: str = ""


def collect(service: Service, book: Book) -> Evidence:
    details = {promise.id: _get(service.http, f"/transcriptions/{promise.id}") for promise in book.promises}
    downloads = {promise.audio_id: _download(service.http, promise.audio_id) for promise in book.promises}
    deleted = {promise.id for promise in book.promises if promise.deleted}
    deleted |= {promise.audio_id for promise in book.promises if promise.audio_deleted}
    data = service.directory / "data"
    with psycopg.connect(service.database_url(), row_factory=dict_row) as connection:
        rows = connection.execute("SELECT * FROM transcriptions").fetchall()
        kept = connection.execute("SELECT sha256 FROM audio_files").fetchall()
        return Evidence(
            transcriptions={str(row["id"]): row for row in rows},
            events=_events(connection),
            details=details,
            downloads=downloads,
            jobs=connection.execute("SELECT * FROM procrastinate_jobs").fetchall(),
            prepared=_names(data / "prepared"),
            objects=set(_names(data / "objects")),
            kept_bytes={row["sha256"] for row in kept},
            remains=[*_in_postgres(connection, deleted), *_in_sqlite(data / "zenml" / "zenml.db", deleted)],
            workers=len(service.processes("worker")),
            health=str(service.http.get("/health").json()["status"]),
        )


def is_quiet(service: Service) -> bool:
    """Whether nothing is left to be done."""
    query = """
        SELECT (SELECT count(*) FROM transcriptions WHERE status IN ('queued', 'running')),
               (SELECT count(*) FROM procrastinate_jobs)
    """
    with psycopg.connect(service.database_url()) as connection:
        counts = connection.execute(query).fetchone()
    return counts == (0, 0) and not _names(service.directory / "data" / "prepared")


def _get(http: httpx.Client, path: str) -> dict[str, Any] | int:
    answer = http.get(path)
    return answer.json() if answer.is_success else answer.status_code


def _download(http: httpx.Client, audio_id: str) -> str | int:
    answer = http.get(f"/audio/{audio_id}/download")
    return hashlib.sha256(answer.content).hexdigest() if answer.is_success else answer.status_code


def _events(connection: psycopg.Connection[dict[str, Any]]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for row in connection.execute("SELECT subject, type, data FROM events ORDER BY position"):
        found.setdefault(row["subject"], []).append(Event(row["type"], row["data"]))
    return found


def _names(directory: Path) -> list[str]:
    return [path.name for path in directory.rglob("*") if path.is_file()]


def _in_postgres(connection: psycopg.Connection[dict[str, Any]], deleted: Iterable[str]) -> Iterator[str]:
    """Any table, any column: whatever is added to the schema is looked at, too."""
    tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    patterns = [f"%{each}%" for each in deleted]
    for name in {row["tablename"] for row in tables} - MAY_NAME_WHAT_IS_DELETED:
        query = sql.SQL("SELECT t::text AS row FROM {} AS t WHERE t::text LIKE ANY(%s)").format(sql.Identifier(name))
        yield from (f"{name}: {row['row']}" for row in connection.execute(query, [patterns]))


def _in_sqlite(file: Path, deleted: Iterable[str]) -> Iterator[str]:
    """ZenML's store. It writes ids with and without hyphens."""
    wanted = {spelling: each for each in deleted for spelling in (each, each.replace("-", ""))}
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                told = repr(row)
                yield from (f"ZenML's {table}: {each}" for spelling, each in wanted.items() if spelling in told)
