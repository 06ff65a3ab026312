"""What people changed in a transcript, so that every state it was in can be shown again.

A revision keeps what it took out and what it put in, not a copy of an hour of words: the state before it is the state
after it with its hunks undone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from hansard.domain.matching import anchored, gaps
from hansard.domain.transcript import Segment, Transcript


class Change(StrEnum):
    TEXT = "text"
    SPEAKER = "speaker"
    SPLIT = "split"
    MERGE = "merge"
    SPEAKER_RENAMED = "speaker_renamed"
    RESTORED = "restored"
    REPLACED = "replaced"
    """All of it at once."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """At the place `at`, counted in segments of the state before, `removed` gave way to `inserted`."""

    at: int
    removed: tuple[Segment, ...]
    inserted: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionNote:
    """Who made a revision, when, and what it is about.

    `number` 0 is what the engine wrote, and has no revision of its own; the first correction makes number 1. `author`
    is as the editor named himself.
    """

    number: int
    made_at: datetime
    author: str | None
    change: Change
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision(RevisionNote):
    """`hunks` are in order of place and don't overlap."""

    hunks: tuple[Hunk, ...]


@dataclass(frozen=True, slots=True)
class Revised:
    """A transcript, and the number of the revision that it is."""

    transcript: Transcript
    number: int


def difference(before: Sequence[Segment], after: Sequence[Segment]) -> tuple[Hunk, ...]:
    """The hunks that make `after` of `before`."""
    pairs = [
        (old, new)
        for old, new in anchored([_key(each) for each in before], [_key(each) for each in after])
        if before[old] == after[new]
    ]
    return tuple(
        Hunk(old.start, tuple(before[old.start : old.stop]), tuple(after[new.start : new.stop]))
        for old, new in gaps(pairs, len(before), len(after))
    )


def undone(transcript: Transcript, hunks: Iterable[Hunk]) -> Transcript:
    """The state before the hunks."""
    segments = list(transcript.segments)
    for hunk in hunks:
        # What lies before it is as it was already, so that its place is the one it tells.
        segments[hunk.at : hunk.at + len(hunk.inserted)] = hunk.removed
    return replace(transcript, segments=tuple(segments))


def at_revision(revised: Revised, revisions: Iterable[Revision], number: int) -> Transcript:
    """The transcript as it was at that revision. `revisions` must have all that were made since."""
    transcript = revised.transcript
    for revision in sorted(revisions, key=lambda revision: revision.number, reverse=True):
        if number < revision.number <= revised.number:
            transcript = undone(transcript, revision.hunks)
    return transcript


def _key(segment: Segment) -> tuple[float, float, str]:
    """Tells nearly all segments of a transcript apart, and is quicker to compare than all their words."""
    return segment.start_seconds, segment.end_seconds, segment.text
