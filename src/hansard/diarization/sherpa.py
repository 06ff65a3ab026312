"""sherpa-onnx: a network that hears who speaks when also where two do at once, and one that knows voices apart.

An optional part: `pip install sherpa-onnx`, and two .onnx files of the user's choice, of those that
https://k2-fsa.github.io/sherpa/onnx/speaker-diarization lists. It wants the whole recording at once: 64 kB a second,
0.9 GB for four hours.
"""

# sherpa-onnx has no type stubs.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import Event as Flag
from threading import Lock
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from hansard.application.ports.engines import EngineState, EngineStatus
from hansard.diarization.turns import in_order_of_appearance
from hansard.diarization.whole import whole_recording
from hansard.domain.diarization import SpeakerBounds, Turn
from hansard.domain.errors import DiarizationFailed, EngineStopped
from hansard.domain.speech import Span, Speech
from hansard.timing.decorators import monitor_performance

SEGMENTATION_FILE = "segmentation.onnx"
EMBEDDING_FILE = "embedding.onnx"

CLUSTERING_THRESHOLD = 0.5
"""Cosine distance below which two voices are one, where the number of speakers is not known. The library's default."""


class SherpaDiarizer:
    """Implements `Diarizer`. Bounds that are no exact number are kept as far as merging and forcing can."""

    name = "sherpa"
    limitation = None

    def __init__(self, models: Path) -> None:
        """`models` is a directory with `segmentation.onnx` and `embedding.onnx`."""
        self._models = models
        self._turn = Lock()

    def status(self) -> EngineStatus:
        if find_spec("sherpa_onnx") is None:
            return _unavailable("sherpa-onnx is not installed", "Install it with `pip install sherpa-onnx`.")
        missing = [name for name in (SEGMENTATION_FILE, EMBEDDING_FILE) if not (self._models / name).is_file()]
        if missing:
            return _unavailable(
                f"{self._models} has no {' and no '.join(missing)}",
                "Download a segmentation model and a speaker embedding model from the pages of sherpa-onnx, and put "
                "them there under these names, or name another directory in HANSARD_DIARIZATION_MODELS.",
            )
        return EngineStatus(state=EngineState.READY, detail="ready")

    @monitor_performance
    def diarize(
        self, audio: Callable[[Span], bytes], speech: Speech, bounds: SpeakerBounds, stop: Flag | None = None
    ) -> tuple[Turn, ...]:
        """One recording at a time: the library keeps its settings in the object that works."""
        stop = stop or Flag()
        samples = whole_recording(audio, speech, stop, engine=self.name)
        with self._turn:
            turns = self._within(samples, bounds, stop)
        return in_order_of_appearance(turns)

    def _within(self, samples: NDArray[np.float32], bounds: SpeakerBounds, stop: Flag) -> list[Turn]:
        exact = bounds.least if bounds.least == bounds.most else None
        turns = list(self._turns(samples, exact, stop))
        found = len({turn.speaker for turn in turns})
        if bounds.most is not None and found > bounds.most:
            return list(self._turns(samples, bounds.most, stop))
        if bounds.least is not None and found < bounds.least:
            return list(self._turns(samples, bounds.least, stop))
        return turns

    def _turns(self, samples: NDArray[np.float32], speakers: int | None, stop: Flag) -> Iterator[Turn]:
        def stopped(_done: int, _of: int) -> int:
            return int(stop.is_set())

        try:
            segments = self._made(speakers).process(samples, callback=stopped).sort_by_start_time()
        except Exception as error:
            raise DiarizationFailed(
                f"sherpa-onnx failed: {error}", help=f"Are the models in {self._models} those that it wants?"
            ) from error
        if stop.is_set():
            raise EngineStopped("Who speaks is not wanted any more.", engine=self.name)
        for segment in segments:
            yield Turn(Span(max(0.0, segment.start), max(0.0, segment.start, segment.end)), str(segment.speaker))

    def _made(self, speakers: int | None) -> "_Library":
        import sherpa_onnx  # noqa: PLC0415 - optional

        segmentation = sherpa_onnx.OfflineSpeakerSegmentationModelConfig(
            pyannote=sherpa_onnx.OfflineSpeakerSegmentationPyannoteModelConfig(
                model=str(self._models / SEGMENTATION_FILE)
            )
        )
        config = sherpa_onnx.OfflineSpeakerDiarizationConfig(
            segmentation=segmentation,
            embedding=sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=str(self._models / EMBEDDING_FILE)),
            clustering=sherpa_onnx.FastClusteringConfig(num_clusters=speakers or -1, threshold=CLUSTERING_THRESHOLD),
        )
        if not config.validate():
            raise ValueError("it does not accept the models")
        return cast("_Library", sherpa_onnx.OfflineSpeakerDiarization(config))


class _Segment(Protocol):
    start: float
    end: float
    speaker: int


class _Result(Protocol):
    def sort_by_start_time(self) -> Iterable[_Segment]: ...


class _Library(Protocol):
    """What is used of `sherpa_onnx.OfflineSpeakerDiarization`."""

    def process(self, samples: NDArray[np.float32], *, callback: Callable[[int, int], int]) -> _Result: ...


def _unavailable(detail: str, help: str) -> EngineStatus:
    return EngineStatus(state=EngineState.UNAVAILABLE, detail=detail, help=help)
