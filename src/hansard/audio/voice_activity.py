"""Where somebody speaks: Silero VAD over a stream of any length, in constant memory.

The network and its weights are Silero VAD v6 (MIT licence), as bundled with faster-whisper. faster-whisper's own
function wants the whole recording as one array, about 700 MB for two hours; here the network's state is carried from
block to block instead.
"""
# onnxruntime has no type stubs.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Iterable
from functools import cached_property
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hansard.domain.audio import SAMPLE_RATE_HZ
from hansard.domain.errors import ConfigurationError
from hansard.domain.speech import Span, Speech
from hansard.timing.decorators import time_it

WINDOW_SAMPLES = 512
"""What the network judges at once at 16 kHz: 32 ms. Fixed by its training."""

CONTEXT_SAMPLES = 64
"""The end of the previous window, which the network sees again before each window."""

SPEECH_THRESHOLD = 0.35
"""Speech begins at this probability. With the padding below, Silero's default of 0.5 missed 0.095 of the speech in
five excerpts of AMI meetings, with its quiet voices, and 0.35 missed 0.077; 0.25 missed 0.066, but heard speech in
white noise."""

SILENCE_THRESHOLD = SPEECH_THRESHOLD - 0.15
"""Speech ends below this one. The distance is Silero's own."""

SHORTEST_SILENCE_SECONDS = 0.1
"""A dip that is shorter is part of speech, such as the closure of a plosive. Silero's default."""

SHORTEST_SPEECH_SECONDS = 0.1
"""What is shorter is a click. “No” and “yes” last 0.15 s and longer."""

PADDING_SECONDS = 0.4
"""Added on both sides, as faster-whisper does, for the soft beginnings and endings of words. Without it the miss was
0.283; of the time without speech it lets 0.07 in."""

LONGEST_REGION_SECONDS = 10.0
"""Longer regions are split where speech is least likely, so that an engine of short passages cuts no word."""

_WINDOW_SECONDS = WINDOW_SAMPLES / SAMPLE_RATE_HZ
_SHORTEST_SILENCE_WINDOWS = round(SHORTEST_SILENCE_SECONDS / _WINDOW_SECONDS)
_SHORTEST_SPEECH_WINDOWS = round(SHORTEST_SPEECH_SECONDS / _WINDOW_SECONDS)
_LONGEST_REGION_WINDOWS = int((LONGEST_REGION_SECONDS - 2 * PADDING_SECONDS) / _WINDOW_SECONDS)
_SMOOTHED_WINDOWS = 5
"""A place to split is a dip of about a sixth of a second, not one odd window."""

_Samples = NDArray[np.float32]


class SileroModel:
    """The network, loaded once, when it is first needed. Shared by all detectors of a process; thread-safe."""

    def __init__(self, path: Path | None = None) -> None:
        """`path` is an .onnx file of Silero VAD v6; None is the one that faster-whisper bundles."""
        self._path = path

    def probabilities(self, windows: _Samples, state: tuple[_Samples, _Samples]) -> tuple[_Samples, _Samples, _Samples]:
        """For n windows of 64 + 512 samples (-1 … 1), their n speech probabilities and the next state."""
        output, h, c = self._session.run(None, {"input": windows, "h": state[0], "c": state[1]})
        return cast("_Samples", output).reshape(-1), cast("_Samples", h), cast("_Samples", c)

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        # One thread: workers are processes, and the network is too small to share out.
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        # The arena keeps what the longest batch needed, for ever.
        options.enable_cpu_mem_arena = False
        path = self._path or _bundled_model()
        if path is None or not path.is_file():
            raise ConfigurationError(
                "The voice-activity model is missing: it is part of faster-whisper 1.2.1 and newer.",
                code="voice_activity_model_missing",
                help="Install the dependencies anew, for example with `make install`.",
            )
        return onnxruntime.InferenceSession(path, sess_options=options, providers=["CPUExecutionProvider"])


def _bundled_model() -> Path | None:
    # Importing faster_whisper would load CTranslate2 and more; its directory is enough.
    package = find_spec("faster_whisper")
    return Path(package.origin).parent / "assets" / "silero_vad_v6.onnx" if package and package.origin else None


class SileroProbabilities:
    """Implements `SpeechProbabilities`: one object for one stream of 16 kHz mono s16le."""

    window_seconds = _WINDOW_SECONDS

    def __init__(self, model: SileroModel) -> None:
        self._model = model
        self._state = (np.zeros((1, 1, 128), np.float32), np.zeros((1, 1, 128), np.float32))
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)
        self._pending = b""

    @time_it
    def feed(self, block: bytes) -> list[float]:
        """Blocks may be of any length, and may end within a window or a sample."""
        self._pending += block
        whole = len(self._pending) // (2 * WINDOW_SAMPLES) * 2 * WINDOW_SAMPLES
        windows, self._pending = self._pending[:whole], self._pending[whole:]
        return self._judge(windows) if windows else []

    def finish(self) -> list[float]:
        """That of the last window, which is filled up with silence."""
        last, self._pending = self._pending[: len(self._pending) // 2 * 2], b""
        return self._judge(last.ljust(2 * WINDOW_SAMPLES, b"\0")) if last else []

    def _judge(self, pcm: bytes) -> list[float]:
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768.0
        windows = samples.reshape(-1, WINDOW_SAMPLES)
        contexts = np.vstack([self._context, windows[:-1, -CONTEXT_SAMPLES:]])
        probabilities, *state = self._model.probabilities(np.hstack([contexts, windows]), self._state)
        self._state = (state[0], state[1])
        self._context = samples[-CONTEXT_SAMPLES:]
        return probabilities.tolist()


class SileroDetector:
    """Implements `SpeechDetector`: one object for one stream of 16 kHz mono s16le."""

    def __init__(self, model: SileroModel) -> None:
        self._probabilities = SileroProbabilities(model)
        self._size_bytes = 0
        self._regions = _Regions()

    @time_it
    def feed(self, block: bytes) -> None:
        """Blocks may be of any length, and may end within a window or a sample."""
        self._size_bytes += len(block)
        self._regions.extend(self._probabilities.feed(block))

    @time_it
    def finish(self) -> Speech:
        """The regions: ordered, not overlapping, at most 10 s long; those that were split touch."""
        self._regions.extend(self._probabilities.finish())
        audio_seconds = self._size_bytes // 2 / SAMPLE_RATE_HZ
        return Speech(audio_seconds=audio_seconds, regions=_padded(self._regions.finish(), audio_seconds))


class _Regions:
    """From a probability for each window to (start, end) in windows, end exclusive."""

    def __init__(self) -> None:
        self._found: list[tuple[int, int]] = []
        self._position = 0
        self._open: list[float] = []
        """The probabilities since the open region's start; empty while nobody speaks."""
        self._silence = 0

    def extend(self, probabilities: Iterable[float]) -> None:
        for probability in probabilities:
            self._add(probability)

    def _add(self, probability: float) -> None:
        self._position += 1
        if not self._open and probability < SPEECH_THRESHOLD:
            return
        self._open.append(probability)
        self._silence = self._silence + 1 if probability < SILENCE_THRESHOLD else 0
        if self._silence >= _SHORTEST_SILENCE_WINDOWS:
            self._close(len(self._open) - self._silence)
            self._open.clear()
        elif len(self._open) - self._silence >= _LONGEST_REGION_WINDOWS:
            self._split()

    def finish(self) -> list[tuple[int, int]]:
        self._close(len(self._open) - self._silence)
        self._open.clear()
        return self._found

    def _close(self, windows: int) -> None:
        start = self._position - len(self._open)
        continues = bool(self._found) and self._found[-1][1] == start
        if windows and (continues or windows >= _SHORTEST_SPEECH_WINDOWS):
            self._found.append((start, start + windows))

    def _split(self) -> None:
        """Close the region at the least speech-like place of its second half; the next one begins there."""
        half = len(self._open) // 2
        smoothed = np.convolve(self._open, np.ones(_SMOOTHED_WINDOWS), "same")[half:-_SMOOTHED_WINDOWS]
        cut = half + int(np.argmin(smoothed))
        self._close(cut)
        del self._open[:cut]


def _padded(regions: list[tuple[int, int]], audio_seconds: float) -> tuple[Span, ...]:
    """Padding reaches at most to the middle of a pause, so that neighbours touch rather than overlap."""
    edges = [(start * _WINDOW_SECONDS, min(end * _WINDOW_SECONDS, audio_seconds)) for start, end in regions]
    if not edges:
        return ()
    half_pauses = [(after[0] - before[1]) / 2 for before, after in pairwise(edges)]
    room = [edges[0][0], *half_pauses, audio_seconds - edges[-1][1]]
    return tuple(
        Span(start - min(before, PADDING_SECONDS), end + min(after, PADDING_SECONDS))
        for (start, end), (before, after) in zip(edges, pairwise(room), strict=True)
    )
