"""Have in memory what the first job would otherwise wait for: the models."""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hansard.application.ports.audio import SpeechDetector
from hansard.application.ports.engines import ANYTHING, EngineState, SpeechEngine
from hansard.domain.audio import BYTES_PER_SECOND
from hansard.domain.errors import EngineError
from hansard.timing.decorators import monitor_performance

SILENCE = bytes(BYTES_PER_SECOND)


@dataclass(frozen=True, slots=True)
class WarmUp:
    """`engines` are those that cost nothing, in the order in which they are tried: the first that is ready hears a
    second of silence, and whatever comes of it tells nothing.
    """

    detector: Callable[[], SpeechDetector]
    engines: Sequence[SpeechEngine]

    @monitor_performance
    def __call__(self) -> None:
        detector = self.detector()
        detector.feed(SILENCE)
        detector.finish()
        for engine in self.engines:
            if engine.status().state is EngineState.READY:
                with suppress(EngineError):
                    deque(engine.recognise(SILENCE, ANYTHING), maxlen=0)
                return
