"""What the use cases need of the world, as they need it. Adapters implement these; `tests/fakes.py` fakes them.

One contract suite per port (`tests/contract/`) runs against the fake and against the real adapter.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from threading import Event as Flag
from typing import BinaryIO, Generic, Protocol, TypeVar
from uuid import UUID

from hansard.domain.audio import AudioFile, AudioProperties, StoredObject
from hansard.domain.circuit import Circuit
from hansard.domain.diarization import SpeakerBounds, Turn
from hansard.domain.events import Event
from hansard.domain.live import LiveRequest
from hansard.domain.revision import Revised, Revision, RevisionNote
from hansard.domain.speech import PassageLimits, Span, Speech
from hansard.domain.transcript import RecognisedPassage, Segment, Transcript
from hansard.domain.transcription import Attempt, Parameters, Status, Task, Transcription

Clock = Callable[[], datetime]
"""The time now, timezone-aware."""

T = TypeVar("T")
EventT = TypeVar("EventT", bound=Event)

Sleep = Callable[[float], None]
"""Wait so many seconds."""


# ── Audio ────────────────────────────────────────────────────────────────────────────────────────────────


class AudioStore(Protocol):
    """The original bytes, addressed by content. Raises `StorageError` when the store does not answer."""

    def put(self, source: BinaryIO) -> StoredObject:
        """Store all of `source` from its current position. The same bytes again store nothing new."""
        ...

    def open(self, stored: StoredObject) -> BinaryIO:
        """A seekable, read-only stream. Raises `RecordingLost`."""
        ...

    def read(self, stored: StoredObject, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to, not including, `end`, in blocks. Raises `RecordingLost` at the call."""
        ...

    def exists(self, stored: StoredObject) -> bool: ...

    def delete(self, stored: StoredObject) -> None:
        """Remove the bytes; removing what is not there is no error."""
        ...

    def check(self) -> None:
        """Write, read and remove a few bytes. Raises `StorageError` when that cannot be done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """What a URL led to. `stream` can be rewound; `name` is what a stranger calls it, perhaps nothing."""

    stream: BinaryIO
    name: str


class RemoteFiles(Protocol):
    def fetch(self, url: str) -> AbstractContextManager[RemoteFile]:
        """All of the file, kept here until the context ends.

        Raises `UrlRefused` and `TooLarge`; `DownloadFailed` when the other server is at fault; `StorageError` when the
        file cannot be kept.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialUpload:
    """A recording that comes in piece by piece. Once it is whole, it becomes the audio file of the same id.

    `offset_bytes` of its `length_bytes` are here, safe from a power cut. `parameters` are those of the transcription
    that is wanted of it, if one is; `metadata` is what the client called it, word for word.
    """

    id: UUID
    owner: str
    file_name: str
    metadata: str
    length_bytes: int
    offset_bytes: int
    parameters: Parameters | None
    request_id: str | None
    expires_at: datetime

    @property
    def is_whole(self) -> bool:
        return self.offset_bytes == self.length_bytes


class HeldUpload(Protocol):
    """One that nobody else may touch meanwhile."""

    @property
    def upload(self) -> PartialUpload: ...

    def append(self, block: bytes) -> None:
        """Write behind what there is. It does not count before it is kept."""
        ...

    def keep(self, *, expires_at: datetime) -> None:
        """Make all that was appended safe from a power cut, and count it."""
        ...

    def open(self) -> BinaryIO:
        """What is kept, from its beginning."""
        ...

    def remove(self) -> None: ...


class PartialUploads(Protocol):
    """Uploads that are under way on this machine. They survive any process. Raises `StorageError`."""

    def add(self, upload: PartialUpload) -> None: ...

    def get(self, upload_id: UUID) -> PartialUpload:
        """As it was last kept. Raises `NotFound`."""
        ...

    def hold(self, upload_id: UUID) -> AbstractContextManager[HeldUpload]:
        """Raises `NotFound`, and `UploadInUse` while anybody, in any process, holds it.

        What was appended and not kept is forgotten.
        """
        ...

    def ids(self) -> tuple[UUID, ...]: ...


class AudioDecoder(Protocol):
    """Makes any container into what engines hear. Raises `InvalidAudio` saying what is wrong with the file."""

    def probe(self, source: BinaryIO) -> AudioProperties:
        """Read the headers and decode the first samples."""
        ...

    def decode(self, source: BinaryIO, *, channel: int | None = None) -> Iterator[bytes]:
        """16 kHz mono s16le in blocks of at most a few seconds, in constant memory.

        All channels mixed, or the one of that number, from 0; every channel comes out equally long.
        """
        ...

    def channels_alike(self, source: BinaryIO) -> bool:
        """Whether all channels say the same, so that to hear them apart is to hear it again."""
        ...


class SpeechDetector(Protocol):
    """Finds speech in a stream, in constant memory; one object for one stream."""

    def feed(self, block: bytes) -> None: ...

    def finish(self) -> Speech: ...


class StreamDecoder(Protocol):
    """Makes a stream into what engines hear, as it comes in; one object for one stream. Raises `InvalidAudio`."""

    def feed(self, chunk: bytes) -> bytes:
        """The 16 kHz mono s16le that can be had by now; chunks may end anywhere."""
        ...

    def finish(self) -> bytes:
        """The rest. Also to be called where it is not wanted, to let go of what is held."""
        ...


class SpeechProbabilities(Protocol):
    """How likely somebody speaks, a window at a time; one object for one stream."""

    @property
    def window_seconds(self) -> float: ...

    def feed(self, block: bytes) -> Sequence[float]:
        """The probabilities of the windows that are whole by now."""
        ...


class SpooledStream(Protocol):
    """What a live session has taken in, on this machine's disk. Nobody else has it until it is released.

    Raises `StorageError` where the disk does not do its part.
    """

    @property
    def request(self) -> LiveRequest: ...

    @property
    def received_bytes(self) -> int: ...

    def append(self, chunk: bytes) -> None:
        """It survives this process from now on."""
        ...

    def sync(self) -> None:
        """What was appended survives a power cut, too."""
        ...

    def note(self, passage: RecognisedPassage) -> None:
        """Keep what was recognised."""
        ...

    def passages(self) -> tuple[RecognisedPassage, ...]: ...

    def blocks(self) -> Iterator[bytes]:
        """All that was appended."""
        ...

    def recording(self) -> BinaryIO:
        """The same as a file that any player opens, which the caller closes."""
        ...

    def release(self) -> None:
        """Let go of it, for whoever takes it next."""
        ...

    def remove(self) -> None: ...

    def set_aside(self) -> None:
        """Keep it out of everybody's way: it cannot be made a recording."""
        ...


class LiveSpool(Protocol):
    def create(self, session_id: UUID, request: LiveRequest) -> SpooledStream: ...

    def take(self, session_id: UUID) -> SpooledStream:
        """Raises `NotFound`; `Conflict` while somebody else has it."""
        ...

    def abandoned(self, before: datetime) -> tuple[UUID, ...]:
        """Those that nobody has, and that have taken in nothing since `before`."""
        ...


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

    def kept(self) -> tuple[UUID, ...]:
        """The transcriptions whose audio is kept here."""
        ...


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
    task: Task = Task.TRANSCRIBE
    temperature: float | None = None


ANYTHING = Recognition()
"""No wish in particular: the engine's defaults."""


@dataclass(frozen=True, slots=True)
class EngineCall:
    """What passes between an engine at work and whoever waits for it, beside text.

    `stop` is set, from another thread, when the answer is not wanted any more. `request_ids` are the provider's names
    for the requests it was sent, in order; the engine appends each as soon as it is known. To `spoken` it appends the
    code of the language that it detected, which is not that of the text where it translates.
    """

    stop: Flag = field(default_factory=Flag)
    request_ids: list[str] = field(default_factory=list[str])
    spoken: list[str] = field(default_factory=list[str])


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


# ── Data ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """`next_cursor` is None on the last page."""

    items: tuple[T, ...]
    next_cursor: str | None


class AudioRepository(Protocol):
    def add(self, audio: AudioFile) -> None: ...

    def get(self, audio_id: UUID, *, for_update: bool = False) -> AudioFile:
        """Raises `NotFound`. `for_update` locks it until the unit of work ends."""
        ...

    def delete(self, audio_id: UUID) -> None:
        """Its transcriptions, with all that was recognised, go with it."""
        ...

    def page(self, *, limit: int, cursor: str | None = None) -> Page[AudioFile]:
        """Newest first. Raises `InvalidRequest` for a cursor it did not make."""
        ...

    def hold_bytes(self, stored: StoredObject) -> None:
        """Until the unit of work ends, nobody else may add an audio file with these bytes, or remove them."""
        ...

    def uses_bytes(self, stored: StoredObject) -> bool:
        """Whether any audio file has these bytes."""
        ...


class TranscriptionRepository(Protocol):
    """Saving a transcription also writes the events it recorded."""

    def add(self, transcription: Transcription) -> None: ...

    def get(self, transcription_id: UUID, *, for_update: bool = False) -> Transcription:
        """Raises `NotFound`. `for_update` locks it until the unit of work ends."""
        ...

    def save(self, transcription: Transcription) -> None: ...

    def delete(self, transcription: Transcription) -> None:
        """With all that was recognised. The events it recorded are written; those of the past stay."""
        ...

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

    def of_audio(self, audio_id: UUID) -> tuple[Transcription, ...]:
        """All of them, locked until the unit of work ends."""
        ...

    def in_flight(self, *, owner: str, sha256: str, parameters: Parameters) -> Transcription | None:
        """One of the owner's that is queued or running, for the same bytes and the same parameters.

        Until the unit of work ends, nobody else may ask the same question: so of two identical requests, the second
        finds what the first has made.
        """
        ...

    def unfinished(self) -> tuple[UUID, ...]:
        """All that are queued or running."""
        ...

    def recent_real_time_factor(self) -> float | None:
        """Processing time over audio time, of the last ones completed; None when there are none.

        Those count whose attempts heard, to their ends, all of the speech. Otherwise part of the time is not on record:
        what was heard live was heard by no attempt, and what a worker did before it died was not measured.
        """
        ...


class TranscriptRepository(Protocol):
    """The words: checkpoints while a transcription runs, the transcript once it is completed."""

    def save_speech(self, transcription_id: UUID, speech: Speech) -> None: ...

    def speech(self, transcription_id: UUID) -> Speech | None: ...

    def add_passage(self, transcription_id: UUID, passage: RecognisedPassage) -> None: ...

    def passages(self, transcription_id: UUID) -> tuple[RecognisedPassage, ...]:
        """The finished passages, in order of time."""
        ...

    def save_turns(self, transcription_id: UUID, turns: tuple[Turn, ...]) -> None: ...

    def turns(self, transcription_id: UUID) -> tuple[Turn, ...] | None:
        """Who spoke when; None where that was not worked out (yet)."""
        ...

    def save(self, transcription_id: UUID, transcript: Transcript) -> None:
        """Keep the transcript, in place of its passages and of any that was there, with all its revisions.

        It is revision 0, and can be searched from now on.
        """
        ...

    def get(self, transcription_id: UUID) -> Transcript | None: ...

    def revise(self, transcription_id: UUID, transcript: Transcript, revision: Revision) -> None:
        """Keep the transcript as it is after `revision`, whose hunks make it of the one before, and the revision.

        Raises `RevisionMismatch` unless the revision before it is the current one.
        """
        ...

    def revision(self, transcription_id: UUID) -> int:
        """The number of the current revision; 0 for what the engine wrote."""
        ...

    def current(self, transcription_id: UUID) -> Revised | None:
        """The transcript with the number of its revision, as they are at one moment."""
        ...

    def revisions(self, transcription_id: UUID, *, after: int = 0) -> tuple[Revision, ...]:
        """All that were made after that one, oldest first."""
        ...

    def history(self, transcription_id: UUID, *, limit: int, cursor: str | None = None) -> Page[RevisionNote]:
        """Who made which revision, newest first. Raises `InvalidRequest` for a cursor it did not make."""
        ...

    def clear(self, transcription_id: UUID) -> None:
        """Forget what was found out so far: it is of no use for what is asked now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """What to look for. `words` are written as in a web search: "a phrase", -not, OR, prefix*.

    None leaves a filter out. `metadata` are labels that the transcription must all carry.
    """

    words: str
    speaker: str | None = None
    language: str | None = None
    file_name: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """A segment that has what was looked for. `matches` are the places in its text, in characters from `start` to
    `end`, with the time at which each is said: of the word, where words have times, else of the segment.
    """

    transcription_id: UUID
    audio_id: UUID
    file_name: str
    created_at: datetime
    segment: Segment
    matches: tuple["SearchMatch", ...]


@dataclass(frozen=True, slots=True)
class SearchMatch:
    start: int
    end: int
    seconds: float


class SearchIndex(Protocol):
    def find(self, query: SearchQuery, *, owner: str, limit: int, cursor: str | None = None) -> Page[SearchHit]:
        """The newest transcription first, and within one in order of time.

        Raises `InvalidRequest` for a cursor it did not make, and for words in which there is nothing to look for.
        """
        ...


class CircuitRepository(Protocol):
    """Saving a circuit also writes the events it recorded."""

    def get(self, engine: str, *, for_update: bool = False) -> Circuit:
        """An engine that was never heard of has a closed circuit. `for_update` locks it until the unit of work ends."""
        ...

    def save(self, circuit: Circuit) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """A client's own name for one request. `request` says what was asked, as a digest; `route` what for."""

    owner: str
    route: str
    key: str
    request: str


class IdempotencyRepository(Protocol):
    def find(self, key: IdempotencyKey, *, since: datetime) -> UUID | None:
        """What was made for this key, if that was not before `since`.

        Until the unit of work ends nobody else may ask for the same key. Raises `InvalidRequest` when the key was used
        for another request.
        """
        ...

    def keep(self, key: IdempotencyKey, made_id: UUID, at: datetime) -> None: ...

    def forget_before(self, moment: datetime) -> int:
        """Remove the keys kept before `moment`; how many there were."""
        ...


class EventLog(Protocol):
    def append(self, event: Event) -> None: ...

    def of(self, subject: UUID | str) -> tuple[Event, ...]:
        """All events about one subject, oldest first."""
        ...

    def latest(self, kind: type[EventT], subject: UUID | str) -> EventT | None:
        """The last event of that kind about the subject."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What is left to remove of something deleted. `stored` is None where only transcriptions were deleted."""

    audio_id: UUID
    stored: StoredObject | None
    transcription_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The queue as it is now. `oldest_seconds` is how long the first of the waiting jobs has waited."""

    jobs: int
    jobs_of_owner: int
    audio_seconds: float
    oldest_seconds: float
    running: int
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """A worker that is alive. `models` are in its memory; `transcription_id` is in its hands."""

    name: str
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime
    models: tuple[str, ...]
    transcription_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """What has to be done again and again: by one worker of all in each period, or by one on each machine.

    What `run` raises is logged, and it is run again when its time comes.
    """

    name: str
    every_seconds: float
    run: Callable[[], object]
    on_each_machine: bool = False


class JobQueue(Protocol):
    def defer_transcription(self, transcription: Transcription, *, audio_seconds: float | None) -> None:
        """Have a worker take it; the job exists only if the unit of work commits. `audio_seconds` None: not known."""
        ...

    def withdraw(self, transcription_id: UUID) -> None:
        """Take its job out again, if no worker has it yet."""
        ...

    def has_job(self, transcription_id: UUID) -> bool:
        """Whether its job waits or is being done."""
        ...

    def jobs(self) -> frozenset[UUID]:
        """The transcriptions that have a job, waiting or being done."""
        ...

    def has_more_urgent(self, transcription_id: UUID, *, interactive_only: bool = False) -> bool:
        """Whether a job waits that should have been taken before this one, which is being done.

        `interactive_only`: counting none but those that somebody waits for.
        """
        ...

    def defer_erasure(self, erasure: Erasure) -> None:
        """Have what is left of something deleted removed, until that succeeds."""
        ...

    def waiting(self, owner: str) -> Waiting: ...

    def workers(self) -> tuple[WorkerState, ...]: ...


class UnitOfWork(AbstractContextManager["UnitOfWork", None], Protocol):
    """One short transaction: state, events and jobs commit together or not at all. Leaving it rolls back."""

    @property
    def audio(self) -> AudioRepository: ...

    @property
    def transcriptions(self) -> TranscriptionRepository: ...

    @property
    def transcripts(self) -> TranscriptRepository: ...

    @property
    def search(self) -> SearchIndex: ...

    @property
    def circuits(self) -> CircuitRepository: ...

    @property
    def idempotency(self) -> IdempotencyRepository: ...

    @property
    def events(self) -> EventLog: ...

    @property
    def jobs(self) -> JobQueue: ...

    def commit(self) -> None:
        """When this returns, it survives a power cut."""
        ...

    def checkpoint(self) -> None:
        """Commit what can be done again: a crash of the database may undo it, with what came after it, and only if it
        happens within a second. That saves waiting for the disk.
        """
        ...


class Watch(Protocol):
    """One waiter's view of one transcription."""

    async def change(self) -> Status | None:
        """Return when it was changed since this was last called, or since the watch began: with its status then.

        None: whoever waits should look for himself. News may get lost, so that comes every few seconds at the latest.
        """
        ...


class Changes(Protocol):
    """News of transcriptions for those who wait for them, who are many and wait long: hence asyncio, without threads.

    All of it is used on the event loop that runs `listen`.
    """

    async def listen(self) -> None:
        """Hear the news until this is cancelled. A database that is away is waited for."""
        ...

    def watch(self, transcription_id: UUID) -> AbstractContextManager[Watch]:
        """News of the moments before counts, too: of what has just been asked for, nothing is missed."""
        ...


class PipelineRunner(Protocol):
    """Runs the steps of `application.transcribe` in order. The outcome is on the transcription, not returned."""

    def run(self, transcription_id: UUID, run: int) -> None: ...

    def forget(self, transcription_id: UUID) -> int:
        """Remove every trace of the runs about this transcription; how many there were. Thread-safe."""
        ...
