"""Benchmarks as JSON: what was measured where, and what it came to."""

from datetime import datetime
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
    def of(cls, run: BenchmarkRun) -> "BenchmarkSummary":
        found = run.figures
        return cls(
            id=run.id,
            started_at=run.started_at,
            ended_at=run.ended_at,
            commit=run.commit,
            version=run.version,
            engine=run.engine,
            model=run.model,
            corpus=run.corpus,
            note=run.note,
            figures=None
            if found is None
            else BenchmarkFigures(
                files=found.files,
                failed=found.failed,
                wer=found.wer,
                cer=found.cer,
                der=found.der,
                coverage=found.coverage,
                real_time_factor=found.real_time_factor,
                latency_seconds=found.latency_seconds,
                peak_memory_bytes=found.peak_memory_bytes,
            ),
        )


class BenchmarkList(BaseModel):
    items: list[BenchmarkSummary]
