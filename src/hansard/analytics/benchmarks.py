"""What benchmarks came to, in the analytics database: see `application.ports.benchmarks`."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from hansard.analytics.database import AnalyticsDatabase
from hansard.analytics.tables import bench_files, bench_runs
from hansard.domain.benchmark import Benchmark, BenchmarkRun, Figures, Hearing, Machine, SpeakerErrors, TextErrors
from hansard.domain.errors import NotFound


class SqlBenchmarkRecords:
    """A `BenchmarkRecords`."""

    def __init__(self, database: AnalyticsDatabase) -> None:
        self._database = database

    def begin(self, run: BenchmarkRun) -> None:
        with self._database.begin() as connection:
            connection.execute(insert(bench_runs).values(_or_null(asdict(run))))

    def add(self, run_id: UUID, hearing: Hearing) -> None:
        with self._database.begin() as connection:
            connection.execute(insert(bench_files).values(run_id=run_id, **_or_null(asdict(hearing))))

    def end(self, run_id: UUID, ended_at: datetime, figures: Figures) -> None:
        ended = update(bench_runs).where(bench_runs.c.id == run_id)
        with self._database.begin() as connection:
            connection.execute(ended.values(ended_at=ended_at, figures=asdict(figures)))

    def recent(self, limit: int, *, ended_only: bool = False) -> tuple[BenchmarkRun, ...]:
        query = select(bench_runs).order_by(bench_runs.c.started_at.desc(), bench_runs.c.id).limit(limit)
        if ended_only:
            query = query.where(bench_runs.c.ended_at.is_not(None))
        with self._database.begin() as connection:
            return tuple(map(_run, connection.execute(query).mappings()))

    def get(self, run_id: UUID) -> Benchmark:
        hearings = select(bench_files).where(bench_files.c.run_id == run_id)
        with self._database.begin() as connection:
            row = connection.execute(select(bench_runs).where(bench_runs.c.id == run_id)).mappings().one_or_none()
            if row is None:
                raise NotFound(f"There is no benchmark {run_id}.")
            ordered = hearings.order_by(bench_files.c.round, bench_files.c.file)
            return Benchmark(run=_run(row), hearings=tuple(map(_hearing, connection.execute(ordered).mappings())))


def _or_null(values: Mapping[str, Any]) -> dict[str, Any]:
    """None in a JSON column would else be JSON's null, which is something."""
    return {name: value for name, value in values.items() if value is not None}


def _run(row: Mapping[Any, Any]) -> BenchmarkRun:
    facts = dict(row)
    facts["machine"] = Machine(**facts["machine"])
    facts["figures"] = Figures(**facts["figures"]) if facts["figures"] else None
    return BenchmarkRun(**facts)


def _hearing(row: Mapping[Any, Any]) -> Hearing:
    facts = {name: value for name, value in row.items() if name != "run_id"}
    text, speakers = facts["text"], facts["speakers"]
    facts["text"] = TextErrors(**text) if text else None
    facts["speakers"] = SpeakerErrors(**speakers) if speakers else None
    return Hearing(**facts)
