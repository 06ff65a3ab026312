"""What is asked of the events, and how they go over the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from hansard.application.ports.events import EventQuery
from hansard.domain.events import EVENT_TYPES, names_types
from hansard.domain.transcription import Status
from hansard.http.schemas.fields import EXAMPLE_ID, Moment, PageQuery, PlainText
from hansard.http.schemas.transcripts import RecognisedSegment

LAST_POSITION = 2**63 - 1


def _known_type(wanted: str) -> str:
    """A type that does not exist would give an empty answer, and seem to say that nothing happened."""
    if not names_types(wanted):
        raise ValueError(f"must be a type of event, or the beginning of some with `.*`: {', '.join(EVENT_TYPES)}")
    return wanted


WantedType = Annotated[PlainText, AfterValidator(_known_type)]


class EventFilter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: list[WantedType] = Field(
        default_factory=list,
        max_length=len(EVENT_TYPES),
        description="Only events of this type; `transcription.*` stands for all that begin so. May be given again.",
        examples=[["transcription.completed"]],
    )
    subject: Annotated[PlainText, Field(max_length=500)] | None = Field(
        default=None,
        description="Only events about this: the id of a transcription or an audio file, an engine's name …",
    )
    request_id: Annotated[PlainText, Field(max_length=200)] | None = Field(
        default=None, description="Only what came of the request with this X-Request-ID."
    )
    since: Moment | None = Field(
        default=None, description="Only what happened at this time or later; UTC, unless it says otherwise."
    )
    until: Moment | None = Field(default=None, description="Only what happened before this time.")

    def query(self) -> EventQuery:
        return EventQuery(
            types=tuple(self.type),
            subject=self.subject,
            request_id=self.request_id,
            since=self.since,
            until=self.until,
        )


class EventsQuery(PageQuery, EventFilter):
    pass


class StreamQuery(EventFilter):
    after: int | None = Field(
        default=None,
        ge=0,
        le=LAST_POSITION,
        description="Begin after the event at this position; 0 is the beginning. Default: now. `Last-Event-ID` wins.",
    )


class Event(BaseModel):
    """A fact, as it stands in the audit trail; docs/events.md tells what each type has in `data`."""

    position: int = Field(description="Its place: from 1, without gaps, in the order of commits.", examples=[4711])
    id: UUID = Field(description="Its name, also in webhooks.")
    type: str = Field(examples=["transcription.completed"])
    subject: str = Field(description="What it is about.", examples=[EXAMPLE_ID])
    occurred_at: datetime
    actor: str | None = Field(description="Who did it, where that is known.")
    request_id: str | None = Field(description="The X-Request-ID of the request that led to it.")
    trace_id: str | None = Field(description="The trace that it is part of (W3C), 32 hex digits.")
    data: dict[str, JsonValue]
    hash: str = Field(description="Seals it and all that came before: SHA-256, hex.")


class EventPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    items: list[Event]
    next_cursor: str | None


class ProgressMessage(BaseModel):
    status: Status
    progress: float = Field(ge=0, le=1, description="The part of the speech that is recognised.")
    activity: str | None = Field(description="What is being done.")


class SegmentMessage(RecognisedSegment):
    """A segment, as `GET /transcriptions/{id}` has it."""
