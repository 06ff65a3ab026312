"""The statements that every job needs, put together once.

SQLAlchemy takes as long to put a statement together as the server takes to do it, and a job has some fifty.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import BigInteger, Select, Table, Text, TextClause, bindparam, func, insert, select, text, update

from hansard.domain.transcription import Status
from hansard.persistence import tables
from hansard.persistence.notifications import CHANNEL

_ID = bindparam("wanted_id", type_=tables.ID)

HOLD = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name", type_=Text), 0)))

ADD_AUDIO = insert(tables.audio_files)
ADD_TRANSCRIPTION = insert(tables.transcriptions)
ADD_PASSAGE = insert(tables.passages)

AUDIO = select(tables.audio_files).where(tables.audio_files.c.id == _ID)

TRANSCRIPTION = select(tables.transcriptions).where(tables.transcriptions.c.id == _ID)
TRANSCRIPTION_LOCKED = TRANSCRIPTION.with_for_update()

HOLD_RUN = (
    select(tables.transcriptions.c.run)
    .where(
        tables.transcriptions.c.id == _ID,
        tables.transcriptions.c.status == Status.RUNNING.value,
        tables.transcriptions.c.run == bindparam("wanted_run"),
    )
    .with_for_update()
)

WITH_TRANSCRIPT = TRANSCRIPTION.add_columns(
    *(column.label(f"transcript_{column.name}") for column in tables.transcripts.c)
).outerjoin(tables.transcripts)

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

CIRCUIT = select(tables.circuits).where(tables.circuits.c.engine == bindparam("wanted_engine"))

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


def _put(table: Table, *, void: Iterable[Table] = ()) -> TextClause:
    """A row for a transcription, whether there is one or not. What others have of it in `void` is removed.

    As text: SQLAlchemy does not keep what it has put together of a statement with ON CONFLICT, and begins anew.
    """
    names = table.c.keys()
    gone = [f"old_{each} AS (DELETE FROM {each} WHERE transcription_id = :transcription_id)" for each in void]  # noqa: S608
    statement = (
        f"{'WITH ' if gone else ''}{', '.join(gone)} "  # noqa: S608 - put together from names of ours
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)}) "
        f"ON CONFLICT (transcription_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in names)}"
    )
    return text(statement).bindparams(*(bindparam(column.name, type_=column.type) for column in table.c))


PUT_SPEECH = _put(tables.speech)
PUT_TURNS = _put(tables.turns)
PUT_TRANSCRIPT = _put(tables.transcripts, void=(tables.passages, tables.revisions, tables.searchable_segments))
"""With what it makes void: the passages that it is put together from, and what was known of the one before."""
