"""The repositories of one unit of work, on its connection."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Column, Connection, RowMapping, Select, Table, delete, insert, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from hansard.application.ports import Page
from hansard.domain.audio import AudioFile
from hansard.domain.errors import InvalidRequest, NotFound
from hansard.domain.events import Event
from hansard.domain.speech import Speech
from hansard.domain.transcript import RecognisedPassage, Transcript
from hansard.domain.transcription import Status, Transcription
from hansard.persistence import mapping, tables

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class SqlAudioRepository:
    connection: Connection

    def add(self, audio: AudioFile) -> None:
        self.connection.execute(insert(tables.audio_files), mapping.audio_to_row(audio))

    def get(self, audio_id: UUID) -> AudioFile:
        query = select(tables.audio_files).where(tables.audio_files.c.id == audio_id)
        row = self.connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no audio file {audio_id}.")
        return mapping.audio_from_row(row)

    def page(self, *, limit: int, cursor: str | None = None) -> Page[AudioFile]:
        table = tables.audio_files
        return _page(self.connection, select(table), table.c.uploaded_at, mapping.audio_from_row, limit, cursor)


@dataclass(frozen=True, slots=True)
class SqlTranscriptionRepository:
    connection: Connection
    events: "SqlEventLog"

    def add(self, transcription: Transcription) -> None:
        self.connection.execute(insert(tables.transcriptions), mapping.transcription_to_row(transcription))
        self._log_events(transcription)

    def get(self, transcription_id: UUID, *, for_update: bool = False) -> Transcription:
        query = select(tables.transcriptions).where(tables.transcriptions.c.id == transcription_id)
        row = self.connection.execute(query.with_for_update() if for_update else query).mappings().one_or_none()
        if row is None:
            raise _no_transcription(transcription_id)
        return mapping.transcription_from_row(row)

    def save(self, transcription: Transcription) -> None:
        statement = update(tables.transcriptions).where(tables.transcriptions.c.id == transcription.id)
        saved = self.connection.execute(statement, mapping.transcription_to_row(transcription))
        if saved.rowcount == 0:
            raise _no_transcription(transcription.id)
        self._log_events(transcription)

    def page(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        status: Status | None = None,
        audio_id: UUID | None = None,
    ) -> Page[Transcription]:
        table = tables.transcriptions
        query = select(table)
        if status is not None:
            query = query.where(table.c.status == status.value)
        if audio_id is not None:
            query = query.where(table.c.audio_id == audio_id)
        return _page(self.connection, query, table.c.created_at, mapping.transcription_from_row, limit, cursor)

    def _log_events(self, transcription: Transcription) -> None:
        for event in transcription.pull_events():
            self.events.append(event)


@dataclass(frozen=True, slots=True)
class SqlTranscriptRepository:
    connection: Connection

    def save_speech(self, transcription_id: UUID, speech: Speech) -> None:
        self._put(tables.speech, mapping.speech_to_row(transcription_id, speech))

    def speech(self, transcription_id: UUID) -> Speech | None:
        row = self._one(tables.speech, transcription_id)
        return None if row is None else mapping.speech_from_row(row)

    def add_passage(self, transcription_id: UUID, passage: RecognisedPassage) -> None:
        self.connection.execute(insert(tables.passages), mapping.passage_to_row(transcription_id, passage))

    def passages(self, transcription_id: UUID) -> tuple[RecognisedPassage, ...]:
        table = tables.passages
        query = select(table).where(table.c.transcription_id == transcription_id).order_by(table.c.start_seconds)
        return tuple(mapping.passage_from_row(row) for row in self.connection.execute(query).mappings())

    def save(self, transcription_id: UUID, transcript: Transcript) -> None:
        self._put(tables.transcripts, mapping.transcript_to_row(transcription_id, transcript))
        table = tables.passages
        self.connection.execute(delete(table).where(table.c.transcription_id == transcription_id))

    def get(self, transcription_id: UUID) -> Transcript | None:
        row = self._one(tables.transcripts, transcription_id)
        return None if row is None else mapping.transcript_from_row(row)

    def _one(self, table: Table, transcription_id: UUID) -> RowMapping | None:
        query = select(table).where(table.c.transcription_id == transcription_id)
        return self.connection.execute(query).mappings().one_or_none()

    def _put(self, table: Table, row: mapping.Row) -> None:
        statement = upsert(table).values(row)
        self.connection.execute(statement.on_conflict_do_update(index_elements=["transcription_id"], set_=row))


@dataclass(frozen=True, slots=True)
class SqlEventLog:
    connection: Connection

    def append(self, event: Event) -> None:
        self.connection.execute(insert(tables.events), mapping.event_to_row(event))

    def of(self, subject_id: UUID) -> tuple[Event, ...]:
        table = tables.events
        query = select(table).where(table.c.subject_id == subject_id).order_by(table.c.id)
        return tuple(mapping.event_from_row(row) for row in self.connection.execute(query).mappings())


def _page(
    connection: Connection,
    query: Select[Any],
    moment: Column[datetime],
    from_row: Callable[[mapping.Row], T],
    limit: int,
    cursor: str | None,
) -> Page[T]:
    """Newest first, by keyset: as quick on the last page as on the first."""
    identity = moment.table.c.id
    if cursor is not None:
        query = query.where(tuple_(moment, identity) < tuple_(*map(literal, _position(cursor))))
    query = query.order_by(moment.desc(), identity.desc()).limit(limit + 1)
    rows = connection.execute(query).mappings().all()
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    return Page(
        items=tuple(from_row(row) for row in rows[:limit]),
        next_cursor=None if last is None else _cursor(last[moment.name], last["id"]),
    )


def _cursor(moment: datetime, identity: UUID) -> str:
    """The place after a row: its time in microseconds, in 8 bytes, and its id, as base64."""
    microseconds = (moment - _EPOCH) // _MICROSECOND
    return urlsafe_b64encode(microseconds.to_bytes(8, signed=True) + identity.bytes).decode()


def _position(cursor: str) -> tuple[datetime, UUID]:
    try:
        data = urlsafe_b64decode(cursor.encode("ascii"))
        return _EPOCH + int.from_bytes(data[:8], signed=True) * _MICROSECOND, UUID(bytes=data[8:])
    except (ValueError, OverflowError, binascii.Error) as error:
        raise InvalidRequest(
            "That cursor is not one of ours.",
            code="invalid_cursor",
            help="Use the next_cursor of the page before, as it is; leave it out for the first page.",
        ) from error


def _no_transcription(transcription_id: UUID) -> NotFound:
    return NotFound(f"There is no transcription {transcription_id}.")
