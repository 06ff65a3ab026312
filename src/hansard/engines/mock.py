"""An engine that makes its transcripts up, for tests of everything around it. Real work cannot reach it."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from math import ceil
from threading import Event as Flag
from types import MappingProxyType

from hansard.application.ports.engines import ANYTHING, EngineCall, EngineState, EngineStatus, Recognition
from hansard.domain.audio import BYTES_PER_SECOND
from hansard.domain.errors import (
    ConfigurationError,
    EngineCrashed,
    EngineError,
    EngineFailed,
    EngineNotAuthenticated,
    EngineRateLimited,
    EngineRejected,
    EngineTimedOut,
    EngineUnavailable,
)
from hansard.domain.speech import PassageLimits
from hansard.domain.transcript import Segment, Word
from hansard.domain.transcription import Task
from hansard.engines.stopping import go_on_unless

NAME = "mock"
DEFAULT_MODEL = "mock-1"
SLOW_MODEL = "slow"
SLOW_SECONDS = 1.0
"""What `slow` takes for each second of audio: long enough to be cancelled or killed in the middle."""
HANGING_MODEL = "hang"
KILLING_MODEL = "kill"

Wait = Callable[[Flag, float | None], bool]
"""Wait so many seconds, for ever with None, but not once the flag is set; whether it is."""

FAILURES: Mapping[str, Callable[[], EngineError]] = MappingProxyType(
    {
        "fail-client": lambda: EngineRejected("The mock engine refuses this audio.", engine=NAME),
        "fail-unavailable": lambda: EngineUnavailable("The mock engine is not available.", engine=NAME),
        "fail-authentication": lambda: EngineNotAuthenticated("The mock engine refuses the key.", engine=NAME),
        "fail-rate-limit": lambda: EngineRateLimited(
            "The mock engine wants less work.", engine=NAME, provider_status=429, retry_after_seconds=0.1
        ),
        "fail-timeout": lambda: EngineTimedOut("The mock engine did not answer.", engine=NAME),
        "fail-server": lambda: EngineFailed("The mock engine broke.", engine=NAME, provider_status=500),
        "fail-crash": lambda: EngineCrashed("The mock engine died.", engine=NAME),
    }
)
MODELS = (DEFAULT_MODEL, SLOW_MODEL, HANGING_MODEL, KILLING_MODEL, *FAILURES)


class MockEngine:
    """What it does is the model's name: `mock-1` says at once how many seconds it heard, `slow` counts them in real
    time, a segment each, `hang` never answers, `kill` ends the process it runs in as a native crash would, and each of
    `FAILURES` fails in its own way. The same audio gives the same text. A translation by `mock-1` says that it is one;
    a temperature is refused.

    Raises `ConfigurationError` unless `testing`.
    """

    name = NAME
    limits = PassageLimits(seconds=5.0, pause_seconds=0.5)
    degraded_reason = "made up by the mock engine: nobody listened"
    models_in_memory = ()

    def __init__(self, *, testing: bool, wait: Wait = Flag.wait) -> None:
        if not testing:
            raise ConfigurationError(
                "The engine mock makes its transcripts up, so it exists in tests only.",
                code="mock_outside_tests",
                help="For tests, set TESTING=true. For real work, leave the engine out or name "
                "openai, whisper or pocketsphinx.",
            )
        self._wait = wait

    def status(self, request: Recognition = ANYTHING) -> EngineStatus:  # noqa: ARG002 - the port's
        return EngineStatus(state=EngineState.READY, detail="for tests only")

    def model_for(self, request: Recognition) -> str:
        model = request.model or DEFAULT_MODEL
        if model not in MODELS:
            raise EngineRejected(
                f"The mock engine has no model {model!r}.",
                engine=NAME,
                code="unknown_model",
                help=f"Name one of {', '.join(MODELS)}.",
            )
        if request.temperature is not None:
            raise EngineRejected(
                "The mock engine has no temperature.",
                engine=NAME,
                code="temperature_not_supported",
                help="Leave it out.",
            )
        return model

    def recognise(self, pcm: bytes, request: Recognition, call: EngineCall | None = None) -> Iterator[Segment]:
        stop = (call or EngineCall()).stop
        go_on_unless(stop, NAME)
        model = self.model_for(request)
        if model in FAILURES:
            failure = FAILURES[model]()
            raise failure
        seconds = len(pcm) / BYTES_PER_SECOND
        translates = request.task is Task.TRANSLATE
        language = "en" if translates or request.language is None else request.language
        if model == HANGING_MODEL:
            self._wait(stop, None)
        elif model == KILLING_MODEL:
            os.kill(os.getpid(), signal.SIGKILL)
        elif model == SLOW_MODEL:
            for second in range(ceil(seconds)):
                self._wait(stop, SLOW_SECONDS)
                go_on_unless(stop, NAME)
                yield _segment(f"second {second + 1}", float(second), min(second + 1.0, seconds), language)
        elif pcm:
            verb = "translated" if translates else "heard"
            yield _segment(f"mock {verb} {seconds:.1f} seconds", 0.0, seconds, language)
        go_on_unless(stop, NAME)


def _segment(text: str, start_seconds: float, end_seconds: float, language: str) -> Segment:
    """The words share the time evenly."""
    texts = text.split()
    step = (end_seconds - start_seconds) / len(texts)
    edges = [*(start_seconds + step * number for number in range(len(texts))), end_seconds]
    words = tuple(Word(word, edges[number], edges[number + 1], 1.0) for number, word in enumerate(texts))
    return Segment(
        start_seconds=start_seconds,
        end_seconds=end_seconds,
        text=text,
        words=words,
        confidence=1.0,
        language=language,
    )
