"""A whole recording in memory, for diarizers that cannot do with less."""

from collections.abc import Callable
from threading import Event as Flag

import numpy as np
from numpy.typing import NDArray

from hansard.domain.audio import SAMPLE_RATE_HZ
from hansard.domain.errors import EngineStopped
from hansard.domain.speech import Span, Speech

BLOCK_SECONDS = 60


def whole_recording(audio: Callable[[Span], bytes], speech: Speech, stop: Flag, *, engine: str) -> NDArray[np.float32]:
    """16 kHz mono, -1 … 1: 64 kB a second. Raises `EngineStopped`."""
    samples = np.zeros(round(speech.audio_seconds * SAMPLE_RATE_HZ), np.float32)
    for start in range(0, len(samples), BLOCK_SECONDS * SAMPLE_RATE_HZ):
        if stop.is_set():
            raise EngineStopped("Who speaks is not wanted any more.", engine=engine)
        begin = start / SAMPLE_RATE_HZ
        block = np.frombuffer(audio(Span(begin, begin + BLOCK_SECONDS)), "<i2")[: len(samples) - start]
        samples[start : start + len(block)] = block / np.float32(32768)
    return samples
