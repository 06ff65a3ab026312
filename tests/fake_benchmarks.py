"""A benchmark without a service: what is heard, and what that costs, is up to the test."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from hansard.application.ports.benchmarks import Heard
from hansard.domain.benchmark import (
    Benchmark,
    BenchmarkRun,
    Figures,
    Hearing,
    Machine,
    Sample,
    SpeakerErrors,
    TextErrors,
)
from hansard.domain.diarization import Turn
from hansard.domain.errors import NotFound
from hansard.domain.transcription import Parameters

BEGAN = datetime(2026, 11, 23, 12, tzinfo=UTC)
LAPTOP = Machine(id="laptop", processor="Some CPU", cores=4, memory_bytes=16 << 30, system="Linux x86_64")


def a_run(**facts: object) -> BenchmarkRun:
    run = BenchmarkRun(
        id=uuid4(),
        started_at=BEGAN,
        ended_at=BEGAN,
        commit="0123456789abcdef",
        version="1.0",
        engine="fake",
        model="small",
        corpus="talks",
        rounds=1,
        machine=LAPTOP,
        settings={"engine": "fake", "model": "small", "beam": 5},
        libraries={"numpy": "2.0"},
        scoring="counted",
    )
    return replace(run, **facts)  # type: ignore[arg-type]


def a_hearing(file: str, round: int = 1, **facts: object) -> Hearing:
    hearing = Hearing(
        file=file,
        digest=f"digest of {file}",
        round=round,
        text=TextErrors(words=20, word_errors=4, characters=100, character_errors=10),
        audio_seconds=10.0,
        speech_seconds=8.0,
        transcribed_seconds=8.0,
        processing_seconds=2.0,
        latency_seconds=2.5,
        cpu_seconds=2.2,
        yardstick_seconds=0.01,
        peak_memory_bytes=300_000_000,
        engine="fake",
    )
    return replace(hearing, **facts)  # type: ignore[arg-type]


@dataclass
class FakeBenchedService:
    """Hears what `hears` says, by the file's name."""

    hears: Callable[[str], Heard] = lambda name: Heard(text=name, audio_seconds=10.0, processing_seconds=2.0)
    warmth: Heard = field(default_factory=Heard)
    asked: list[tuple[str, Parameters]] = field(default_factory=list)

    def hear(self, recording: Path, parameters: Parameters) -> Heard:
        self.asked.append((recording.name, parameters))
        return self.hears(recording.name)

    def warm_up(self, parameters: Parameters) -> Heard:
        return self.warmth


class FakeScorer:
    """A word is wrong where another one stands; a second, where another speaker does."""

    name = "counted"
    knows_speakers = True

    def text_errors(self, reference: str, heard: str, language: str | None) -> TextErrors:
        said, understood = reference.split(), heard.split()
        right = sum(one == other for one, other in zip(said, understood, strict=False))
        errors = max(len(said), len(understood)) - right
        return TextErrors(words=len(said), word_errors=errors, characters=len(reference), character_errors=errors)

    def speaker_errors(
        self, reference: Sequence[Turn], heard: Sequence[Turn], audio_seconds: float | None
    ) -> SpeakerErrors:
        seconds = sum(turn.span.seconds for turn in reference)
        return SpeakerErrors(
            speaker_seconds=seconds, error_seconds=0.0 if tuple(reference) == tuple(heard) else seconds
        )


class FakeBenchmarkRecords:
    def __init__(self) -> None:
        self._runs: dict[UUID, BenchmarkRun] = {}
        self._hearings: dict[UUID, list[Hearing]] = {}

    def begin(self, run: BenchmarkRun) -> None:
        self._runs[run.id], self._hearings[run.id] = run, []

    def add(self, run_id: UUID, hearing: Hearing) -> None:
        self._hearings[run_id].append(hearing)

    def end(self, run_id: UUID, ended_at: datetime, figures: Figures) -> None:
        self._runs[run_id] = replace(self._runs[run_id], ended_at=ended_at, figures=figures)

    def recent(self, limit: int, *, ended_only: bool = False) -> tuple[BenchmarkRun, ...]:
        runs = [run for run in self._runs.values() if run.ended_at or not ended_only]
        return tuple(sorted(runs, key=lambda run: run.started_at, reverse=True)[:limit])

    def get(self, run_id: UUID) -> Benchmark:
        if run_id not in self._runs:
            raise NotFound(f"There is no benchmark {run_id}.")
        ordered = sorted(self._hearings[run_id], key=lambda hearing: (hearing.round, hearing.file))
        return Benchmark(run=self._runs[run_id], hearings=tuple(ordered))


def a_sample(name: str, **facts: object) -> Sample:
    return replace(Sample(name=name, path=Path(name), digest=f"digest of {name}"), **facts)  # type: ignore[arg-type]
