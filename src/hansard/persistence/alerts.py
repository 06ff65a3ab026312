"""Alerts, and the outcomes that they are judged by, as the events tell them."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Connection, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from hansard.application.ports.alerts import Outcomes
from hansard.domain.alert import Alert, AlertState, Severity
from hansard.persistence import tables
from hansard.persistence.event_log import SqlEventLog
from hansard.persistence.values import Row, moment_or_none, number_or_none, storable

# What was retried was asked for anew. Somebody waits for it if somebody did at first.
_OUTCOMES = text("""
    WITH ended AS MATERIALIZED (
        SELECT position, subject, type, occurred_at, data::jsonb AS data
          FROM events
         WHERE occurred_at >= :since AND type IN ('transcription.completed', 'transcription.failed')
    ), judged AS (
        SELECT type = 'transcription.completed' AS is_completed,
               data -> 'failure' ->> 'category' IN ('client', 'cancelled') AS is_refused,
               coalesce((data ->> 'coverage')::float8 < :low_coverage, false) AS is_low,
               coalesce(asked.is_interactive, false) AS is_interactive,
               asked.fell_back,
               greatest(0, extract(epoch FROM occurred_at - asked.at))::float8 AS seconds
          FROM ended CROSS JOIN LATERAL (
               SELECT bool_or((past.data ->> 'interactive')::bool) AS is_interactive,
                      count(*) FILTER (WHERE past.type = 'transcription.engine_fell_back') > 0 AS fell_back,
                      max(past.occurred_at) FILTER (WHERE past.type <> 'transcription.engine_fell_back') AS at
                 FROM events AS past
                WHERE past.subject = ended.subject AND past.position < ended.position AND past.type IN
                      ('transcription.queued', 'transcription.retried', 'transcription.engine_fell_back')
               ) AS asked
    )
    SELECT count(*) FILTER (WHERE is_completed) AS completed,
           count(*) FILTER (WHERE NOT is_completed AND NOT is_refused) AS failed,
           count(*) FILTER (WHERE NOT is_completed AND is_refused) AS refused,
           count(*) FILTER (WHERE is_completed AND fell_back) AS fell_back,
           count(*) FILTER (WHERE is_completed AND is_low) AS low_coverage,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds)
               FILTER (WHERE is_completed AND NOT is_interactive) AS latency_seconds,
           count(*) FILTER (WHERE is_completed AND is_interactive) AS interactive_completed,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds)
               FILTER (WHERE is_completed AND is_interactive) AS interactive_latency_seconds
      FROM judged
""")


@dataclass(frozen=True, slots=True)
class SqlOutcomeLog:
    connection: Connection

    def since(self, moment: datetime, *, low_coverage: float) -> Outcomes:
        found = self.connection.execute(_OUTCOMES, {"since": moment, "low_coverage": low_coverage})
        return Outcomes(**found.mappings().one())


@dataclass(frozen=True, slots=True)
class SqlAlertRepository:
    connection: Connection
    events: SqlEventLog

    def get(self, name: str) -> Alert:
        table = tables.alerts
        # There must be a row to lock.
        self.connection.execute(upsert(table).values(_to_row(Alert(name=name))).on_conflict_do_nothing())
        query = select(table).where(table.c.name == name).with_for_update()
        return _from_row(cast("Row", self.connection.execute(query).mappings().one()))

    def all(self) -> tuple[Alert, ...]:
        query = select(tables.alerts).order_by(tables.alerts.c.name)
        return tuple(_from_row(cast("Row", row)) for row in self.connection.execute(query).mappings())

    def save(self, alert: Alert) -> None:
        row = _to_row(alert)
        statement = upsert(tables.alerts).values(row)
        self.connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))
        self.events.extend(alert.pull_events())


def _to_row(alert: Alert) -> Row:
    return {
        "name": alert.name,
        "state": alert.state.value,
        "since": alert.since,
        "fired_at": alert.fired_at,
        "severity": alert.severity.value,
        "threshold": alert.threshold,
        "value": None if alert.value is None else number_or_none(alert.value),
        "message": storable(alert.message),
        "measured_at": alert.measured_at,
        "trouble": None if alert.trouble is None else storable(alert.trouble),
    }


def _from_row(row: Row) -> Alert:
    return Alert(
        name=row["name"],
        state=AlertState(row["state"]),
        since=moment_or_none(row["since"]),
        fired_at=moment_or_none(row["fired_at"]),
        severity=Severity(row["severity"]),
        threshold=row["threshold"],
        value=row["value"],
        message=row["message"],
        measured_at=moment_or_none(row["measured_at"]),
        trouble=row["trouble"],
    )
