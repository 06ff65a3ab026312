"""Which events people are told of, and in what words.

The words are made from the event alone, and no event holds anything of a transcript.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hansard.application.ports.notifications import Level, Notification
from hansard.domain.alert import Severity
from hansard.domain.events import AlertFired, AlertResolved, Event, TranscriptionCompleted, TranscriptionFailed


class Occasion(StrEnum):
    ALERTS = "alerts"
    """An alert fires, or is over."""
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce:
    """`public_url` is where the service is reached from outside; None: links are left out."""

    recipients: Sequence[str]
    occasions: frozenset[Occasion]
    public_url: str | None

    def __call__(self, event: Event) -> tuple[Notification, ...]:
        """One for each recipient; none for an event that nobody wants to hear of."""
        if not self.recipients or (occasion := _occasion(event)) is None or occasion not in self.occasions:
            return ()
        title, lines, level = self._words(event)
        body = "\n".join(line for line in lines if line)
        return tuple(
            Notification(recipient=recipient, title=title, body=body, level=level) for recipient in self.recipients
        )

    def _words(self, event: Event) -> tuple[str, list[str | None], Level]:
        match event:
            case AlertFired():
                level = Level.FAILURE if event.severity == Severity.CRITICAL else Level.WARNING
                return _named("firing", event), [event.message, event.help, self._link("/analytics/alerts")], level
            case AlertResolved():
                duration = f"It is over after {_duration(event.firing_seconds)}."
                return _named("resolved", event), [duration, self._link("/analytics/alerts")], Level.SUCCESS
            case TranscriptionCompleted():
                how = f"{_duration(event.audio_seconds)} of audio, by {event.engine} ({event.model})"
                degraded = "Its quality is not what it should be: the transcription says why." if event.degraded else ""
                lines = [
                    f"Transcription {event.subject}",
                    how,
                    degraded,
                    self._link(f"/transcriptions/{event.subject}"),
                ]
                return "Hansard: a transcription is completed", lines, Level.SUCCESS
            case TranscriptionFailed(failure=failure):
                engine = f"Engine: {failure.engine}" if failure.engine else None
                reason = f"{failure.message} ({failure.code})"
                link = self._link(f"/transcriptions/{event.subject}")
                lines = [f"Transcription {event.subject}", engine, reason, failure.help, link]
                return "Hansard: a transcription failed", lines, Level.FAILURE
            case _:
                raise AssertionError(event.type)

    def _link(self, path: str) -> str | None:
        return None if self.public_url is None else f"{self.public_url.rstrip('/')}{path}"


def _occasion(event: Event) -> Occasion | None:
    match event:
        case AlertFired() | AlertResolved():
            return Occasion.ALERTS
        case TranscriptionCompleted():
            return Occasion.COMPLETED
        case TranscriptionFailed():
            return Occasion.FAILED
        case _:
            return None


def _named(state: str, alert: AlertFired | AlertResolved) -> str:
    return f"Hansard: {alert.subject} is {state} ({alert.severity})"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
