"""Last step: put the passages together, and close the record."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from hansard.application.diarize import wants_diarizer
from hansard.application.engine_chain import EngineChain
from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.application.run import Record, Run, Runs
from hansard.domain.channels import folded, folded_coverage
from hansard.domain.coverage import Coverage, covered
from hansard.domain.diarization import with_speakers
from hansard.domain.errors import InvalidAudio
from hansard.domain.events import EngineFellBack
from hansard.domain.speech import Speech
from hansard.domain.transcript import RecognisedPassage, Transcript
from hansard.domain.transcription import Attempt, AttemptOutcome, Result, Transcription
from hansard.timing.decorators import monitor_performance

LEAST_COVERAGE = 0.9
"""Below this, speech is missing even where no gap is long enough to be told. Recordings that lack nothing are at 0.98
and above, with word times that are half a second off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What the whole transcription came to."""

    engine: str
    model: str
    language: str | None
    audio_seconds: float
    speech_seconds: float
    processing_seconds: float
    real_time_factor: float
    segments: int
    words: int
    degraded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Raises `InvalidAudio` when the engine heard no word in what sounded like speech.

    Speech without text is a gap where `gap_seconds` of it or more are in one place.
    """

    runs: Runs
    chain: EngineChain
    gap_seconds: float
    clock: Clock

    @monitor_performance
    def __call__(self, transcription_id: UUID, run_number: int) -> Settled:
        run = self.runs.of(transcription_id, run_number)
        with run.failures_recorded():
            return self._close(run, run.record)

    def _close(self, run: Run, record: Record) -> Settled:
        transcription_id, passages, speech = run.transcription_id, record.passages, record.speech or Speech(0.0, ())
        with run.change(saves_transcript=True) as (uow, transcription):
            turns = uow.transcripts.turns(transcription_id) if wants_diarizer(transcription.parameters) else None
            transcript, coverage = covered(Transcript.of(passages), speech, gap_seconds=self.gap_seconds)
            _require_words(transcript, speech)
            transcript, coverage = folded(transcript, speech), folded_coverage(coverage, speech)
            transcript = with_speakers(transcript, turns or ())
            most = _most_used(passages)
            result = Result(
                engine=most.engine,
                model=most.model,
                language=transcript.language,
                language_probability=transcript.language_probability,
                audio_seconds=speech.audio_seconds,
                speech_seconds=speech.seconds,
                word_count=transcript.word_count,
                processing_seconds=_seconds_spent(transcription.attempts),
                coverage=coverage,
                degraded_reasons=(
                    *self._lesser_engines(passages),
                    *self._changes_of_engine(uow, transcription, passages),
                    *_missing_speech(coverage),
                ),
            )
            uow.transcripts.save(transcription, transcript)
            transcription.complete(result, self.clock())
        return Settled(
            engine=result.engine,
            model=result.model,
            language=result.language,
            audio_seconds=result.audio_seconds,
            speech_seconds=result.speech_seconds,
            processing_seconds=result.processing_seconds,
            real_time_factor=result.real_time_factor,
            segments=len(transcript.segments),
            words=result.word_count,
            degraded=bool(result.degraded_reasons),
        )

    def _lesser_engines(self, passages: Iterable[RecognisedPassage]) -> Iterator[str]:
        used = {passage.engine for passage in passages}
        for name, engine in self.chain.engines.items():
            if name in used and engine.degraded_reason is not None:
                yield engine.degraded_reason

    def _changes_of_engine(
        self, uow: UnitOfWork, transcription: Transcription, passages: Iterable[RecognisedPassage]
    ) -> Iterator[str]:
        """Why the record is not, or not all, by the engine that should have made it."""
        used = {passage.engine for passage in passages}
        if used == {self.chain.first(transcription.parameters)}:
            return
        events = uow.events.of(transcription.id)
        fell_back = [event for event in events if isinstance(event, EngineFellBack) and event.next_engine in used]
        changes = {(event.engine, event.next_engine): event.failure for event in fell_back}
        for (engine, next_engine), failure in changes.items():
            yield f"{engine} could not go on ({failure.code}), so {next_engine} took over"


def _missing_speech(coverage: Coverage) -> Iterator[str]:
    """Speech may be missing in gaps, or here and there, in pieces that are each too short for one."""
    if coverage.gaps or coverage.ratio < LEAST_COVERAGE:
        missing = coverage.speech_seconds - coverage.transcribed_seconds
        yield f"{missing:.1f} s of {coverage.speech_seconds:.1f} s that sound like speech have no text"


def _most_used(passages: Iterable[RecognisedPassage]) -> RecognisedPassage:
    """A passage of the engine and model that recognised most of the recording."""
    seconds: dict[tuple[str, str], float] = {}
    example: dict[tuple[str, str], RecognisedPassage] = {}
    for passage in passages:
        key = (passage.engine, passage.model)
        seconds[key] = seconds.get(key, 0.0) + passage.span.seconds
        example[key] = passage
    return example[max(seconds, key=lambda key: seconds[key])]


def _seconds_spent(attempts: Iterable[Attempt]) -> float:
    """Attempts that came to an end; how long an abandoned one really worked is not known."""
    return sum(
        attempt.processing_seconds or 0.0 for attempt in attempts if attempt.outcome is not AttemptOutcome.ABANDONED
    )


def _require_words(transcript: Transcript, speech: Speech) -> None:
    if not transcript.text:
        raise InvalidAudio(
            f"{speech.seconds:.1f} s of this recording sound like speech, but no word was recognised in them.",
            code="no_words",
            help="Listen to it with GET /audio/{audio_id}/download; name its language or another engine and try again.",
        )
