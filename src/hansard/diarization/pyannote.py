"""pyannote.audio's community pipeline: the best of the open diarizers, for those who can give it its model.

An optional part: `pip install pyannote.audio` (with PyTorch, some gigabytes), and either a local clone of the pipeline
`pyannote/speaker-diarization-community-1` or a token of Hugging Face's hub, after accepting its terms there. It wants
the whole recording at once: 64 kB a second, 0.9 GB for four hours, and as much again for its own work.
"""

# An optional library.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Callable, Iterable, Iterator, Mapping
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
from hansard.domain.audio import SAMPLE_RATE_HZ
from hansard.domain.diarization import SpeakerBounds, Turn
from hansard.domain.errors import DiarizationFailed, EngineStopped
from hansard.domain.speech import Span, Speech
from hansard.timing.decorators import monitor_performance

PIPELINE = "pyannote/speaker-diarization-community-1"
CONFIG_FILE = "config.yaml"


class PyannoteDiarizer:
    """Implements `Diarizer`. The pipeline is loaded when it is first needed, and kept."""

    name = "pyannote"
    limitation = None

    def __init__(self, directory: Path | None, *, token: str | None, offline: bool) -> None:
        """`directory` is a clone of the pipeline; None takes it from the hub, with `token`, unless `offline`."""
        self._directory = directory
        self._token = token
        self._offline = offline
        self._turn = Lock()
        self._pipeline: _Pipeline | None = None

    def status(self) -> EngineStatus:
        if find_spec("pyannote") is None or find_spec("pyannote.audio") is None:
            return _unavailable("pyannote.audio is not installed", "Install it with `pip install pyannote.audio`.")
        if self._directory is not None and not (self._directory / CONFIG_FILE).is_file():
            return _unavailable(
                f"{self._directory} has no {CONFIG_FILE}",
                f"Clone {PIPELINE} into it, or correct HANSARD_DIARIZATION_MODELS.",
            )
        if self._directory is None and (self._offline or self._token is None):
            return _unavailable(
                "it has no model",
                f"Accept the terms of {PIPELINE} on huggingface.co and set HF_TOKEN, or clone it and name the "
                "directory in HANSARD_DIARIZATION_MODELS.",
            )
        return EngineStatus(state=EngineState.READY, detail="ready")

    @monitor_performance
    def diarize(
        self, audio: Callable[[Span], bytes], speech: Speech, bounds: SpeakerBounds, stop: Flag | None = None
    ) -> tuple[Turn, ...]:
        """One recording at a time."""
        stop = stop or Flag()
        samples = whole_recording(audio, speech, stop, engine=self.name)
        with self._turn:
            try:
                return in_order_of_appearance(self._turns(samples, bounds, stop))
            except (DiarizationFailed, EngineStopped):
                raise
            except Exception as error:
                raise DiarizationFailed(
                    f"pyannote.audio failed: {error}",
                    help="Is its model complete, and are its terms accepted by the owner of HF_TOKEN?",
                ) from error

    def _turns(self, samples: NDArray[np.float32], bounds: SpeakerBounds, stop: Flag) -> Iterator[Turn]:
        import torch  # noqa: PLC0415 - optional

        def stopped(*_: object, **__: object) -> None:
            if stop.is_set():
                raise EngineStopped("Who speaks is not wanted any more.", engine=self.name)

        result = self._loaded()(
            {"waveform": torch.from_numpy(samples)[None], "sample_rate": SAMPLE_RATE_HZ},
            min_speakers=bounds.least,
            max_speakers=bounds.most,
            hook=stopped,
        )
        # Without overlaps: made for laying words over it.
        for segment, _, speaker in result.exclusive_speaker_diarization.itertracks(yield_label=True):
            yield Turn(Span(max(0.0, segment.start), max(0.0, segment.end)), str(speaker))

    def _loaded(self) -> "_Pipeline":
        if self._pipeline is None:
            from pyannote.audio import Pipeline  # noqa: PLC0415 - optional

            loaded = Pipeline.from_pretrained(self._directory or PIPELINE, token=self._token)
            if loaded is None:
                raise DiarizationFailed(
                    f"The pipeline {PIPELINE} could not be fetched.",
                    help="Accept its terms on huggingface.co with the account of HF_TOKEN.",
                )
            self._pipeline = cast("_Pipeline", loaded)
        return self._pipeline


class _Segment(Protocol):
    start: float
    end: float


class _Annotation(Protocol):
    def itertracks(self, *, yield_label: bool) -> Iterable[tuple[_Segment, object, str]]: ...


class _Output(Protocol):
    exclusive_speaker_diarization: _Annotation


class _Pipeline(Protocol):
    """What is used of `pyannote.audio.Pipeline`."""

    def __call__(
        self,
        file: Mapping[str, object],
        *,
        min_speakers: int | None,
        max_speakers: int | None,
        hook: Callable[..., None],
    ) -> _Output: ...


def _unavailable(detail: str, help: str) -> EngineStatus:
    return EngineStatus(state=EngineState.UNAVAILABLE, detail=detail, help=help)
