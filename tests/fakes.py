"""In-memory fakes of every port. The contract suites hold them to what the real adapters do."""

import io
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import TracebackType
from typing import Any, BinaryIO, Self
from uuid import UUID

from hansard.application.ports import (
    ANYTHING,
    EngineCall,
    EngineState,
    EngineStatus,
    Erasure,
    EventT,
    IdempotencyKey,
    Page,
    Recognition,
    Waiting,
    WorkerState,
)
from hansard.domain.audio import BYTES_PER_SECOND, AudioFile, AudioProperties, StoredObject
from hansard.domain.circuit import Circuit
from hansard.domain.errors import EngineError, EngineStopped, InvalidAudio, InvalidRequest, NotFound, RecordingLost
from hansard.domain.events import Event
from hansard.domain.speech import PassageLimits, Span, Speech
from hansard.domain.transcript import RecognisedPassage, Segment, Transcript, Word
from hansard.domain.transcription import Parameters, Status, Transcription

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

    def put(self, source: BinaryIO) -> StoredObject:
        data = source.read()
        stored = StoredObject(sha256=sha256(data).hexdigest(), size_bytes=len(data))
        self.objects[stored.sha256] = data
        return stored

    def open(self, stored: StoredObject) -> BinaryIO:
        return io.BytesIO(self._get(stored))

    def read(self, stored: StoredObject, start: int, end: int) -> Iterator[bytes]:
        return iter([self._get(stored)[start:end]])

    def exists(self, stored: StoredObject) -> bool:
        return stored.sha256 in self.objects

    def delete(self, stored: StoredObject) -> None:
        self.objects.pop(stored.sha256, None)

    def check(self) -> None:
        pass

    def _get(self, stored: StoredObject) -> bytes:
        try:
            return self.objects[stored.sha256]
        except KeyError:
            raise RecordingLost(f"no object {stored.sha256}") from None


class FakeAudioDecoder:
    """Takes a file's bytes for prepared audio as they are."""

    def probe(self, source: BinaryIO) -> AudioProperties:
        size = len(source.read())
        if not size:
            raise InvalidAudio("The file is empty.", code="empty_file")
        return AudioProperties(
            container="pcm",
            codec="pcm_s16le",
            channels=1,
            sample_rate_hz=16_000,
            duration_seconds=size / BYTES_PER_SECOND,
        )

    def decode(self, source: BinaryIO) -> Iterator[bytes]:
        while block := source.read(BYTES_PER_SECOND):
            yield block


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
class FakeDatabase:
    """What has been committed."""

    audio: dict[UUID, AudioFile] = field(default_factory=dict)
    transcriptions: dict[UUID, Transcription] = field(default_factory=dict)
    speech: dict[UUID, Speech] = field(default_factory=dict)
    passages: dict[UUID, list[RecognisedPassage]] = field(default_factory=dict)
    transcripts: dict[UUID, Transcript] = field(default_factory=dict)
    circuits: dict[str, Circuit] = field(default_factory=dict)
    idempotency_keys: dict[tuple[str, str, str], tuple[str, UUID, datetime]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    jobs: list[UUID] = field(default_factory=list)
    """Waiting or being done: nobody takes them out but a test, and `withdraw`."""
    at_work: set[UUID] = field(default_factory=set)
    """Those in a worker's hands."""
    job_seconds: dict[UUID, float | None] = field(default_factory=dict)
    erasures: list[Erasure] = field(default_factory=list)
    more_urgent_work: bool = False
    oldest_job_seconds: float = 0.0
    workers: list[WorkerState] = field(default_factory=list)

    def unit_of_work(self) -> "FakeUnitOfWork":
        return FakeUnitOfWork(self)


class FakeUnitOfWork:
    """Works on a copy; `commit` makes the copy the database."""

    def __init__(self, database: FakeDatabase) -> None:
        self._database = database

    def __enter__(self) -> Self:
        self._work = deepcopy(self._database)
        self.audio = _FakeAudioRepository(self._work)
        self.transcriptions = _FakeTranscriptionRepository(self._work)
        self.transcripts = _FakeTranscriptRepository(self._work)
        self.circuits = _FakeCircuitRepository(self._work)
        self.idempotency = _FakeIdempotencyRepository(self._work)
        self.events = _FakeEventLog(self._work)
        self.jobs = _FakeJobQueue(self._work)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del self._work

    def commit(self) -> None:
        self._database.__dict__.update(deepcopy(self._work).__dict__)


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

    def add(self, transcription: Transcription) -> None:
        self.data.events.extend(transcription.pull_events())
        self.data.transcriptions[transcription.id] = deepcopy(transcription)

    def get(self, transcription_id: UUID, *, for_update: bool = False) -> Transcription:
        return deepcopy(_get(self.data.transcriptions, transcription_id, "transcription"))

    def save(self, transcription: Transcription) -> None:
        _get(self.data.transcriptions, transcription.id, "transcription")
        self.add(transcription)

    def delete(self, transcription: Transcription) -> None:
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
        results = [row.result for row in self.data.transcriptions.values() if row.result is not None]
        audio_seconds = sum(result.audio_seconds for result in results)
        return sum(result.processing_seconds for result in results) / audio_seconds if audio_seconds else None

    def _unfinished(self) -> list[Transcription]:
        rows = [row for row in self.data.transcriptions.values() if not row.status.is_final]
        return sorted(rows, key=lambda transcription: (transcription.created_at, transcription.id))

    def page(
        self, *, limit: int, cursor: str | None = None, status: Status | None = None, audio_id: UUID | None = None
    ) -> Page[Transcription]:
        rows = [
            transcription
            for transcription in self.data.transcriptions.values()
            if status in (None, transcription.status) and audio_id in (None, transcription.audio_id)
        ]
        return _page(rows, lambda transcription: transcription.created_at, limit, cursor)


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

    def save(self, transcription_id: UUID, transcript: Transcript) -> None:
        self.data.transcripts[transcription_id] = transcript
        self.clear(transcription_id)

    def get(self, transcription_id: UUID) -> Transcript | None:
        return self.data.transcripts.get(transcription_id)

    def clear(self, transcription_id: UUID) -> None:
        self.data.passages.pop(transcription_id, None)


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

    def has_more_urgent(self, transcription_id: UUID) -> bool:
        return self.data.more_urgent_work

    def defer_erasure(self, erasure: Erasure) -> None:
        self.data.erasures.append(erasure)

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
    for rows in (data.transcriptions, data.speech, data.passages, data.transcripts):
        rows.pop(transcription_id, None)


def _get(rows: dict[UUID, Any], key: UUID, what: str) -> Any:
    if key not in rows:
        raise NotFound(f"there is no {what} {key}")
    return rows[key]


def _page(rows: list[Any], when: Callable[[Any], datetime], limit: int, cursor: str | None) -> Page[Any]:
    ordered = sorted(rows, key=lambda row: (when(row), row.id), reverse=True)
    if cursor is not None:
        ids = [str(row.id) for row in ordered]
        if cursor not in ids:
            raise InvalidRequest("That cursor is not one of ours.", code="invalid_cursor")
        ordered = ordered[ids.index(cursor) + 1 :]
    items = tuple(ordered[:limit])
    return Page(items=items, next_cursor=str(items[-1].id) if len(ordered) > limit else None)
