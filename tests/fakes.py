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
    EngineState,
    EngineStatus,
    Page,
    Recognition,
)
from hansard.domain.audio import BYTES_PER_SECOND, AudioFile, AudioProperties, StoredObject
from hansard.domain.errors import EngineError, InvalidAudio, InvalidRequest, NotFound
from hansard.domain.events import Event
from hansard.domain.speech import PassageLimits, Span, Speech
from hansard.domain.transcript import RecognisedPassage, Segment, Transcript, Word
from hansard.domain.transcription import Status, Transcription

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

    def delete(self, stored: StoredObject) -> None:
        self.objects.pop(stored.sha256, None)

    def _get(self, stored: StoredObject) -> bytes:
        try:
            return self.objects[stored.sha256]
        except KeyError:
            raise NotFound(f"no object {stored.sha256}") from None


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
        self.kept: dict[UUID, bytes] = {}

    def write(self, transcription_id: UUID, blocks: Iterable[bytes]) -> None:
        self.kept[transcription_id] = b"".join(blocks)

    def exists(self, transcription_id: UUID) -> bool:
        return transcription_id in self.kept

    def read(self, transcription_id: UUID, span: Span) -> bytes:
        start, end = (round(seconds * 16_000) * 2 for seconds in (span.start_seconds, span.end_seconds))
        return self.kept[transcription_id][start:end]

    def remove(self, transcription_id: UUID) -> None:
        self.kept.pop(transcription_id, None)


@dataclass
class FakeEngine:
    """Says one word a passage. `failures` are raised, one a call, before it works; `on_passage` may meddle."""

    name: str = "fake"
    limits: PassageLimits = field(default=ONE_SECOND_PASSAGES)
    degraded_reason: str | None = None
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

    def recognise(self, pcm: bytes, request: Recognition) -> Iterator[Segment]:
        self.requests.append(request)
        self.on_passage(len(self.heard) + 1)
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
    events: list[Event] = field(default_factory=list)
    jobs: list[UUID] = field(default_factory=list)

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

    def get(self, audio_id: UUID) -> AudioFile:
        return _get(self.data.audio, audio_id, "audio file")

    def page(self, *, limit: int, cursor: str | None = None) -> Page[AudioFile]:
        return _page(list(self.data.audio.values()), lambda audio: audio.uploaded_at, limit, cursor)


@dataclass
class _FakeTranscriptionRepository:
    data: FakeDatabase

    def add(self, transcription: Transcription) -> None:
        self.save(transcription)

    def get(self, transcription_id: UUID, *, for_update: bool = False) -> Transcription:
        return deepcopy(_get(self.data.transcriptions, transcription_id, "transcription"))

    def save(self, transcription: Transcription) -> None:
        self.data.events.extend(transcription.pull_events())
        self.data.transcriptions[transcription.id] = deepcopy(transcription)

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
        return tuple(sorted(self.data.passages.get(transcription_id, []), key=lambda passage: passage.span))

    def save(self, transcription_id: UUID, transcript: Transcript) -> None:
        self.data.transcripts[transcription_id] = transcript
        self.data.passages.pop(transcription_id, None)

    def get(self, transcription_id: UUID) -> Transcript | None:
        return self.data.transcripts.get(transcription_id)


@dataclass
class _FakeEventLog:
    data: FakeDatabase

    def append(self, event: Event) -> None:
        self.data.events.append(event)

    def of(self, subject_id: UUID) -> tuple[Event, ...]:
        return tuple(event for event in self.data.events if event.subject_id == subject_id)


@dataclass
class _FakeJobQueue:
    data: FakeDatabase

    def defer_transcription(self, transcription: Transcription) -> None:
        self.data.jobs.append(transcription.id)


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
