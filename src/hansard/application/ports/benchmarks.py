"""What a benchmark needs: the service it is about, somebody who counts errors, a place for what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from hansard.domain.benchmark import Benchmark, BenchmarkRun, Figures, Hearing, SpeakerErrors, TextErrors
from hansard.domain.diarization import Turn
from hansard.domain.errors import Failure
from hansard.domain.transcription import Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came of one recording; of one that failed, `failure` and what was measured before. Words go no further."""

    text: str = ""
    turns: tuple[Turn, ...] = ()
    engine: str | None = None
    audio_seconds: float | None = None
    speech_seconds: float | None = None
    transcribed_seconds: float | None = None
    processing_seconds: float | None = None
    latency_seconds: float | None = None
    cpu_seconds: float | None = None
    yardstick_seconds: float | None = None
    peak_memory_bytes: int | None = None
    degraded: bool = False
    failure: Failure | None = None


class BenchedService(Protocol):
    """A service with an empty record, which nobody else uses."""

    def hear(self, recording: Path, parameters: Parameters) -> Heard:
        """Hand it in and wait for the record to be closed. Raises `HansardError` where the service itself is broken."""
        ...

    def warm_up(self, parameters: Parameters) -> Heard:
        """The same with a short recording of its own, so that models are loaded."""
        ...


class Scorer(Protocol):
    @property
    def name(self) -> str:
        """Changes where it would count otherwise."""
        ...

    @property
    def knows_speakers(self) -> bool: ...

    def text_errors(self, reference: str, heard: str, language: str | None) -> TextErrors: ...

    def speaker_errors(
        self, reference: Sequence[Turn], heard: Sequence[Turn], audio_seconds: float | None
    ) -> SpeakerErrors:
        """To be called only if it `knows_speakers`. What lies after `audio_seconds` is not judged."""
        ...


class BenchmarkRecords(Protocol):
    """All methods raise `AnalyticsUnavailable`."""

    def begin(self, run: BenchmarkRun) -> None: ...

    def add(self, run_id: UUID, hearing: Hearing) -> None: ...

    def end(self, run_id: UUID, ended_at: datetime, figures: Figures) -> None: ...

    def recent(self, limit: int, *, ended_only: bool = False) -> tuple[BenchmarkRun, ...]:
        """The latest to begin first."""
        ...

    def get(self, run_id: UUID) -> Benchmark:
        """With what it has come to by now. Raises `NotFound`."""
        ...
