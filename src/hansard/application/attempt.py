"""One attempt: one engine's way through some speech, a passage at a time, each of them kept as soon as it is done."""

from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from hansard.application.circuit_breaker import CircuitBreaker
from hansard.application.ports.engines import EngineCall, Recognition, SpeechEngine
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.storage import PreparedAudio
from hansard.application.run import GaveWay, Run
from hansard.application.watched import watched
from hansard.domain.errors import EngineError, HansardError
from hansard.domain.events import Interruption
from hansard.domain.speech import Span, Speech, plan_passages
from hansard.domain.transcript import RecognisedPassage, Segment, Transcript
from hansard.domain.transcription import Attempt, Task, Transcription

REPORT_EVERY_SECONDS = 1.0
"""How often a passage at work says how far it is."""


@dataclass(slots=True, kw_only=True)
class AttemptAtWork:
    """`finished` it adds to the record, as `decoding`. From `gives_way_at` on, it lets more urgent work go first;
    before, only what somebody waits for. `spoken` is the language that it heard. Its end is written down with its last
    passage, if it comes so far, and `observe` is told then; `has_ended` says so.
    """

    run: Run
    prepared: PreparedAudio
    breaker: CircuitBreaker
    engine: SpeechEngine
    model: str
    speech: Speech
    gives_way_at: datetime
    observe: Callable[[Attempt], object]
    is_probe: bool = False
    decoding: int = 0
    finished: list[RecognisedPassage] = field(default_factory=list[RecognisedPassage])
    spoken: str | None = None
    has_ended: bool = False

    def recognise(self, speech: Iterable[Span], request: Recognition) -> None:
        """Raises `EngineError`; `Superseded` when nobody wants it any more; `GaveWay`. The circuit breaker is told."""
        try:
            spans = tuple(plan_passages(speech, self.engine.limits))
            for span in spans:
                self._recognise_passage(span, request, is_last=span is spans[-1])
        except EngineError as error:
            self.breaker.failed(self.engine.name, error.failure)
            raise
        except Exception:
            if self.is_probe and not self.finished:
                with suppress(HansardError):
                    self.breaker.abandoned(self.engine.name)
            raise

    def _recognise_passage(self, span: Span, request: Recognition, *, is_last: bool) -> None:
        call = EngineCall()
        # One language for a recording: short passages are too little to detect it from, each for itself.
        segments = self._listen(span, replace(request, language=request.language or self.spoken), call)
        passage = RecognisedPassage(
            span=span, engine=self.engine.name, model=self.model, segments=segments, decoding=self.decoding
        )
        self.spoken = self.spoken or _language_spoken(passage, request, call)
        if self._keep(passage, call, is_last=is_last):
            raise GaveWay("More urgent work was waiting.")

    def _listen(self, span: Span, request: Recognition, call: EngineCall) -> tuple[Segment, ...]:
        pcm = self.prepared.read(self.run.transcription_id, span)
        reported_at = self.run.clock()
        segments: list[Segment] = []
        heard = watched(lambda _: self.engine.recognise(pcm, request, call), self.run.check, stop=call.stop)
        with closing(heard):
            for segment in heard:
                segments.append(replace(segment.shifted(span.start_seconds), engine=self.engine.name))
                if (self.run.clock() - reported_at).total_seconds() >= REPORT_EVERY_SECONDS:
                    self.run.report(self._activity, self._progress(segments[-1].end_seconds))
                    reported_at = self.run.clock()
        return tuple(segments)

    def _keep(self, passage: RecognisedPassage, call: EngineCall, *, is_last: bool) -> bool:
        """Whether the transcription went back into the queue with that, to let others go first."""
        now, is_first = self.run.clock(), not self.finished

        def note(uow: UnitOfWork, transcription: Transcription) -> None:
            request_id = call.request_ids[-1] if call.request_ids else None
            transcription.advance_attempt(
                passage.span.seconds,
                provider_request_id=request_id,
                input_tokens=sum(usage.input_tokens for usage in call.usage),
                output_tokens=sum(usage.output_tokens for usage in call.usage),
            )
            reached = self._progress(passage.span.end_seconds)
            transcription.report(self._activity, reached)
            if reached is not None:
                transcription.keep_progress(self._progress(passage.span.start_seconds) or 0.0, reached, now)
            if is_first:
                self.breaker.succeeded_within(uow, self.engine.name)

        def note_last(uow: UnitOfWork, transcription: Transcription) -> Callable[[], object]:
            note(uow, transcription)
            transcription.end_attempt(now)
            return partial(self.observe, transcription.attempts[-1])

        gives_way = False
        if is_last:
            # What follows is done within moments: the record is closed, or what was missed is heard again.
            self.run.put_off(note_last, passage=passage)
        else:
            with self.run.change() as (uow, transcription):
                uow.transcripts.add_passage(self.run.transcription_id, passage)
                note(uow, transcription)
                gives_way = uow.jobs.has_more_urgent(transcription.id, interactive_only=now < self.gives_way_at)
                if gives_way:
                    transcription.interrupt(now, Interruption.GAVE_WAY)
            self.run.has_added(passage)
        self.finished.append(passage)
        self.has_ended = is_last
        return gives_way

    @property
    def _activity(self) -> str:
        return activity(self.engine, self.decoding)

    def _progress(self, reached_seconds: float) -> float | None:
        """The part of the speech that lies before `reached_seconds`: passages are taken in order of time."""
        if self.decoding or not self.speech.regions:
            return None
        heard = sum(
            max(0.0, min(region.end_seconds, reached_seconds) - region.start_seconds) for region in self.speech.regions
        )
        return heard / self.speech.seconds


def _language_spoken(passage: RecognisedPassage, request: Recognition, call: EngineCall) -> str | None:
    if call.spoken:
        return call.spoken[0]
    return None if request.task is Task.TRANSLATE else Transcript.of([passage]).language


def activity(engine: SpeechEngine, decoding: int) -> str:
    return f"hearing again, with {engine.name}, what has no text" if decoding else f"recognising with {engine.name}"
