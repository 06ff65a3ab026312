"""Alerts, and what they are judged by."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hansard.domain.alert import Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What became of the transcriptions that ended in a stretch of time, as the events tell it.

    `failed` are those that somebody here should see to: not those that a client's mistake failed, nor the cancelled.
    `refused` are the former of these. Latencies are the 95th percentile of the seconds from being asked for to
    `completed`; None where none was.
    """

    completed: int
    failed: int
    refused: int
    fell_back: int
    """Of the completed, those that an engine was replaced in."""
    low_coverage: int
    """Of the completed, those with less of the speech in text than was asked about."""
    latency_seconds: float | None
    interactive_completed: int
    interactive_latency_seconds: float | None

    @property
    def finished(self) -> int:
        return self.completed + self.failed + self.refused


class OutcomeLog(Protocol):
    def since(self, moment: datetime, *, low_coverage: float) -> Outcomes: ...


class AlertRepository(Protocol):
    """Saving an alert also writes the events it recorded."""

    def get(self, name: str) -> Alert:
        """One that was never saved is `ok`. It is locked until the unit of work ends."""
        ...

    def all(self) -> tuple[Alert, ...]:
        """Those that were ever saved, by name."""
        ...

    def save(self, alert: Alert) -> None: ...
