"""The repositories of one unit of work, on its connection."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONPATH
from sqlalchemy.dialects.postgresql import insert as upsert

from hansard.application.ports.paging import Page
from hansard.application.ports.records import IdempotencyKey, TranscriptionFilter
from hansard.domain.audio import AudioFile, StoredObject
from hansard.domain.circuit import Circuit
from hansard.domain.diarization import Turn
from hansard.domain.errors import InvalidRequest, NotFound, RevisionMismatch
from hansard.domain.revision import Hunk, Revised, Revision, RevisionNote
from hansard.domain.speech import Speech
from hansard.domain.transcript import RecognisedPassage, Transcript
from hansard.domain.transcription import Parameters, Transcription
from hansard.persistence import mapping, search_index, statements, tables, transcript_mapping
from hansard.persistence.cursors import invalid_cursor, number_in
from hansard.persistence.event_log import SqlEventLog
from hansard.persistence.notifications import CHANNEL
from hansard.persistence.values import Row, storable

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# Looked for among few, whatever was done last: a queue that is full asks this of each who comes.
_RECENT_REAL_TIME_FACTOR = text("""
    SELECT sum((result ->> 'processing_seconds')::float8) / nullif(sum((result ->> 'audio_seconds')::float8), 0)
      FROM (SELECT result, attempts FROM transcriptions
             WHERE status = 'completed' ORDER BY created_at DESC, id DESC LIMIT 50) AS recent
     WHERE 0.99 * (result ->> 'speech_seconds')::float8 <= (
           SELECT coalesce(sum((attempt ->> 'recognised_seconds')::float8), 0)
             FROM jsonb_array_elements(attempts) AS attempt
             WHERE attempt ->> 'outcome' <> 'abandoned' AND coalesce(attempt ->> 'kind', 'recording') = 'recording')
""")


@dataclass(frozen=True, slots=True)
class SqlAudioRepository:
    connection: Connection

    def add(self, audio: AudioFile) -> None:
        self.connection.execute(statements.ADD_AUDIO, mapping.audio_to_row(audio))

    def get(self, audio_id: UUID, *, for_update: bool = False) -> AudioFile:
        query = statements.AUDIO.with_for_update() if for_update else statements.AUDIO
        row = self.connection.execute(query, {"wanted_id": audio_id}).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no audio file {audio_id}.", help="GET /audio lists those there are.")
        return mapping.audio_from_row(row)

    def delete(self, audio_id: UUID) -> None:
        self.connection.execute(delete(tables.audio_files).where(tables.audio_files.c.id == audio_id))

    def hold_bytes(self, stored: StoredObject) -> None:
        _hold(self.connection, "bytes", stored.sha256)

    def uses_bytes(self, stored: StoredObject) -> bool:
        query = select(exists().where(tables.audio_files.c.sha256 == stored.sha256))
        return self.connection.execute(query).scalar_one()

    def page(self, *, limit: int, cursor: str | None = None) -> Page[AudioFile]:
        table = tables.audio_files
        return _page(self.connection, select(table), table.c.uploaded_at, mapping.audio_from_row, limit, cursor)


@dataclass(frozen=True, slots=True)
class SqlTranscriptionRepository:
    connection: Connection
    events: SqlEventLog

    def add(self, transcription: Transcription) -> None:
        self.connection.execute(statements.ADD_TRANSCRIPTION, mapping.transcription_to_row(transcription))
        self._log_events(transcription)

    def get(self, transcription_id: UUID, *, for_update: bool = False) -> Transcription:
        query = statements.TRANSCRIPTION_LOCKED if for_update else statements.TRANSCRIPTION
        row = self.connection.execute(query, {"wanted_id": transcription_id}).mappings().one_or_none()
        if row is None:
            raise _no_transcription(transcription_id)
        return mapping.transcription_from_row(row)

    def hold(self, transcription_id: UUID, *, run: int) -> bool:
        found = self.connection.execute(statements.HOLD_RUN, {"wanted_id": transcription_id, "wanted_run": run})
        return found.one_or_none() is not None

    def with_transcript(self, transcription_id: UUID) -> tuple[Transcription, Transcript | None]:
        found = self.connection.execute(statements.WITH_TRANSCRIPT, {"wanted_id": transcription_id})
        row = found.mappings().one_or_none()
        if row is None:
            raise _no_transcription(transcription_id)
        of_transcript = {name: row[f"transcript_{name}"] for name in tables.transcripts.c.keys()}  # noqa: SIM118
        is_there = of_transcript["transcription_id"] is not None
        transcript = transcript_mapping.transcript_from_row(of_transcript) if is_there else None
        return mapping.transcription_from_row(row), transcript

    def save(self, transcription: Transcription) -> None:
        told = f"{transcription.id} {transcription.status.value}"
        row = {**mapping.transcription_to_row(transcription), "wanted_id": transcription.id, "told": told}
        if self.connection.execute(statements.SAVE_TRANSCRIPTION, row).one_or_none() is None:
            raise _no_transcription(transcription.id)
        self._log_events(transcription)

    def delete(self, transcription: Transcription) -> None:
        table = tables.transcriptions
        told = func.pg_notify(CHANNEL, str(transcription.id))  # without a status: it is gone
        self.connection.execute(delete(table).where(table.c.id == transcription.id).returning(told))
        self._log_events(transcription)

    def page(
        self, wanted: TranscriptionFilter | None = None, *, limit: int, cursor: str | None = None
    ) -> Page[Transcription]:
        query = select(tables.transcriptions).where(*_conditions(wanted or TranscriptionFilter()))
        moment = tables.transcriptions.c.created_at
        return _page(self.connection, query, moment, mapping.transcription_from_row, limit, cursor)

    def of_audio(self, audio_id: UUID) -> tuple[Transcription, ...]:
        table = tables.transcriptions
        # In one order everywhere, so that two who lock the same rows don't wait for each other.
        query = select(table).where(table.c.audio_id == audio_id).order_by(table.c.id).with_for_update()
        return tuple(mapping.transcription_from_row(row) for row in self.connection.execute(query).mappings())

    def in_flight(self, *, owner: str, sha256: str, parameters: Parameters) -> Transcription | None:
        asked = {
            "wanted_sha256": sha256,
            "wanted_owner": owner,
            "wanted_parameters": mapping.parameters_to_json(parameters),
        }
        row = self.connection.execute(statements.IN_FLIGHT, asked).mappings().one_or_none()
        return None if row is None else mapping.transcription_from_row(row)

    def unfinished(self) -> tuple[UUID, ...]:
        table = tables.transcriptions
        is_unfinished = table.c.status.in_(statements.UNFINISHED)
        query = select(table.c.id).where(is_unfinished).order_by(table.c.created_at, table.c.id)
        return tuple(self.connection.execute(query).scalars())

    def recent_real_time_factor(self) -> float | None:
        return self.connection.execute(_RECENT_REAL_TIME_FACTOR).scalar_one()

    def _log_events(self, transcription: Transcription) -> None:
        self.events.extend(transcription.pull_events())


@dataclass(frozen=True, slots=True)
class SqlTranscriptRepository:
    connection: Connection

    def save_speech(self, transcription_id: UUID, speech: Speech) -> None:
        self.connection.execute(statements.PUT_SPEECH, transcript_mapping.speech_to_row(transcription_id, speech))

    def speech(self, transcription_id: UUID) -> Speech | None:
        row = self._one(tables.speech, transcription_id)
        return None if row is None else transcript_mapping.speech_from_row(row)

    def add_passage(self, transcription_id: UUID, passage: RecognisedPassage) -> None:
        self.connection.execute(statements.ADD_PASSAGE, transcript_mapping.passage_to_row(transcription_id, passage))

    def passages(self, transcription_id: UUID) -> tuple[RecognisedPassage, ...]:
        found = self.connection.execute(statements.PASSAGES, {"wanted_id": transcription_id})
        return tuple(transcript_mapping.passage_from_row(row) for row in found.mappings())

    def passages_after(self, transcription_id: UUID, count: int) -> tuple[RecognisedPassage, ...]:
        found = self.connection.execute(statements.PASSAGES_AFTER, {"wanted_id": transcription_id, "count": count})
        return tuple(transcript_mapping.passage_from_row(row) for row in found.mappings())

    def save_turns(self, transcription_id: UUID, turns: tuple[Turn, ...]) -> None:
        self.connection.execute(statements.PUT_TURNS, transcript_mapping.turns_to_row(transcription_id, turns))

    def turns(self, transcription_id: UUID) -> tuple[Turn, ...] | None:
        row = self._one(tables.turns, transcription_id)
        return None if row is None else transcript_mapping.turns_from_row(row)

    def save(self, transcription: Transcription, transcript: Transcript) -> None:
        row = transcript_mapping.transcript_to_row(transcription.id, transcript, revision=0)
        self.connection.execute(statements.PUT_TRANSCRIPT, row)
        search_index.add(self.connection, transcription, transcript)

    def get(self, transcription_id: UUID) -> Transcript | None:
        row = self._one(tables.transcripts, transcription_id)
        return None if row is None else transcript_mapping.transcript_from_row(row)

    def revise(self, transcription: Transcription, transcript: Transcript, revision: Revision) -> None:
        transcription_id = transcription.id
        table = tables.transcripts
        was_current = and_(table.c.transcription_id == transcription_id, table.c.revision == revision.number - 1)
        if len(revision.hunks) == 1:
            # Changed in one place: the rest, which may be megabytes, need not travel.
            row = transcript_mapping.transcript_to_row(
                transcription_id, replace(transcript, segments=()), revision.number
            )
            segments = _with_hunk(table.c.segments, revision.hunks[0])
            row = {**row, "text": storable(transcript.text), "segments": segments}
        else:
            row = transcript_mapping.transcript_to_row(transcription_id, transcript, revision.number)
        if self.connection.execute(update(table).where(was_current).values(row)).rowcount == 0:
            raise RevisionMismatch(
                "The transcript was edited meanwhile.",
                help="Fetch it again, with its ETag, and make the change to what is there now.",
            )
        self.connection.execute(
            insert(tables.revisions), transcript_mapping.revision_to_row(transcription_id, revision)
        )
        search_index.index_changes(self.connection, transcription, transcript, revision.hunks)

    def revision(self, transcription_id: UUID) -> int:
        query = select(tables.transcripts.c.revision).where(tables.transcripts.c.transcription_id == transcription_id)
        return self.connection.execute(query).scalar_one_or_none() or 0

    def current(self, transcription_id: UUID) -> Revised | None:
        row = self._one(tables.transcripts, transcription_id)
        return None if row is None else Revised(transcript_mapping.transcript_from_row(row), row["revision"])

    def revisions(self, transcription_id: UUID, *, after: int = 0) -> tuple[Revision, ...]:
        table = tables.revisions
        is_wanted = and_(table.c.transcription_id == transcription_id, table.c.number > after)
        query = select(table).where(is_wanted).order_by(table.c.number)
        return tuple(transcript_mapping.revision_from_row(row) for row in self.connection.execute(query).mappings())

    def history(self, transcription_id: UUID, *, limit: int, cursor: str | None = None) -> Page[RevisionNote]:
        # Without the hunks, which may hold the whole transcript several times over.
        table = tables.revisions
        columns = (table.c.number, table.c.made_at, table.c.author, table.c.change, table.c.summary)
        query = select(*columns).where(table.c.transcription_id == transcription_id)
        if cursor is not None:
            query = query.where(table.c.number < number_in(cursor, most_digits=9))
        query = query.order_by(table.c.number.desc()).limit(limit + 1)
        rows = self.connection.execute(query).mappings().all()
        return Page(
            items=tuple(transcript_mapping.revision_note_from_row(row) for row in rows[:limit]),
            next_cursor=str(rows[limit - 1]["number"]) if len(rows) > limit else None,
        )

    def clear(self, transcription_id: UUID) -> None:
        for table in (tables.passages, tables.turns, tables.speech):
            self._remove(table, transcription_id)

    def _remove(self, table: Table, transcription_id: UUID) -> None:
        self.connection.execute(delete(table).where(table.c.transcription_id == transcription_id))

    def _one(self, table: Table, transcription_id: UUID) -> RowMapping | None:
        found = self.connection.execute(statements.OF_TRANSCRIPTION[table], {"wanted_id": transcription_id})
        return found.mappings().one_or_none()


@dataclass(frozen=True, slots=True)
class SqlCircuitRepository:
    connection: Connection
    events: SqlEventLog

    def get(self, engine: str, *, for_update: bool = False) -> Circuit:
        query = statements.CIRCUIT
        if for_update:
            # There must be a row to lock.
            row = mapping.circuit_to_row(Circuit(engine=engine))
            self.connection.execute(upsert(tables.circuits).values(row).on_conflict_do_nothing())
            query = query.with_for_update()
        row = self.connection.execute(query, {"wanted_engine": engine}).mappings().one_or_none()
        return Circuit(engine=engine) if row is None else mapping.circuit_from_row(row)

    def save(self, circuit: Circuit) -> None:
        row = mapping.circuit_to_row(circuit)
        statement = upsert(tables.circuits).values(row)
        self.connection.execute(statement.on_conflict_do_update(index_elements=["engine"], set_=row))
        self.events.extend(circuit.pull_events())


@dataclass(frozen=True, slots=True)
class SqlIdempotencyRepository:
    connection: Connection

    def find(self, key: IdempotencyKey, *, since: datetime) -> UUID | None:
        _hold(self.connection, "idempotency", key.owner, key.route, key.key)
        table = tables.idempotency_keys
        query = select(table).where(_is_key(key), table.c.made_at >= since)
        row = self.connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        if row["request"] != key.request:
            raise InvalidRequest(
                "This Idempotency-Key was used for another request.",
                code="idempotency_key_reused",
                help="Send the same request with it, or a new key with this one.",
            )
        return row["made_id"]

    def keep(self, key: IdempotencyKey, made_id: UUID, at: datetime) -> None:
        table = tables.idempotency_keys
        # One that has expired makes room.
        self.connection.execute(delete(table).where(_is_key(key)))
        row = {"owner": key.owner, "route": key.route, "key": key.key, "request": key.request}
        self.connection.execute(insert(table), {**row, "made_id": made_id, "made_at": at})

    def forget_before(self, moment: datetime) -> int:
        table = tables.idempotency_keys
        return self.connection.execute(delete(table).where(table.c.made_at < moment)).rowcount


def _with_hunk(segments: ColumnElement[Any], hunk: Hunk) -> ColumnElement[Any]:
    """The JSON array with the hunk done to it. An index behind its end gives nothing (jsonpath's lax mode)."""

    def part(bounds: str) -> ColumnElement[Any]:
        return func.jsonb_path_query_array(segments, literal(f"$[{bounds}]").cast(JSONPATH), type_=tables.JSON)

    inserted = literal([transcript_mapping.segment_to_json(segment) for segment in hunk.inserted], tables.JSON)
    with_rest = inserted.op("||")(part(f"{hunk.at + len(hunk.removed)} to last"))
    return part(f"0 to {hunk.at - 1}").op("||")(with_rest) if hunk.at else with_rest


def _conditions(wanted: TranscriptionFilter) -> Iterator[ColumnElement[bool]]:
    row = tables.transcriptions.c
    if wanted.status is not None:
        yield row.status == wanted.status.value
    if wanted.audio_id is not None:
        yield row.audio_id == wanted.audio_id
    if wanted.engine is not None:
        yield wanted.engine == tables.RESULT_ENGINE
    if wanted.language is not None:
        yield wanted.language == tables.RESULT_LANGUAGE
    if wanted.since is not None:
        yield row.created_at >= wanted.since
    if wanted.until is not None:
        yield row.created_at < wanted.until
    if wanted.metadata:
        yield row.parameters.contains({"metadata": dict(wanted.metadata)})


def _is_key(key: IdempotencyKey) -> ColumnElement[bool]:
    table = tables.idempotency_keys
    return and_(table.c.owner == key.owner, table.c.route == key.route, table.c.key == key.key)


def _hold(connection: Connection, *names: str) -> None:
    """Until the transaction ends, whoever wants to hold the same names waits."""
    # NUL is in no name, so no two lists of names read the same.
    name = "\0".join(names).encode().hex()
    connection.execute(statements.HOLD, {"name": name})


def _page(
    connection: Connection,
    query: Select[Any],
    moment: Column[datetime],
    from_row: Callable[[Row], T],
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
        raise invalid_cursor() from error


def _no_transcription(transcription_id: UUID) -> NotFound:
    return NotFound(f"There is no transcription {transcription_id}.", help="GET /transcriptions lists those there are.")
