"""Recognise an utterance while its speaker waits: by the first engine that can, now, and never for long."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Event as Flag

from hansard.application.circuit_breaker import CircuitBreaker
from hansard.application.engine_chain import EngineChain, none_will_do
from hansard.application.ports.clock import Clock
from hansard.application.ports.engines import EngineCall, Recognition, SpeechEngine
from hansard.application.recognise import recognition
from hansard.application.watched import watched
from hansard.domain.audio import BYTES_PER_SECOND
from hansard.domain.circuit import Admission
from hansard.domain.errors import (
    EngineError,
    EngineOutOfUse,
    EnginePaused,
    EngineRejected,
    EngineStopped,
    EngineTimedOut,
    EngineUnavailable,
    Failure,
    HansardError,
    StorageError,
)
from hansard.domain.transcript import Segment, Transcript
from hansard.domain.transcription import Attempt, AttemptKind, AttemptOutcome, Parameters

PATIENCE_SECONDS = 60.0
"""An engine that takes longer over one utterance hangs, or is no engine for this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Something to be heard, until `stop` is set. `calls` has the engines' work on it, however that ended."""

    pcm: bytes
    language: str | None
    stop: Flag
    calls: list[Attempt] = field(default_factory=list[Attempt])

    @property
    def seconds(self) -> float:
        return len(self.pcm) / BYTES_PER_SECOND


@dataclass(frozen=True, slots=True)
class Heard:
    """Times count from the start of the utterance."""

    engine: str
    model: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRecognition:
    """`charged_by_call` names the engines that hear no utterance twice unless `interims` were asked for."""

    chain: EngineChain
    breaker: CircuitBreaker
    parameters: Parameters
    interims: bool | None
    charged_by_call: frozenset[str]
    clock: Clock

    def require_engine(self) -> SpeechEngine:
        """The one that would be at work now. Raises the `EngineError` that says why there is none."""
        request, refusals = recognition(self.parameters), list[EngineError]()
        for engine in self.chain.candidates(self.parameters):
            try:
                self._require_ready(engine, request)
            except EngineError as refusal:
                refusals.append(refusal)
            else:
                return engine
        raise none_will_do(refusals)

    def final(self, sound: Sound) -> Heard:
        """Raises `EngineStopped` soon after `stop` is set, and the `EngineError` that no other engine overcame."""
        request, refusals = replace(recognition(self.parameters), language=sound.language), list[EngineError]()
        failed: EngineError | None = None
        for engine in self.chain.candidates(self.parameters):
            try:
                self._require_ready(engine, request)
            except EngineError as refusal:
                refusals.append(refusal)
                continue
            try:
                return self._listen(engine, request, sound, AttemptKind.LIVE)
            except (EngineStopped, EngineRejected):
                raise
            except (EnginePaused, EngineOutOfUse) as refusal:
                refusals.append(refusal)
            except EngineError as error:
                failed = error
            if not self.parameters.falls_back:
                break
            # The model asked for was that engine's; the next one uses its own.
            request = replace(request, model=None)
        raise failed or none_will_do(refusals)

    def interim(self, sound: Sound) -> str | None:
        """What it sounds like so far; None where that is not worth a call, or came to nothing."""
        if self.interims is False:
            return None
        # Nobody relies on it: whatever went wrong is told with the final text, if it is still so.
        with suppress(Exception):
            engine = self.require_engine()
            if self.interims is None and engine.name in self.charged_by_call:
                return None
            request = replace(recognition(self.parameters), language=sound.language)
            heard = self._listen(engine, request, sound, AttemptKind.INTERIMS)
            return Transcript(language=sound.language, segments=heard.segments).text
        return None

    def _require_ready(self, engine: SpeechEngine, request: Recognition) -> None:
        self.chain.require_ready(engine, request, on_wait=_not_now(engine), wait=lambda _: None)

    def _listen(self, engine: SpeechEngine, request: Recognition, sound: Sound, kind: AttemptKind) -> Heard:
        model = engine.model_for(request)
        admission = self.breaker.admit(engine.name)
        at_work = _EngineAtWork(engine=engine.name, model=model, kind=kind, began_at=self.clock())
        call = at_work.call
        try:
            heard = watched(
                lambda _: engine.recognise(sound.pcm, request, call),
                lambda: self._go_on(at_work, sound.stop),
                stop=call.stop,
            )
            segments = tuple(heard)
        except EngineError as error:
            if isinstance(error, EngineStopped):
                sound.calls.append(at_work.ended(self.clock(), AttemptOutcome.ABANDONED))
                self._abandon(engine, admission)
            else:
                sound.calls.append(at_work.ended(self.clock(), AttemptOutcome.FAILED, failure=error.failure))
                self.breaker.failed(engine.name, error.failure)
            raise
        except Exception:
            sound.calls.append(at_work.ended(self.clock(), AttemptOutcome.ABANDONED))
            self._abandon(engine, admission)
            raise
        sound.calls.append(at_work.ended(self.clock(), AttemptOutcome.SUCCEEDED, recognised_seconds=sound.seconds))
        # What was heard counts, also where the breaker cannot be told.
        with suppress(StorageError):
            self.breaker.succeeded(engine.name)
        return Heard(engine.name, model, segments)

    def _go_on(self, at_work: "_EngineAtWork", stop: Flag) -> None:
        if stop.is_set():
            raise EngineStopped("The live session was given up.", engine=at_work.engine)
        if (self.clock() - at_work.began_at).total_seconds() > PATIENCE_SECONDS:
            raise EngineTimedOut(
                f"The engine {at_work.engine} did not recognise an utterance in {PATIENCE_SECONDS:.0f} s.",
                engine=at_work.engine,
                help="Use a faster engine or a smaller model for live sessions; GET /engines lists them.",
            )

    def _abandon(self, engine: SpeechEngine, admission: Admission) -> None:
        if admission is Admission.PROBE:
            with suppress(HansardError):
                self.breaker.abandoned(engine.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _EngineAtWork:
    """One call of an engine."""

    engine: str
    model: str
    kind: AttemptKind
    began_at: datetime
    call: EngineCall = field(default_factory=EngineCall)

    def ended(
        self, at: datetime, outcome: AttemptOutcome, *, recognised_seconds: float = 0.0, failure: Failure | None = None
    ) -> Attempt:
        refused_id = failure.provider_request_id if failure else None
        return Attempt(
            number=1,
            engine=self.engine,
            model=self.model,
            started_at=self.began_at,
            ended_at=at,
            outcome=outcome,
            recognised_seconds=recognised_seconds,
            input_tokens=sum(usage.input_tokens for usage in self.call.usage),
            output_tokens=sum(usage.output_tokens for usage in self.call.usage),
            provider_request_id=refused_id or next(reversed(self.call.request_ids), None),
            failure=failure,
            kind=self.kind,
        )


def _not_now(engine: SpeechEngine) -> Callable[[str], None]:
    """A job waits for a model that is being fetched; who speaks does not."""

    def refuse(activity: str) -> None:
        raise EngineUnavailable(
            f"The engine {engine.name} is not ready for live speech yet: {activity}",
            engine=engine.name,
            help="Try again when GET /engines says that it is ready.",
        )

    return refuse
