"""The audit trail: what has happened, as it was committed with the change it tells of."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from hansard.application.ports.paging import Page
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

    def head(self) -> Head:
        """Where the trail ends now; position 0 and `GENESIS` where it is empty."""
        ...
