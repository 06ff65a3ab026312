"""Events to rows and back: the columns that are asked for, and the facts of each type as JSON."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hansard.domain.errors import Failure
from hansard.domain.events import EVENT_TYPES, Event
from hansard.persistence.values import (
    Row,
    failure_from_json,
    failure_to_json,
    moment_from_json,
    number_or_none,
    storable,
)


def event_to_row(event: Event) -> Row:
    return {
        "type": event.type,
        "subject": storable(event.subject),
        "occurred_at": event.occurred_at,
        "data": {name: _fact_to_json(getattr(event, name)) for name in _facts(type(event))},
    }


def event_from_row(row: Row) -> Event:
    """Facts that a later version added are left out; those that were not known yet are as their event says."""
    kind = EVENT_TYPES[row["type"]]
    facts = {name: _fact_from_json(name, row["data"][name]) for name in _facts(kind) if name in row["data"]}
    return kind(subject=row["subject"], occurred_at=row["occurred_at"].astimezone(UTC), **facts)


def _facts(kind: type[Event]) -> list[str]:
    return [field.name for field in fields(kind) if field.name not in {"subject", "occurred_at"}]


def _fact_to_json(value: object) -> object:
    match value:
        case UUID():
            return str(value)
        case Failure():
            return failure_to_json(value)
        case datetime():
            return value.isoformat()
        case str():
            return storable(value)
        case float():
            return number_or_none(value)
        case _:
            return value


def _fact_from_json(name: str, value: Any) -> object:  # noqa: ANN401 - JSON is what it is
    match name:
        case "audio_id":
            return UUID(value)
        case "failure":
            return None if value is None else failure_from_json(value)
        case "retry_at" | "failing_since":
            return moment_from_json(value)
        case "event_types" | "changed":
            return tuple(value)
        case _:
            return value
