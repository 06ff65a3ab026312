"""Recognise an utterance while its speaker waits: by the first engine that can, now, and never for long."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Event as Flag

from hansard.application.circuit_breaker import CircuitBreaker
from hansard.application.engine_chain import EngineChain, none_will_do
from hansard.application.ports.clock import Clock
from hansard.application.ports.engines import EngineCall, Recognition, SpeechEngine
from hansard.application.recognise import recognition
from hansard.application.watched import watched
from hansard.domain.circuit import Admission
from hansard.domain.errors import (
    EngineError,
    EngineOutOfUse,
    EnginePaused,
    EngineRejected,
    EngineStopped,
    EngineTimedOut,
    EngineUnavailable,
    HansardError,
)
from hansard.domain.transcript import Segment, Transcript
from hansard.domain.transcription import Parameters

PATIENCE_SECONDS = 60.0
"""An engine that takes longer over one utterance hangs, or is no engine for this."""


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

    def final(self, pcm: bytes, *, language: str | None, stop: Flag) -> Heard:
        """Raises `EngineStopped` soon after `stop` is set, and the `EngineError` that no other engine overcame."""
        request, refusals = replace(recognition(self.parameters), language=language), list[EngineError]()
        failed: EngineError | None = None
        for engine in self.chain.candidates(self.parameters):
            try:
                self._require_ready(engine, request)
            except EngineError as refusal:
                refusals.append(refusal)
                continue
            try:
                return self._listen(engine, request, pcm, stop)
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

    def interim(self, pcm: bytes, *, language: str | None, stop: Flag) -> str | None:
        """What it sounds like so far; None where that is not worth a call, or came to nothing."""
        if self.interims is False:
            return None
        with suppress(HansardError):
            engine = self.require_engine()
            if self.interims is None and engine.name in self.charged_by_call:
                return None
            request = replace(recognition(self.parameters), language=language)
            heard = self._listen(engine, request, pcm, stop)
            return Transcript(language=language, segments=heard.segments).text
        return None

    def _require_ready(self, engine: SpeechEngine, request: Recognition) -> None:
        self.chain.require_ready(engine, request, on_wait=_not_now(engine), wait=lambda _: None)

    def _listen(self, engine: SpeechEngine, request: Recognition, pcm: bytes, stop: Flag) -> Heard:
        model = engine.model_for(request)
        admission = self.breaker.admit(engine.name)
        call, began = EngineCall(), self.clock()

        def go_on() -> None:
            if stop.is_set():
                raise EngineStopped("The live session was given up.", engine=engine.name)
            if (self.clock() - began).total_seconds() > PATIENCE_SECONDS:
                raise EngineTimedOut(
                    f"The engine {engine.name} did not recognise an utterance in {PATIENCE_SECONDS:.0f} s.",
                    engine=engine.name,
                    help="Use a faster engine or a smaller model for live sessions; GET /engines lists them.",
                )

        try:
            segments = tuple(watched(lambda _: engine.recognise(pcm, request, call), go_on, stop=call.stop))
        except EngineStopped:
            if admission is Admission.PROBE:
                self.breaker.abandoned(engine.name)
            raise
        except EngineError as error:
            self.breaker.failed(engine.name, error.failure)
            raise
        self.breaker.succeeded(engine.name)
        return Heard(engine.name, model, segments)


def _not_now(engine: SpeechEngine) -> Callable[[str], None]:
    """A job waits for a model that is being fetched; who speaks does not."""

    def refuse(activity: str) -> None:
        raise EngineUnavailable(
            f"The engine {engine.name} is not ready for live speech yet: {activity}",
            engine=engine.name,
            help="Try again when GET /engines says that it is ready.",
        )

    return refuse
