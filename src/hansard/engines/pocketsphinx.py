"""PocketSphinx: the engine that is always there. Its model comes with the package, so it needs no network and no key.

It is the safety net, not the quality: about every second word of free speech comes out wrong, and there is no
punctuation. It takes no hints: a `prompt` or `hotwords` changes nothing, and it cannot tell one language from another;
`degraded_reason` says so in every result. What would change the result it refuses: another language, a translation, a
temperature.
"""

# pyright: reportUnknownVariableType=false

import re
from collections.abc import Iterator
from importlib.util import find_spec
from statistics import fmean
from typing import Any

from hansard.application.ports.engines import ANYTHING, EngineCall, EngineState, EngineStatus, Recognition
from hansard.domain.audio import BYTES_PER_SECOND
from hansard.domain.errors import EngineRejected
from hansard.domain.languages import base_language
from hansard.domain.speech import PassageLimits
from hansard.domain.transcript import Segment, Word
from hansard.domain.transcription import Task
from hansard.engines.child import ChildProcess
from hansard.timing.decorators import monitor_performance

MODEL = "en-us"
FRAMES_PER_SECOND = 100
BYTES_PER_SAMPLE = 2

# <s>, </s>, <sil>, [NOISE], ++UM++: what the decoder puts between words.
FILLER = re.compile(r"^(<.*>|\[.*\]|\+\+.*\+\+)$")
# "read(2)" is the second pronunciation of "read".
PRONUNCIATION = re.compile(r"\(\d+\)$")


class PocketSphinxEngine:
    """US English. One segment a passage, without punctuation; word times in steps of 10 ms."""

    name = "pocketsphinx"

    # 10 s measured best on read and spontaneous English. Pauses from 0.2 to 5 s inside a passage make no difference
    # that could be measured (word error rate 0.51 to 0.52); at a second, subtitles still follow the speech.
    limits = PassageLimits(seconds=10.0, pause_seconds=1.0)

    degraded_reason = (
        "recognised offline by PocketSphinx, which takes all speech for US English, makes many mistakes, writes no "
        "punctuation and does not use prompt or hotwords"
    )

    def __init__(self) -> None:
        self.child: ChildProcess[bytes, Segment] = ChildProcess(Recogniser, engine=self.name)

    @property
    def models_in_memory(self) -> tuple[str, ...]:
        return (MODEL,) if self.child.pid is not None else ()

    def status(self, request: Recognition = ANYTHING) -> EngineStatus:  # noqa: ARG002 - the port's
        if find_spec("pocketsphinx") is None:
            return EngineStatus(
                state=EngineState.UNAVAILABLE,
                detail="the package pocketsphinx is not installed",
                help="Install Hansard again with all its dependencies.",
            )
        return EngineStatus(state=EngineState.READY, detail="its model comes with the package")

    def model_for(self, request: Recognition) -> str:
        if request.model not in {None, MODEL}:
            raise EngineRejected(
                f"PocketSphinx has no model {request.model!r}.",
                engine=self.name,
                code="unknown_model",
                help=f"Leave `model` out, or say {MODEL!r}; for other models name another engine.",
            )
        if request.language is not None and base_language(request.language) != "en":
            raise EngineRejected(
                f"PocketSphinx understands English only, not {request.language!r}.",
                engine=self.name,
                code="unsupported_language",
                help="Use Whisper (`hansard models pull small`) or OpenAI (`OPENAI_API_KEY`) for other languages.",
            )
        if request.task is Task.TRANSLATE:
            raise EngineRejected(
                "PocketSphinx does not translate.",
                engine=self.name,
                code="translation_not_supported",
                help="Use Whisper (`hansard models pull small`) or OpenAI (`OPENAI_API_KEY`) for translations.",
            )
        if request.temperature is not None:
            raise EngineRejected(
                "PocketSphinx has no temperature.",
                engine=self.name,
                code="temperature_not_supported",
                help="Leave it out, or use Whisper or OpenAI.",
            )
        return MODEL

    @monitor_performance
    def recognise(self, pcm: bytes, request: Recognition, call: EngineCall | None = None) -> Iterator[Segment]:
        self.model_for(request)
        # The segments of a passage come all at once anyway; a caller that stops between two must not hold the child.
        yield from tuple(self.child.stream(pcm, stop=call.stop if call else None))


class Recogniser:
    """The decoder itself: it holds the GIL while it works, so it lives in a child process."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder  # noqa: PLC0415 - the parent never needs it

        # Measured: the second pass would mend one word in fifty, and take a third more time.
        self._decoder: Any = Decoder(fwdflat=False, bestpathlw=7.5, loglevel="FATAL")

    def __call__(self, pcm: bytes) -> Iterator[Segment]:
        seconds = len(pcm) / BYTES_PER_SECOND
        if len(pcm) < BYTES_PER_SAMPLE:
            return
        self._decode(pcm)
        words = tuple(word for word in self._words(seconds) if word.text)
        if words:
            yield Segment(
                start_seconds=words[0].start_seconds,
                end_seconds=words[-1].end_seconds,
                text=" ".join(word.text for word in words),
                words=words,
                confidence=fmean(word.probability or 0.0 for word in words),
                language="en",
            )

    def _decode(self, pcm: bytes) -> None:
        # What the last passage taught about the channel would colour this one, which may be another speaker's.
        self._decoder.reinit_feat()
        self._decoder.start_utt()
        try:
            self._decoder.process_raw(pcm, full_utt=True)
        finally:
            # Without this the decoder is spoilt for good.
            self._decoder.end_utt()

    def _words(self, seconds: float) -> Iterator[Word]:
        for heard in self._decoder.seg() or ():
            yield Word(
                text=written(str(heard.word)),
                start_seconds=min(heard.start_frame / FRAMES_PER_SECOND, seconds),
                end_seconds=min((heard.end_frame + 1) / FRAMES_PER_SECOND, seconds),
                probability=min(max(float(heard.prob), 0.0), 1.0),
            )


def written(heard: str) -> str:
    """The word as it is written; empty for a filler."""
    return "" if FILLER.match(heard) else PRONUNCIATION.sub("", heard)
