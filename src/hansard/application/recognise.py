"""Second step: turn the speech that is not yet recognised into text.

    each engine of the chain     until one has come to the end of the speech
        each attempt             until the engine's failures are not worth another
            each passage         of the speech that has no text yet
    what was missed              is heard again

Each finished passage is committed. What is to do is computed anew at every attempt from what is on record, so a
retry, another worker or another engine continues where the last one stopped. A transcription that is not wanted any
more stops all of this within moments, wherever it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from uuid import UUID

from hansard.application.attempt import AttemptAtWork, activity
from hansard.application.circuit_breaker import CircuitBreaker
from hansard.application.engine_chain import POLL_SECONDS, EngineChain, none_will_do
from hansard.application.ports.clock import Clock, Sleep
from hansard.application.ports.engines import ANYTHING, AttemptObserver, EngineState, Recognition, SpeechEngine
from hansard.application.ports.storage import PreparedAudio
from hansard.application.prepare import PrepareAudio
from hansard.application.retry_policy import RetryPolicy
from hansard.application.run import Run, Runs
from hansard.application.watched import watched_call
from hansard.domain.circuit import Admission
from hansard.domain.coverage import covered, speech_within
from hansard.domain.errors import EngineError, EngineOutOfUse, EnginePaused, EngineRejected, Failure
from hansard.domain.speech import Span, Speech, remaining
from hansard.domain.transcript import Transcript
from hansard.domain.transcription import Parameters, Task
from hansard.timing.decorators import monitor_performance

SHORTEST_SLICE_SECONDS = 30.0
"""What a run may work before it gives way to more urgent ones: to start it again costs about half a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What the step measured, over this run alone."""

    engine: str
    model: str
    passages: int
    recognised_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognise:
    """Raises the `EngineError` that neither retrying nor another engine could overcome.

    Speech without text is heard again where `gap_seconds` of it or more are in one place.
    """

    runs: Runs
    prepare_audio: PrepareAudio
    prepared: PreparedAudio
    chain: EngineChain
    breaker: CircuitBreaker
    retry: RetryPolicy
    observe: AttemptObserver
    gap_seconds: float
    clock: Clock
    sleep: Sleep

    @monitor_performance
    def __call__(self, transcription_id: UUID, run_number: int) -> Recognised:
        run = self.runs.of(transcription_id, run_number)
        gives_way_at = self.clock() + timedelta(seconds=SHORTEST_SLICE_SECONDS)
        with run.failures_recorded():
            record = run.record
            parameters = record.parameters
            if not self.prepared.exists(transcription_id):
                prepare = partial(self.prepare_audio, transcription_id, record.audio, parameters.channels)
                watched_call(prepare, run.check)
            return _Recognition(
                step=self,
                run=run,
                parameters=parameters,
                speech=record.speech or Speech(0.0, ()),
                crashes=record.crashes,
                gives_way_at=gives_way_at,
            ).complete()


def recognition(parameters: Parameters) -> Recognition:
    """What an engine needs to know of what was asked for."""
    return Recognition(
        model=parameters.model,
        language=parameters.language,
        prompt=parameters.prompt,
        hotwords=parameters.hotwords,
        task=parameters.task,
        temperature=parameters.temperature,
    )


@dataclass(slots=True, kw_only=True)
class _Recognition:
    """One run of the step. What it waits counts against one budget, whatever it waits for.

    `crashes` is how many workers had died over what follows.
    """

    step: Recognise
    run: Run
    parameters: Parameters
    speech: Speech
    crashes: int
    gives_way_at: datetime

    request: Recognition = ANYTHING
    refusals: list[EngineError] = field(default_factory=list[EngineError])
    """Why engines were not tried."""
    failed: EngineError | None = None
    """How the last attempt failed."""
    left: Failure | None = None
    """Why an engine was left that should have done the work, until another begins."""
    waited_seconds: float = 0.0
    attempts: list[AttemptAtWork] = field(default_factory=list[AttemptAtWork])

    def complete(self) -> Recognised:
        attempt = self._with_any_engine()
        attempts = [attempt, *self._hear_again(attempt.engine)]
        passages = [passage for attempt in attempts for passage in attempt.finished]
        return Recognised(
            engine=attempt.engine.name,
            model=attempt.model,
            passages=len(passages),
            recognised_seconds=sum(passage.span.seconds for passage in passages),
        )

    # ── One engine after the other ───────────────────────────────────────────────────────────────────────

    def _with_any_engine(self) -> AttemptAtWork:
        """Where engines are only paused, the chain is gone through again when the first pause is over."""
        while True:
            self.request, self.refusals, self.left = self._wish(), [], None
            for engine in self.step.chain.candidates(self.parameters):
                attempt = self._with(engine)
                if attempt is not None:
                    return attempt
            paused = [refusal for refusal in self.refusals if isinstance(refusal, EnginePaused)]
            pauses = [refusal.retry_after_seconds or 0.0 for refusal in paused]
            if not pauses or self.waited_seconds + min(pauses) > self.step.retry.budget_seconds:
                raise self.failed or none_will_do(self.refusals)
            self._wait(max(min(pauses), POLL_SECONDS), "waiting until an engine may be tried again")

    def _with(self, engine: SpeechEngine) -> AttemptAtWork | None:
        """The attempt that came to the end of the speech; None when it is the next engine's turn."""
        try:
            self.step.chain.require_ready(engine, self.request, on_wait=self.run.report, wait=self._sleep)
        except EngineError as refusal:
            self.refusals.append(refusal)
            if engine.name == self.parameters.engine:
                self._leave(refusal)
            return None
        try:
            return self._with_retries(engine)
        except EngineRejected:
            raise
        except (EnginePaused, EngineOutOfUse) as refusal:
            self.refusals.append(refusal)
            self._leave(refusal)
        except EngineError as error:
            if not self.parameters.falls_back:
                raise
            self._leave(error)
        return None

    def _wish(self) -> Recognition:
        """What was asked for, in the language in which the recording has been heard so far.

        What an engine of lesser quality tells of it counts for nothing: it takes everything for what it knows. A
        translation does not tell what is spoken.
        """
        wish = recognition(self.parameters)
        if wish.language is not None or wish.task is Task.TRANSLATE:
            return wish
        engines = self.step.chain.engines
        able = {name for name, engine in engines.items() if engine.degraded_reason is None}
        heard = Transcript.of(passage for passage in self.run.record.passages if passage.engine in able)
        return replace(wish, language=heard.language)

    def _remember_language(self, attempt: AttemptAtWork) -> None:
        """For the attempts that follow: a short passage, or a gap, is too little to detect it from."""
        if self.request.language is None and attempt.engine.degraded_reason is None:
            self.request = replace(self.request, language=attempt.spoken)

    def _leave(self, error: EngineError) -> None:
        """The model asked for was that engine's; the next one uses its own."""
        self.left, self.request = error.failure, replace(self.request, model=None)

    # ── One attempt after the other ──────────────────────────────────────────────────────────────────────

    def _with_retries(self, engine: SpeechEngine) -> AttemptAtWork:
        failures = 0
        while True:
            attempt = self._begin_attempt(engine, self.request)
            done = [passage.span for passage in self.run.record.passages]
            try:
                attempt.recognise(remaining(self.speech.regions, done), self.request)
            except EngineError as error:
                self.failed = error
                self._remember_language(attempt)
                # Getting somewhere starts the count anew: a long recording meets more trouble than a short one.
                failures = 1 if attempt.finished else failures + 1
                delay = self.step.retry.delay_seconds(error, attempts=failures, waited_seconds=self.waited_seconds)
                self._end_attempt(attempt, error.failure, retry_in_seconds=delay)
                if delay is None:
                    raise
                self._wait(delay, f"trying {engine.name} again in {delay:.0f} s: {error}")
            else:
                self._remember_language(attempt)
                self._end_attempt(attempt)
                return attempt

    def _begin_attempt(self, engine: SpeechEngine, request: Recognition, *, decoding: int = 0) -> AttemptAtWork:
        """Raises the `EngineError` that says why it may not begin."""
        model = engine.model_for(request)
        now = self.step.clock()
        with self.run.change() as (uow, transcription):
            admission = self.step.breaker.admit_within(uow, engine.name)
            if (left := self.left) and left.engine and left.engine != engine.name:
                transcription.fall_back(now, engine=left.engine, next_engine=engine.name, failure=left)
            transcription.begin_attempt(engine=engine.name, model=model, at=now)
            transcription.report(activity(engine, decoding))
        self.left = None
        self.step.observe(transcription.attempts[-1], None)
        attempt = AttemptAtWork(
            run=self.run,
            prepared=self.step.prepared,
            breaker=self.step.breaker,
            engine=engine,
            model=model,
            speech=self.speech,
            gives_way_at=self.gives_way_at,
            observe=lambda ended: self.step.observe(ended, None),
            is_probe=admission is Admission.PROBE,
            decoding=decoding,
        )
        self.attempts.append(attempt)
        return attempt

    def _end_attempt(
        self, attempt: AttemptAtWork, failure: Failure | None = None, *, retry_in_seconds: float | None = None
    ) -> None:
        """One that came to its end has ended with its last passage, unless it had none to begin with."""
        if attempt.has_ended:
            return
        with self.run.change() as (_, transcription):
            transcription.end_attempt(self.step.clock(), failure)
        self.step.observe(transcription.attempts[-1], retry_in_seconds)

    def _wait(self, seconds: float, activity: str) -> None:
        self.run.report(activity)
        self._sleep(seconds)
        self.waited_seconds += seconds

    def _sleep(self, seconds: float) -> None:
        self.run.wait(seconds, self.step.sleep)

    # ── What was missed ──────────────────────────────────────────────────────────────────────────────────

    def _hear_again(self, first: SpeechEngine) -> Iterator[AttemptAtWork]:
        """Each gap alone and without a prompt, which can make Whisper skip; then by another engine that is as good.

        Whatever goes wrong here costs nothing: the gap stays a gap, and is told.
        """
        for decoding, engine in enumerate(chain([first], self._as_good_as(first)), start=1):
            gaps = self._gaps()
            if not gaps:
                return
            heard_again = [passage.span for passage in self.run.record.passages if passage.decoding == decoding]
            speech = tuple(remaining(gaps, heard_again))
            if not speech:
                continue
            request = replace(
                self.request, prompt=None, hotwords=None, model=self.request.model if engine is first else None
            )
            try:
                attempt = self._begin_attempt(engine, request, decoding=decoding)
            except EngineError:
                continue
            try:
                attempt.recognise(speech, request)
            except EngineError as error:
                self._end_attempt(attempt, error.failure)
            else:
                self._end_attempt(attempt)
            yield attempt

    def _as_good_as(self, first: SpeechEngine) -> Iterator[SpeechEngine]:
        """A lesser engine would fill gaps with words that nobody said."""
        if not self.parameters.falls_back:
            return
        for engine in self.step.chain.candidates(self.parameters):
            if engine is not first and engine.degraded_reason is None and engine.status().state is EngineState.READY:
                yield engine

    def _gaps(self) -> tuple[Span, ...]:
        """The speech without text. None where one has killed a worker, and nothing was got beyond it since."""
        if self.crashes and not any(attempt.finished for attempt in self.attempts):
            return ()
        _, coverage = covered(Transcript.of(self.run.record.passages), self.speech, gap_seconds=self.step.gap_seconds)
        return tuple(span for gap in coverage.gaps for span in speech_within(self.speech, gap))
