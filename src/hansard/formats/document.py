"""A transcript with what whoever reads it should know of it: where it comes from, and what it lacks."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

from hansard.domain.speech import Span
from hansard.domain.transcript import Transcript
from hansard.domain.transcription import Status, Task, Transcription


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file is written from. None is what is not known.

    `file_name` is the recording's. `corrections` counts the revisions that people made. `gaps` are the stretches of
    speech that have no text. `partial`: the transcription ended early, and this is what it had.
    """

    transcript: Transcript
    file_name: str
    transcribed_at: datetime | None = None
    audio_seconds: float | None = None
    engine: str | None = None
    model: str | None = None
    translated: bool = False
    corrections: int = 0
    partial: bool = False
    degraded_reasons: tuple[str, ...] = ()
    gaps: tuple[Span, ...] = ()

    @classmethod
    def of(
        cls, transcription: Transcription, transcript: Transcript, *, file_name: str, corrections: int = 0
    ) -> "Document":
        result = transcription.result
        last = transcription.attempts[-1] if transcription.attempts else None
        done_by = result or last
        return cls(
            transcript=transcript,
            file_name=file_name,
            transcribed_at=transcription.ended_at,
            audio_seconds=result.audio_seconds if result else None,
            engine=done_by.engine if done_by else None,
            model=done_by.model if done_by else None,
            translated=transcription.parameters.task is Task.TRANSLATE,
            corrections=corrections,
            partial=transcription.status is not Status.COMPLETED,
            degraded_reasons=result.degraded_reasons if result else (),
            gaps=result.coverage.gaps if result else (),
        )

    @property
    def stem(self) -> str:
        """What a file with this in it is called, before its own ending; a part says in its name that it is one."""
        return (PurePath(self.file_name).stem or "transcript") + (".partial" if self.partial else "")
