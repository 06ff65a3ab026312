"""What is kept, and the one short transaction that changes it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from hansard.application.ports.alerts import AlertRepository, OutcomeLog
from hansard.application.ports.events import EventLog
from hansard.application.ports.paging import Page
from hansard.application.ports.retention import CheckpointRepository
from hansard.application.ports.webhooks import DeliveryRepository, WebhookRepository
from hansard.application.ports.work import JobQueue
from hansard.domain.audio import AudioFile, StoredObject
from hansard.domain.circuit import Circuit
from hansard.domain.diarization import Turn
from hansard.domain.revision import Revised, Revision, RevisionNote
from hansard.domain.speech import Speech
from hansard.domain.transcript import RecognisedPassage, Segment, Transcript
from hansard.domain.transcription import Parameters, Status, Transcription


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionFilter:
    """Which transcriptions are wanted; None leaves a filter out.

    `engine` and `language` are those of the transcript, so they find completed transcriptions only. `since` is
    included, `until` is not. `metadata` are labels that the transcription must all carry.
    """

    status: Status | None = None
    audio_id: UUID | None = None
    engine: str | None = None
    language: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


class TranscriptionRepository(Protocol):
    """Saving a transcription also writes the events it recorded."""

    def add(self, transcription: Transcription) -> None: ...

    def get(self, transcription_id: UUID, *, for_update: bool = False) -> Transcription:
        """Raises `NotFound`. `for_update` locks it until the unit of work ends."""
        ...

    def hold(self, transcription_id: UUID, *, run: int) -> bool:
        """Whether that run owns it. If so, it is locked until the unit of work ends."""
        ...

    def with_transcript(self, transcription_id: UUID) -> tuple[Transcription, Transcript | None]:
        """Both as they are at one moment; there is a transcript once it is completed. Raises `NotFound`."""
        ...

    def save(self, transcription: Transcription) -> None: ...

    def delete(self, transcription: Transcription) -> None:
        """With all that was recognised. The events it recorded are written; those of the past stay."""
        ...

    def page(
        self, wanted: TranscriptionFilter | None = None, *, limit: int, cursor: str | None = None
    ) -> Page[Transcription]:
        """Newest first. Raises `InvalidRequest` for a cursor it did not make."""
        ...

    def of_audio(self, audio_id: UUID) -> tuple[Transcription, ...]:
        """All of them, locked until the unit of work ends."""
        ...

    def in_flight(self, *, owner: str, sha256: str, parameters: Parameters) -> Transcription | None:
        """One of the owner's that is queued or running, for the same bytes and the same parameters.

        Who holds the bytes meanwhile (`AudioRepository.hold_bytes`) asks alone: so of two identical requests, the
        second finds what the first has made.
        """
        ...

    def unfinished(self) -> tuple[UUID, ...]:
        """All that are queued or running."""
        ...

    def recent_real_time_factor(self) -> float | None:
        """Processing time over audio time, of the last ones completed; None when there are none.

        Those count in which workers heard all of the speech, to the ends of their attempts. What was heard live is no
        work for them, and what a worker did before it died was not measured.
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

    def passages_after(self, transcription_id: UUID, count: int) -> tuple[RecognisedPassage, ...]:
        """The finished passages in the order in which they were recognised, without the first `count`."""
        ...

    def save_turns(self, transcription_id: UUID, turns: tuple[Turn, ...]) -> None: ...

    def turns(self, transcription_id: UUID) -> tuple[Turn, ...] | None:
        """Who spoke when; None where that was not worked out (yet)."""
        ...

    def save(self, transcription: Transcription, transcript: Transcript) -> None:
        """Keep the transcript, in place of its passages and of any that was there, with all its revisions.

        It is revision 0, and can be searched from now on.
        """
        ...

    def get(self, transcription_id: UUID) -> Transcript | None: ...

    def revise(self, transcription: Transcription, transcript: Transcript, revision: Revision) -> None:
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


PHRASE_REACH = 16
"""How many words of a phrase may be in the segments after that in which it begins: most sentences have fewer left."""


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
    """A segment that has what was looked for, or in which a phrase begins that goes on after it. `matches` are the
    places in its text, in characters from `start` to `end`, with the time at which each is said: of the word, where
    words have times, else of the segment.
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
    def alerts(self) -> AlertRepository: ...

    @property
    def outcomes(self) -> OutcomeLog: ...

    @property
    def checkpoints(self) -> CheckpointRepository: ...

    @property
    def webhooks(self) -> WebhookRepository: ...

    @property
    def deliveries(self) -> DeliveryRepository: ...

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
