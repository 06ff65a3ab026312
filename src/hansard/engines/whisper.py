"""Whisper on this machine, by faster-whisper and CTranslate2: full quality, in about a hundred languages.

It is given samples, never files, and always a directory that `whisper_models` has found whole: faster-whisper would
otherwise decode uploads itself, and ask the model hub when a file is missing.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from loguru import logger
from threadpoolctl import threadpool_limits

from hansard.application.ports.engines import ANYTHING, EngineCall, EngineStatus, Recognition
from hansard.domain.audio import SAMPLE_RATE_HZ
from hansard.domain.errors import EngineError, EngineFailed, EngineRejected, EngineUnavailable
from hansard.domain.languages import base_language
from hansard.domain.speech import PassageLimits
from hansard.domain.transcript import DecodingScores, Segment, Word
from hansard.domain.transcription import Task
from hansard.engines.stopping import go_on_unless, holding
from hansard.engines.whisper_models import WhisperModels, repository_of
from hansard.timing.decorators import monitor_performance

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

GPU_MODEL = "large-v3-turbo"
CPU_MODEL = "small"

WINDOW_SECONDS = 30
"""What Whisper hears at once, whether there is speech in all of it or not."""

PAUSE_SECONDS = 2.0
"""Each window costs the same, so short regions are better heard together; long silences make Whisper invent words."""

CUT_WITHIN_SECONDS = 5
CUT_FRAME_SAMPLES = SAMPLE_RATE_HZ // 50
SHORTEST_SAMPLES = SAMPLE_RATE_HZ // 10  # the word alignment fails on less than a few frames

# A window that the first pass finds no sense in is tried again once, not five times: one such window took ten times as
# long as the others. Whisper's 448 positions hold what it is told and what it says.
TEMPERATURES = (0.0, 0.4)
"""Where none, or 0, is asked for, as in OpenAI's API; another temperature is the only one."""
MAX_SAID_TOKENS = 220
MAX_TOLD_TOKENS = 200

NO_TRANSLATION = re.compile(r"\.en$|turbo|distil", re.IGNORECASE)
"""In the names of models that write down the language spoken even when told to translate. Source: the README of
openai/whisper says it of turbo; distilled models, too, learnt from transcripts only."""

Samples = npt.NDArray[np.float32]


class WhisperEngine:
    """The model stays in memory, shared by all threads of the process; asking for another one replaces it.

    `model` is a name, a repository or a local directory; None chooses by the hardware. `device` is "auto", "cpu" or
    "cuda", `compute_type` CTranslate2's or "default". With `batch_size` above 1 so many windows are decoded at once.
    Of a prompt the last 200 tokens count, of hotwords the first 200; of both, 100 each. It translates into English,
    with the models that were trained for it: that is, by their names, not `….en`, turbo or distil. The words of a
    translation have no times.

    `on_load` hears how long each loading took, in seconds.

    A call that is stopped ends before its next window, or before the model is loaded: CTranslate2 offers no way into a
    window, or a loading, that is under way. Whoever cannot wait so long may leave the thread to itself; it finishes
    that window in vain, and meanwhile other threads' calls take turns with it on the model, as ever.
    """

    name = "whisper"
    degraded_reason = None

    def __init__(
        self,
        models: WhisperModels,
        *,
        model: str | None,
        device: str,
        compute_type: str,
        beam_size: int,
        batch_size: int,
        threads: int,
        on_load: Callable[[float], object] = lambda _: None,
    ) -> None:
        self._models = models
        self._configured_model = model
        self._configured_device = device
        self._configured_compute_type = compute_type
        self._beam_size = beam_size
        self._batch_size = batch_size
        self._threads = threads
        self._on_load = on_load
        self._loading = threading.Lock()
        self._loaded: tuple[str, WhisperModel] | None = None

    @property
    def models_in_memory(self) -> tuple[str, ...]:
        loaded = self._loaded
        return (loaded[0],) if loaded else ()

    @property
    def limits(self) -> PassageLimits:
        return PassageLimits(seconds=WINDOW_SECONDS * self._batch_size, pause_seconds=PAUSE_SECONDS)

    def status(self, request: Recognition = ANYTHING) -> EngineStatus:
        return self._models.status(request.model or self.default_model)

    def fetch_in_background(self) -> None:
        """Have the model fetched, if it isn't here and may be; `status` tells how far it is."""
        self._models.fetch_in_background(self.default_model)

    def close(self) -> None:
        """Fetch nothing more in the background."""
        self._models.close()

    def model_for(self, request: Recognition) -> str:
        name = request.model or self.default_model
        directory = self._models.locate(name)
        if directory is None and name != self.default_model:
            raise self._not_here(name)
        language = _language(request)
        if language not in {None, "en"} and name.endswith(".en"):
            raise _unsupported_language(name, request)
        if language is not None and directory is not None and not _understands(directory, language):
            raise _unsupported_language(name, request)
        if request.task is Task.TRANSLATE and NO_TRANSLATION.search(Path(name).name):
            raise _no_translation(name)
        return name

    @monitor_performance
    def recognise(self, pcm: bytes, request: Recognition, call: EngineCall | None = None) -> Iterator[Segment]:
        call = call or EngineCall()
        stop = call.stop
        name = self.model_for(request)
        samples = _samples(pcm)
        if not samples.size:
            return
        model = self._model(name, stop)
        if not model.model.is_multilingual:
            if _language(request) not in {None, "en"}:
                raise _unsupported_language(name, request)
            if request.task is Task.TRANSLATE:
                raise _no_translation(name)
        try:
            heard, info = self._transcribe(model, samples, request)
            language, probability = info.language, None
            if request.language is None and model.model.is_multilingual:
                probability = _within(info.language_probability, 0.0, 1.0)
                call.spoken.append(language)
            if request.task is Task.TRANSLATE:
                language, probability = "en", None
            for segment in _segments(_until(stop, heard), samples.size / SAMPLE_RATE_HZ):
                yield replace(segment, language=language, language_probability=probability)
        except EngineError:
            raise
        except Exception as error:
            otherwise = EngineFailed(
                f"Whisper failed: {error}", engine=self.name, help="Another model or another engine may do."
            )
            raise _failure(error, otherwise) from error

    def _transcribe(self, model: "WhisperModel", samples: Samples, request: Recognition) -> tuple[Iterable[Any], Any]:
        from faster_whisper import BatchedInferencePipeline  # noqa: PLC0415 - loaded with the model, not with us

        told = MAX_TOLD_TOKENS // 2 if request.prompt and request.hotwords else MAX_TOLD_TOKENS
        options: dict[str, Any] = {
            "language": _language(request),
            "task": request.task.value,
            "beam_size": self._beam_size,
            "temperature": [request.temperature] if request.temperature else list(TEMPERATURES),
            "condition_on_previous_text": False,
            "initial_prompt": _shortened(model, request.prompt, slice(-told, None)),
            "hotwords": _shortened(model, request.hotwords, slice(told)),
            "max_new_tokens": MAX_SAID_TOKENS,
            # A translation's words are not said one by one: openai/whisper warns that their times are not reliable.
            "word_timestamps": request.task is Task.TRANSCRIBE,
            "vad_filter": False,
        }
        padded = np.pad(samples, (0, max(0, SHORTEST_SAMPLES - samples.size)))
        if self._batch_size == 1:
            return model.transcribe(padded, **options)
        return BatchedInferencePipeline(model).transcribe(
            padded, **options, batch_size=self._batch_size, clip_timestamps=_windows(padded), without_timestamps=False
        )

    def _model(self, name: str, stop: Flag) -> "WhisperModel":
        with holding(self._loading, stop, self.name):
            if self._loaded is None or self._loaded[0] != name:
                self._loaded = None  # two of them may be more than the memory holds
                self._loaded = (name, self._load(name))
            go_on_unless(stop, self.name)
            return self._loaded[1]

    def _load(self, name: str) -> "WhisperModel":
        from faster_whisper import WhisperModel  # noqa: PLC0415 - heavy, and only those who recognise need it

        directory = self._models.locate(name)
        if directory is None:
            raise self._not_here(name)
        _one_blas_thread()
        started_at = time.monotonic()
        try:
            model = WhisperModel(
                str(directory),
                device=self._device,
                compute_type=self._compute_type,
                cpu_threads=self._threads,
                local_files_only=True,
            )
        except Exception as error:
            raise _failure(error, _broken(name, error)) from error
        seconds = round(time.monotonic() - started_at, 2)
        self._on_load(seconds)
        log = logger.bind(engine=self.name, model=name, device=self._device, seconds=seconds)
        log.info("The Whisper model is in memory.")
        return model

    def _not_here(self, name: str) -> EngineError:
        # What a request names is the caller's to put right, what the settings name is the operator's.
        if name != self.default_model and repository_of(name) is None:
            return EngineRejected(
                f"There is no Whisper model {name!r} on this machine.",
                engine=self.name,
                code="unknown_model",
                help="Name a size (small, large-v3-turbo …), a repository (`org/name`) or a directory with a model.",
            )
        status = self._models.status(name)
        return EngineUnavailable(
            f"Whisper cannot use {name}: {status.detail}.", engine=self.name, code="model_not_found", help=status.help
        )

    @cached_property
    def _device(self) -> str:
        if self._configured_device != "auto":
            return self._configured_device
        from ctranslate2 import get_cuda_device_count  # noqa: PLC0415 - 27 MB, where the device is not given

        return "cuda" if get_cuda_device_count() else "cpu"

    @property
    def _compute_type(self) -> str:
        if self._configured_compute_type != "default":
            return self._configured_compute_type
        return "int8" if self._device == "cpu" else "float16"

    @property
    def default_model(self) -> str:
        """The model that is used unless a request names another."""
        return self._configured_model or (CPU_MODEL if self._device == "cpu" else GPU_MODEL)


def _one_blas_thread() -> None:
    """In this process, from now on. Each window's spectrum is one small product of matrices, on numpy: it is no quicker
    on two cores, and the second thread would then spin for a tenth of a second, waiting for more, on a core that
    others need.
    """
    threadpool_limits(1, user_api="blas")


def _samples(pcm: bytes) -> Samples:
    """From -1 to 1."""
    return np.frombuffer(pcm, "<i2", len(pcm) // 2).astype(np.float32) / np.float32(32768)


def _until(stop: Flag, heard: Iterable[Any]) -> Iterator[Any]:
    """Looks at the flag each time before more is worked out. Raises `EngineStopped`."""
    go_on_unless(stop, WhisperEngine.name)
    for segment in heard:
        yield segment
        go_on_unless(stop, WhisperEngine.name)


def _segments(heard: Iterable[Any], seconds: float) -> Iterator[Segment]:
    """In order and inside the passage: Whisper's own times may overlap a little, or lie behind its end."""
    reached = 0.0
    for segment in heard:
        start = _within(segment.start, reached, seconds)
        words: list[Word] = []
        reached = start
        for word in segment.words or ():
            begins = _within(word.start, reached, seconds)
            reached = _within(word.end, begins, seconds)
            words.append(Word(word.word.strip(), begins, reached, _within(word.probability, 0.0, 1.0)))
        reached = _within(segment.end, reached, seconds)
        yield Segment(
            start_seconds=start,
            end_seconds=reached,
            text=segment.text.strip(),
            words=tuple(words),
            confidence=_within(math.exp(segment.avg_logprob), 0.0, 1.0),
            scores=_scores(segment),
        )


def _scores(segment: Any) -> DecodingScores:  # noqa: ANN401 - faster-whisper's, which has no stubs
    return DecodingScores(
        average_log_probability=float(segment.avg_logprob),
        compression_ratio=float(segment.compression_ratio),
        no_speech_probability=_within(segment.no_speech_prob, 0.0, 1.0),
        temperature=None if segment.temperature is None else float(segment.temperature),
    )


def _within(value: float, lowest: float, highest: float) -> float:
    return min(max(float(value), lowest), highest)


def _windows(samples: Samples) -> list[dict[str, float]]:
    """Pieces of at most a window, each cut at the quietest moment of its last seconds, in seconds."""
    window, search = WINDOW_SECONDS * SAMPLE_RATE_HZ, CUT_WITHIN_SECONDS * SAMPLE_RATE_HZ
    edges = [0]
    while samples.size - edges[-1] > window:
        start = edges[-1] + window - search
        loudness = np.square(samples[start : start + search]).reshape(-1, CUT_FRAME_SAMPLES).sum(axis=1)
        edges.append(start + int(loudness.argmin()) * CUT_FRAME_SAMPLES + CUT_FRAME_SAMPLES // 2)
    edges.append(samples.size)
    return [{"start": start / SAMPLE_RATE_HZ, "end": end / SAMPLE_RATE_HZ} for start, end in pairwise(edges)]


def _shortened(model: "WhisperModel", text: str | None, kept: slice) -> str | None:
    if not text:
        return None
    tokens = model.hf_tokenizer.encode(text, add_special_tokens=False).ids
    return model.hf_tokenizer.decode(tokens[kept])


def _language(request: Recognition) -> str | None:
    """Whisper's code: "de" for "de-AT"."""
    return base_language(request.language) if request.language else None


def _understands(directory: Path, language: str) -> bool:
    return language == "en" if directory.name.endswith(".en") else language in _languages(directory)


@lru_cache
def _languages(directory: Path) -> frozenset[str]:
    """The codes among the model's tokens; larger models know more."""
    try:
        tokens = (directory / "tokenizer.json").read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(str(directory), error) from error
    return frozenset(re.findall(r'"<\|([a-z]{2,3})\|>"', tokens))


def _unsupported_language(name: str, request: Recognition) -> EngineRejected:
    return EngineRejected(
        f"The Whisper model {name} does not understand {request.language!r}.",
        engine=WhisperEngine.name,
        code="unsupported_language",
        help="Give an ISO 639-1 code such as `de`, or none to have it detected; models named `….en` know English only.",
    )


def _no_translation(name: str) -> EngineRejected:
    return EngineRejected(
        f"The Whisper model {name} does not translate.",
        engine=WhisperEngine.name,
        code="translation_not_supported",
        help="Name a model that does: `small`, `medium` or `large-v3`, or one that was made of them.",
    )


def _broken(name: str, error: Exception) -> EngineUnavailable:
    return EngineUnavailable(
        f"The Whisper model {name} cannot be loaded: {error}",
        engine=WhisperEngine.name,
        code="model_broken",
        help=f"Delete its directory and run `hansard models pull {name}`, or set HANSARD_WHISPER_MODEL=/path.",
    )


def _failure(error: Exception, otherwise: EngineError) -> EngineError:
    """CTranslate2 raises bare RuntimeErrors and ValueErrors: only their text tells them apart."""
    text = str(error)
    if isinstance(error, MemoryError) or re.search(r"out of memory|allocate memory|ALLOC_FAILED", text):
        kind, code = EngineFailed, "out_of_memory"
        advice = "Use a smaller HANSARD_WHISPER_MODEL, or HANSARD_WHISPER_BATCH_SIZE=1."
    elif "compute type" in text:
        kind, code = EngineUnavailable, "compute_type_unsupported"
        advice = "Set HANSARD_WHISPER_COMPUTE_TYPE=default, or to a type this device has: int8, float32."
    elif re.search(r"CUDA|cuBLAS|cuDNN|libcu|unsupported device", text):
        kind, code = EngineUnavailable, "device_unavailable"
        advice = "Set HANSARD_WHISPER_DEVICE=cpu, or install the CUDA libraries that CTranslate2 needs."
    else:
        return otherwise
    return kind(f"Whisper cannot work on this machine: {text}", engine=WhisperEngine.name, code=code, help=advice)
