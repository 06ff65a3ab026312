"""What is kept for a while only, and how much of it there is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Amount:
    """`size_bytes` is None where nobody knows."""

    count: int
    size_bytes: int | None

    def __add__(self, other: "Amount") -> "Amount":
        is_known = self.size_bytes is not None and other.size_bytes is not None
        return Amount(self.count + other.count, (self.size_bytes or 0) + (other.size_bytes or 0) if is_known else None)


NOTHING = Amount(0, 0)


@dataclass(frozen=True, slots=True)
class OldEntries:
    """The oldest entries of the audit trail, up to `position`."""

    position: int
    amount: Amount


class CheckpointRepository(Protocol):
    """What was found out on the way to a transcript (speech, passages, turns), counted by transcription."""

    def of_ended_before(self, moment: datetime) -> Amount: ...

    def remove_of_ended_before(self, moment: datetime, *, limit: int) -> Amount:
        """Of so many transcriptions at most; those that somebody is changing are left for the next time."""
        ...
