"""Brings the facts up to the events, a piece at a time: the facts and how far they have come are one commit.

So a process may die anywhere, and nothing is counted twice or left out. One projects at a time. Each event's hash holds
the one before it, which shows at once when the events are not those that the facts were made of: a database restored
from a backup.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Table, any_, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import Insert, insert

from hansard.analytics import hours, tables
from hansard.analytics.database import AnalyticsDatabase
from hansard.analytics.facts import Facts, TranscriptionFact
from hansard.application.ports.analytics import FactsState
from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.domain.audit import GENESIS, Entry
from hansard.domain.errors import AnalyticsUnavailable, Conflict
from hansard.timing.decorators import time_it

BATCH = 5_000
"""Events in a commit: some tenths of a second of work, and some megabytes."""

HOURS_IN_A_COMMIT = timedelta(hours=6)
"""Sealed at once: some tenths of a second of work, with a million transcriptions in a month."""

FACT_TABLES = (tables.transcription_facts, tables.attempt_facts, tables.audio_facts, tables.engine_facts)
HOUR_TABLES = (tables.transcription_hours, tables.asked_hours, tables.attempt_hours, tables.upload_hours)

_NAME = "events"
_LOCK = 0x46414354
"""Names the advisory lock of whoever projects ("FACT")."""

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reached:
    """The row of `projection`."""

    position: int = 0
    hash: str = GENESIS
    occurred_at: datetime | None = None
    projected_at: datetime | None = None
    since: datetime | None = None
    missed: int = 0
    latest_at: datetime | None = None
    sealed_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """`batch` is how many events make a commit."""

    database: AnalyticsDatabase
    unit_of_work: Callable[[], UnitOfWork]
    clock: Clock
    batch: int = BATCH
    sleep: Callable[[float], object] = time.sleep
    monotonic: Callable[[], float] = time.monotonic

    @time_it
    def catch_up(self, *, within_seconds: float | None = None, tell: Callable[[int], object] | None = None) -> None:
        """Make facts of all events there are, or of those that can be done in time.

        `tell` hears of each position reached. Raises `AnalyticsUnavailable`; `StorageError` when the events are away.
        """
        begun = self.monotonic()
        while within_seconds is None or self.monotonic() - begun < within_seconds:
            reached = self._reached()
            entries = self._entries_after(reached)
            sealable_until = _sealable_until(reached)
            if entries:
                is_done = self._project(reached, entries)
            elif sealable_until is not None:
                is_done = self._seal(reached, sealable_until)
            else:
                return
            if not is_done:
                self.sleep(_POLL_SECONDS)
            elif entries and tell is not None:
                tell(entries[-1].position)

    def rebuild(self, *, force: bool = False, tell: Callable[[int], object] | None = None) -> None:
        """Drop all facts and make them anew. Those asking meanwhile see what there is so far.

        Raises `Conflict` when the oldest events are gone, and with them facts that are still here; unless `force`.
        """
        with self.unit_of_work() as uow:
            first = uow.events.after(0, limit=1)
        with self.database.begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            if first and not force:
                _require_none_lost(_read(connection), first[0])
            # Questions begin with the projection, too: whoever waits here for another holds nothing that it needs.
            for table in (tables.projection, *HOUR_TABLES, *FACT_TABLES):
                connection.execute(text(f"TRUNCATE {table.name}"))
        self.catch_up(tell=tell)

    def state(self) -> FactsState:
        """How far the facts have come. Raises `AnalyticsUnavailable`; `StorageError` when the events are away."""
        reached = self._reached()
        with self.unit_of_work() as uow:
            head = uow.events.head()
        return FactsState(
            position=reached.position,
            behind=max(0, head.position - reached.position),
            occurred_at=reached.occurred_at,
            since=reached.since,
            missed=reached.missed,
        )

    def _reached(self) -> _Reached:
        with self.database.begin() as connection:
            return _read(connection)

    def _entries_after(self, reached: _Reached) -> Sequence[Entry]:
        with self.unit_of_work() as uow:
            entries = uow.events.after(reached.position, limit=self.batch)
            is_other = bool(entries) and _follows(reached, entries[0]) and entries[0].previous_hash != reached.hash
            if is_other or (not entries and uow.events.head().position < reached.position):
                raise AnalyticsUnavailable(
                    "The analytics were made of other events than those that are here now.",
                    code="analytics_out_of_step",
                    help="The database was probably restored from a backup. Make the facts anew: "
                    "hansard analytics rebuild",
                )
        return entries

    def _project(self, reached: _Reached, entries: Sequence[Entry]) -> bool:
        """Whether it was done; not when somebody else is at it, or was faster."""
        with self.database.begin() as connection:
            if not _is_alone(connection, reached):
                return False
            facts = Facts(latest=_latest_facts(connection, entries))
            facts.note(entries)
            _write(connection, facts)
            for hour in _hours_to_seal_again(reached, entries, facts):
                hours.seal(connection, hour, hour + hours.HOUR)
            _advance(connection, reached, entries, self.clock())
        return True

    def _seal(self, reached: _Reached, end: datetime) -> bool:
        """Sum up the next hours before `end`. Whether it was done, as with `_project`."""
        with self.database.begin() as connection:
            if not _is_alone(connection, reached):
                return False
            since = reached.sealed_until or hours.first_hour(connection) or end
            until = min(end, since + HOURS_IN_A_COMMIT)
            hours.seal(connection, since, until)
            connection.execute(update(tables.projection).values(sealed_until=until))
        return True


def _is_alone(connection: Connection, reached: _Reached) -> bool:
    """Until the end of the transaction; and nobody went on from there before."""
    is_mine: bool = connection.execute(select(func.pg_try_advisory_xact_lock(_LOCK))).scalar_one()
    return is_mine and _read(connection) == reached


def _sealable_until(reached: _Reached) -> datetime | None:
    """The hour of the latest event, in which others may follow; None where it is sealed up to there."""
    if reached.latest_at is None:
        return None
    hour = hours.hour_of(reached.latest_at)
    return hour if reached.sealed_until is None or reached.sealed_until < hour else None


def _hours_to_seal_again(reached: _Reached, entries: Sequence[Entry], facts: Facts) -> list[datetime]:
    """Sealed ones in which something happened after all, or ended what was added to."""
    sealed_until = reached.sealed_until
    if sealed_until is None:
        return []
    ends = (fact.ended_at for fact in facts.transcriptions.values() if fact.ended_at is not None)
    moments = (*(entry.occurred_at for entry in entries), *ends)
    return sorted({hours.hour_of(moment) for moment in moments if moment < sealed_until})


def _follows(reached: _Reached, entry: Entry) -> bool:
    return entry.position == reached.position + 1


def _require_none_lost(reached: _Reached, first: Entry) -> None:
    is_older = reached.since is not None and reached.since < first.occurred_at
    if first.position > 1 and is_older:
        raise Conflict(
            f"The events before {first.occurred_at:%Y-%m-%d %H:%M} UTC were pruned, and there are facts from "
            f"{reached.since:%Y-%m-%d %H:%M} UTC on: they could not be made again.",
            code="facts_would_be_lost",
            help="Leave the facts as they are, or give them up with: hansard analytics rebuild --force",
        )


def _read(connection: Connection) -> _Reached:
    columns = [tables.projection.c[each.name] for each in fields(_Reached)]
    row = connection.execute(select(*columns).where(tables.projection.c.name == _NAME)).mappings().one_or_none()
    return _Reached() if row is None else _Reached(**row)


def _advance(connection: Connection, reached: _Reached, entries: Sequence[Entry], now: datetime) -> None:
    first, last = entries[0], entries[-1]
    moments = [entry.occurred_at for entry in entries]
    if reached.latest_at is not None:
        moments.append(reached.latest_at)
    row = _row(
        _Reached(
            position=last.position,
            hash=last.hash,
            occurred_at=last.occurred_at,
            projected_at=now,
            since=reached.since or first.occurred_at,
            missed=reached.missed + first.position - reached.position - 1,
            latest_at=max(moments),
            sealed_until=reached.sealed_until,
        )
    )
    connection.execute(_upsert(tables.projection), {"name": _NAME, **row})


def _latest_facts(connection: Connection, entries: Iterable[Entry]) -> dict[UUID, TranscriptionFact]:
    table = tables.transcription_facts
    ids = {UUID(entry.subject) for entry in entries if entry.type.startswith("transcription.")}
    found = connection.execute(
        select(table)
        .distinct(table.c.id)
        .where(table.c.id == any_(bindparam("ids", type_=ARRAY(tables.ID))))
        .order_by(table.c.id, table.c.ask.desc()),
        {"ids": list(ids)},
    )
    return {row["id"]: TranscriptionFact(**cast("dict[str, Any]", row)) for row in found.mappings()}


def _write(connection: Connection, facts: Facts) -> None:
    transcriptions = [_row(fact) for fact in facts.transcriptions.values()]
    for table, rows in (
        (tables.transcription_facts, transcriptions),
        (tables.attempt_facts, facts.attempts),
        (tables.audio_facts, facts.audio),
        (tables.engine_facts, facts.engines),
    ):
        if rows:
            connection.execute(_upsert(table), rows)
    for table, rows in (
        (tables.transcription_facts, facts.transcriptions_deleted),
        (tables.audio_facts, facts.audio_deleted),
    ):
        if rows:
            deletion = update(table).where(table.c.id == bindparam("of_id")).values(deleted_at=bindparam("at"))
            connection.execute(deletion, rows)


def _row(fact: TranscriptionFact | _Reached) -> dict[str, Any]:
    return {each.name: getattr(fact, each.name) for each in fields(fact)}


def _upsert(table: Table) -> Insert:
    statement = insert(table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=others)
