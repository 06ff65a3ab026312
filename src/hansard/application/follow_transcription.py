"""A transcription as it comes about, for whoever looks on: its events, how far it is, and its segments as they come.

Each look tells what is new since the one before, so that nobody has to remember what others were told. Segments are
told in the order in which they are recognised. What makes them void (another beginning; a transcript that is not what
was told on the way, because something was heard again, dropped, or given its speakers) is told as a `Restart`, after
which all segments come once more.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from uuid import UUID

from hansard.application.ports.events import EventQuery
from hansard.application.ports.records import UnitOfWork
from hansard.domain import events
from hansard.domain.audit import Entry
from hansard.domain.channels import folded
from hansard.domain.errors import InvalidRequest, NotFound
from hansard.domain.transcript import Segment, Transcript
from hansard.domain.transcription import Status, Transcription

MOST_EVENTS = 1000
"""That are told at one look."""

ENDS = frozenset(
    kind.type for kind in (events.TranscriptionCompleted, events.TranscriptionFailed, events.TranscriptionCancelled)
)
_PLACE = re.compile("([0-9]{1,18})-([0-9]{1,9})-([0-9]{1,12})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody is who looks on: after the entry of the trail at `position`, and after so many segments, of which
    the last begins at `last_milliseconds`. It goes over the wire as text.
    """

    position: int = 0
    segments: int = 0
    last_milliseconds: int = 0

    @classmethod
    def read(cls, text: str) -> "Place":
        """Raises `InvalidRequest`."""
        match = _PLACE.fullmatch(text)
        if match is None:
            raise InvalidRequest(
                "That Last-Event-ID is not one of this stream's.",
                code="invalid_last_event_id",
                help="Send the id of the last message that you got from this very stream, or none to begin with the "
                "first.",
            )
        return cls(*map(int, match.groups()))

    def __str__(self) -> str:
        return f"{self.position}-{self.segments}-{self.last_milliseconds}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is, from 0 to 1, and what is being done."""

    status: Status
    progress: float
    activity: str | None


@dataclass(frozen=True, slots=True)
class Restart:
    """The segments told so far are void; others follow."""


Message = Entry | Progress | Segment | Restart


@dataclass(frozen=True, slots=True)
class Standpoint:
    """`place` is what a client must know to go on; the rest is known to who has looked before. `is_over`: all is told.

    `passages` is how many of its passages were told; None where that must be found out from the segments.
    """

    place: Place = Place()
    passages: int | None = None
    progress: Progress | None = None
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """Each message with the place after it; and from where to look the next time."""

    messages: tuple[tuple[Message, Place], ...]
    standpoint: Standpoint


def look(unit_of_work: Callable[[], UnitOfWork], transcription_id: UUID, standpoint: Standpoint) -> Look:
    """What is new; the event that ends it comes last. Raises `NotFound` for a transcription that is not there, unless
    it was looked at before: then it was deleted, and that is told.
    """
    with unit_of_work() as uow:
        try:
            # First of all: what it says has happened is then there to be read.
            transcription = uow.transcriptions.get(transcription_id)
        except NotFound:
            if standpoint.progress is None:
                raise
            transcription = None
        telling = _Telling(uow, transcription_id, standpoint)
        messages = tuple(telling.of_deleted() if transcription is None else telling.of(transcription))
        return Look(messages, telling.standpoint)


@dataclass(slots=True)
class _Telling:
    uow: UnitOfWork
    transcription_id: UUID
    standpoint: Standpoint

    def of(self, transcription: Transcription) -> Iterator[tuple[Message, Place]]:
        is_final = transcription.status.is_final
        before, after = self._new_events(is_final=is_final)
        if is_final and self.standpoint.place.position and not (before or after):
            # Its end comes last: who was told that was told everything.
            self.standpoint = replace(self.standpoint, is_over=True)
            return
        for entry in before:
            yield self._told(entry)
            if _begins_anew(entry):
                yield from self._void()
        progress = Progress(transcription.status, transcription.progress, transcription.activity)
        if progress != self.standpoint.progress:
            self.standpoint = replace(self.standpoint, progress=progress)
            yield progress, self.standpoint.place
        if transcription.status is Status.COMPLETED:
            yield from self._transcript()
        else:
            yield from self._passages()
        for entry in after:
            yield self._told(entry)
        self.standpoint = replace(self.standpoint, is_over=is_final)

    def of_deleted(self) -> Iterator[tuple[Message, Place]]:
        for entry in self._entries():
            yield self._told(entry)
        self.standpoint = replace(self.standpoint, is_over=True)

    def _new_events(self, *, is_final: bool) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
        """Those that come before its last segments, and those from its end on.

        Where it has ended since it was looked up, its end is left for the next look, which news of it will bring.
        """
        entries = self._entries()
        numbers = {entry.type: number for number, entry in enumerate(entries)}
        ended = max(numbers.get(end, -1) for end in ENDS)
        if ended <= numbers.get(events.TranscriptionRetried.type, -1):
            return entries, ()
        return entries[:ended], entries[ended:] if is_final else ()

    def _entries(self) -> tuple[Entry, ...]:
        about = EventQuery(subject=str(self.transcription_id))
        return self.uow.events.after(self.standpoint.place.position, about, limit=MOST_EVENTS)

    def _passages(self) -> Iterator[tuple[Message, Place]]:
        known = self.standpoint.passages
        found = self.uow.transcripts.passages_after(self.transcription_id, known or 0)
        segments = tuple(segment for passage in found for segment in passage.segments)
        if known is None:
            if self.standpoint.place.segments > len(segments):
                yield from self._void()
            segments = segments[self.standpoint.place.segments :]
        self.standpoint = replace(self.standpoint, passages=(known or 0) + len(found))
        speech = self.uow.transcripts.speech(self.transcription_id) if segments else None
        for segment in segments:
            as_recorded = Transcript(language=None, segments=(segment,))
            yield self._heard((as_recorded if speech is None else folded(as_recorded, speech)).segments[0])

    def _transcript(self) -> Iterator[tuple[Message, Place]]:
        transcript = self.uow.transcripts.get(self.transcription_id) or Transcript(language=None, segments=())
        if not _continues(transcript, self.standpoint.place):
            yield from self._void()
        for segment in transcript.segments[self.standpoint.place.segments :]:
            yield self._heard(segment)

    def _told(self, entry: Entry) -> tuple[Message, Place]:
        return entry, self._move_to(replace(self.standpoint.place, position=entry.position))

    def _heard(self, segment: Segment) -> tuple[Message, Place]:
        place = replace(
            self.standpoint.place,
            segments=self.standpoint.place.segments + 1,
            last_milliseconds=_milliseconds(segment),
        )
        return segment, self._move_to(place)

    def _void(self) -> Iterator[tuple[Message, Place]]:
        had_some = self.standpoint.place.segments > 0
        place = self._move_to(Place(self.standpoint.place.position))
        self.standpoint = replace(self.standpoint, passages=0)
        if had_some:
            yield Restart(), place

    def _move_to(self, place: Place) -> Place:
        self.standpoint = replace(self.standpoint, place=place)
        return place


def _begins_anew(entry: Entry) -> bool:
    return entry.type == events.TranscriptionRetried.type and not entry.data["parameters_kept"]


def _continues(transcript: Transcript, place: Place) -> bool:
    """Whether the transcript begins with what was told on the way, as far as that can be seen from its last segment."""
    if place.segments == 0:
        return True
    told = transcript.segments[place.segments - 1 : place.segments]
    return bool(told) and _milliseconds(told[0]) == place.last_milliseconds and not transcript.speakers


def _milliseconds(segment: Segment) -> int:
    return round(max(segment.start_seconds, 0.0) * 1000)
