"""What the use cases need of the world, as they need it. Adapters implement these; `tests/fakes.py` fakes them.

One contract suite per port (`tests/contract/`) runs against the fake and against the real adapter.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import BinaryIO, Generic, Protocol, TypeVar
from uuid import UUID

from hansard.domain.audio import AudioFile, AudioProperties, StoredObject
from hansard.domain.events import Event
from hansard.domain.speech import PassageLimits, Span, Speech
from hansard.domain.transcript import RecognisedPassage, Segment, Transcript
from hansard.domain.transcription import Attempt, Status, Transcription

Clock = Callable[[], datetime]
"""The time now, timezone-aware."""

T = TypeVar("T")

Sleep = Callable[[float], None]
"""Wait so many seconds."""


# ── Audio ────────────────────────────────────────────────────────────────────────────────────────────────


class AudioStore(Protocol):
    """The original bytes, addressed by content. Raises `StorageError` when the store does not answer."""

    def put(self, source: BinaryIO) -> StoredObject:
        """Store all of `source` from its current position. The same bytes again store nothing new."""
        ...

    def open(self, stored: StoredObject) -> BinaryIO:
        """A seekable, read-only stream. Raises `NotFound`."""
        ...

    def read(self, stored: StoredObject, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to, not including, `end`, in blocks. Raises `NotFound` at the call."""
        ...

    def delete(self, stored: StoredObject) -> None:
        """Remove the bytes; removing what is not there is no error."""
        ...


class AudioDecoder(Protocol):
    """Makes any container into what engines hear. Raises `InvalidAudio` saying what is wrong with the file."""

    def probe(self, source: BinaryIO) -> AudioProperties:
        """Read the headers and decode the first samples."""
        ...

    def decode(self, source: BinaryIO) -> Iterator[bytes]:
        """16 kHz mono s16le in blocks of at most a few seconds, in constant memory."""
        ...


class SpeechDetector(Protocol):
    """Finds speech in a stream, in constant memory; one object for one stream."""

    def feed(self, block: bytes) -> None: ...

    def finish(self) -> Speech: ...


class PreparedAudio(Protocol):
    """Decoded audio kept on this machine while a transcription runs: a cache, that can be made again."""

    def write(self, transcription_id: UUID, blocks: Iterable[bytes]) -> None:
        """Keep the blocks; whole or not at all."""
        ...

    def exists(self, transcription_id: UUID) -> bool: ...

    def read(self, transcription_id: UUID, span: Span) -> bytes:
        """The samples of `span`, fewer where the recording ends sooner."""
        ...

    def remove(self, transcription_id: UUID) -> None: ...


# ── Engines ──────────────────────────────────────────────────────────────────────────────────────────────


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


ANYTHING = Recognition()
"""No wish in particular: the engine's defaults."""


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

    def status(self, request: Recognition = ANYTHING) -> EngineStatus:
        """Whether it can do `request` now. Quick, and without the network."""
        ...

    def model_for(self, request: Recognition) -> str:
        """The name of the model that would be used, or `EngineRejected` when it can't honour the request."""
        ...

    def recognise(self, pcm: bytes, request: Recognition) -> Iterator[Segment]:
        """Segments as they are recognised. `pcm` is one passage of 16 kHz mono s16le; times count from its start."""
        ...


AttemptObserver = Callable[[Attempt, float | None], None]
"""Told of each attempt when it begins and when it ends, with the seconds until the next one, if there is one."""


# ── Data ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """`next_cursor` is None on the last page."""

    items: tuple[T, ...]
    next_cursor: str | None


class AudioRepository(Protocol):
    def add(self, audio: AudioFile) -> None: ...

    def get(self, audio_id: UUID) -> AudioFile:
        """Raises `NotFound`."""
        ...

    def page(self, *, limit: int, cursor: str | None = None) -> Page[AudioFile]:
        """Newest first. Raises `InvalidRequest` for a cursor it did not make."""
        ...


class TranscriptionRepository(Protocol):
    """Saving a transcription also writes the events it recorded."""

    def add(self, transcription: Transcription) -> None: ...

    def get(self, transcription_id: UUID, *, for_update: bool = False) -> Transcription:
        """Raises `NotFound`. `for_update` locks it until the unit of work ends."""
        ...

    def save(self, transcription: Transcription) -> None: ...

    def page(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        status: Status | None = None,
        audio_id: UUID | None = None,
    ) -> Page[Transcription]:
        """Newest first. Raises `InvalidRequest` for a cursor it did not make."""
        ...


class TranscriptRepository(Protocol):
    """The words: checkpoints while a transcription runs, the transcript once it is completed."""

    def save_speech(self, transcription_id: UUID, speech: Speech) -> None: ...

    def speech(self, transcription_id: UUID) -> Speech | None: ...

    def add_passage(self, transcription_id: UUID, passage: RecognisedPassage) -> None: ...

    def passages(self, transcription_id: UUID) -> tuple[RecognisedPassage, ...]:
        """The finished passages, in order of time."""
        ...

    def save(self, transcription_id: UUID, transcript: Transcript) -> None:
        """Keep the transcript, in place of its passages."""
        ...

    def get(self, transcription_id: UUID) -> Transcript | None: ...


class EventLog(Protocol):
    def append(self, event: Event) -> None: ...

    def of(self, subject_id: UUID) -> tuple[Event, ...]:
        """All events about one subject, oldest first."""
        ...


class JobQueue(Protocol):
    def defer_transcription(self, transcription: Transcription) -> None:
        """Have a worker take it; the job exists only if the unit of work commits."""
        ...


class UnitOfWork(AbstractContextManager["UnitOfWork", None], Protocol):
    """One short transaction: state, events and jobs commit together or not at all. Leaving it rolls back."""

    @property
    def audio(self) -> AudioRepository: ...

    @property
    def transcriptions(self) -> TranscriptionRepository: ...

    @property
    def transcripts(self) -> TranscriptRepository: ...

    @property
    def events(self) -> EventLog: ...

    @property
    def jobs(self) -> JobQueue: ...

    def commit(self) -> None: ...


class PipelineRunner(Protocol):
    """Runs the steps of `application.transcribe` in order. The outcome is on the transcription, not returned."""

    def run(self, transcription_id: UUID, run: int) -> None: ...
