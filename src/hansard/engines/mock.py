"""An engine that makes its transcripts up, for tests of everything around it. Real work cannot reach it."""

import time
from collections.abc import Callable, Iterator, Mapping
from math import ceil
from types import MappingProxyType

from hansard.application.ports import ANYTHING, EngineState, EngineStatus, Recognition, Sleep
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

NAME = "mock"
DEFAULT_MODEL = "mock-1"
SLOW_MODEL = "slow"
SLOW_SECONDS = 1.0
"""What `slow` takes for each second of audio: long enough to be cancelled or killed in the middle."""

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


class MockEngine:
    """What it does is the model's name: `mock-1` says at once how many seconds it heard, `slow` counts them in real
    time, a segment each, and each of `FAILURES` fails in its own way. The same audio gives the same text.

    Raises `ConfigurationError` unless `testing`.
    """

    name = NAME
    limits = PassageLimits(seconds=5.0, pause_seconds=0.5)
    degraded_reason = "made up by the mock engine: nobody listened"

    def __init__(self, *, testing: bool, sleep: Sleep = time.sleep) -> None:
        if not testing:
            raise ConfigurationError(
                "The engine mock makes its transcripts up, so it exists in tests only.",
                code="mock_outside_tests",
                help="For tests, set TESTING=true. For real work, leave the engine out or name "
                "openai, whisper or pocketsphinx.",
            )
        self._sleep = sleep

    def status(self, request: Recognition = ANYTHING) -> EngineStatus:  # noqa: ARG002 - the port's
        return EngineStatus(state=EngineState.READY, detail="for tests only")

    def model_for(self, request: Recognition) -> str:
        model = request.model or DEFAULT_MODEL
        if model not in {DEFAULT_MODEL, SLOW_MODEL, *FAILURES}:
            raise EngineRejected(
                f"The mock engine has no model {model!r}.",
                engine=NAME,
                code="unknown_model",
                help=f"Name one of {', '.join((DEFAULT_MODEL, SLOW_MODEL, *FAILURES))}.",
            )
        return model

    def recognise(self, pcm: bytes, request: Recognition) -> Iterator[Segment]:
        model = self.model_for(request)
        if model in FAILURES:
            failure = FAILURES[model]()
            raise failure
        seconds = len(pcm) / BYTES_PER_SECOND
        language = request.language or "en"
        if model == DEFAULT_MODEL and pcm:
            yield _segment(f"mock heard {seconds:.1f} seconds", 0.0, seconds, language)
        elif model == SLOW_MODEL:
            for second in range(ceil(seconds)):
                self._sleep(SLOW_SECONDS)
                yield _segment(f"second {second + 1}", float(second), min(second + 1.0, seconds), language)


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
