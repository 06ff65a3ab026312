# ruff: noqa: S608 - put together from the texts in this file alone
"""Sums and histograms of whole hours, so that a question about a month need not read every fact of it.

An hour is sealed once the events are past it: its facts are summed, for each owner and for all of them. What happens in
a sealed hour after all, has it sealed again in the commit that brings the fact. Questions take the whole hours from
here, and from the facts what is cut by the ends of the period or by days that begin at half past, and what is not
sealed yet; so it makes no difference to the sums how far the sealing is. (TimescaleDB's continuous aggregates do the
same: <https://www.tigerdata.com/docs/use-timescale/latest/continuous-aggregates/real-time-aggregates>.)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from hansard.analytics.histograms import bucket, of_all, of_one
from hansard.domain.period import Period

HOUR = timedelta(hours=1)
_MOMENT = timedelta(microseconds=1)

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Facts of one table, that count at the time `at`. `counts`, `sums` and `spreads` are, by their names, what each
    fact has of it: whole numbers, seconds and the like, and measures for percentiles, NULL where it has none.
    """

    facts: str
    hours: str
    at: str
    by: tuple[str, ...] = ()
    counts: Mapping[str, str]
    sums: Mapping[str, str] = field(default_factory=dict[str, str])
    spreads: Mapping[str, str] = field(default_factory=dict[str, str])
    filters: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return ("owner", *self.by, *self.counts, *self.sums, *self.spreads)

    @property
    def only_in_facts(self) -> frozenset[str]:
        """Filters that whole hours cannot answer."""
        return frozenset(self.filters) - frozenset(self.columns)


def _of_completed(measure: str) -> str:
    return f"CASE WHEN status = 'completed' THEN {measure} END"


_PREPARING = "greatest(running_seconds - recognising_seconds, 0)"

ENDED = Kind(
    facts="transcription_facts",
    hours="transcription_hours",
    at="ended_at",
    by=("engine", "model", "interactive"),
    filters=("owner", "engine", "interactive"),
    counts={
        "completed": "(status = 'completed')::int",
        "failed": "(status = 'failed')::int",
        "cancelled": "(status = 'cancelled')::int",
        "degraded": "coalesce(degraded, false)::int",
        "retried": "(ask > 1)::int",
        "coverages": "(coverage IS NOT NULL)::int",
    },
    sums={
        "covered": "coverage",
        "audio_seconds": _of_completed("audio_seconds"),
        "queue": _of_completed("queue_seconds"),
        "preparing": _of_completed(_PREPARING),
        "recognising": _of_completed("recognising_seconds"),
    },
    spreads={
        "queue_seconds": _of_completed("queue_seconds"),
        "preparing_seconds": _of_completed(_PREPARING),
        "recognising_seconds": _of_completed("recognising_seconds"),
        "total_seconds": _of_completed("(queue_seconds + running_seconds)"),
        "real_time_factor": _of_completed("recognising_seconds / nullif(audio_seconds, 0)"),
    },
)
# Not by engine: which one it will be is not known when it is asked for. That is counted from the facts.
ASKED = Kind(
    facts="transcription_facts",
    hours="asked_hours",
    at="asked_at",
    by=("interactive",),
    filters=("owner", "engine", "interactive"),
    counts={"asked": "1"},
)
ATTEMPTS = Kind(
    facts="attempt_facts",
    hours="attempt_hours",
    at="ended_at",
    by=("engine", "model"),
    filters=("owner", "engine"),
    counts={
        "attempts": "1",
        "succeeded": "(outcome = 'succeeded')::int",
        "failed": "(outcome = 'failed')::int",
        "abandoned": "(outcome = 'abandoned')::int",
        "input_tokens": "input_tokens",
        "output_tokens": "output_tokens",
    },
    sums={
        "audio_seconds": "recognised_seconds",
        "uncounted_seconds": "CASE WHEN input_tokens + output_tokens = 0 THEN recognised_seconds END",
        "processing_seconds": "processing_seconds",
    },
    spreads={
        "real_time_factor": "CASE WHEN outcome = 'succeeded' "
        "THEN processing_seconds / nullif(recognised_seconds, 0) END"
    },
)
UPLOADS = Kind(
    facts="audio_facts",
    hours="upload_hours",
    at="uploaded_at",
    filters=("owner",),
    counts={"uploads": "1", "uploaded_bytes": "size_bytes"},
)
KINDS = (ENDED, ASKED, ATTEMPTS, UPLOADS)


def hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def first_hour(connection: Connection) -> datetime | None:
    """In which anything happened at all."""
    earliest = ", ".join(f"(SELECT min({kind.at}) FROM {kind.facts})" for kind in KINDS)
    moment = connection.execute(text(f"SELECT least({earliest})")).scalar_one()
    return None if moment is None else hour_of(moment)


def sealed_until(connection: Connection) -> datetime | None:
    """The hours before this are summed up; None: none is."""
    return connection.execute(text("SELECT max(sealed_until) FROM projection")).scalar_one()


def seal(connection: Connection, since: datetime, until: datetime) -> None:
    """Sum up the hours between these two, also where they had been."""
    for kind in KINDS:
        # Both values are named for the index, which begins with them.
        drop = f"DELETE FROM {kind.hours} WHERE every_owner IN (true, false) AND hour >= :since AND hour < :until"
        for statement in (drop, _sealing(kind)):
            connection.execute(text(statement), {"since": since, "until": until})


def _sealing(kind: Kind) -> str:
    """Exact sums, whatever order the facts are in: so an hour that is sealed again comes out the same."""
    by = ", ".join(("owner", *kind.by))
    grouped = [
        *(f"sum({expression}) AS {name}" for name, expression in kind.counts.items()),
        *(f"coalesce(sum(({expression})::numeric), 0) AS {name}" for name, expression in kind.sums.items()),
        *(f"array_remove(array_agg({bucket(measure)}), NULL) AS {name}" for name, measure in kind.spreads.items()),
    ]
    others = ", ".join((*kind.counts, *kind.sums, *(of_all(name) for name in kind.spreads)))
    return f"""
        INSERT INTO {kind.hours} (hour, every_owner, {", ".join(kind.columns)})
        SELECT hour, every_owner, {by}, {others}
          FROM (SELECT hour, GROUPING(owner) = 1 AS every_owner, {by}, {", ".join(grouped)}
                  FROM (SELECT *, date_trunc('hour', {kind.at}, 'UTC') AS hour
                          FROM {kind.facts} WHERE {kind.at} >= :since AND {kind.at} < :until) AS facts
                 GROUP BY GROUPING SETS ((hour, {by}), ({", ".join(("hour", *kind.by))}))) AS grouped
    """


def pieces(kind: Kind, *, by_bucket: bool = False, by_owner: bool = False) -> str:
    """Whole hours, and single facts from what they leave out, alike: to be summed, histograms to be joined.

    Takes the filters of the kind, and what `spans` returns.
    """
    is_asked = [f"(CAST(:{name} AS {_TYPES[name]}) IS NULL OR {name} = :{name})" for name in kind.filters]
    in_hours = [condition for name, condition in zip(kind.filters, is_asked, strict=True) if name in kind.columns]
    every_owner = "NOT every_owner" if by_owner else "every_owner = (CAST(:owner AS text) IS NULL)"
    of_fact = [
        *(f"{expression} AS {name}" for name, expression in kind.counts.items()),
        *(f"{expression} AS {name}" for name, expression in kind.sums.items()),
        *(f"{of_one(bucket(measure))} AS {name}" for name, measure in kind.spreads.items()),
    ]
    start = "date_trunc(:bucket, {}, :time_zone) AS start, " if by_bucket else ""
    return f"""(
        SELECT {start.format("hour")}{", ".join(kind.columns)}
          FROM {_in_spans("whole", kind.hours, "hour", f"{every_owner} AND ")}
         WHERE {" AND ".join(in_hours) or "true"}
         UNION ALL
        SELECT {start.format(kind.at)}{", ".join(("owner", *kind.by, *of_fact))}
          FROM {_in_spans("cut", kind.facts, kind.at)}
         WHERE {" AND ".join(is_asked)}
    ) AS pieces"""


_TYPES = {"owner": "text", "engine": "text", "interactive": "boolean"}


def _in_spans(name: str, table: str, at: str, condition: str = "") -> str:
    """Rows of the table by its index on the time, span after span: OFFSET keeps PostgreSQL from joining otherwise."""
    arrays = (f"CAST(:{name}_{end} AS timestamptz[])" for end in ("since", "until"))
    return f"""unnest({", ".join(arrays)}) AS span (since, until), LATERAL (
            SELECT * FROM {table} WHERE {condition}{at} >= since AND {at} < until OFFSET 0) AS {name}"""


def spans(period: Period, *, sealed_until: datetime | None, by_bucket: bool) -> tuple[list[Span], list[Span]]:
    """The whole sealed hours of the period, `by_bucket` only those that lie in one bucket of it; and the rest of it."""
    whole: list[Span] = []
    hour, end = hour_of(period.since - _MOMENT) + HOUR, hour_of(min(period.until, sealed_until or period.since))
    breaks = {hour_of(start) for start in period.starts() if start != hour_of(start)} if by_bucket else set[datetime]()
    for broken in sorted(each for each in breaks if hour <= each < end):
        whole.append((hour, broken))
        hour = broken + HOUR
    whole = [(since, until) for since, until in (*whole, (hour, end)) if since < until]
    edges = [period.since, *(edge for span in whole for edge in span), period.until]
    rest = [(since, until) for since, until in zip(edges[::2], edges[1::2], strict=True) if since < until]
    return whole, rest
