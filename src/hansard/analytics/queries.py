"""Asks the facts: the `Analytics` of operators."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from hansard.analytics import hours, statements
from hansard.analytics.database import AnalyticsDatabase
from hansard.analytics.histograms import percentiles
from hansard.analytics.hours import ENDED
from hansard.analytics.insight import judged, slower
from hansard.analytics.projection import Projection
from hansard.analytics.statements import Question
from hansard.application.ports import analytics as port
from hansard.application.ports.analytics import Asked, Spread
from hansard.domain.costs import SECONDS_PER_HOUR, Consumption, Prices
from hansard.domain.period import Period
from hansard.timing.decorators import time_it

CATCH_UP_SECONDS = 1.0
"""How long a question waits for what has happened since; then it is answered with what is there."""

_SHARES = (0.5, 0.9, 0.95, 0.99, 0.4, 0.6)
"""The percentiles that are worked out. The last two enclose the middle: see `insight`."""

# A question that takes longer is given up. Sorts of a million ids fit into the memory; compiling takes longer than it
# saves; and a plan for any filters and any times is a bad one for these.
_BOUNDS = text(
    "SET LOCAL statement_timeout TO '20s'; SET LOCAL work_mem TO '64MB'; SET LOCAL jit TO off; "
    "SET LOCAL plan_cache_mode TO force_custom_plan"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlAnalytics:
    database: AnalyticsDatabase
    projection: Projection
    prices: Prices

    @time_it
    def overview(self, asked: Asked) -> port.Overview:
        report, period, before = self._report(asked), asked.period, asked.period.before
        with self.database.begin() as connection:
            questions = _Questions(connection, asked)
            sums, sums_before = (questions.one(statements.TOTALS, each) for each in (period, before))
            engines, engines_before = (questions.all(statements.ENGINE_ATTEMPTS, each) for each in (period, before))
            return port.Overview(
                **report,
                now=self._totals(questions, period, sums, engines),
                before=self._totals(questions, before, sums_before, engines_before),
                before_since=before.since,
                before_until=before.until,
                **questions.one(statements.OPEN),
                currency=self.prices.currency,
                slower=slower(now=[sums, *engines], before=[sums_before, *engines_before]),
            )

    @time_it
    def throughput(self, asked: Asked) -> port.Throughput:
        report = self._report(asked)
        with self.database.begin() as connection:
            questions = _Questions(connection, asked)
            rows = [
                *questions.all(statements.THROUGHPUT_ENDED),
                *questions.all(statements.THROUGHPUT_ASKED),
                *questions.all(statements.THROUGHPUT_UPLOADS),
            ]
        nothing: dict[str, Any] = {
            **dict.fromkeys(("asked", "completed", "failed", "cancelled", "degraded", "uploads", "uploaded_bytes"), 0),
            "audio_seconds": 0.0,
        }
        buckets = tuple(port.ThroughputBucket(**{**nothing, **row}) for row in _filled(asked.period, rows))
        return port.Throughput(**report, buckets=buckets)

    @time_it
    def latency(self, asked: Asked) -> port.Latency:
        report, before = self._report(asked), asked.period.before
        with self.database.begin() as connection:
            questions = _Questions(connection, asked)
            rows = questions.rows(statements.LATENCY_BUCKETS)
            overall = _all_of(rows)
            now = [overall, *questions.all(statements.ENGINE_ATTEMPTS)]
            earlier = [questions.one(statements.TOTALS, before), *questions.all(statements.ENGINE_ATTEMPTS, before)]
        buckets = tuple(
            port.LatencyBucket(start=row["start"], **_spreads(row)) for row in _filled(asked.period, _measured(rows))
        )
        return port.Latency(
            **report,
            overall=port.LatencySpreads(**_spreads(overall)),
            waits=_waits(overall),
            slower=slower(now=now, before=earlier),
            buckets=buckets,
        )

    @time_it
    def engines(self, asked: Asked) -> port.EngineReports:
        report = self._report(asked)
        with self.database.begin() as connection:
            questions = _Questions(connection, asked)
            results = {(row["engine"], row["model"]): row for row in questions.all(statements.ENGINE_RESULTS)}
            rows = questions.all(statements.ENGINE_ATTEMPTS)
            rows_before = questions.all(statements.ENGINE_ATTEMPTS, asked.period.before)
            happenings = tuple(port.EngineHappenings(**row) for row in questions.all(statements.HAPPENINGS))
        items = [self._engine(row, results.get((row["engine"], row["model"]), {})) for row in rows]
        return port.EngineReports(
            **report,
            currency=self.prices.currency,
            items=judged(items),
            happenings=happenings,
            slower=slower(now=rows, before=rows_before),
        )

    @time_it
    def errors(self, asked: Asked) -> port.Errors:
        report = self._report(asked)
        with self.database.begin() as connection:
            questions = _Questions(connection, asked)
            ends = questions.all(statements.ENDED_BY_BUCKET)
            rows = [*ends, *questions.all(statements.ATTEMPTS_FAILED_BY_BUCKET)]
            transcriptions = _error_reports(questions.all(statements.FAILURES))
            attempts = _error_reports(questions.all(statements.ATTEMPT_FAILURES))
        failed, ended = (sum(row[name] for row in ends) for name in ("failed", "ended"))
        return port.Errors(
            **report,
            failed=failed,
            ended=ended,
            failure_rate=failed / ended if ended else None,
            transcriptions=transcriptions,
            attempts=attempts,
            buckets=tuple(
                port.ErrorBucket(
                    start=row["start"], **{name: row.get(name, 0) for name in ("failed", "failed_attempts")}
                )
                for row in _filled(asked.period, rows)
            ),
        )

    @time_it
    def costs(self, asked: Asked) -> port.Costs:
        report = self._report(asked)
        with self.database.begin() as connection:
            questions = _Questions(connection, asked)
            rows = questions.all(statements.CONSUMPTION)
            bucket_rows = questions.all(statements.CONSUMPTION_BY_BUCKET)
        items = tuple(_cost_report(row, self._cost(row)) for row in rows)
        by_bucket: dict[datetime, dict[str, float]] = defaultdict(lambda: {"cost": 0.0, "audio_seconds": 0.0})
        for row in bucket_rows:
            by_bucket[row["start"]]["cost"] += self._cost(row) or 0.0
            by_bucket[row["start"]]["audio_seconds"] += row["audio_seconds"]
        nothing: dict[str, Any] = {"cost": 0.0, "audio_seconds": 0.0}
        filled = _filled(asked.period, [{"start": start, **sums} for start, sums in by_bucket.items()])
        return port.Costs(
            **report,
            currency=self.prices.currency,
            cost=sum(item.cost or 0.0 for item in items),
            unpriced=tuple(sorted({f"{item.engine}:{item.model}" for item in items if item.cost is None})),
            items=items,
            buckets=tuple(port.CostBucket(**{**nothing, **row}) for row in filled),
        )

    def _report(self, asked: Asked) -> dict[str, Any]:
        """What all reports begin with."""
        self.projection.catch_up(within_seconds=CATCH_UP_SECONDS)
        period = asked.period
        return {
            "since": period.since,
            "until": period.until,
            "bucket": period.bucket,
            "time_zone": period.time_zone,
            "as_of": self.projection.state(),
        }

    def _totals(
        self, questions: "_Questions", period: Period, row: Mapping[str, Any], engines: Iterable[Mapping[str, Any]]
    ) -> port.Totals:
        counted = {
            **{name: row[name] for name in ("completed", "failed", "cancelled", "degraded", "retried")},
            **questions.one(statements.ASKED_FOR, period),
            **questions.one(statements.UPLOADED, period),
        }
        ended = row["completed"] + row["failed"]
        return port.Totals(
            **counted,
            queue_seconds=_spread(row, "queue_seconds"),
            total_seconds=_spread(row, "total_seconds"),
            audio_seconds=row["audio_seconds"],
            coverage=row["coverage"],
            failure_rate=row["failed"] / ended if ended else None,
            cost=sum(self._cost(each) or 0.0 for each in engines),
        )

    def _cost(self, row: Mapping[str, Any]) -> float | None:
        price = self.prices.price(row["engine"], row["model"])
        return None if price is None else _consumption(row).cost(price)

    def _engine(self, row: Mapping[str, Any], result: Mapping[str, Any]) -> port.EngineReport:
        completed = result.get("completed", 0)
        cost, hours_of_audio = self._cost(row), row["audio_seconds"] / SECONDS_PER_HOUR
        tried = row["succeeded"] + row["failed"]
        return port.EngineReport(
            **{name: row[name] for name in ("engine", "model", "attempts", "succeeded", "failed", "abandoned")},
            failure_rate=row["failed"] / tried if tried else None,
            audio_seconds=row["audio_seconds"],
            processing_seconds=row["processing_seconds"],
            real_time_factor=_spread(row, "real_time_factor"),
            completed=completed,
            degraded_share=result["degraded"] / completed if completed else None,
            coverage=result.get("coverage"),
            cost=cost,
            cost_per_audio_hour=cost / hours_of_audio if cost is not None and hours_of_audio else None,
        )


class _Questions:
    """One transaction's, all about the same."""

    def __init__(self, connection: Connection, asked: Asked) -> None:
        self._connection = connection
        self._asked = asked
        connection.execute(_BOUNDS)
        self._sealed_until = hours.sealed_until(connection)

    def rows(self, question: Question, period: Period | None = None) -> list[dict[str, Any]]:
        """Measures are histograms still."""
        parameters = self._parameters(question, period or self._asked.period)
        rows = self._connection.execute(question.text, parameters)
        return [_in_utc(dict(row)) for row in rows.mappings()]

    def all(self, question: Question, period: Period | None = None) -> list[dict[str, Any]]:
        return _measured(self.rows(question, period))

    def one(self, question: Question, period: Period | None = None) -> dict[str, Any]:
        return self.all(question, period)[0]

    def _parameters(self, question: Question, period: Period) -> dict[str, Any]:
        known: dict[str, Any] = {
            "since": period.since,
            "until": period.until,
            "bucket": period.bucket.value,
            "time_zone": period.time_zone,
            "owner": self._asked.owner,
            "engine": self._asked.engine,
            "interactive": self._asked.interactive,
        }
        if question.kind is not None:
            is_in_hours = all(known[name] is None for name in question.kind.only_in_facts)
            whole, cut = hours.spans(
                period,
                sealed_until=self._sealed_until if is_in_hours else None,
                by_bucket="bucket" in question.takes,
            )
            for name, spans in (("whole", whole), ("cut", cut)):
                known[f"{name}_since"], known[f"{name}_until"] = ([span[end] for span in spans] for end in (0, 1))
        return {name: known[name] for name in question.takes}


def _measured(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With percentiles and the number of measures in place of the histograms."""
    names = ENDED.spreads.keys() & rows[0].keys() if rows else ()
    measured = [dict(row) for row in rows]
    for name in names:
        for row, (count, found) in zip(measured, percentiles([row[name] for row in rows], _SHARES), strict=True):
            row[name], row[f"{name}_count"] = found, count
    return measured


def _all_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Of the pieces of a chart, the whole: its sums, and its percentiles."""
    found = list(rows)
    whole = {
        **{name: sum(row[name] for row in found) for name in ("queue", "preparing", "recognising")},
        **{name: b"".join(row[name] or b"" for row in found) for name in ENDED.spreads},
    }
    return _measured([whole])[0]


def _in_utc(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.astimezone(UTC) if isinstance(value, datetime) else value for name, value in row.items()}


def _filled(period: Period, rows: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """One row for each bucket of the period: all that there is about it, or nothing but its start."""
    found: dict[datetime, dict[str, Any]] = {start: {"start": start} for start in period.starts()}
    for row in rows:
        found.setdefault(row["start"], {}).update(row)
    return [found[start] for start in sorted(found)]


def _spread(row: Mapping[str, Any], name: str) -> Spread:
    p50, p90, p95, p99 = (row.get(name) or (None,) * 4)[:4]
    return Spread(count=row.get(f"{name}_count", 0), p50=p50, p90=p90, p95=p95, p99=p99)


def _spreads(row: Mapping[str, Any]) -> dict[str, Spread]:
    return {name: _spread(row, name) for name in ENDED.spreads}


def _waits(row: Mapping[str, Any]) -> port.Waits | None:
    sums = {name: row[name] for name in ("queue", "preparing", "recognising")}
    total = sum(sums.values())
    return port.Waits(**{name: each / total for name, each in sums.items()}) if total else None


def _consumption(row: Mapping[str, Any]) -> Consumption:
    names = ("audio_seconds", "uncounted_seconds", "input_tokens", "output_tokens", "processing_seconds")
    return Consumption(**{name: row[name] for name in names})


def _cost_report(row: Mapping[str, Any], cost: float | None) -> port.CostReport:
    return port.CostReport(**{name: value for name, value in row.items() if name != "uncounted_seconds"}, cost=cost)


def _error_reports(rows: Iterable[Mapping[str, Any]]) -> tuple[port.ErrorReport, ...]:
    found = list(rows)
    total = sum(row["count"] for row in found)
    return tuple(
        port.ErrorReport(
            **{name: value for name, value in row.items() if name != "examples"},
            share=row["count"] / total,
            examples=tuple(dict.fromkeys(row["examples"])),  # of attempts, two may be of one transcription
        )
        for row in found
    )
