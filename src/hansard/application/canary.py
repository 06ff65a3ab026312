"""Have an engine recognise a phrase that is known, now and then: the only proof that it still hears.

The first engine of the chain that could take a job now does it, since that is the one people get: the others would
load models that nobody waits for, or be paid for nothing. The circuit breaker is told nothing: real jobs open a
circuit soon enough, and a canary's success must not wipe out the failures that they have counted.
"""

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import SequenceMatcher
from io import BytesIO

from hansard.application.ports.audio import AudioDecoder
from hansard.application.ports.clock import Clock
from hansard.application.ports.engines import EngineCall, EngineState, Recognition, SpeechEngine
from hansard.application.ports.records import UnitOfWork
from hansard.application.run import internal_failure
from hansard.domain.circuit import CircuitState
from hansard.domain.errors import EngineTimedOut, Failure, HansardError
from hansard.domain.events import CanaryRecognised
from hansard.timing.decorators import monitor_performance

PHRASE = "please call me back tomorrow morning"
"""What the clip says: no numbers, which some engines write as figures."""

ENGLISH = Recognition(language="en")
"""Two seconds are too little to detect a language from."""

PASSING = 0.8
"""One word of the six may be wrong: the canary is about an engine that broke, not about a hard word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """`clip` reads a recording of `PHRASE`. An engine that needs longer than `patience_seconds` is stopped."""

    unit_of_work: Callable[[], UnitOfWork]
    engines: Mapping[str, SpeechEngine]
    chain: tuple[str, ...]
    decoder: AudioDecoder
    clip: Callable[[], bytes]
    patience_seconds: float
    clock: Clock

    @monitor_performance
    def __call__(self) -> CanaryRecognised | None:
        """What was found and recorded; None when no engine could take it."""
        engine = self._first_usable()
        if engine is None:
            return None
        event = self._recognised(engine)
        with self.unit_of_work() as uow:
            uow.events.append(event)
            uow.commit()
        return event

    def _first_usable(self) -> SpeechEngine | None:
        candidates = [self.engines[name] for name in self.chain if name in self.engines]
        ready = (engine for engine in candidates if engine.status().state is EngineState.READY)
        return next((engine for engine in ready if self._is_let_through(engine.name)), None)

    def _is_let_through(self, engine: str) -> bool:
        with self.unit_of_work() as uow:
            circuit = uow.circuits.get(engine)
        return circuit.state is CircuitState.CLOSED and not circuit.disabled

    def _recognised(self, engine: SpeechEngine) -> CanaryRecognised:
        began_at = self.clock()
        accuracy, failure = self._heard_by(engine)
        ended_at = self.clock()
        return CanaryRecognised(
            subject=engine.name,
            occurred_at=ended_at,
            passed=failure is None and accuracy >= PASSING,
            word_accuracy=accuracy,
            processing_seconds=(ended_at - began_at).total_seconds(),
            failure=failure,
        )

    def _heard_by(self, engine: SpeechEngine) -> tuple[float, Failure | None]:
        call = EngineCall()
        try:
            pcm = b"".join(self.decoder.decode(BytesIO(self.clip())))
            with _stopped_after(self.patience_seconds, call):
                text = " ".join(segment.text for segment in engine.recognise(pcm, ENGLISH, call))
        except HansardError as error:
            return 0.0, self._out_of_patience(engine) if call.stop.is_set() else error.failure
        except Exception as error:  # noqa: BLE001 - a canary that dies has told what it was there for
            return 0.0, internal_failure(f"An unexpected error stopped the canary: {type(error).__name__}.")
        if call.stop.is_set():
            return 0.0, self._out_of_patience(engine)
        return word_accuracy(PHRASE, text), None

    def _out_of_patience(self, engine: SpeechEngine) -> Failure:
        return EngineTimedOut(
            f"The engine {engine.name} had not recognised the canary after {self.patience_seconds:g} s.",
            engine=engine.name,
        ).failure


def word_accuracy(expected: str, heard: str) -> float:
    """The part of the words heard in their order, of the longer of the two; case and punctuation don't count."""
    wanted, found = _words(expected), _words(heard)
    matches = SequenceMatcher(None, wanted, found, autojunk=False).get_matching_blocks()
    return sum(match.size for match in matches) / max(len(wanted), len(found), 1)


def _words(text: str) -> list[str]:
    words = ("".join(filter(str.isalnum, word)) for word in text.casefold().split())
    return [word for word in words if word]


@contextmanager
def _stopped_after(seconds: float, call: EngineCall) -> Generator[None]:
    timer = threading.Timer(seconds, call.stop.set)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
