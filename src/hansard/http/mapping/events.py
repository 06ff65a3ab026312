"""An entry of the audit trail."""

from typing import Any

from hansard.domain.audit import Entry
from hansard.http.schemas.events import Event


def event_json(entry: Entry) -> Event:
    data: Any = entry.data
    return Event(
        position=entry.position,
        id=entry.id,
        type=entry.type,
        subject=entry.subject,
        occurred_at=entry.occurred_at,
        actor=entry.actor,
        request_id=entry.request_id,
        trace_id=entry.trace_id,
        data=data,
        hash=entry.hash,
    )
