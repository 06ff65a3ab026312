"""The audit trail, as the unit of work that writes it and those who read it see it."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, Text, and_, or_, select, text
from sqlalchemy import cast as sql_cast

from hansard.application.origin import Origin
from hansard.application.ports.events import EVERYTHING, EventQuery, EventT
from hansard.application.ports.paging import Page
from hansard.domain.audit import GENESIS, Entry, Head
from hansard.domain.errors import InvalidRequest
from hansard.domain.events import Event
from hansard.persistence import event_mapping, statements, tables
from hansard.persistence.mapping import Row
from hansard.persistence.notifications import EVENTS_CHANNEL

_TABLE = tables.events

# One statement for any number of events. The trigger that chains them holds up other writers until the commit, so
# nothing should come after it that takes long.
_WRITE = text("""
    INSERT INTO events (type, subject, occurred_at, actor, request_id, trace_id, data)
    SELECT given.type, given.subject, given.occurred_at, :actor, :request_id, :trace_id, given.data
      FROM ROWS FROM (json_to_recordset(cast(:events AS json))
               AS (type text, subject text, occurred_at timestamptz, data json)) WITH ORDINALITY
               AS given (type, subject, occurred_at, data, number)
     ORDER BY given.number
    RETURNING pg_notify(:channel, '')
""")

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

    def extend(self, events: Iterable[Event]) -> None:
        self._waiting.extend(events)

    def write(self) -> None:
        """Write what was appended, each event at the end of the trail."""
        if not self._waiting:
            return
        origin = self.origin()
        rows = [event_mapping.event_to_row(event) for event in self._waiting]
        self.connection.execute(
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

    def page(self, query: EventQuery = EVERYTHING, *, limit: int, cursor: str | None = None) -> Page[Entry]:
        wanted = _wanted(query).order_by(_TABLE.c.position.desc()).limit(limit + 1)
        if cursor is not None:
            wanted = wanted.where(_TABLE.c.position < _position(cursor))
        rows = self.connection.execute(wanted).mappings().all()
        entries = tuple(_entry(cast("Row", row)) for row in rows[:limit])
        return Page(items=entries, next_cursor=str(entries[-1].position) if len(rows) > limit else None)

    def after(self, position: int, query: EventQuery = EVERYTHING, *, limit: int) -> tuple[Entry, ...]:
        wanted = _wanted(query).where(_TABLE.c.position > position).order_by(_TABLE.c.position).limit(limit)
        return tuple(_entry(cast("Row", row)) for row in self.connection.execute(wanted).mappings())

    def head(self) -> Head:
        query = select(_TABLE.c.position, _TABLE.c.hash).order_by(_TABLE.c.position.desc()).limit(1)
        row = self.connection.execute(query).one_or_none()
        return Head(0, GENESIS) if row is None else Head(row.position, row.hash)


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


def _position(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise InvalidRequest(
            "That cursor is not one of ours.",
            code="invalid_cursor",
            help="Use the next_cursor of the page before, or leave it out to begin with the newest.",
        )
    return int(cursor)
