"""The audit trail: what has happened, as it was committed with the change it tells of."""

from collections.abc import Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from hansard.application.ports.paging import Page
from hansard.application.ports.retention import OldEntries
from hansard.domain.audit import Entry, Head
from hansard.domain.events import Event

EventT = TypeVar("EventT", bound=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which entries are wanted; None leaves a filter out. A type that ends with `.*` stands for all that begin so.

    `since` is included, `until` is not.
    """

    types: tuple[str, ...] = ()
    subject: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def wants(self, entry: Entry) -> bool:
        return (
            (not self.types or any(_is_of_type(entry.type, wanted) for wanted in self.types))
            and self.subject in {None, entry.subject}
            and self.request_id in {None, entry.request_id}
            and (self.since is None or self.since <= entry.occurred_at)
            and (self.until is None or entry.occurred_at < self.until)
        )


def _is_of_type(type: str, wanted: str) -> bool:
    return type.startswith(wanted[:-1]) if wanted.endswith(".*") else type == wanted


EVERYTHING = EventQuery()


class EventLog(Protocol):
    """Appended events are written when the unit of work commits, as its last statement: until then, writers of events
    don't wait for each other. What is read is what was committed.
    """

    def append(self, event: Event) -> None: ...

    def of(self, subject: UUID | str) -> tuple[Event, ...]:
        """All events about one subject, oldest first."""
        ...

    def latest(self, kind: type[EventT], subject: UUID | str) -> EventT | None:
        """The last event of that kind about the subject."""
        ...

    def page(self, query: EventQuery = EVERYTHING, *, limit: int, cursor: str | None = None) -> Page[Entry]:
        """Newest first. Raises `InvalidRequest` for a cursor it did not make."""
        ...

    def after(self, position: int, query: EventQuery = EVERYTHING, *, limit: int) -> tuple[Entry, ...]:
        """Those after a position, oldest first. No entry ever appears before one that was already there."""
        ...

    def get(self, event_id: UUID) -> Entry:
        """Raises `NotFound`."""
        ...

    def walk(self) -> Generator[Entry]:
        """The whole trail as it stands at one moment, oldest first, read a little at a time. Whoever leaves it half
        read closes it.
        """
        ...

    def head(self) -> Head:
        """Where the trail ends now; position 0 and `GENESIS` where it is empty."""
        ...

    def oldest(self, before: datetime, *, through: int | None = None, limit: int | None = None) -> OldEntries | None:
        """As many of the first entries, one after the other, as all happened before that moment; None: there are none.

        Of the first `limit`, none after `through`, and never the last of the trail.
        """
        ...

    def remove_through(self, position: int, at: datetime) -> int:
        """Remove the entries up to that position, but not the last of the trail, and have `EventsPruned` tell of it
        in the same commit. How many there were.
        """
        ...


class EventWatch(Protocol):
    """One waiter's ear for events."""

    async def news(self, *, within_seconds: float) -> None:
        """Return once events were committed since this was last called, or since the watch began; or after so long
        without. News may get lost: who waits looks for himself, whatever makes this return.
        """
        ...


class EventNews(Protocol):
    """Tells that events were committed, by whichever process, while `Changes.listen` runs on the same event loop."""

    def watch_events(self) -> AbstractContextManager[EventWatch]: ...
