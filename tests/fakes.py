"""In-memory fakes of every port. The contract suites hold them to what the real adapters do."""

import asyncio
import io
import json
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy, deepcopy
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import accumulate, takewhile
from threading import Event as Flag
from types import TracebackType
from typing import Any, BinaryIO, Self
from uuid import UUID, uuid4

from hansard.application.origin import current_origin
from hansard.application.ports.alerts import Outcomes
from hansard.application.ports.engines import ANYTHING, EngineCall, EngineState, EngineStatus, Recognition
from hansard.application.ports.events import EVERYTHING, EventQuery, EventT
from hansard.application.ports.notifications import Notification
from hansard.application.ports.paging import Page
from hansard.application.ports.records import IdempotencyKey, SearchHit, SearchMatch, SearchQuery, TranscriptionFilter
from hansard.application.ports.retention import Amount, OldEntries
from hansard.application.ports.storage import PartialUpload, RemoteFile
from hansard.application.ports.work import Erasure, Waiting, WebhookTurn, WorkerState
from hansard.domain.alert import Alert
from hansard.domain.audio import BYTES_PER_SECOND, AudioFile, AudioProperties, StoredObject
from hansard.domain.audit import GENESIS, Entry, Head, link_hash
from hansard.domain.circuit import Circuit
from hansard.domain.delivery import Delivery
from hansard.domain.diarization import SpeakerBounds, Turn
from hansard.domain.errors import (
    Category,
    Conflict,
    EngineError,
    EngineStopped,
    HansardError,
    InvalidAudio,
    InvalidRequest,
    NotFound,
    RecordingLost,
    RevisionMismatch,
    StorageError,
    UploadInUse,
    UrlRefused,
)
from hansard.domain.events import (
    EngineFellBack,
    Event,
    EventsPruned,
    TranscriptionCompleted,
    TranscriptionFailed,
    TranscriptionQueued,
    TranscriptionRetried,
)
from hansard.domain.live import Hearing, LiveRequest
from hansard.domain.revision import Revised, Revision, RevisionNote
from hansard.domain.speech import PassageLimits, Span, Speech
from hansard.domain.transcript import RecognisedPassage, Segment, Transcript, Word
from hansard.domain.transcription import AttemptKind, AttemptOutcome, Parameters, Status, Transcription
from hansard.domain.webhook import Webhook
from hansard.persistence import search_query
from hansard.persistence.event_mapping import event_to_row
from hansard.persistence.search_terms import as_written, opening, tokens
from tests.fake_webhooks import FakeDeliveryRepository, FakeWebhookRepository, deliveries_of

_NEVER = datetime.max.replace(tzinfo=UTC)
ONE_SECOND_PASSAGES = PassageLimits(seconds=1.0, pause_seconds=0.0)


class FakeClock:
    """Stands still until it is moved; `sleep` moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)


class FakeAudioStore:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.stored_at: dict[str, datetime] = {}

    def put(self, source: BinaryIO) -> StoredObject:
        data = source.read()
        stored = StoredObject(sha256=sha256(data).hexdigest(), size_bytes=len(data))
        if stored.sha256 not in self.objects:
            self.objects[stored.sha256] = data
            self.stored_at[stored.sha256] = datetime.now(UTC)
        return stored

    def open(self, stored: StoredObject) -> BinaryIO:
        return io.BytesIO(self._get(stored))

    def read(self, stored: StoredObject, start: int, end: int) -> Iterator[bytes]:
        return iter([self._get(stored)[start:end]])

    def exists(self, stored: StoredObject) -> bool:
        return stored.sha256 in self.objects

    def delete(self, stored: StoredObject) -> None:
        self.objects.pop(stored.sha256, None)

    def stored(self, *, before: datetime) -> Iterator[StoredObject]:
        for name, data in tuple(self.objects.items()):
            if self.stored_at[name] < before:
                yield StoredObject(sha256=name, size_bytes=len(data))

    def check(self) -> None:
        pass

    def _get(self, stored: StoredObject) -> bytes:
        try:
            return self.objects[stored.sha256]
        except KeyError:
            raise RecordingLost(f"no object {stored.sha256}") from None


class FakeRemoteFiles:
    """A web of its own: what is at a URL, or the error that fetching it raises."""

    def __init__(self) -> None:
        self.files: dict[str, RemoteFile | HansardError] = {}
        self.fetched: list[str] = []

    def put(self, url: str, data: bytes, name: str = "talk.wav") -> None:
        self.files[url] = RemoteFile(stream=io.BytesIO(data), name=name)

    @contextmanager
    def fetch(self, url: str) -> Generator[RemoteFile]:
        self.fetched.append(url)
        found = self.files.get(url) or UrlRefused("It answers 404 Not Found.", code="url_not_found")
        if isinstance(found, HansardError):
            raise found
        found.stream.seek(0)
        yield found


class FakePartialUploads:
    def __init__(self) -> None:
        self.uploads: dict[UUID, PartialUpload] = {}
        self.data: dict[UUID, bytes] = {}
        self.held: set[UUID] = set()

    def add(self, upload: PartialUpload) -> None:
        self.uploads[upload.id] = upload
        self.data[upload.id] = b""

    def get(self, upload_id: UUID) -> PartialUpload:
        if upload_id not in self.uploads:
            raise NotFound(f"There is no upload {upload_id} under way.")
        return self.uploads[upload_id]

    @contextmanager
    def hold(self, upload_id: UUID) -> Generator["_FakeHeldUpload"]:
        upload = self.get(upload_id)
        if upload_id in self.held:
            raise UploadInUse(f"Another request is sending the upload {upload_id}.")
        self.held.add(upload_id)
        try:
            yield _FakeHeldUpload(self, upload)
        finally:
            self.held.remove(upload_id)

    def ids(self) -> tuple[UUID, ...]:
        return tuple(self.uploads)


class _FakeHeldUpload:
    def __init__(self, uploads: FakePartialUploads, upload: PartialUpload) -> None:
        self._uploads = uploads
        self.upload = upload
        self._data = uploads.data[upload.id][: upload.offset_bytes]

    def append(self, block: bytes) -> None:
        self._data += block

    def keep(self, *, expires_at: datetime) -> None:
        self.upload = replace(self.upload, offset_bytes=len(self._data), expires_at=expires_at)
        self._uploads.uploads[self.upload.id] = self.upload
        self._uploads.data[self.upload.id] = self._data

    def open(self) -> BinaryIO:
        return io.BytesIO(self._uploads.data[self.upload.id])

    def remove(self) -> None:
        self._uploads.uploads.pop(self.upload.id, None)


class FakeAudioDecoder:
    """Takes a file's bytes for prepared audio as they are; of several `channels`, one after the other."""

    def __init__(self, channels: int = 1) -> None:
        self.channels = channels

    def probe(self, source: BinaryIO) -> AudioProperties:
        size = len(source.read())
        if not size:
            raise InvalidAudio("The file is empty.", code="empty_file")
        return AudioProperties(
            container="pcm",
            codec="pcm_s16le",
            channels=self.channels,
            sample_rate_hz=16_000,
            duration_seconds=size / self.channels / BYTES_PER_SECOND,
        )

    def decode(self, source: BinaryIO, *, channel: int | None = None) -> Iterator[bytes]:
        chosen = io.BytesIO(self._channel(source.read(), channel or 0))
        while block := chosen.read(BYTES_PER_SECOND):
            yield block

    def channels_alike(self, source: BinaryIO) -> bool:
        pcm = source.read()
        return len({self._channel(pcm, channel) for channel in range(self.channels)}) == 1

    def _channel(self, pcm: bytes, channel: int) -> bytes:
        size = len(pcm) // self.channels
        return pcm[channel * size : (channel + 1) * size]


class FakeSpeechDetector:
    """Every second that is not all zeros is a region of speech."""

    def __init__(self) -> None:
        self._pcm = b""

    def feed(self, block: bytes) -> None:
        self._pcm += block

    def finish(self) -> Speech:
        seconds = len(self._pcm) / BYTES_PER_SECOND
        starts = range(0, len(self._pcm), BYTES_PER_SECOND)
        regions = tuple(
            Span(start / BYTES_PER_SECOND, min(start / BYTES_PER_SECOND + 1, seconds))
            for start in starts
            if any(self._pcm[start : start + BYTES_PER_SECOND])
        )
        return Speech(audio_seconds=seconds, regions=regions)


class FakePreparedAudio:
    def __init__(self) -> None:
        self.pcm: dict[UUID, bytes] = {}

    def write(self, transcription_id: UUID, blocks: Iterable[bytes]) -> None:
        self.pcm[transcription_id] = b"".join(blocks)

    def exists(self, transcription_id: UUID) -> bool:
        return transcription_id in self.pcm

    def read(self, transcription_id: UUID, span: Span) -> bytes:
        start, end = (round(seconds * 16_000) * 2 for seconds in (span.start_seconds, span.end_seconds))
        return self.pcm[transcription_id][start:end]

    def remove(self, transcription_id: UUID) -> None:
        self.pcm.pop(transcription_id, None)

    def kept(self) -> tuple[UUID, ...]:
        return tuple(self.pcm)


class FakeProbabilities:
    """Every tenth of a second that is not all zeros is speech for sure."""

    window_seconds = 0.1

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, block: bytes) -> list[float]:
        window_bytes = BYTES_PER_SECOND // 10
        self._pending += block
        whole = len(self._pending) // window_bytes * window_bytes
        heard, self._pending = self._pending[:whole], self._pending[whole:]
        windows = (heard[start : start + window_bytes] for start in range(0, whole, window_bytes))
        return [1.0 if any(window) else 0.0 for window in windows]


class FakeStreamDecoder:
    """Takes what comes in for 16 kHz mono s16le; what begins with b"bad" is no audio."""

    def feed(self, chunk: bytes) -> bytes:
        if chunk.startswith(b"bad"):
            raise InvalidAudio("Not one sample could be decoded.", code="nothing_decodable")
        return chunk

    def finish(self) -> bytes:
        return b""


class FakeLiveSpool:
    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.streams: dict[UUID, FakeSpooledStream] = {}
        self.aside: list[UUID] = []

    def create(self, session_id: UUID, request: LiveRequest) -> "FakeSpooledStream":
        self.streams[session_id] = FakeSpooledStream(self, session_id, request, touched_at=self.clock())
        return self.streams[session_id]

    def take(self, session_id: UUID) -> "FakeSpooledStream":
        if session_id not in self.streams:
            raise NotFound(f"There is no live session {session_id}.", code="unknown_session", help="Begin a new one.")
        stream = self.streams[session_id]
        if stream.held:
            raise Conflict("Somebody else has the live session.", code="session_busy", help="Begin a new one.")
        stream.held = True
        return stream

    def abandoned(self, before: datetime) -> tuple[UUID, ...]:
        return tuple(each.session_id for each in self.streams.values() if not each.held and each.touched_at < before)


@dataclass
class FakeSpooledStream:
    spool: FakeLiveSpool
    session_id: UUID
    request: LiveRequest
    touched_at: datetime
    data: bytes = b""
    synced_bytes: int = 0
    notes: list[Hearing] = field(default_factory=list)
    held: bool = True
    failures: list[StorageError] = field(default_factory=list)
    """Raised, one a call, instead of appending."""

    @property
    def received_bytes(self) -> int:
        return len(self.data)

    def append(self, chunk: bytes) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.data += chunk
        self.touched_at = self.spool.clock()

    def sync(self) -> None:
        self.synced_bytes = len(self.data)

    def note(self, hearing: Hearing) -> None:
        self.notes.append(hearing)

    def hearings(self) -> tuple[Hearing, ...]:
        return tuple(self.notes)

    def blocks(self) -> Iterator[bytes]:
        return iter([self.data] if self.data else [])

    def recording(self) -> BinaryIO:
        return io.BytesIO(self.data)

    def release(self) -> None:
        self.held = False

    def remove(self) -> None:
        self.spool.streams.pop(self.session_id, None)

    def set_aside(self) -> None:
        self.spool.aside.append(self.session_id)
        self.remove()


@dataclass
class FakeEngine:
    """Says one word a passage. `failures` are raised, one a call, before it works; `on_passage` may meddle."""

    name: str = "fake"
    limits: PassageLimits = field(default=ONE_SECOND_PASSAGES)
    degraded_reason: str | None = None
    models_in_memory: tuple[str, ...] = ()
    failures: list[EngineError] = field(default_factory=list)
    states: list[EngineStatus] = field(default_factory=list)
    requests: list[Recognition] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    on_passage: Callable[[int], None] = lambda number: None
    refuses: EngineError | None = None

    def status(self, request: Recognition = ANYTHING) -> EngineStatus:
        if self.states:
            return self.states.pop(0)
        return EngineStatus(state=EngineState.READY, detail="ready")

    def model_for(self, request: Recognition) -> str:
        if self.refuses:
            raise self.refuses
        return request.model or "fake-1"

    def recognise(self, pcm: bytes, request: Recognition, call: EngineCall | None = None) -> Iterator[Segment]:
        self.requests.append(request)
        self.on_passage(len(self.heard) + 1)
        if call and call.stop.is_set():
            raise EngineStopped("The fake engine was told to stop.", engine=self.name)
        if self.failures:
            raise self.failures.pop(0)
        self.heard.append(pcm)
        end = len(pcm) / BYTES_PER_SECOND
        word = f"word{len(self.heard)}"
        yield Segment(
            start_seconds=0.0,
            end_seconds=end,
            text=word,
            words=(Word(word, 0.0, end, 0.9),),
            confidence=0.9,
            language=request.language or "en",
        )


@dataclass
class FakeDiarizer:
    """Every region of speech is the turn of the next of its `voices`, as many as the bounds allow."""

    name: str = "fake"
    limitation: str | None = None
    voices: int = 2
    failures: list[Exception] = field(default_factory=list)
    states: list[EngineStatus] = field(default_factory=list)
    asked: list[SpeakerBounds] = field(default_factory=list)
    on_work: Callable[[Flag], None] = lambda stop: None

    def status(self) -> EngineStatus:
        return self.states.pop(0) if self.states else EngineStatus(state=EngineState.READY, detail="ready")

    def diarize(
        self, audio: Callable[[Span], bytes], speech: Speech, bounds: SpeakerBounds, stop: Flag | None = None
    ) -> tuple[Turn, ...]:
        self.asked.append(bounds)
        self.on_work(stop or Flag())
        if stop and stop.is_set():
            raise EngineStopped("The fake diarizer was told to stop.", engine=self.name)
        if self.failures:
            raise self.failures.pop(0)
        voices = min(max(self.voices, bounds.least or 1), bounds.most or self.voices)
        heard = [region for region in speech.regions if audio(region)]
        return tuple(Turn(region, str(number % voices + 1)) for number, region in enumerate(heard))


@dataclass
class FakeDatabase:
    """What has been committed."""

    audio: dict[UUID, AudioFile] = field(default_factory=dict)
    transcriptions: dict[UUID, Transcription] = field(default_factory=dict)
    speech: dict[UUID, Speech] = field(default_factory=dict)
    passages: dict[UUID, list[RecognisedPassage]] = field(default_factory=dict)
    turns: dict[UUID, tuple[Turn, ...]] = field(default_factory=dict)
    transcripts: dict[UUID, Transcript] = field(default_factory=dict)
    revisions: dict[UUID, list[Revision]] = field(default_factory=dict)
    circuits: dict[str, Circuit] = field(default_factory=dict)
    idempotency_keys: dict[tuple[str, str, str], tuple[str, UUID, datetime]] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    notifications: list[Notification] = field(default_factory=list)
    """Jobs that wait."""
    announce: Callable[[Event], Iterable[Notification]] = lambda _: ()
    events: list[Event] = field(default_factory=list)
    trail: list[Entry] = field(default_factory=list)
    """The same, sealed when they were committed."""
    jobs: list[UUID] = field(default_factory=list)
    """Waiting or being done: nobody takes them out but a test, and `withdraw`."""
    at_work: set[UUID] = field(default_factory=set)
    """Those in a worker's hands."""
    job_seconds: dict[UUID, float | None] = field(default_factory=dict)
    erasures: list[Erasure] = field(default_factory=list)
    webhooks: dict[UUID, Webhook] = field(default_factory=dict)
    deliveries: dict[UUID, Delivery] = field(default_factory=dict)
    webhook_turns: dict[UUID, WebhookTurn] = field(default_factory=dict)
    """Those that wait. A test that has one taken removes it."""
    more_urgent_work: bool = False
    interactive_work: bool = False
    oldest_job_seconds: float = 0.0
    workers: list[WorkerState] = field(default_factory=list)
    changes: "FakeChanges" = field(default_factory=lambda: FakeChanges())  # noqa: PLW0108 - it is defined below

    def unit_of_work(self) -> "FakeUnitOfWork":
        return FakeUnitOfWork(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> "FakeDatabase":
        """What cannot change is shared: there may be thousands of events."""
        rows = {each.name: getattr(self, each.name) for each in fields(self)}
        return FakeDatabase(
            **{name: copy(kept) if name in _OF_FROZEN else deepcopy(kept, memo) for name, kept in rows.items()}
        )


_OF_FROZEN = {"audio", "speech", "turns", "transcripts", "events", "trail"}


class FakeChanges:
    """Tells of each commit, whichever thread it is in. Before somebody waits, `before_waiting` is called in a thread
    with the transcription's id: there, a test does the work that is waited for.
    """

    def __init__(self, before_waiting: Callable[[UUID], object] = lambda _: None) -> None:
        self.before_waiting = before_waiting
        self.watches: list[_FakeWatch] = []
        self.recent: dict[UUID, Status | None] = {}
        self.event_watches: list[_FakeEventWatch] = []

    def __deepcopy__(self, memo: object) -> Self:
        return self

    async def listen(self) -> None:
        await asyncio.Event().wait()

    @contextmanager
    def watch(self, transcription_id: UUID) -> Generator["_FakeWatch"]:
        watch = _FakeWatch(self, transcription_id, asyncio.get_running_loop())
        self.watches.append(watch)
        if transcription_id in self.recent:
            watch.news.put_nowait(self.recent[transcription_id])
        try:
            yield watch
        finally:
            self.watches.remove(watch)

    @contextmanager
    def watch_events(self) -> Generator["_FakeEventWatch"]:
        watch = _FakeEventWatch(asyncio.get_running_loop())
        self.event_watches.append(watch)
        try:
            yield watch
        finally:
            self.event_watches.remove(watch)

    def tell_of_events(self) -> None:
        for watch in list(self.event_watches):
            watch.loop.call_soon_threadsafe(watch.told.set)

    def tell(self, transcription_id: UUID, status: Status | None) -> None:
        self.recent[transcription_id] = status
        for watch in list(self.watches):
            if watch.transcription_id == transcription_id:
                watch.loop.call_soon_threadsafe(watch.news.put_nowait, status)


class _FakeWatch:
    def __init__(self, changes: FakeChanges, transcription_id: UUID, loop: asyncio.AbstractEventLoop) -> None:
        self.changes, self.transcription_id, self.loop = changes, transcription_id, loop
        self.news: asyncio.Queue[Status | None] = asyncio.Queue()

    async def change(self, *, within_seconds: float | None = None) -> Status | None:
        await asyncio.to_thread(self.changes.before_waiting, self.transcription_id)
        return await self.news.get()


class _FakeEventWatch:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.told = asyncio.Event()

    async def news(self, *, within_seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self.told.wait()
        self.told.clear()


class FakeUnitOfWork:
    """Works on a copy; `commit` makes the copy the database."""

    def __init__(self, database: FakeDatabase) -> None:
        self._database = database

    def __enter__(self) -> Self:
        self._work = deepcopy(self._database)
        self.audio = _FakeAudioRepository(self._work)
        self.transcriptions = _FakeTranscriptionRepository(self._work)
        self.transcripts = _FakeTranscriptRepository(self._work)
        self.search = _FakeSearchIndex(self._work)
        self.circuits = _FakeCircuitRepository(self._work)
        self.idempotency = _FakeIdempotencyRepository(self._work)
        self.webhooks = FakeWebhookRepository(self._work)
        self.deliveries = FakeDeliveryRepository(self._work)
        self.alerts = _FakeAlertRepository(self._work)
        self.outcomes = _FakeOutcomeLog(self._work)
        self.checkpoints = _FakeCheckpointRepository(self._work)
        self.events = _FakeEventLog(self._work)
        self.jobs = _FakeJobQueue(self._work)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del self._work

    def commit(self) -> None:
        has_events = len(self._work.events) > len(self._work.trail)
        for event in self._work.events[len(self._work.trail) :]:
            self._work.notifications.extend(self._work.announce(event))
        entries = list(_sealed(self._work))
        self._work.trail.extend(entries)
        for delivery in deliveries_of(self._work.webhooks.values(), entries):
            self.deliveries.add(delivery)
            is_failing = self._work.webhooks[delivery.webhook_id].failing_since is not None
            self.jobs.defer_webhook_turns([WebhookTurn(webhook_id=delivery.webhook_id, is_failing=is_failing)])
        self._database.__dict__.update(deepcopy(self._work).__dict__)
        if has_events:
            self._database.changes.tell_of_events()
        for transcription_id, status in self.transcriptions.changed.items():
            self._database.changes.tell(transcription_id, status)
        self.transcriptions.changed.clear()

    def checkpoint(self) -> None:
        self.commit()


@dataclass
class _FakeAudioRepository:
    data: FakeDatabase

    def add(self, audio: AudioFile) -> None:
        self.data.audio[audio.id] = audio

    def get(self, audio_id: UUID, *, for_update: bool = False) -> AudioFile:
        return _get(self.data.audio, audio_id, "audio file")

    def delete(self, audio_id: UUID) -> None:
        self.data.audio.pop(audio_id, None)
        for transcription in list(self.data.transcriptions.values()):
            if transcription.audio_id == audio_id:
                _forget(self.data, transcription.id)

    def hold_bytes(self, stored: StoredObject) -> None:
        pass

    def uses_bytes(self, stored: StoredObject) -> bool:
        return any(audio.stored.sha256 == stored.sha256 for audio in self.data.audio.values())

    def page(self, *, limit: int, cursor: str | None = None) -> Page[AudioFile]:
        return _page(list(self.data.audio.values()), lambda audio: audio.uploaded_at, limit, cursor)


@dataclass
class _FakeTranscriptionRepository:
    data: FakeDatabase
    changed: dict[UUID, Status | None] = field(default_factory=dict)

    def add(self, transcription: Transcription) -> None:
        self.data.events.extend(transcription.pull_events())
        self.data.transcriptions[transcription.id] = deepcopy(transcription)

    def get(self, transcription_id: UUID, *, for_update: bool = False) -> Transcription:
        return deepcopy(_get(self.data.transcriptions, transcription_id, "transcription"))

    def hold(self, transcription_id: UUID, *, run: int) -> bool:
        found = self.data.transcriptions.get(transcription_id)
        return found is not None and (found.status, found.run) == (Status.RUNNING, run)

    def with_transcript(self, transcription_id: UUID) -> tuple[Transcription, Transcript | None]:
        return self.get(transcription_id), self.data.transcripts.get(transcription_id)

    def save(self, transcription: Transcription) -> None:
        _get(self.data.transcriptions, transcription.id, "transcription")
        self.add(transcription)
        self.changed[transcription.id] = transcription.status

    def delete(self, transcription: Transcription) -> None:
        self.changed[transcription.id] = None
        self.data.events.extend(transcription.pull_events())
        _forget(self.data, transcription.id)

    def of_audio(self, audio_id: UUID) -> tuple[Transcription, ...]:
        rows = sorted(self.data.transcriptions.values(), key=lambda transcription: transcription.id)
        return tuple(deepcopy(transcription) for transcription in rows if transcription.audio_id == audio_id)

    def in_flight(self, *, owner: str, sha256: str, parameters: Parameters) -> Transcription | None:
        for transcription in self._unfinished():
            audio = self.data.audio[transcription.audio_id]
            same = (transcription.owner, audio.stored.sha256, transcription.parameters) == (owner, sha256, parameters)
            if same:
                return deepcopy(transcription)
        return None

    def unfinished(self) -> tuple[UUID, ...]:
        return tuple(transcription.id for transcription in self._unfinished())

    def recent_real_time_factor(self) -> float | None:
        results = [row.result for row in self.data.transcriptions.values() if row.result is not None and _is_timed(row)]
        audio_seconds = sum(result.audio_seconds for result in results)
        return sum(result.processing_seconds for result in results) / audio_seconds if audio_seconds else None

    def _unfinished(self) -> list[Transcription]:
        rows = [row for row in self.data.transcriptions.values() if not row.status.is_final]
        return sorted(rows, key=lambda transcription: (transcription.created_at, transcription.id))

    def page(
        self, wanted: TranscriptionFilter | None = None, *, limit: int, cursor: str | None = None
    ) -> Page[Transcription]:
        wanted = wanted or TranscriptionFilter()

        def is_wanted(row: Transcription) -> bool:
            return (
                wanted.status in {None, row.status}
                and wanted.audio_id in {None, row.audio_id}
                and wanted.engine in {None, row.result and row.result.engine}
                and wanted.language in {None, row.result and row.result.language}
                and (wanted.since or row.created_at) <= row.created_at < (wanted.until or _NEVER)
                and wanted.metadata.items() <= row.parameters.metadata.items()
            )

        rows = list(filter(is_wanted, self.data.transcriptions.values()))
        return _page(rows, lambda row: row.created_at, limit, cursor)


@dataclass
class _FakeTranscriptRepository:
    data: FakeDatabase

    def save_speech(self, transcription_id: UUID, speech: Speech) -> None:
        self.data.speech[transcription_id] = speech

    def speech(self, transcription_id: UUID) -> Speech | None:
        return self.data.speech.get(transcription_id)

    def add_passage(self, transcription_id: UUID, passage: RecognisedPassage) -> None:
        self.data.passages.setdefault(transcription_id, []).append(passage)

    def passages(self, transcription_id: UUID) -> tuple[RecognisedPassage, ...]:
        passages = self.data.passages.get(transcription_id, [])
        return tuple(sorted(passages, key=lambda passage: (passage.span, passage.decoding)))

    def passages_after(self, transcription_id: UUID, count: int) -> tuple[RecognisedPassage, ...]:
        passages = self.data.passages.get(transcription_id, [])
        return tuple(sorted(passages, key=lambda passage: (passage.decoding, passage.span)))[count:]

    def save(self, transcription: Transcription, transcript: Transcript) -> None:
        self.data.transcripts[transcription.id] = transcript
        self.data.revisions.pop(transcription.id, None)
        self.data.passages.pop(transcription.id, None)

    def save_turns(self, transcription_id: UUID, turns: tuple[Turn, ...]) -> None:
        self.data.turns[transcription_id] = turns

    def turns(self, transcription_id: UUID) -> tuple[Turn, ...] | None:
        return self.data.turns.get(transcription_id)

    def get(self, transcription_id: UUID) -> Transcript | None:
        return self.data.transcripts.get(transcription_id)

    def revise(self, transcription: Transcription, transcript: Transcript, revision: Revision) -> None:
        transcription_id = transcription.id
        if transcription_id not in self.data.transcripts or revision.number != self.revision(transcription_id) + 1:
            raise RevisionMismatch("The transcript was edited meanwhile.")
        self.data.transcripts[transcription_id] = transcript
        self.data.revisions.setdefault(transcription_id, []).append(revision)

    def revision(self, transcription_id: UUID) -> int:
        return len(self.data.revisions.get(transcription_id, []))

    def current(self, transcription_id: UUID) -> Revised | None:
        transcript = self.get(transcription_id)
        return None if transcript is None else Revised(transcript, self.revision(transcription_id))

    def revisions(self, transcription_id: UUID, *, after: int = 0) -> tuple[Revision, ...]:
        return tuple(self.data.revisions.get(transcription_id, [])[after:])

    def history(self, transcription_id: UUID, *, limit: int, cursor: str | None = None) -> Page[RevisionNote]:
        if cursor is not None and not cursor.isdecimal():
            raise InvalidRequest("That cursor is not one of ours.", code="invalid_cursor")
        before = float("inf") if cursor is None else int(cursor)
        older = [each for each in reversed(self.revisions(transcription_id)) if each.number < before]
        notes = tuple(
            RevisionNote(
                number=each.number, made_at=each.made_at, author=each.author, change=each.change, summary=each.summary
            )
            for each in older[:limit]
        )
        return Page(items=notes, next_cursor=str(notes[-1].number) if len(older) > limit else None)

    def clear(self, transcription_id: UUID) -> None:
        for rows in (self.data.passages, self.data.turns, self.data.speech):
            rows.pop(transcription_id, None)


@dataclass
class _FakeSearchIndex:
    """Knows what people write, but no word stems. A cursor is the number of hits before it."""

    data: FakeDatabase

    def find(self, query: SearchQuery, *, owner: str, limit: int, cursor: str | None = None) -> Page[SearchHit]:
        words = search_query.parse(query.words)
        if cursor is not None and not cursor.isdecimal():
            raise InvalidRequest("That cursor is not one of ours.", code="invalid_cursor")
        hits = [
            _hit(transcription, audio, segment, search_query.places(words, tokens(segment.text), after, None, {}))
            for transcription, audio in self._transcriptions(query, owner)
            for segment, after in _with_what_follows(self.data.transcripts[transcription.id].segments)
            if query.speaker in (None, segment.speaker) and query.language in (None, segment.language)
            if any(_is_said(each, segment.text, after) for each in words.alternatives)
        ]
        first = int(cursor or 0)
        return Page(
            items=tuple(hits[first : first + limit]),
            next_cursor=str(first + limit) if len(hits) > first + limit else None,
        )

    def _transcriptions(self, query: SearchQuery, owner: str) -> Iterator[tuple[Transcription, AudioFile]]:
        rows = [self.data.transcriptions[transcription_id] for transcription_id in self.data.transcripts]
        for row in sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True):
            audio = self.data.audio[row.audio_id]
            is_in_time = (query.since or row.created_at) <= row.created_at < (query.until or _NEVER)
            is_named = (query.file_name or "").casefold() in audio.file_name.casefold()
            is_labelled = query.metadata.items() <= row.parameters.metadata.items()
            if row.owner == owner and is_in_time and is_named and is_labelled:
                yield row, audio


def _with_what_follows(segments: Sequence[Segment]) -> Iterator[tuple[Segment, list[set[str]]]]:
    for number, segment in enumerate(segments, start=1):
        following = opening(tokens(each.text) for each in segments[number:])
        yield segment, [as_written(token) for token in following]


def _is_said(alternative: search_query.Alternative, text: str, after: Sequence[set[str]]) -> bool:
    def said(phrase: search_query.Phrase) -> bool:
        only = search_query.Words((search_query.Alternative((phrase,), ()),))
        return bool(search_query.places(only, tokens(text), after, None, {}))

    return all(map(said, alternative.wanted)) and not any(map(said, alternative.unwanted))


def _hit(
    transcription: Transcription, audio: AudioFile, segment: Segment, places: Iterable[tuple[int, int]]
) -> SearchHit:
    # The text of a fake is its words with spaces between.
    ends = list(accumulate(len(word.text) + 1 for word in segment.words))

    def seconds(place: int) -> float:
        return segment.words[bisect_right(ends, place)].start_seconds if ends else segment.start_seconds

    return SearchHit(
        transcription_id=transcription.id,
        audio_id=audio.id,
        file_name=audio.file_name,
        created_at=transcription.created_at,
        segment=segment,
        matches=tuple(SearchMatch(start, end, seconds(start)) for start, end in places),
    )


@dataclass
class _FakeCircuitRepository:
    data: FakeDatabase

    def get(self, engine: str, *, for_update: bool = False) -> Circuit:
        return deepcopy(self.data.circuits.get(engine) or Circuit(engine=engine))

    def save(self, circuit: Circuit) -> None:
        self.data.events.extend(circuit.pull_events())
        self.data.circuits[circuit.engine] = deepcopy(circuit)


@dataclass
class _FakeIdempotencyRepository:
    data: FakeDatabase

    def find(self, key: IdempotencyKey, *, since: datetime) -> UUID | None:
        kept = self.data.idempotency_keys.get((key.owner, key.route, key.key))
        if kept is None or kept[2] < since:
            return None
        if kept[0] != key.request:
            raise InvalidRequest("This Idempotency-Key was used before.", code="idempotency_key_reused")
        return kept[1]

    def keep(self, key: IdempotencyKey, made_id: UUID, at: datetime) -> None:
        self.data.idempotency_keys[key.owner, key.route, key.key] = (key.request, made_id, at)

    def forget_before(self, moment: datetime) -> int:
        old = [key for key, (_, _, made_at) in self.data.idempotency_keys.items() if made_at < moment]
        for key in old:
            del self.data.idempotency_keys[key]
        return len(old)


@dataclass
class _FakeEventLog:
    data: FakeDatabase

    def append(self, event: Event) -> None:
        self.data.events.append(event)

    def of(self, subject: UUID | str) -> tuple[Event, ...]:
        return tuple(event for event in self.data.events if event.subject == str(subject))

    def latest(self, kind: type[EventT], subject: UUID | str) -> EventT | None:
        return next((event for event in reversed(self.of(subject)) if isinstance(event, kind)), None)

    def page(self, query: EventQuery = EVERYTHING, *, limit: int, cursor: str | None = None) -> Page[Entry]:
        if cursor is not None and not cursor.isdecimal():
            raise InvalidRequest("That cursor is not one of ours.", code="invalid_cursor")
        before = int(cursor) if cursor else self.head().position + 1
        found = [entry for entry in reversed(self.data.trail) if entry.position < before and query.wants(entry)]
        items = tuple(found[:limit])
        return Page(items=items, next_cursor=str(items[-1].position) if len(found) > limit else None)

    def after(self, position: int, query: EventQuery = EVERYTHING, *, limit: int) -> tuple[Entry, ...]:
        found = [entry for entry in self.data.trail if entry.position > position and query.wants(entry)]
        return tuple(found[:limit])

    def get(self, event_id: UUID) -> Entry:
        found = [entry for entry in self.data.trail if entry.id == event_id]
        if not found:
            raise NotFound(f"There is no event {event_id}.")
        return found[0]

    def walk(self) -> Generator[Entry]:
        yield from self.data.trail

    def head(self) -> Head:
        return Head(self.data.trail[-1].position, self.data.trail[-1].hash) if self.data.trail else Head(0, GENESIS)

    def oldest(self, before: datetime, *, through: int | None = None, limit: int | None = None) -> OldEntries | None:
        first = [entry for entry in self.data.trail[:-1] if through is None or entry.position <= through][:limit]
        old = list(takewhile(lambda entry: entry.occurred_at < before, first))
        return OldEntries(old[-1].position, Amount(len(old), 100 * len(old))) if old else None

    def remove_through(self, position: int, at: datetime) -> int:
        gone = [entry for entry in self.data.trail[:-1] if entry.position <= position]
        if gone:
            del self.data.trail[: len(gone)], self.data.events[: len(gone)]
            self.append(
                EventsPruned(
                    subject="events",
                    occurred_at=at,
                    through_position=gone[-1].position,
                    through_hash=gone[-1].hash,
                    count=len(gone),
                )
            )
        return len(gone)


@dataclass
class _FakeAlertRepository:
    data: FakeDatabase

    def get(self, name: str) -> Alert:
        return deepcopy(self.data.alerts.get(name) or Alert(name=name))

    def all(self) -> tuple[Alert, ...]:
        return tuple(deepcopy(self.data.alerts[name]) for name in sorted(self.data.alerts))

    def save(self, alert: Alert) -> None:
        self.data.events.extend(alert.pull_events())
        self.data.alerts[alert.name] = deepcopy(alert)


@dataclass
class _FakeOutcomeLog:
    """Goes through all events, and takes the 95th percentile as it is between two values."""

    data: FakeDatabase

    def since(self, moment: datetime, *, low_coverage: float) -> Outcomes:
        ended = [(number, event) for number, event in enumerate(self.data.events) if event.occurred_at >= moment]
        completed = [(number, event) for number, event in ended if isinstance(event, TranscriptionCompleted)]
        failures = [event.failure.category for _, event in ended if isinstance(event, TranscriptionFailed)]
        refused = sum(category in {Category.CLIENT, Category.CANCELLED} for category in failures)
        latencies: dict[bool, list[float]] = {False: [], True: []}
        fell_back = 0
        for number, event in completed:
            past = [each for each in self.data.events[:number] if each.subject == event.subject]
            asked = [each for each in past if isinstance(each, TranscriptionQueued | TranscriptionRetried)]
            is_interactive = any(getattr(each, "interactive", False) for each in asked)
            latencies[is_interactive].append((event.occurred_at - asked[-1].occurred_at).total_seconds())
            fell_back += any(isinstance(each, EngineFellBack) for each in past)
        return Outcomes(
            completed=len(completed),
            failed=len(failures) - refused,
            refused=refused,
            fell_back=fell_back,
            low_coverage=sum(event.coverage is not None and event.coverage < low_coverage for _, event in completed),
            latency_seconds=_percentile_95(latencies[False]),
            interactive_completed=len(latencies[True]),
            interactive_latency_seconds=_percentile_95(latencies[True]),
        )


def _percentile_95(values: list[float]) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    below, part = divmod(0.95 * (len(ordered) - 1), 1)
    upper = ordered[min(int(below) + 1, len(ordered) - 1)]
    return ordered[int(below)] + part * (upper - ordered[int(below)])


@dataclass
class _FakeCheckpointRepository:
    data: FakeDatabase

    def of_ended_before(self, moment: datetime) -> Amount:
        ids = self._old(moment)
        return Amount(len(ids), 100 * len(ids))

    def remove_of_ended_before(self, moment: datetime, *, limit: int) -> Amount:
        ids = self._old(moment)[:limit]
        for transcription_id in ids:
            for rows in (self.data.passages, self.data.turns, self.data.speech):
                rows.pop(transcription_id, None)
        return Amount(len(ids), 100 * len(ids))

    def _old(self, moment: datetime) -> list[UUID]:
        rows = (self.data.transcriptions[each] for each in {*self.data.passages, *self.data.turns, *self.data.speech})
        return sorted(row.id for row in rows if row.status.is_final and row.ended_at and row.ended_at < moment)


def _sealed(data: FakeDatabase) -> Iterator[Entry]:
    """The entries of those events that have none yet."""
    previous = data.trail[-1].hash if data.trail else GENESIS
    origin = current_origin()
    first = data.trail[-1].position + 1 if data.trail else 1
    for position, event in enumerate(data.events[len(data.trail) :], first):
        row = event_to_row(event)
        entry = Entry(
            position=position,
            id=uuid4(),
            type=row["type"],
            subject=row["subject"],
            occurred_at=row["occurred_at"],
            actor=origin.actor,
            request_id=origin.request_id,
            trace_id=origin.trace_id,
            data_json=json.dumps(row["data"], ensure_ascii=False, separators=(",", ":")),
            previous_hash=previous,
            hash="",
        )
        previous = link_hash(entry)
        yield replace(entry, hash=previous)


@dataclass
class _FakeJobQueue:
    data: FakeDatabase

    def defer_transcription(self, transcription: Transcription, *, audio_seconds: float | None) -> None:
        self.data.jobs.append(transcription.id)
        self.data.job_seconds[transcription.id] = audio_seconds

    def withdraw(self, transcription_id: UUID) -> None:
        if transcription_id in self.data.jobs and transcription_id not in self.data.at_work:
            self.data.jobs.remove(transcription_id)

    def has_job(self, transcription_id: UUID) -> bool:
        return transcription_id in self.data.jobs

    def jobs(self) -> frozenset[UUID]:
        return frozenset(self.data.jobs)

    def has_more_urgent(self, transcription_id: UUID, *, interactive_only: bool = False) -> bool:
        return self.data.interactive_work if interactive_only else self.data.more_urgent_work

    def defer_erasure(self, erasure: Erasure) -> None:
        self.data.erasures.append(erasure)

    def defer_webhook_turns(self, turns: Sequence[WebhookTurn]) -> None:
        for turn in turns:
            waiting = self.data.webhook_turns.get(turn.webhook_id, turn)
            at = min(waiting.at, turn.at) if waiting.at and turn.at else None
            self.data.webhook_turns[turn.webhook_id] = replace(turn, at=at)

    def defer_notification(self, notification: Notification) -> None:
        self.data.notifications.append(notification)

    def waiting(self, owner: str) -> Waiting:
        rows = [self.data.transcriptions.get(job) for job in self.data.jobs]
        return Waiting(
            jobs=len(self.data.jobs),
            jobs_of_owner=sum(1 for row in rows if row is not None and row.owner == owner),
            audio_seconds=sum(self.data.job_seconds.get(job) or 0.0 for job in self.data.jobs),
            oldest_seconds=self.data.oldest_job_seconds,
            running=0,
            workers=len(self.data.workers),
        )

    def workers(self) -> tuple[WorkerState, ...]:
        return tuple(self.data.workers)


def _forget(data: FakeDatabase, transcription_id: UUID) -> None:
    for rows in (
        data.transcriptions,
        data.speech,
        data.passages,
        data.turns,
        data.transcripts,
        data.revisions,
    ):
        rows.pop(transcription_id, None)


def _get(rows: dict[UUID, Any], key: UUID, what: str) -> Any:
    if key not in rows:
        raise NotFound(f"there is no {what} {key}")
    return rows[key]


def _is_timed(row: Transcription) -> bool:
    """Whether workers' attempts that came to their ends heard all of its speech."""
    ended = [
        each
        for each in row.attempts
        if each.outcome is not AttemptOutcome.ABANDONED and each.kind is AttemptKind.RECORDING
    ]
    return row.result is not None and sum(each.recognised_seconds for each in ended) >= row.result.speech_seconds * 0.99


def _page(rows: list[Any], when: Callable[[Any], datetime], limit: int, cursor: str | None) -> Page[Any]:
    ordered = sorted(rows, key=lambda row: (when(row), row.id), reverse=True)
    if cursor is not None:
        ids = [str(row.id) for row in ordered]
        if cursor not in ids:
            raise InvalidRequest("That cursor is not one of ours.", code="invalid_cursor")
        ordered = ordered[ids.index(cursor) + 1 :]
    items = tuple(ordered[:limit])
    return Page(items=items, next_cursor=str(items[-1].id) if len(ordered) > limit else None)
