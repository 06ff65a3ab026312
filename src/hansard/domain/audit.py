"""The audit trail: every event, in one order, each sealed with a hash over itself and the hash before it.

Who changes, adds or removes an entry in the middle breaks the chain from there on; `link_hash` says what is hashed, so
that anybody can check it with a few lines of any language. The database computes it when it writes an entry.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from hansard.domain.events import EventsPruned

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


@dataclass(frozen=True, slots=True)
class Break:
    """Where the trail is not what was written: the first entry that shows it, and what it shows."""

    position: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`entries` hold together, up to `head`: the end of the trail, unless it is broken before."""

    entries: int
    head: Head
    broken: Break | None


def verified(entries: Iterable[Entry], *, kept: Head | None = None) -> Verdict:
    """Go through the trail, oldest entry first, once; nothing of it is held in memory.

    `kept` is a head that was kept elsewhere: it finds what the trail alone cannot show, an end that was cut off or a
    trail that was written anew.
    """
    walk = _Walk(kept)
    for entry in entries:
        if broken := walk.step(entry):
            return Verdict(entries=walk.entries, head=walk.head, broken=broken)
    return Verdict(entries=walk.entries, head=walk.head, broken=walk.end())


@dataclass(slots=True)
class _Walk:
    """`beginning` stands before the first entry that is there; `is_vouched_for` if none is missing before it, or an
    entry tells that those were pruned.
    """

    kept: Head | None
    entries: int = 0
    beginning: Head = Head(0, GENESIS)
    head: Head = Head(0, GENESIS)
    is_vouched_for: bool = True

    def step(self, entry: Entry) -> Break | None:
        """Take the next entry, unless the trail breaks there."""
        if not self.entries and entry.position > 1:
            self.beginning = self.head = Head(entry.position - 1, entry.previous_hash)
            self.is_vouched_for = False
        broken = self._fault(entry)
        if broken is None:
            self.entries += 1
            self.head = Head(entry.position, entry.hash)
            self.is_vouched_for = self.is_vouched_for or _vouches(entry, self.beginning)
        return broken

    def end(self) -> Break | None:
        """What shows only when all entries were seen."""
        first = self.beginning.position + 1
        if not self.is_vouched_for:
            return Break(first, f"The trail begins at entry {first}, and no entry tells that those before were pruned.")
        if self.kept is None:
            return None
        if self.kept.position > self.head.position:
            return Break(
                self.head.position + 1,
                f"The trail ends at entry {self.head.position}, but there was an entry {self.kept.position} when the "
                "head was kept: the end was cut off.",
            )
        if self.kept.position == self.beginning.position and self.kept.hash != self.beginning.hash:
            return _another_than_was_kept(self.kept.position)
        if self.kept.position < self.beginning.position:
            return Break(
                self.kept.position,
                f"Entry {self.kept.position}, whose hash was kept, was pruned since: the head that was kept proves "
                "nothing any more. Keep a newer one.",
            )
        return None

    def _fault(self, entry: Entry) -> Break | None:
        expected = self.head.position + 1
        if entry.position > expected:
            is_one = entry.position == expected + 1
            missing = f"Entry {expected} is" if is_one else f"Entries {expected} to {entry.position - 1} are"
            return Break(expected, f"{missing} missing.")
        if link_hash(entry) != entry.hash:
            return Break(entry.position, f"Entry {entry.position} was changed: its hash does not fit it.")
        if entry.previous_hash != self.head.hash:
            return Break(
                entry.position,
                f"Entry {entry.position} does not follow the one before it: one of the two was changed or put in.",
            )
        if self.kept is not None and self.kept.position == entry.position and self.kept.hash != entry.hash:
            return _another_than_was_kept(entry.position)
        return None


def _another_than_was_kept(position: int) -> Break:
    return Break(position, f"Entry {position} is not the one whose hash was kept: the trail was written anew.")


def _vouches(entry: Entry, beginning: Head) -> bool:
    """Whether it tells that all up to the beginning was pruned."""
    if entry.type != EventsPruned.type:
        return False
    match entry.data:
        case {"through_position": beginning.position, "through_hash": beginning.hash}:
            return True
        case _:
            return False
