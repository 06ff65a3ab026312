"""A benchmark: recordings whose words are known are heard, and what came of it is counted.

A recording that failed counts as one in which nothing was understood: all of its words are errors. That is what whoever
handed it in has got, and nothing that gives up on what is hard can look better for it. The rate over those that were
heard stands beside it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from math import exp, log
from pathlib import Path
from statistics import fmean, median
from uuid import UUID

from hansard.domain.diarization import Turn

Setting = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A recording, and what is known of it; None where that is nothing. `digest` changes with all of that."""

    name: str
    path: Path
    digest: str
    reference: str | None = None
    language: str | None = None
    turns: tuple[Turn, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where times were measured. Machines of the same `id` are alike, and so are their times."""

    id: str
    processor: str
    cores: int
    memory_bytes: int
    system: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextErrors:
    """Of a text as it was heard, against as it was said, both normalised. Errors may be more than what was said."""

    words: int
    word_errors: int
    characters: int
    character_errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerErrors:
    """How long the wrong person, nobody or too many were told to speak, of the time that people do, each counted."""

    speaker_seconds: float
    error_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """One time that a recording was heard; `round` counts from 1.

    Of one that failed there are no times. `latency_seconds` is from handing it in to the closed record,
    `processing_seconds` the engine's part of it; `cpu_seconds` are the processor's meanwhile, of all cores.
    `yardstick_seconds` is what a fixed piece of work took beside it: that tells how fast the machine was just then.
    """

    file: str
    digest: str
    round: int
    text: TextErrors | None = None
    speakers: SpeakerErrors | None = None
    audio_seconds: float | None = None
    speech_seconds: float | None = None
    transcribed_seconds: float | None = None
    processing_seconds: float | None = None
    latency_seconds: float | None = None
    cpu_seconds: float | None = None
    yardstick_seconds: float | None = None
    peak_memory_bytes: int | None = None
    engine: str | None = None
    degraded: bool = False
    failure_code: str | None = None
    failure_message: str | None = None

    @property
    def failed(self) -> bool:
        return self.failure_code is not None

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of recognition for a second of audio."""
        if self.processing_seconds is None or not self.audio_seconds:
            return None
        return self.processing_seconds / self.audio_seconds

    @property
    def cpu_factor(self) -> float | None:
        """Seconds of the processor for a second of audio."""
        return None if self.cpu_seconds is None or not self.audio_seconds else self.cpu_seconds / self.audio_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a benchmark came to as a whole; None where nothing could be measured, or was by an older version.

    Error rates are pooled: all errors by all words, characters or seconds of speakers. `wer_of_heard` leaves out what
    failed. `real_time_factor`, `cpu_factor` and `latency_seconds` are geometric means over the files of each one's
    median over the rounds, so that no long file outweighs all others. `failed` is of `hearings`.
    """

    files: int
    hearings: int
    failed: int
    words: int
    audio_seconds: float
    wer: float | None = None
    wer_of_heard: float | None = None
    cer: float | None = None
    der: float | None = None
    coverage: float | None = None
    real_time_factor: float | None = None
    cpu_factor: float | None = None
    latency_seconds: float | None = None
    peak_memory_bytes: int | None = None

    @classmethod
    def of(cls, hearings: Iterable[Hearing]) -> "Figures":
        every = tuple(hearings)
        files = by_file(every)
        texts = [hearing.text for hearing in every if hearing.text]
        heard = [hearing.text for hearing in every if hearing.text and not hearing.failed]
        told = [hearing.speakers for hearing in every if hearing.speakers]
        return cls(
            files=len(files),
            hearings=len(every),
            failed=sum(hearing.failed for hearing in every),
            words=sum(text.words for text in texts),
            wer=_rate((text.word_errors, text.words) for text in texts),
            wer_of_heard=_rate((text.word_errors, text.words) for text in heard),
            cer=_rate((text.character_errors, text.characters) for text in texts),
            der=_rate((speakers.error_seconds, speakers.speaker_seconds) for speakers in told),
            coverage=_rate((each.transcribed_seconds or 0.0, each.speech_seconds or 0.0) for each in every),
            real_time_factor=_geometric_mean(files, lambda hearing: hearing.real_time_factor),
            cpu_factor=_geometric_mean(files, lambda hearing: hearing.cpu_factor),
            latency_seconds=_geometric_mean(files, lambda hearing: hearing.latency_seconds),
            peak_memory_bytes=max((hearing.peak_memory_bytes or 0 for hearing in every), default=0) or None,
            audio_seconds=sum(hearing.audio_seconds or 0.0 for hearing in every),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRun:
    """What was measured where. Both times are None until it has come to its end, and so are the figures.

    `settings` are those that the outcome depends on, engine and model among them; `scoring` names what counts the
    errors. `corpus` is the name of the recordings' directory.
    """

    id: UUID
    started_at: datetime
    commit: str
    version: str
    engine: str
    model: str | None
    corpus: str
    rounds: int
    machine: Machine
    settings: Mapping[str, Setting]
    libraries: Mapping[str, str]
    scoring: str
    note: str | None = None
    ended_at: datetime | None = None
    figures: Figures | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A run with all that was heard in it."""

    run: BenchmarkRun
    hearings: tuple[Hearing, ...]


def by_file(hearings: Iterable[Hearing]) -> dict[str, tuple[Hearing, ...]]:
    ordered = sorted(hearings, key=lambda hearing: (hearing.file, hearing.round))
    return {file: tuple(rounds) for file, rounds in groupby(ordered, key=lambda hearing: hearing.file)}


def median_of(hearings: Iterable[Hearing], measure: Callable[[Hearing], float | None]) -> float | None:
    """Over the rounds that have it."""
    measured = [value for hearing in hearings if (value := measure(hearing))]
    return median(measured) if measured else None


def _rate(parts: Iterable[tuple[float, float]]) -> float | None:
    tops, bottoms = map(sum, zip(*parts, strict=True)) if (parts := tuple(parts)) else (0.0, 0.0)
    return tops / bottoms if bottoms else None


def _geometric_mean(
    files: Mapping[str, tuple[Hearing, ...]], measure: Callable[[Hearing], float | None]
) -> float | None:
    medians = [value for hearings in files.values() if (value := median_of(hearings, measure))]
    return exp(fmean(map(log, medians))) if medians else None
