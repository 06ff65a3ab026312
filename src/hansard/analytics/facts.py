"""What the events say, as facts that can be counted: events in, rows out, nothing else.

Facts are made in the order of the events, so it makes no difference in which pieces they come. Of what began before the
first event that is left, nothing is made: half a story would be counted as a whole one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from hansard.domain import events
from hansard.domain.audit import Entry
from hansard.domain.transcription import Status

Row = dict[str, Any]

_HAPPENINGS: Mapping[str, str] = {
    events.EngineCircuitOpened.type: "circuit_opened",
    events.EngineCircuitClosed.type: "circuit_closed",
    events.EngineDisabled.type: "disabled",
    events.EngineEnabled.type: "enabled",
    events.CanaryRecognised.type: "canary",
}
_ENDS: Mapping[str, Status] = {
    events.TranscriptionCompleted.type: Status.COMPLETED,
    events.TranscriptionFailed.type: Status.FAILED,
    events.TranscriptionCancelled.type: Status.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionFact:
    """One time that a transcription was asked for: a row of `transcription_facts`, with its columns' names."""

    id: UUID
    ask: int
    audio_id: UUID
    owner: str | None
    engine_asked: str
    interactive: bool
    status: str
    asked_at: datetime
    changed_at: datetime
    ended_at: datetime | None = None
    deleted_at: datetime | None = None
    queue_seconds: float = 0.0
    running_seconds: float = 0.0
    recognising_seconds: float = 0.0
    runs: int = 0
    interruptions: int = 0
    attempts: int = 0
    fallbacks: int = 0
    engine: str | None = None
    model: str | None = None
    language: str | None = None
    audio_seconds: float | None = None
    word_count: int | None = None
    coverage: float | None = None
    degraded: bool | None = None
    failure_code: str | None = None
    failure_category: str | None = None

    def moved(self, status: Status, at: datetime) -> "TranscriptionFact":
        """The time since the last move belongs to the status that it leaves. Clocks of two machines may disagree."""
        seconds = max(0.0, (at - self.changed_at).total_seconds())
        was_running = self.status == Status.RUNNING
        return replace(
            self,
            status=status.value,
            changed_at=at,
            ended_at=at if status.is_final else None,
            queue_seconds=self.queue_seconds + (0.0 if was_running else seconds),
            running_seconds=self.running_seconds + (seconds if was_running else 0.0),
        )


@dataclass(slots=True)
class Facts:
    """What some events change. `latest` has to hold the last fact of each transcription that they are about, where
    there is one. A deletion is of all facts about its id.
    """

    latest: dict[UUID, TranscriptionFact] = field(default_factory=dict[UUID, TranscriptionFact])
    transcriptions: dict[tuple[UUID, int], TranscriptionFact] = field(
        default_factory=dict[tuple[UUID, int], TranscriptionFact]
    )
    attempts: list[Row] = field(default_factory=list[Row])
    audio: list[Row] = field(default_factory=list[Row])
    engines: list[Row] = field(default_factory=list[Row])
    transcriptions_deleted: list[Row] = field(default_factory=list[Row])
    audio_deleted: list[Row] = field(default_factory=list[Row])

    def note(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry.type.startswith("transcription."):
                self._note_transcription(entry)
            elif entry.type in _HAPPENINGS:
                self._note_engine(entry)
            elif entry.type == events.AudioFileUploaded.type:
                self._note_upload(entry)
            elif entry.type == events.AudioFileDeleted.type:
                self.audio_deleted.append({"of_id": UUID(entry.subject), "at": entry.occurred_at})

    def _note_transcription(self, entry: Entry) -> None:
        of_id, at = UUID(entry.subject), entry.occurred_at
        if entry.type == events.TranscriptionQueued.type:
            self._keep(_asked(entry, ask=1))
            return
        fact = self.latest.get(of_id)
        if fact is None:
            return
        match entry.type:
            case events.TranscriptionRetried.type:
                self._keep(_asked(entry, ask=fact.ask + 1, before=fact))
            case events.TranscriptionStarted.type:
                self._keep(replace(fact.moved(Status.RUNNING, at), runs=fact.runs + 1))
            case events.TranscriptionInterrupted.type:
                self._keep(replace(fact.moved(Status.QUEUED, at), interruptions=fact.interruptions + 1))
            case events.EngineAttempted.type:
                self._note_attempt(entry, fact)
            case events.EngineFellBack.type:
                self._keep(replace(fact, fallbacks=fact.fallbacks + 1))
                self._note_engine(entry)
            case (
                events.TranscriptionCompleted.type
                | events.TranscriptionFailed.type
                | events.TranscriptionCancelled.type
            ):
                self._keep(_ended(fact, entry))
            case events.TranscriptionDeleted.type:
                self.transcriptions_deleted.append({"of_id": of_id, "at": at})
            case _:
                pass

    def _keep(self, fact: TranscriptionFact) -> None:
        self.latest[fact.id] = self.transcriptions[fact.id, fact.ask] = fact

    def _note_attempt(self, entry: Entry, fact: TranscriptionFact) -> None:
        data = entry.data
        self._keep(
            replace(
                fact,
                attempts=fact.attempts + 1,
                recognising_seconds=fact.recognising_seconds + data["processing_seconds"],
                engine=data["engine"],
                model=data["model"],
            )
        )
        self.attempts.append(
            {
                "transcription_id": fact.id,
                "number": data["number"],
                "ended_at": entry.occurred_at,
                "owner": fact.owner,
                **{name: data[name] for name in ("engine", "model", "outcome")},
                **{name: data[name] for name in ("recognised_seconds", "processing_seconds")},
                **{name: data.get(name, 0) for name in ("input_tokens", "output_tokens")},
                **_failure(data),
            }
        )

    def _note_upload(self, entry: Entry) -> None:
        data = entry.data
        self.audio.append(
            {
                "id": UUID(entry.subject),
                "uploaded_at": entry.occurred_at,
                "owner": data.get("owner"),
                "size_bytes": data["size_bytes"],
                "duration_seconds": data["duration_seconds"],
                "deleted_at": None,
            }
        )

    def _note_engine(self, entry: Entry) -> None:
        data = entry.data
        is_fallback = entry.type == events.EngineFellBack.type
        self.engines.append(
            {
                "position": entry.position,
                "occurred_at": entry.occurred_at,
                "engine": data["engine"] if is_fallback else entry.subject,
                "happening": "fell_back" if is_fallback else _HAPPENINGS[entry.type],
                "transcription_id": UUID(entry.subject) if is_fallback else None,
                "failure_code": _failure(data)["failure_code"],
                **{name: data.get(name) for name in ("next_engine", "passed", "word_accuracy", "processing_seconds")},
            }
        )


def _asked(entry: Entry, *, ask: int, before: TranscriptionFact | None = None) -> TranscriptionFact:
    data = entry.data
    return TranscriptionFact(
        id=UUID(entry.subject),
        ask=ask,
        audio_id=UUID(data["audio_id"]),
        owner=before.owner if before else data.get("owner"),
        engine_asked=data["engine"],
        interactive=before.interactive if before else data.get("interactive", False),
        status=Status.QUEUED.value,
        asked_at=entry.occurred_at,
        changed_at=entry.occurred_at,
    )


def _ended(fact: TranscriptionFact, entry: Entry) -> TranscriptionFact:
    data = entry.data
    ended = replace(fact.moved(_ENDS[entry.type], entry.occurred_at), **_failure(data))
    if entry.type != events.TranscriptionCompleted.type:
        return ended
    return replace(
        ended,
        **{name: data[name] for name in ("engine", "model", "language", "audio_seconds", "word_count", "degraded")},
        coverage=data.get("coverage"),
    )


def _failure(data: Mapping[str, Any]) -> Row:
    failure: Mapping[str, Any] = data.get("failure") or {}
    return {"failure_code": failure.get("code"), "failure_category": failure.get("category")}
