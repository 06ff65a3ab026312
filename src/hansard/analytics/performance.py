"""What functions and processes took, in the analytics database: see `application.ports.performance`.

Records of the same five minutes are added up where they lie, so there is a row for each function and kind of process,
however often and by however many it is written. Hours are made of them in the same way: a row whose time is over goes
up in that of the hour's start, in the statement that removes it.
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Row, TextClause, text

from hansard.analytics.database import AnalyticsDatabase
from hansard.application.ports.performance import VersionSeen
from hansard.domain.performance import FunctionTimes, ResourceUse
from hansard.timing.calls import Calls, Usage
from hansard.timing.decorators import time_it

_TIMES = """
    INSERT INTO function_times AS kept
        (start, process, version, function, calls, errors, total_seconds, shortest_seconds, longest_seconds, histogram,
         cpu_seconds, process_cpu_seconds, peak_memory_bytes, memory_growth_bytes, read_bytes, written_bytes)
"""

_ADDED_TO_TIMES = """
    ON CONFLICT (start, process, version, function) DO UPDATE SET
        calls = kept.calls + excluded.calls,
        errors = kept.errors + excluded.errors,
        total_seconds = kept.total_seconds + excluded.total_seconds,
        shortest_seconds = least(kept.shortest_seconds, excluded.shortest_seconds),
        longest_seconds = greatest(kept.longest_seconds, excluded.longest_seconds),
        histogram = (
            SELECT jsonb_object_agg(bucket, calls) FROM (
                SELECT bucket, sum(calls::bigint) AS calls FROM (
                    SELECT * FROM jsonb_each_text(kept.histogram)
                    UNION ALL SELECT * FROM jsonb_each_text(excluded.histogram)
                ) AS both_of_them (bucket, calls) GROUP BY bucket
            ) AS together
        ),
        cpu_seconds = kept.cpu_seconds + excluded.cpu_seconds,
        process_cpu_seconds = kept.process_cpu_seconds + excluded.process_cpu_seconds,
        peak_memory_bytes = greatest(kept.peak_memory_bytes, excluded.peak_memory_bytes),
        memory_growth_bytes = kept.memory_growth_bytes + excluded.memory_growth_bytes,
        read_bytes = kept.read_bytes + excluded.read_bytes,
        written_bytes = kept.written_bytes + excluded.written_bytes
"""

_ADD_TIMES = text(f"""{_TIMES}
    VALUES (:start, :process, :version, :function, :calls, :errors, :total_seconds, :shortest_seconds, :longest_seconds,
            (SELECT jsonb_object(CAST(:buckets AS text[]), CAST(:counts AS text[]))),
            :cpu_seconds, :process_cpu_seconds, :peak_memory_bytes, :memory_growth_bytes, :read_bytes, :written_bytes)
    {_ADDED_TO_TIMES}
""")

_SUMS = """
    sum(calls)::bigint AS calls, sum(errors)::bigint AS errors, sum(total_seconds) AS total_seconds,
    min(shortest_seconds) AS shortest_seconds, max(longest_seconds) AS longest_seconds
"""

_SUMS_OF_USAGE = """
    sum(cpu_seconds) AS cpu_seconds, sum(process_cpu_seconds) AS process_cpu_seconds,
    max(peak_memory_bytes) AS peak_memory_bytes, sum(memory_growth_bytes)::bigint AS memory_growth_bytes,
    sum(read_bytes)::bigint AS read_bytes, sum(written_bytes)::bigint AS written_bytes
"""


def _summed(picked: str, key: str) -> str:
    """The rows of `picked`, those of the same key as one."""
    return f"""
        SELECT {key}, {_SUMS}, (
            SELECT jsonb_object_agg(bucket, calls) FROM (
                SELECT bucket, sum(calls::bigint) AS calls
                  FROM unnest(array_agg(histogram)) AS one, jsonb_each_text(one) AS entry (bucket, calls)
                 GROUP BY bucket
            ) AS together
        ) AS histogram, {_SUMS_OF_USAGE}
          FROM {picked} GROUP BY {key}
    """  # noqa: S608 - of this module's own words


_ROLL_UP_TIMES = text(f"""
    WITH gone AS (
        DELETE FROM function_times WHERE start < :before AND start <> date_trunc('hour', start, 'UTC')
        RETURNING *, date_trunc('hour', start, 'UTC') AS hour
    ), hours AS ({_summed("gone", "hour, process, version, function")}),
    written AS ({_TIMES} SELECT * FROM hours {_ADDED_TO_TIMES})
    SELECT count(*) FROM gone
""")  # noqa: S608 - of this module's own words

_CALLS = text(f"""
    WITH picked AS (
        SELECT * FROM function_times
         WHERE start >= date_bin('5 minutes', :since, 'epoch') AND start < :until
           AND (CAST(:version AS text) IS NULL OR version = :version)
           AND (CAST(:process AS text) IS NULL OR process = :process)
    ) {_summed("picked", "function")}
""")  # noqa: S608 - of this module's own words

_VERSIONS = text(
    "SELECT version, min(start) AS first, max(start) AS last FROM function_times GROUP BY version ORDER BY last DESC"
)

_USE = """
    INSERT INTO resource_use AS kept
        (start, host, process, seconds, samples, cores_least, cores_mean, cores_most, memory_least_bytes,
         memory_mean_bytes, memory_most_bytes, threads_most, open_files_most, read_bytes, written_bytes)
"""

_ADDED_TO_USE = """
    ON CONFLICT (start, host, process) DO UPDATE SET
        seconds = kept.seconds + excluded.seconds,
        samples = kept.samples + excluded.samples,
        cores_least = least(kept.cores_least, excluded.cores_least),
        cores_mean = (kept.cores_mean * kept.seconds + excluded.cores_mean * excluded.seconds)
                     / (kept.seconds + excluded.seconds),
        cores_most = greatest(kept.cores_most, excluded.cores_most),
        memory_least_bytes = least(kept.memory_least_bytes, excluded.memory_least_bytes),
        memory_mean_bytes = (kept.memory_mean_bytes * kept.seconds + excluded.memory_mean_bytes * excluded.seconds)
                            / (kept.seconds + excluded.seconds),
        memory_most_bytes = greatest(kept.memory_most_bytes, excluded.memory_most_bytes),
        threads_most = greatest(kept.threads_most, excluded.threads_most),
        open_files_most = greatest(kept.open_files_most, excluded.open_files_most),
        read_bytes = kept.read_bytes + excluded.read_bytes,
        written_bytes = kept.written_bytes + excluded.written_bytes
"""

_ADD_USE = text(f"""{_USE}
    VALUES (:start, :host, :process, :seconds, :samples, :cores_least, :cores_mean, :cores_most, :memory_least_bytes,
            :memory_mean_bytes, :memory_most_bytes, :threads_most, :open_files_most, :read_bytes, :written_bytes)
    {_ADDED_TO_USE}
""")


def _summed_use(picked: str, start: str) -> str:
    """The rows of `picked`, those of the same `start` and process as one."""
    return f"""
        SELECT {start} AS start, host, process, sum(seconds) AS seconds, sum(samples)::integer AS samples,
               min(cores_least) AS cores_least, sum(cores_mean * seconds) / sum(seconds) AS cores_mean,
               max(cores_most) AS cores_most, min(memory_least_bytes) AS memory_least_bytes,
               (sum(memory_mean_bytes * seconds) / sum(seconds))::bigint AS memory_mean_bytes,
               max(memory_most_bytes) AS memory_most_bytes, max(threads_most) AS threads_most,
               max(open_files_most) AS open_files_most, sum(read_bytes)::bigint AS read_bytes,
               sum(written_bytes)::bigint AS written_bytes
          FROM {picked} GROUP BY 1, 2, 3
    """  # noqa: S608 - of this module's own words


_ROLL_UP_USE = text(f"""
    WITH gone AS (
        DELETE FROM resource_use WHERE start < :before AND start <> date_trunc('hour', start, 'UTC') RETURNING *
    ), hours AS ({_summed_use("gone", "date_trunc('hour', start, 'UTC')")}),
    written AS ({_USE} SELECT * FROM hours {_ADDED_TO_USE})
    SELECT count(*) FROM gone
""")  # noqa: S608 - of this module's own words

_USE_IN_BUCKETS = text(f"""
    WITH picked AS (SELECT * FROM resource_use WHERE start >= :since AND start < :until)
    {_summed_use("picked", "date_bin(make_interval(secs => :bucket_seconds), start, 'epoch')")} ORDER BY 1, 2, 3
""")  # noqa: S608 - of this module's own words

_COUNT = tuple(
    text(f"SELECT count(*) FROM {table} WHERE start < :before")  # noqa: S608 - of this module's own words
    for table in ("function_times", "resource_use")
)
_FORGET = tuple(
    text(f"DELETE FROM {table} WHERE start < :before")  # noqa: S608 - of this module's own words
    for table in ("function_times", "resource_use")
)


class SqlPerformanceRecords:
    """A `PerformanceRecords`."""

    def __init__(self, database: AnalyticsDatabase) -> None:
        self._database = database

    @time_it
    def add(self, times: Iterable[FunctionTimes], use: Iterable[ResourceUse]) -> None:
        # In one order for all, so that two processes never wait for each other's rows.
        rows = sorted(map(_times_row, times), key=lambda row: (row["start"], row["function"]))
        samples = [asdict(sample) for sample in use]
        with self._database.begin() as connection:
            if rows:
                connection.execute(_ADD_TIMES, rows)
            if samples:
                connection.execute(_ADD_USE, samples)

    @time_it
    def roll_up(self, before: datetime) -> int:
        return self._each((_ROLL_UP_TIMES, _ROLL_UP_USE), before.replace(minute=0, second=0, microsecond=0))

    def count(self, before: datetime) -> int:
        return self._each(_COUNT, before)

    def forget(self, before: datetime) -> int:
        with self._database.begin() as connection:
            return sum(connection.execute(statement, {"before": before}).rowcount for statement in _FORGET)

    @time_it
    def calls(
        self, since: datetime, until: datetime, *, version: str | None = None, process: str | None = None
    ) -> tuple[Calls, ...]:
        asked = {"since": since, "until": until, "version": version, "process": process}
        with self._database.begin() as connection:
            return tuple(map(_calls, connection.execute(_CALLS, asked)))

    def versions(self) -> tuple[VersionSeen, ...]:
        with self._database.begin() as connection:
            return tuple(VersionSeen(**row) for row in connection.execute(_VERSIONS).mappings())

    def resource_use(self, since: datetime, until: datetime, *, bucket_seconds: float) -> tuple[ResourceUse, ...]:
        asked = {"since": since, "until": until, "bucket_seconds": bucket_seconds}
        with self._database.begin() as connection:
            return tuple(ResourceUse(**row) for row in connection.execute(_USE_IN_BUCKETS, asked).mappings())

    def _each(self, statements: Iterable[TextClause], before: datetime) -> int:
        with self._database.begin() as connection:
            return sum(
                cast(int, connection.execute(statement, {"before": before}).scalar_one()) for statement in statements
            )


def _times_row(times: FunctionTimes) -> dict[str, Any]:
    calls, usage = times.calls, times.calls.usage
    return {
        "start": times.start,
        "process": times.process,
        "version": times.version,
        "function": calls.function,
        "calls": calls.count,
        "errors": calls.errors,
        "total_seconds": calls.total_seconds,
        "shortest_seconds": calls.shortest_seconds,
        "longest_seconds": calls.longest_seconds,
        "buckets": [str(bucket) for bucket in calls.histogram],
        "counts": [str(count) for count in calls.histogram.values()],
        "cpu_seconds": usage and usage.cpu_seconds,
        "process_cpu_seconds": usage and usage.process_cpu_seconds,
        "peak_memory_bytes": usage and usage.peak_memory_bytes,
        "memory_growth_bytes": usage and usage.memory_growth_bytes,
        "read_bytes": usage and usage.read_bytes,
        "written_bytes": usage and usage.written_bytes,
    }


def _calls(row: Row[Any]) -> Calls:
    usage = None
    if row.cpu_seconds is not None:
        usage = Usage(
            cpu_seconds=row.cpu_seconds,
            process_cpu_seconds=row.process_cpu_seconds,
            peak_memory_bytes=row.peak_memory_bytes,
            memory_growth_bytes=row.memory_growth_bytes,
            read_bytes=row.read_bytes,
            written_bytes=row.written_bytes,
        )
    return Calls(
        function=row.function,
        histogram={int(bucket): int(calls) for bucket, calls in row.histogram.items()},
        errors=row.errors,
        total_seconds=row.total_seconds,
        shortest_seconds=row.shortest_seconds,
        longest_seconds=row.longest_seconds,
        usage=usage,
    )
