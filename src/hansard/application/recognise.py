"""Second step: turn the speech that is not yet recognised into text, a passage at a time.

Each finished passage is committed. What is to do is computed anew at every attempt from what is on record, so a
retry, another worker or another engine continues where the last one stopped.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from uuid import UUID

from hansard.application.choose_engine import ChooseEngine
from hansard.application.ports import (
    AttemptObserver,
    Clock,
    PreparedAudio,
    Recognition,
    Sleep,
    SpeechEngine,
    UnitOfWork,
)
from hansard.application.prepare import PrepareAudio
from hansard.application.retry import RetryPolicy
from hansard.application.run import Run
from hansard.domain.errors import EngineError, Failure
from hansard.domain.speech import Span, Speech, plan_passages, remaining
from hansard.domain.transcript import RecognisedPassage, Segment, Transcript
from hansard.domain.transcription import Parameters

REPORT_EVERY_SECONDS = 1.0
"""How often a passage at work says how far it is, and finds out whether it is still wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What the step measured, over this attempt alone."""

    engine: str
    model: str
    passages: int
    recognised_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognise:
    """Raises the `EngineError` that retrying could not overcome."""

    unit_of_work: Callable[[], UnitOfWork]
    prepare_audio: PrepareAudio
    prepared: PreparedAudio
    choose_engine: ChooseEngine
    retry: RetryPolicy
    observe: AttemptObserver
    clock: Clock
    sleep: Sleep

    def __call__(self, transcription_id: UUID, run_number: int) -> Recognised:
        run = Run(transcription_id, run_number, self.unit_of_work, self.clock)
        with run.failures_recorded():
            with run.change() as (uow, transcription):
                parameters = transcription.parameters
                stored = uow.audio.get(transcription.audio_id).stored
            if not self.prepared.exists(transcription_id):
                self.prepare_audio(transcription_id, stored)
            request = recognition(parameters)
            engine = self.choose_engine(parameters.engine, request, on_wait=run.report)
            return self._with_retries(run, engine, request)

    def _with_retries(self, run: Run, engine: SpeechEngine, request: Recognition) -> Recognised:
        failures, waited_seconds = 0, 0.0
        while True:
            attempt = self._begin_attempt(run, engine, request)
            try:
                attempt.recognise(request)
            except EngineError as error:
                # Getting somewhere starts the count anew: a long recording meets more trouble than a short one.
                failures = 1 if attempt.finished else failures + 1
                delay = self.retry.delay_seconds(error, attempts=failures, waited_seconds=waited_seconds)
                self._end_attempt(run, error.failure, retry_in_seconds=delay)
                if delay is None:
                    raise
                run.report(f"trying {engine.name} again in {delay:.0f} s: {error}")
                self.sleep(delay)
                waited_seconds += delay
            else:
                self._end_attempt(run)
                return attempt.measured()

    def _begin_attempt(self, run: Run, engine: SpeechEngine, request: Recognition) -> "_Attempt":
        model = engine.model_for(request)
        with run.change() as (uow, transcription):
            transcription.begin_attempt(engine=engine.name, model=model, at=self.clock())
            transcription.report(f"recognising with {engine.name}")
            speech = uow.transcripts.speech(run.transcription_id)
            done = uow.transcripts.passages(run.transcription_id)
        self.observe(transcription.attempts[-1], None)
        return _Attempt(run, self.prepared, engine, model, speech or Speech(0.0, ()), done)

    def _end_attempt(self, run: Run, failure: Failure | None = None, *, retry_in_seconds: float | None = None) -> None:
        with run.change() as (_, transcription):
            transcription.end_attempt(self.clock(), failure)
        self.observe(transcription.attempts[-1], retry_in_seconds)


def recognition(parameters: Parameters) -> Recognition:
    """What an engine needs to know of what was asked for."""
    return Recognition(
        model=parameters.model,
        language=parameters.language,
        prompt=parameters.prompt,
        hotwords=parameters.hotwords,
    )


@dataclass(slots=True)
class _Attempt:
    """One way through the speech that is left. `done` was on record before it, `finished` it adds."""

    run: Run
    prepared: PreparedAudio
    engine: SpeechEngine
    model: str
    speech: Speech
    done: tuple[RecognisedPassage, ...]
    finished: list[RecognisedPassage] = field(default_factory=list[RecognisedPassage])

    def recognise(self, request: Recognition) -> None:
        left = remaining(self.speech.regions, [passage.span for passage in self.done])
        for span in plan_passages(left, self.engine.limits):
            # One language for a recording: short passages are too little to detect it from, each for itself.
            language = request.language or Transcript.of((*self.done, *self.finished)).language
            segments = self._listen(span, replace(request, language=language))
            self._keep(RecognisedPassage(span=span, engine=self.engine.name, model=self.model, segments=segments))

    def measured(self) -> Recognised:
        return Recognised(
            engine=self.engine.name,
            model=self.model,
            passages=len(self.finished),
            recognised_seconds=sum(passage.span.seconds for passage in self.finished),
        )

    def _listen(self, span: Span, request: Recognition) -> tuple[Segment, ...]:
        pcm = self.prepared.read(self.run.transcription_id, span)
        reported_at = self.run.clock()
        segments: list[Segment] = []
        for segment in self.engine.recognise(pcm, request):
            segments.append(replace(segment.shifted(span.start_seconds), engine=self.engine.name))
            if (self.run.clock() - reported_at).total_seconds() >= REPORT_EVERY_SECONDS:
                self._report(segments[-1].end_seconds)
                reported_at = self.run.clock()
        return tuple(segments)

    def _keep(self, passage: RecognisedPassage) -> None:
        with self.run.change() as (uow, transcription):
            uow.transcripts.add_passage(self.run.transcription_id, passage)
            transcription.advance_attempt(passage.span.seconds)
            transcription.report(f"recognising with {self.engine.name}", self._progress(passage.span.end_seconds))
        self.finished.append(passage)

    def _report(self, reached_seconds: float) -> None:
        self.run.report(f"recognising with {self.engine.name}", self._progress(reached_seconds))

    def _progress(self, reached_seconds: float) -> float:
        """The part of the speech that lies before `reached_seconds`: passages are taken in order of time."""
        if not self.speech.regions:
            return 0.0
        heard = sum(
            max(0.0, min(region.end_seconds, reached_seconds) - region.start_seconds) for region in self.speech.regions
        )
        return heard / self.speech.seconds
