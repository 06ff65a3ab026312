"""Hear recordings whose words are known, and write down how well and how fast that went.

The steps of the benchmark's pipeline, in order. Each hearing is written down when it has ended, so that a benchmark
which is broken off has lost only its end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from hansard.application.ports.benchmarks import BenchedService, BenchmarkRecords, Heard, Scorer
from hansard.application.ports.clock import Clock
from hansard.domain.benchmark import BenchmarkRun, Figures, Hearing, Sample, SpeakerErrors, TextErrors
from hansard.domain.errors import Category, HansardError, NotFound
from hansard.domain.languages import LANGUAGE_NAMES, base_language
from hansard.domain.transcription import Parameters

HOPELESS = {Category.AUTHENTICATION, Category.CONFIGURATION}
"""What fails like this when the engine is warmed up fails with every file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What the first step measured."""

    files: int
    references: int
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the second step measured."""

    hearings: int
    failed: int
    audio_seconds: float


@dataclass(kw_only=True)
class RunBenchmark:
    """`observe` is told of each hearing, with how many of how many it was."""

    run: BenchmarkRun
    samples: Sequence[Sample]
    parameters: Parameters
    service: BenchedService
    scorer: Scorer
    records: BenchmarkRecords
    observe: Callable[[Hearing, int, int], object]
    clock: Clock
    _hearings: list[Hearing] = field(default_factory=list[Hearing], init=False)

    def begin(self) -> Begun:
        """Warm up. Raises the `HansardError` that every file would end in."""
        failure = self.service.warm_up(self.parameters).failure
        if failure is not None and failure.category in HOPELESS:
            raise HansardError(failure.message, code=failure.code, help=failure.help)
        self.run = replace(self.run, started_at=self.clock())
        self.records.begin(self.run)
        known = sum(sample.reference is not None for sample in self.samples)
        return Begun(files=len(self.samples), references=known, rounds=self.run.rounds)

    def measure(self) -> Measured:
        """Each round goes through all files: what slows the machine for a while shall not meet one of them alone."""
        total = len(self.samples) * self.run.rounds
        for number in range(1, self.run.rounds + 1):
            for sample in self.samples:
                hearing = self._hear(sample, number)
                self.records.add(self.run.id, hearing)
                self._hearings.append(hearing)
                self.observe(hearing, len(self._hearings), total)
        return Measured(
            hearings=total,
            failed=sum(hearing.failed for hearing in self._hearings),
            audio_seconds=sum(hearing.audio_seconds or 0.0 for hearing in self._hearings),
        )

    def conclude(self) -> Figures:
        figures = Figures.of(self._hearings)
        self.records.end(self.run.id, self.clock(), figures)
        return figures

    def _hear(self, sample: Sample, number: int) -> Hearing:
        heard = self.service.hear(sample.path, replace(self.parameters, language=_language(sample)))
        failure = heard.failure
        return Hearing(
            file=sample.name,
            digest=sample.digest,
            round=number,
            text=self._text_errors(sample, heard),
            speakers=self._speaker_errors(sample, heard),
            audio_seconds=heard.audio_seconds,
            speech_seconds=heard.speech_seconds,
            transcribed_seconds=heard.transcribed_seconds,
            processing_seconds=None if failure else heard.processing_seconds,
            latency_seconds=None if failure else heard.latency_seconds,
            cpu_seconds=None if failure else heard.cpu_seconds,
            yardstick_seconds=heard.yardstick_seconds,
            peak_memory_bytes=heard.peak_memory_bytes,
            engine=heard.engine,
            degraded=heard.degraded,
            failure_code=failure.code if failure else None,
            failure_message=failure.message if failure else None,
        )

    def _text_errors(self, sample: Sample, heard: Heard) -> TextErrors | None:
        if sample.reference is None:
            return None
        return self.scorer.text_errors(sample.reference, heard.text, sample.language)

    def _speaker_errors(self, sample: Sample, heard: Heard) -> SpeakerErrors | None:
        if sample.turns is None or not self.parameters.diarize or not self.scorer.knows_speakers:
            return None
        return self.scorer.speaker_errors(sample.turns, heard.turns, heard.audio_seconds)


def find_run(records: BenchmarkRecords, name: str) -> UUID:
    """By its id, the beginning of it, `latest`, or `latest~2`: the second that ended before that. Raises `NotFound`."""
    if name.partition("~")[0] == "latest":
        back = name.removeprefix("latest").removeprefix("~") or "0"
        found = records.recent(int(back) + 1, ended_only=True)[int(back) :] if back.isdecimal() else ()
    else:
        runs = records.recent(MOST_LOOKED_THROUGH)
        found = [run for run in runs if str(run.id).startswith(name.lower())]
    if len(found) != 1:
        raise NotFound(
            f"There {'are several benchmarks' if found else 'is no benchmark'} {name!r}.",
            help="`hansard bench list` shows them; `latest` is the last that ended, `latest~1` the one before.",
        )
    return found[0].id


MOST_LOOKED_THROUGH = 10_000


def _language(sample: Sample) -> str | None:
    """As an engine may be told it; one that is none, or several (`en+de`), it has to find out."""
    if sample.language is None or base_language(sample.language) not in LANGUAGE_NAMES:
        return None
    return sample.language
