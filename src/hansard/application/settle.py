"""Last step: put the passages together, and close the record."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from hansard.application.ports import Clock, SpeechEngine, UnitOfWork
from hansard.application.run import Run
from hansard.domain.errors import InvalidAudio
from hansard.domain.speech import Speech
from hansard.domain.transcript import RecognisedPassage, Transcript
from hansard.domain.transcription import Attempt, AttemptOutcome, Result


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
    """Raises `InvalidAudio` when the engine heard no word in what sounded like speech."""

    unit_of_work: Callable[[], UnitOfWork]
    engines: Mapping[str, SpeechEngine]
    clock: Clock

    def __call__(self, transcription_id: UUID, run_number: int) -> Settled:
        run = Run(transcription_id, run_number, self.unit_of_work, self.clock)
        with run.failures_recorded(), run.change() as (uow, transcription):
            speech = uow.transcripts.speech(transcription_id) or Speech(0.0, ())
            passages = uow.transcripts.passages(transcription_id)
            transcript = Transcript.of(passages)
            _require_words(transcript, speech)
            result = self._result(transcription.attempts, speech, passages, transcript)
            uow.transcripts.save(transcription_id, transcript)
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

    def _result(
        self,
        attempts: Iterable[Attempt],
        speech: Speech,
        passages: tuple[RecognisedPassage, ...],
        transcript: Transcript,
    ) -> Result:
        most = _most_used(passages)
        return Result(
            engine=most.engine,
            model=most.model,
            language=transcript.language,
            audio_seconds=speech.audio_seconds,
            speech_seconds=speech.seconds,
            word_count=transcript.word_count,
            processing_seconds=_seconds_spent(attempts),
            degraded_reasons=self._degraded_reasons(passages),
        )

    def _degraded_reasons(self, passages: Iterable[RecognisedPassage]) -> tuple[str, ...]:
        used = {passage.engine for passage in passages}
        reasons = (engine.degraded_reason for name, engine in self.engines.items() if name in used)
        return tuple(reason for reason in reasons if reason is not None)


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
        (attempt.ended_at - attempt.started_at).total_seconds()
        for attempt in attempts
        if attempt.ended_at is not None and attempt.outcome is not AttemptOutcome.ABANDONED
    )


def _require_words(transcript: Transcript, speech: Speech) -> None:
    if not transcript.text:
        raise InvalidAudio(
            f"{speech.seconds:.1f} s of this recording sound like speech, but no word was recognised in them.",
            code="no_words",
            help="Listen to it with GET /audio/{audio_id}/download; name its language or another engine and try again.",
        )
