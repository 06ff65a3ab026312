"""Removes what was found out on the way to transcripts that are long ended."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, TextClause, text

from hansard.application.ports.retention import Amount

_CHECKPOINTS = ("passages", "speech", "turns")

# By way of the checkpoints, which are few: transcriptions are kept for ever.
_OLD = f"""
    SELECT id FROM transcriptions
     WHERE status IN ('completed', 'failed', 'cancelled') AND ended_at < :moment
       AND id IN ({" UNION ".join(f"SELECT transcription_id FROM {table}" for table in _CHECKPOINTS)})
"""  # noqa: S608 - put together from constants, as the next


def _statement(old: str, take: str) -> TextClause:
    """How many transcriptions there are in `old`, and the bytes of the rows that `take` gives for each table."""
    parts = ", ".join(f"{table}_taken AS ({take.format(table=table)})" for table in _CHECKPOINTS)
    sizes = " + ".join(f"(SELECT coalesce(sum(size), 0) FROM {table}_taken)" for table in _CHECKPOINTS)  # noqa: S608
    return text(f"WITH old AS ({old}), {parts} SELECT (SELECT count(*) FROM old) AS count, {sizes} AS size_bytes")  # noqa: S608


_MEASURE = _statement(
    _OLD, "SELECT pg_column_size({table}.*) AS size FROM {table} WHERE transcription_id IN (SELECT id FROM old)"
)

# Under the lock, nobody can ask for one of them again and find half of what there was.
_REMOVE = _statement(
    f"{_OLD} ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED",
    "DELETE FROM {table} WHERE transcription_id IN (SELECT id FROM old) RETURNING pg_column_size({table}.*) AS size",
)


@dataclass(frozen=True, slots=True)
class SqlCheckpointRepository:
    connection: Connection

    def of_ended_before(self, moment: datetime) -> Amount:
        return _amount(self.connection.execute(_MEASURE, {"moment": moment}).one())

    def remove_of_ended_before(self, moment: datetime, *, limit: int) -> Amount:
        return _amount(self.connection.execute(_REMOVE, {"moment": moment, "limit": limit}).one())


def _amount(row: Row[tuple[int, int]]) -> Amount:
    return Amount(int(row[0]), int(row[1]))
