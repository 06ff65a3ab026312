# ruff: noqa: S608 - put together from the texts in this file and in `hours` alone
"""The questions, as PostgreSQL understands them.

Filters that are not asked for are NULL. Those about the transcriptions take their time by when they ended, unless they
say otherwise. Measures come as histograms, by their names: see `histograms`.
"""

from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import TextClause, text

from hansard.analytics.hours import ASKED, ATTEMPTS, ENDED, UPLOADS, Kind, pieces


@dataclass(frozen=True, kw_only=True)
class Question:
    """`kind` is of what it takes whole hours, if of anything."""

    sql: str
    kind: Kind | None = None

    @cached_property
    def text(self) -> TextClause:
        return text(self.sql)

    @cached_property
    def takes(self) -> frozenset[str]:
        """The names of its parameters."""
        return frozenset(self.text.compile().params)


def _of(kind: Kind, columns: str, *, by: str = "", order: str = "", by_owner: bool = False) -> Question:
    """From the pieces of this kind; `by` groups them."""
    relation = pieces(kind, by_bucket=by.startswith("start"), by_owner=by_owner)
    grouped = f"GROUP BY {by}" if by else ""
    ordered = f"ORDER BY {order}" if order else ""
    return Question(
        sql=f"SELECT {f'{by}, ' if by else ''}{columns} FROM {relation} {grouped} {ordered}",
        kind=kind,
    )


def _counts(*names: str) -> str:
    return ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in names)


def _sums(*names: str) -> str:
    return ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in names)


def _histograms(*names: str) -> str:
    return ", ".join(f"string_agg({name}, ''::bytea) AS {name}" for name in names)


_COVERAGE = "sum(covered) / nullif(sum(coverages), 0) AS coverage"
_ENDS = f"{_counts('completed', 'failed', 'cancelled', 'degraded')}, {_sums('audio_seconds')}"
_UPLOADS = _counts("uploads", "uploaded_bytes")
_CONSUMPTION = (
    f"{_counts('input_tokens', 'output_tokens')}, {_sums('audio_seconds', 'uncounted_seconds', 'processing_seconds')}"
)

TOTALS = _of(
    ENDED,
    f"{_ENDS}, {_counts('retried')}, {_COVERAGE}, {_histograms('queue_seconds', 'preparing_seconds', 'total_seconds')}",
)
ASKED_FOR = _of(ASKED, _counts("asked"))
UPLOADED = _of(UPLOADS, _UPLOADS)
OPEN = Question(
    sql="""
    SELECT count(*) FILTER (WHERE status = 'queued') AS waiting, count(*) FILTER (WHERE status = 'running') AS running
      FROM transcription_facts WHERE ended_at IS NULL
"""
)

THROUGHPUT_ENDED = _of(ENDED, _ENDS, by="start")
THROUGHPUT_ASKED = _of(ASKED, _counts("asked"), by="start")
THROUGHPUT_UPLOADS = _of(UPLOADS, _UPLOADS, by="start")

LATENCY_BUCKETS = _of(
    ENDED, f"{_sums('queue', 'preparing', 'recognising')}, {_histograms(*ENDED.spreads)}", by="start", order="start"
)
ENGINE_ATTEMPTS = _of(
    ATTEMPTS,
    f"{_counts('attempts', 'succeeded', 'failed', 'abandoned')}, {_CONSUMPTION}, {_histograms('real_time_factor')}",
    by="engine, model",
    order="attempts DESC, engine, model",
)
# Also those that ended without an engine: they are no engine's.
ENGINE_RESULTS = _of(ENDED, f"{_counts('completed', 'degraded')}, {_COVERAGE}", by="engine, model")
HAPPENINGS = Question(
    sql="""
    SELECT engine,
           count(*) FILTER (WHERE happening = 'fell_back') AS fell_back,
           count(*) FILTER (WHERE happening = 'circuit_opened') AS circuit_opened,
           count(*) FILTER (WHERE happening = 'disabled') AS disabled,
           count(*) FILTER (WHERE happening = 'canary') AS canaries,
           count(*) FILTER (WHERE happening = 'canary' AND passed) AS canary_passed
      FROM engine_facts
     WHERE occurred_at >= :since AND occurred_at < :until AND (CAST(:engine AS text) IS NULL OR engine = :engine)
     GROUP BY engine ORDER BY engine
"""
)

ENDED_BY_BUCKET = _of(ENDED, f"{_counts('failed')}, coalesce(sum(completed + failed), 0)::bigint AS ended", by="start")
ATTEMPTS_FAILED_BY_BUCKET = _of(ATTEMPTS, "coalesce(sum(failed), 0)::bigint AS failed_attempts", by="start")


def _failures(table: str, state: str, of_id: str, *conditions: str) -> Question:
    """By code, with five of the newest that are still there, looked for only where that code came up."""
    is_failed = f"""{state} = 'failed'
               AND (CAST(:owner AS text) IS NULL OR owner = :owner)
               AND (CAST(:engine AS text) IS NULL OR {table}.engine = :engine)
               {"".join(f"AND {each}" for each in conditions)}"""
    code, category = "coalesce(failure_code, 'unknown')", "coalesce(failure_category, 'internal')"
    is_there = "SELECT FROM transcription_facts AS gone WHERE gone.id = {} AND gone.deleted_at IS NOT NULL"
    return Question(
        sql=f"""
    SELECT *, ARRAY(
            SELECT {of_id} FROM {table}
             WHERE {is_failed} AND ended_at BETWEEN first_at AND last_at
               AND {code} = failures.code AND {category} = failures.category
               AND {table}.engine IS NOT DISTINCT FROM failures.engine
               AND NOT EXISTS ({is_there.format(f"{table}.{of_id}")})
             ORDER BY ended_at DESC LIMIT 5) AS examples
      FROM (SELECT {code} AS code, {category} AS category, engine,
                   count(*) AS count, min(ended_at) AS first_at, max(ended_at) AS last_at
              FROM {table} WHERE {is_failed} AND ended_at >= :since AND ended_at < :until
             GROUP BY 1, 2, 3) AS failures
     ORDER BY count DESC, last_at DESC
"""
    )


FAILURES = _failures(
    "transcription_facts", "status", "id", "(CAST(:interactive AS boolean) IS NULL OR interactive = :interactive)"
)
ATTEMPT_FAILURES = _failures("attempt_facts", "outcome", "transcription_id")

CONSUMPTION = _of(
    ATTEMPTS,
    f"{_counts('attempts')}, {_CONSUMPTION}",
    by="engine, model, owner",
    order="engine, model, owner",
    by_owner=True,
)
CONSUMPTION_BY_BUCKET = _of(ATTEMPTS, _CONSUMPTION, by="start, engine, model")
