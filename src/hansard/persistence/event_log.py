"""The audit trail, as the unit of work that writes it and those who read it see it."""

import json
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, Text, and_, delete, or_, select, text
from sqlalchemy import cast as sql_cast

from hansard.application.origin import Origin
from hansard.application.ports.events import EVERYTHING, EventQuery, EventT
from hansard.application.ports.paging import Page
from hansard.application.ports.retention import Amount, OldEntries
from hansard.application.ports.work import WebhookTurn
from hansard.domain.audit import GENESIS, Entry, Head
from hansard.domain.errors import NotFound
from hansard.domain.events import Event, EventsPruned
from hansard.persistence import event_mapping, statements, tables
from hansard.persistence.cursors import number_in
from hansard.persistence.notifications import EVENTS_CHANNEL
from hansard.persistence.values import Row
from hansard.timing.decorators import time_it

_TABLE = tables.events

# Whether a webhook that is enabled is to be told of an event.
IS_WANTED = """
    webhook.event_types && ARRAY['*', split_part(event.type, '.', 1) || '.*', event.type]
    AND CASE WHEN webhook.filter IS NULL THEN true ELSE event.data::jsonb @> webhook.filter END
"""

# One statement for any number of events, and their deliveries. The trigger that chains them holds up other writers
# until the commit, so nothing should come after it that takes long.
_WRITE = text(f"""
    WITH event AS (
    INSERT INTO events (type, subject, occurred_at, actor, request_id, trace_id, data)
    SELECT given.type, given.subject, given.occurred_at, :actor, :request_id, :trace_id, given.data
      FROM ROWS FROM (json_to_recordset(cast(:events AS json))
               AS (type text, subject text, occurred_at timestamptz, data json)) WITH ORDINALITY
               AS given (type, subject, occurred_at, data, number)
     ORDER BY given.number
    RETURNING position, id, type, occurred_at, data),
    made AS (
    INSERT INTO webhook_deliveries (webhook_id, event_id, event_position, event_type, created_at, next_attempt_at)
    SELECT webhook.id, event.id, event.position, event.type, event.occurred_at, event.occurred_at
      FROM event JOIN webhooks AS webhook ON {IS_WANTED}
     WHERE webhook.disabled_reason IS NULL
     ORDER BY event.position
    RETURNING webhook_id)
    SELECT DISTINCT webhook.id AS webhook_id, webhook.failing_since IS NOT NULL AS is_failing,
           pg_notify(:channel, '')::text AS told
      FROM (VALUES (1)) AS once LEFT JOIN made ON true LEFT JOIN webhooks AS webhook ON webhook.id = made.webhook_id
     ORDER BY webhook_id
""")  # noqa: S608 - put together from constants

# The database refuses deletions to whoever has not said so.
_PRUNING = text("SELECT set_config('hansard.pruning', :state, true)")

_OLDEST = text("""
    WITH first AS (
        SELECT position, occurred_at, pg_column_size(events.*) AS size_bytes
          FROM events
         WHERE position <= coalesce(cast(:through AS bigint), position)
           AND position < (SELECT max(position) FROM events)
         ORDER BY position LIMIT cast(:limit AS bigint))
    SELECT max(position) AS position, count(*) AS count, coalesce(sum(size_bytes), 0)::bigint AS size_bytes
      FROM first
     WHERE position < coalesce((SELECT min(position) FROM first WHERE occurred_at >= :before), position + 1)
""")

_READ_AT_ONCE = 1000
"""Entries, when the whole trail is read."""

_ENTRY = (*(column for column in _TABLE.c if column.name != "data"), sql_cast(_TABLE.c.data, Text).label("data_json"))


@dataclass(frozen=True, slots=True)
class SqlEventLog:
    """The `EventLog` of one unit of work, which calls `write` last before it commits."""

    connection: Connection
    origin: Callable[[], Origin]
    _waiting: list[Event] = field(default_factory=list[Event])
    _written: list[Event] = field(default_factory=list[Event])

    def append(self, event: Event) -> None:
        self._waiting.append(event)

    @property
    def waiting(self) -> tuple[Event, ...]:
        """What was appended and is not written yet."""
        return tuple(self._waiting)

    def extend(self, events: Iterable[Event]) -> None:
        self._waiting.extend(events)

    def write(self) -> Sequence[WebhookTurn]:
        """Write what was appended, each event at the end of the trail, with a delivery for each webhook that wants it.

        Returns the turns that these webhooks are to take.
        """
        if not self._waiting:
            return ()
        origin = self.origin()
        rows = [event_mapping.event_to_row(event) for event in self._waiting]
        told = self.connection.execute(
            _WRITE,
            {
                "events": json.dumps(rows, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str),
                "actor": origin.actor,
                "request_id": origin.request_id,
                "trace_id": origin.trace_id,
                "channel": EVENTS_CHANNEL,
            },
        )
        self._written.extend(self._waiting)
        self._waiting.clear()
        return [
            WebhookTurn(webhook_id=row.webhook_id, is_failing=row.is_failing)
            for row in told
            if row.webhook_id is not None
        ]

    def pull_written(self) -> tuple[Event, ...]:
        """The events written since the last call."""
        written = tuple(self._written)
        self._written.clear()
        return written

    def of(self, subject: UUID | str) -> tuple[Event, ...]:
        found = self.connection.execute(statements.EVENTS, {"wanted_subject": str(subject)})
        return tuple(event_mapping.event_from_row(row) for row in found.mappings())

    def latest(self, kind: type[EventT], subject: UUID | str) -> EventT | None:
        is_wanted = and_(_TABLE.c.subject == str(subject), _TABLE.c.type == kind.type)
        query = select(_TABLE).where(is_wanted).order_by(_TABLE.c.position.desc()).limit(1)
        row = self.connection.execute(query).mappings().one_or_none()
        return None if row is None else cast("EventT", event_mapping.event_from_row(row))

    @time_it
    def page(self, query: EventQuery = EVERYTHING, *, limit: int, cursor: str | None = None) -> Page[Entry]:
        wanted = _wanted(query).order_by(_TABLE.c.position.desc()).limit(limit + 1)
        if cursor is not None:
            wanted = wanted.where(_TABLE.c.position < number_in(cursor, most_digits=18))
        rows = self.connection.execute(wanted).mappings().all()
        entries = tuple(_entry(cast("Row", row)) for row in rows[:limit])
        return Page(items=entries, next_cursor=str(entries[-1].position) if len(rows) > limit else None)

    @time_it
    def after(self, position: int, query: EventQuery = EVERYTHING, *, limit: int) -> tuple[Entry, ...]:
        wanted = _wanted(query).where(_TABLE.c.position > position).order_by(_TABLE.c.position).limit(limit)
        return tuple(_entry(cast("Row", row)) for row in self.connection.execute(wanted).mappings())

    def get(self, event_id: UUID) -> Entry:
        row = self.connection.execute(_wanted(EVERYTHING).where(_TABLE.c.id == event_id)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no event {event_id}.")
        return _entry(cast("Row", row))

    def walk(self) -> Generator[Entry]:
        whole = _wanted(EVERYTHING).order_by(_TABLE.c.position).execution_options(yield_per=_READ_AT_ONCE)
        with self.connection.execute(whole) as found:
            for row in found.mappings():
                yield _entry(cast("Row", row))

    def head(self) -> Head:
        query = select(_TABLE.c.position, _TABLE.c.hash).order_by(_TABLE.c.position.desc()).limit(1)
        row = self.connection.execute(query).one_or_none()
        return Head(0, GENESIS) if row is None else Head(row.position, row.hash)

    def oldest(self, before: datetime, *, through: int | None = None, limit: int | None = None) -> OldEntries | None:
        bounds = {"before": before, "through": through, "limit": limit}
        position, count, size_bytes = self.connection.execute(_OLDEST, bounds).one()
        return OldEntries(position, Amount(count, size_bytes)) if count else None

    def remove_through(self, position: int, at: datetime) -> int:
        before_last = min(position, self.head().position - 1)
        query = select(_TABLE.c.hash).where(_TABLE.c.position == before_last)
        through_hash = self.connection.execute(query).scalar_one_or_none()
        if through_hash is None:
            return 0
        self.connection.execute(_PRUNING, {"state": "on"})
        count = self.connection.execute(delete(_TABLE).where(_TABLE.c.position <= before_last)).rowcount
        self.connection.execute(_PRUNING, {"state": "off"})
        self.append(
            EventsPruned(
                subject="events",
                occurred_at=at,
                through_position=before_last,
                through_hash=through_hash,
                count=count,
            )
        )
        return count


def _wanted(query: EventQuery) -> Select[Any]:
    wanted = select(*_ENTRY)
    if query.types:
        wanted = wanted.where(or_(*map(_is_of_type, query.types)))
    if query.subject is not None:
        wanted = wanted.where(_TABLE.c.subject == query.subject)
    if query.request_id is not None:
        wanted = wanted.where(_TABLE.c.request_id == query.request_id)
    if query.since is not None:
        wanted = wanted.where(_TABLE.c.occurred_at >= query.since)
    if query.until is not None:
        wanted = wanted.where(_TABLE.c.occurred_at < query.until)
    return wanted


def _is_of_type(wanted: str) -> ColumnElement[bool]:
    if wanted.endswith(".*"):
        return _TABLE.c.type.startswith(wanted.removesuffix("*"), autoescape=True)
    return _TABLE.c.type == wanted


def _entry(row: Row) -> Entry:
    return Entry(**{**row, "occurred_at": row["occurred_at"].astimezone(UTC)})
