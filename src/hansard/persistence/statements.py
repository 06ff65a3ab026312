"""The statements that every job needs, put together once.

SQLAlchemy takes as long to put a statement together as the server takes to do it, and a job has some fifty.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, Select, Table, Text, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert

from hansard.domain.transcription import Status
from hansard.persistence import tables
from hansard.persistence.notifications import CHANNEL

_ID = bindparam("wanted_id", type_=tables.ID)

HOLD = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name", type_=Text), 0)))

AUDIO = select(tables.audio_files).where(tables.audio_files.c.id == _ID)

TRANSCRIPTION = select(tables.transcriptions).where(tables.transcriptions.c.id == _ID)
TRANSCRIPTION_LOCKED = TRANSCRIPTION.with_for_update()

# Told in the statement that writes it: what is not committed is not told either.
SAVE_TRANSCRIPTION = (
    update(tables.transcriptions)
    .where(tables.transcriptions.c.id == _ID)
    .returning(func.pg_notify(CHANNEL, bindparam("told")))
)

UNFINISHED = tuple(status.value for status in Status if not status.is_final)

IN_FLIGHT = (
    select(tables.transcriptions)
    .join(tables.audio_files)
    .where(
        tables.audio_files.c.sha256 == bindparam("wanted_sha256"),
        tables.transcriptions.c.owner == bindparam("wanted_owner"),
        tables.transcriptions.c.status.in_(UNFINISHED),
        tables.transcriptions.c.parameters == bindparam("wanted_parameters", type_=tables.JSON),
    )
    .order_by(tables.transcriptions.c.created_at, tables.transcriptions.c.id)
    .limit(1)
)

PASSAGES = (
    select(tables.passages)
    .where(tables.passages.c.transcription_id == _ID)
    .order_by(tables.passages.c.start_seconds, tables.passages.c.end_seconds, tables.passages.c.decoding)
)

PASSAGES_AFTER = (
    select(tables.passages)
    .where(tables.passages.c.transcription_id == _ID)
    .order_by(tables.passages.c.decoding, tables.passages.c.start_seconds)
    .offset(bindparam("count", type_=BigInteger))
)
"""What is heard again comes after all that was heard first, and each of it in order of time."""

EVENTS = (
    select(tables.events)
    .where(tables.events.c.subject == bindparam("wanted_subject"))
    .order_by(tables.events.c.position)
)

OF_TRANSCRIPTION: Mapping[Table, Select[Any]] = {
    table: select(table).where(table.c.transcription_id == _ID)
    for table in (tables.speech, tables.turns, tables.transcripts)
}
"""Of tables with one row for a transcription."""


def _put(table: Table) -> Insert:
    statement = upsert(table)
    given = {column.name: statement.excluded[column.name] for column in table.c}
    return statement.on_conflict_do_update(index_elements=["transcription_id"], set_=given)


PUT: Mapping[Table, Insert] = {table: _put(table) for table in OF_TRANSCRIPTION}
"""The same to write, whether there is a row or not."""

FORGET = (
    delete(tables.passages)
    .where(tables.passages.c.transcription_id == _ID)
    .add_cte(
        *(
            delete(table).where(table.c.transcription_id == _ID).cte(f"old_{table.name}")
            for table in (tables.revisions, tables.searchable_segments)
        )
    )
)
"""What a new transcript makes void: the passages that it is put together from, and what was known of the one before."""
