"""The facts of the service, in the past tense. Each is written in the same commit as the change it tells of.

Consumers rely on `type` and on the fields: add fields, don't change them. No event carries audio or words.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from hansard.domain.errors import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`subject_id` is the audio file or transcription that the event is about."""

    type: ClassVar[str]

    subject_id: UUID
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFileUploaded(Event):
    type = "audio.uploaded"

    file_name: str
    size_bytes: int
    sha256: str
    duration_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionQueued(Event):
    """Asked for, with the engine asked for."""

    type = "transcription.queued"

    audio_id: UUID
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionStarted(Event):
    """A worker took it. `run` counts the times that happened."""

    type = "transcription.started"

    audio_id: UUID
    run: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionInterrupted(Event):
    """Run `run` ended without an outcome: its worker died or was stopped. It is queued again."""

    type = "transcription.interrupted"

    audio_id: UUID
    run: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionCompleted(Event):
    type = "transcription.completed"

    audio_id: UUID
    engine: str
    model: str
    language: str | None
    audio_seconds: float
    word_count: int
    degraded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionFailed(Event):
    type = "transcription.failed"

    audio_id: UUID
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionCancelled(Event):
    type = "transcription.cancelled"

    audio_id: UUID
