"""Benchmarks as JSON: what was measured where, and what it came to."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from hansard.domain.benchmark import BenchmarkRun


class BenchmarkFigures(BaseModel):
    """Rates are of all words, characters and seconds together; times are geometric means over the files. What could not
    be measured is null.
    """

    files: int
    failed: int
    wer: float | None = Field(description="Word error rate; one that failed counts as all wrong.")
    cer: float | None = Field(description="Character error rate.")
    der: float | None = Field(description="Diarization error rate.")
    coverage: float | None = Field(description="The part of the speech that has text.")
    real_time_factor: float | None = Field(description="Seconds of recognition for a second of audio.")
    latency_seconds: float | None
    peak_memory_bytes: int | None


class BenchmarkSummary(BaseModel):
    id: UUID
    started_at: datetime
    ended_at: datetime | None
    commit: str
    version: str
    engine: str
    model: str | None
    corpus: str
    note: str | None
    figures: BenchmarkFigures | None

    @classmethod
    def of(cls, run: BenchmarkRun) -> Self:
        return cls.model_validate(run, from_attributes=True)


class BenchmarkList(BaseModel):
    items: list[BenchmarkSummary]
