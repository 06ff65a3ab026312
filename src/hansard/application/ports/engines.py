"""Who listens, and who tells the speakers apart."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Event as Flag
from typing import Protocol

from hansard.domain.diarization import SpeakerBounds, Turn
from hansard.domain.speech import PassageLimits, Span, Speech
from hansard.domain.transcript import Segment
from hansard.domain.transcription import Attempt, Task


class EngineState(StrEnum):
    READY = "ready"
    PREPARING = "preparing"
    """Its model is being fetched: worth waiting for."""
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """`detail` says why, or how far; `help` says what to do about it."""

    state: EngineState
    detail: str
    help: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """What an engine is asked for. `model` None is the engine's default; `language` None is detection."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    hotwords: str | None = None
    task: Task = Task.TRANSCRIBE
    temperature: float | None = None


ANYTHING = Recognition()
"""No wish in particular: the engine's defaults."""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """What a provider counted for one request, and is paid for."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class EngineCall:
    """What passes between an engine at work and whoever waits for it, beside text.

    `stop` is set, from another thread, when the answer is not wanted any more. `request_ids` are the provider's names
    for the requests it was sent, in order; the engine appends each as soon as it is known. To `spoken` it appends the
    code of the language that it detected, which is not that of the text where it translates; to `usage` what an answer
    cost, where the provider says so in tokens.
    """

    stop: Flag = field(default_factory=Flag)
    request_ids: list[str] = field(default_factory=list[str])
    spoken: list[str] = field(default_factory=list[str])
    usage: list[TokenUsage] = field(default_factory=list[TokenUsage])


class SpeechEngine(Protocol):
    """Turns speech into text. Raises only `EngineError`s. Thread-safe."""

    @property
    def name(self) -> str: ...

    @property
    def limits(self) -> PassageLimits: ...

    @property
    def degraded_reason(self) -> str | None:
        """Why this engine's transcripts are second best; None for an engine of full quality."""
        ...

    @property
    def models_in_memory(self) -> tuple[str, ...]:
        """The models that this process holds ready. Quick."""
        ...

    def status(self, request: Recognition = ANYTHING) -> EngineStatus:
        """Whether it can do `request` now. Quick, and without the network."""
        ...

    def model_for(self, request: Recognition) -> str:
        """The name of the model that would be used.

        Raises `EngineRejected` when it can't honour the request, `EngineUnavailable` when the settings are at fault.
        """
        ...

    def recognise(self, pcm: bytes, request: Recognition, call: EngineCall | None = None) -> Iterator[Segment]:
        """Segments as they are recognised. `pcm` is one passage of 16 kHz mono s16le; times count from its start.

        Within a second of `call.stop` being set the engine has given up what can be given up (a request to a provider,
        a child process) and the iterator ends or raises `EngineStopped`; what it is told then counts for nothing.
        """
        ...


class Diarizer(Protocol):
    """Tells who speaks when. Raises `DiarizationFailed`. Thread-safe."""

    @property
    def name(self) -> str: ...

    @property
    def limitation(self) -> str | None:
        """What those who rely on its turns should know; None for one of full quality."""
        ...

    def status(self) -> EngineStatus:
        """Whether it can work here and now. Quick, and without the network."""
        ...

    def diarize(
        self, audio: Callable[[Span], bytes], speech: Speech, bounds: SpeakerBounds, stop: Flag | None = None
    ) -> tuple[Turn, ...]:
        """Turns in order of time, labelled "1", "2" … in the order in which they first speak.

        `audio` gives the samples of a span, 16 kHz mono s16le. Memory does not grow with the recording beyond a
        kilobyte or so a second. Returns, or raises `EngineStopped`, soon after `stop` is set.
        """
        ...


AttemptObserver = Callable[[Attempt, float | None], None]
"""Told of each attempt when it begins and when it ends, with the seconds until the next one, if there is one."""
