"""The diarizer that needs no download: windows of speech, the voice in each, and like put with like.

It hears one voice at a time: where two speak at once, the louder one has the turn.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from pathlib import Path
from threading import Event as Flag
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hansard.application.ports.engines import EngineState, EngineStatus
from hansard.diarization.clustering import LEAST_LIKENESS, voices
from hansard.diarization.fbank import log_bands
from hansard.diarization.turns import in_order_of_appearance
from hansard.diarization.voices import EMBEDDING_SIZE, VoiceNetwork
from hansard.diarization.weights import read_weights
from hansard.domain.audio import SAMPLE_RATE_HZ
from hansard.domain.diarization import SpeakerBounds, Turn
from hansard.domain.errors import DiarizationFailed, EngineStopped
from hansard.domain.speech import Span, Speech
from hansard.timing.decorators import monitor_performance

WINDOW_SECONDS = 1.5
STEP_SECONDS = 0.75
"""As 3D-Speaker, whose network it is, cuts speech for diarization. A step of 0.5 s was no better on five excerpts of
AMI meetings, and takes half as long again."""

EDGE_SECONDS = 0.3
"""Not listened to at either end of a stretch, which voice activity detection has padded with silence and breath. As
many speakers are confused without it, but windows of one voice are more alike with it: at a threshold of 0.5, 0.01 of
four recordings of one voice went to somebody else, and 0.17 without."""

BATCH_WINDOWS = 4
"""What the network takes at once: more does not fit into a processor's cache, and is slower."""

BLAS_THREADS = 1
"""Workers are processes. Products of matrices as small as these take longer on two cores than on one, and on cores that
have other work twenty times as long: the threads wait for each other by spinning."""

WEIGHTS_FILE = "campplus_cn_en_common.pt"
WEIGHTS_SHA256 = "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199"

_WINDOW_SAMPLES = round(WINDOW_SECONDS * SAMPLE_RATE_HZ)

_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Window:
    """What is listened to, and the part of the speech that is spoken by the voice in it."""

    heard: Span
    stands_for: Span


@dataclass(frozen=True, slots=True)
class Heard:
    """The windows of a recording's speech, and for each the 192 numbers of the voice in it."""

    windows: Sequence[_Window]
    embeddings: _Floats


class BasicDiarizer:
    """Implements `Diarizer`. The weights are read when they are first needed."""

    name = "basic"
    limitation = (
        "The basic diarizer hears one voice at a time and guesses the number of speakers: it may take similar voices "
        "for one, above all on the telephone, and miss who speaks for less than a second. Say how many speak with "
        "min_speakers and max_speakers where it is known."
    )

    def __init__(self, weights: Path | None = None) -> None:
        """`weights` None: where `make install` puts them."""
        self._weights = weights or Path(sys.prefix, "share", "hansard", WEIGHTS_FILE)
        self._network: VoiceNetwork | None = None
        self._loading = Lock()

    def status(self) -> EngineStatus:
        if self._weights.is_file():
            return EngineStatus(state=EngineState.READY, detail="ready")
        return EngineStatus(
            state=EngineState.UNAVAILABLE,
            detail=f"the weights of its voice network are not there: {self._weights}",
            help="Install them with `make install`, or name their directory in HANSARD_DIARIZATION_MODELS.",
        )

    @monitor_performance
    def diarize(
        self, audio: Callable[[Span], bytes], speech: Speech, bounds: SpeakerBounds, stop: Flag | None = None
    ) -> tuple[Turn, ...]:
        """About 18 times as fast as real time on one core, in a kilobyte for each second of speech."""
        return told_apart(self.hear(audio, speech, stop), bounds)

    def hear(
        self,
        audio: Callable[[Span], bytes],
        speech: Speech,
        stop: Flag | None = None,
        *,
        edge_seconds: float = EDGE_SECONDS,
    ) -> Heard:
        """Which is nearly all of the work: what is heard can be told apart again and again, in other ways."""
        network = self._loaded()
        windows = list(_windows(speech, edge_seconds))
        embeddings = np.empty((len(windows), EMBEDDING_SIZE), np.float32)
        done = 0
        with threadpool_limits(BLAS_THREADS, user_api="blas"):
            while batch := windows[done : done + BATCH_WINDOWS]:
                if stop is not None and stop.is_set():
                    raise EngineStopped("Who speaks is not wanted any more.", engine=self.name)
                features = np.stack([_features(audio(window.heard)) for window in batch])
                embeddings[done : done + len(batch)] = network.embed(features)
                done += len(batch)
        return Heard(windows, embeddings)

    def _loaded(self) -> VoiceNetwork:
        with self._loading:
            if self._network is None:
                try:
                    self._network = VoiceNetwork(read_weights(self._weights, expected_sha256=WEIGHTS_SHA256))
                except (OSError, ValueError, KeyError) as error:
                    raise DiarizationFailed(
                        f"The weights of the voice network cannot be used: {error}",
                        help="Install them anew with `make install`, or correct HANSARD_DIARIZATION_MODELS.",
                    ) from error
            return self._network


def told_apart(heard: Heard, bounds: SpeakerBounds, *, least_likeness: float = LEAST_LIKENESS) -> tuple[Turn, ...]:
    """As `Diarizer.diarize` gives them."""
    with threadpool_limits(BLAS_THREADS, user_api="blas"):
        numbers = voices(heard.embeddings, least=bounds.least, most=bounds.most, least_likeness=least_likeness)
    return in_order_of_appearance(_turns(heard.windows, numbers))


def _windows(speech: Speech, edge_seconds: float) -> Iterator[_Window]:
    """Evenly over each stretch of speech; every moment of it belongs to the window whose middle is nearest."""
    for stretch in _stretches(speech.regions):
        edge = min(edge_seconds, max(0.0, (stretch.seconds - WINDOW_SECONDS) / 2))
        first, last = stretch.start_seconds + edge, stretch.end_seconds - edge - WINDOW_SECONDS
        count = max(1, ceil((last - first) / STEP_SECONDS) + 1)
        starts = np.linspace(first, max(first, last), count).tolist()
        middles = [(before + after + WINDOW_SECONDS) / 2 for before, after in pairwise(starts)]
        borders = [stretch.start_seconds, *middles, stretch.end_seconds]
        for start, (begin, end) in zip(starts, pairwise(borders), strict=True):
            yield _Window(Span(start, min(start + WINDOW_SECONDS, stretch.end_seconds)), Span(begin, end))


def _stretches(regions: tuple[Span, ...]) -> Iterator[Span]:
    """Regions that touch were one, and were only cut for the engines' sake."""
    stretch: Span | None = None
    for region in regions:
        if stretch is not None and region.start_seconds <= stretch.end_seconds:
            stretch = Span(stretch.start_seconds, region.end_seconds)
            continue
        if stretch is not None:
            yield stretch
        stretch = region
    if stretch is not None:
        yield stretch


def _features(pcm: bytes) -> _Floats:
    """Of exactly a window: what is shorter is heard over and over."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32) / 32768.0
    return log_bands(np.resize(samples if len(samples) else np.zeros(1, np.float32), _WINDOW_SAMPLES))


def _turns(windows: Sequence[_Window], numbers: NDArray[np.intp]) -> Iterator[Turn]:
    """Neighbouring windows of one voice are one turn, unless there is a pause between them."""
    turn: Turn | None = None
    for window, number in zip(windows, numbers.tolist(), strict=True):
        span, speaker = window.stands_for, str(number)
        if turn is not None and turn.speaker == speaker and turn.span.end_seconds == span.start_seconds:
            turn = Turn(Span(turn.span.start_seconds, span.end_seconds), speaker)
            continue
        if turn is not None:
            yield turn
        turn = Turn(span, speaker)
    if turn is not None:
        yield turn
