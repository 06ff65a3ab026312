"""The audit trail: every event, in one order, each sealed with a hash over itself and the hash before it.

Who changes, adds or removes an entry in the middle breaks the chain from there on; `link_hash` says what is hashed, so
that anybody can check it with a few lines of any language. The database computes it when it writes an entry.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

GENESIS = "0" * 64
"""Stands where the hash before the first entry would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event as it stands in the trail.

    `position` counts from 1, without gaps, in the order of commits: who has read up to a position has missed nothing
    before it. `id` is the event's name to other systems. `actor` is who did it, `request_id` and `trace_id` (32 hex
    digits) in the course of what. `data_json` are its own facts, as the very text that is hashed.
    """

    position: int
    id: UUID
    type: str
    subject: str
    occurred_at: datetime
    actor: str | None
    request_id: str | None
    trace_id: str | None
    data_json: str
    previous_hash: str
    hash: str

    @property
    def data(self) -> Mapping[str, Any]:
        return json.loads(self.data_json)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the trail. Kept elsewhere, it proves later that nothing before it was changed or cut off."""

    position: int
    hash: str


def link_hash(entry: Entry) -> str:
    """SHA-256, in hex, of the previous hash followed by the fields, each as `length:text` in bytes of UTF-8 (`-` for
    none), separated by commas: position, id, type, subject, time (UTC, microseconds, `Z`), actor, request id, trace id,
    data.
    """
    fields = (
        str(entry.position),
        str(entry.id),
        entry.type,
        entry.subject,
        f"{entry.occurred_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        entry.actor,
        entry.request_id,
        entry.trace_id,
        entry.data_json,
    )
    return sha256(f"{entry.previous_hash}{','.join(map(_measured, fields))}".encode()).hexdigest()


def _measured(field: str | None) -> str:
    return "-" if field is None else f"{len(field.encode())}:{field}"
