"""The audit trail in the real database: what it refuses, what tampering is found, and in which order it is written."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from hansard.application.origin import Origin
from hansard.application.verify_audit import VerifyAudit
from hansard.domain.audit import Head, Verdict, link_hash
from hansard.domain.events import EngineDisabled, EventsPruned
from hansard.persistence import database
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.persistence.values import storable
from hansard.queue.jobs import TranscriptionJobs

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

ANYTHING = st.text(st.characters(codec="utf-8") | st.sampled_from("\0\x01\x1f\x7f\x85\u2028\ufeff\uffff🙂é,:-\"'\\"))


def unit_of_work(engine: Engine, origin: Origin | None = None) -> SqlUnitOfWork:
    return SqlUnitOfWork(engine, TranscriptionJobs, origin=lambda: origin or Origin(actor="tests"))


def disabled(subject: str, reason: str | None = None, at: datetime = NOON) -> EngineDisabled:
    return EngineDisabled(subject=subject, occurred_at=at, reason=reason)


def write(engine: Engine, *subjects: str) -> None:
    for subject in subjects:
        with unit_of_work(engine) as uow:
            uow.events.append(disabled(subject))
            uow.commit()


def verify(engine: Engine, kept: Head | None = None) -> Verdict:
    return VerifyAudit(lambda: unit_of_work(engine))(kept)


def head(engine: Engine) -> Head:
    with unit_of_work(engine) as uow:
        return uow.events.head()


def tamper(engine: Engine, *statements: str) -> None:
    """As somebody who owns the database can, past all its triggers."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role TO replica"))
        for statement in statements:
            connection.execute(text(statement))


@pytest.fixture
def trail(engine: Engine) -> Engine:
    """Five entries, a to e."""
    write(engine, *"abcde")
    return engine


# ── What is refused ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET subject = 'x' WHERE position = 3",
        "UPDATE events SET subject = 'x' WHERE false",
        "DELETE FROM events WHERE position = 5",
        "DELETE FROM events",
        "TRUNCATE events",
        "INSERT INTO events (type, subject, occurred_at, data) VALUES ('t', 's', now(), '{}') "  # noqa: ISC004
        "ON CONFLICT (id) DO UPDATE SET subject = 'x'",
    ],
)
def test_the_database_refuses_to_change_or_remove_what_is_written(trail: Engine, statement: str) -> None:
    with pytest.raises(DBAPIError, match="The audit trail only grows"), trail.begin() as connection:
        connection.execute(text(statement))
    assert verify(trail).entries == 5


def test_an_insert_cannot_choose_its_place_or_its_hash(trail: Engine) -> None:
    with trail.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO events (position, type, subject, occurred_at, data, previous_hash, hash) "
                "VALUES (2, 't', 's', now(), '{}', 'x', 'x')"
            )
        )
    verdict = verify(trail)
    assert (verdict.entries, verdict.broken) == (6, None)


def test_a_time_that_no_reader_could_take_is_refused_even_to_who_tampers(trail: Engine) -> None:
    with pytest.raises(DBAPIError, match="ck_events_occurred_at"):
        tamper(trail, "UPDATE events SET occurred_at = 'infinity' WHERE position = 3")


# ── What tampering is found ──────────────────────────────────────────────────────────────────────────────


def test_a_trail_that_nobody_touched_holds_together(trail: Engine) -> None:
    assert verify(trail, head(trail)) == Verdict(entries=5, head=head(trail), broken=None)


def test_an_empty_trail_holds_together(engine: Engine) -> None:
    assert verify(engine, head(engine)).broken is None


@pytest.mark.parametrize(
    "change",
    [
        "type = 'engine.enabled'",
        "subject = 'x'",
        "occurred_at = occurred_at + interval '1 microsecond'",
        "actor = 'somebody else'",
        "actor = NULL",
        "actor = ''",
        "request_id = 'r'",
        "trace_id = 't'",
        "data = '{\"reason\": null}'",
        "id = gen_random_uuid()",
        "hash = repeat('0', 64)",
        "previous_hash = repeat('0', 64)",
    ],
)
def test_a_changed_entry_is_found(trail: Engine, change: str) -> None:
    tamper(trail, f"UPDATE events SET {change} WHERE position = 3")
    broken = verify(trail).broken
    assert broken is not None
    assert (broken.position, broken.message) == (3, "Entry 3 was changed: its hash does not fit it.")


def test_a_changed_entry_that_was_given_a_new_hash_is_found_at_the_next(trail: Engine) -> None:
    with unit_of_work(trail) as uow:
        entry = uow.events.after(2, limit=1)[0]
    forged = link_hash(replace(entry, subject="x"))
    tamper(trail, f"UPDATE events SET subject = 'x', hash = '{forged}' WHERE position = 3")
    broken = verify(trail).broken
    assert broken is not None
    assert (broken.position, "does not follow" in broken.message) == (4, True)


def test_a_removed_entry_is_found(trail: Engine) -> None:
    tamper(trail, "DELETE FROM events WHERE position = 3")
    broken = verify(trail).broken
    assert broken is not None
    assert (broken.position, broken.message) == (3, "Entry 3 is missing.")


def test_removed_entries_that_were_closed_up_are_found(trail: Engine) -> None:
    tamper(
        trail,
        "DELETE FROM events WHERE position IN (2, 3)",
        "UPDATE events SET position = 2 WHERE position = 4",
        "UPDATE events SET position = 3 WHERE position = 5",
    )
    broken = verify(trail).broken
    assert broken is not None
    assert broken.position == 2


def test_an_entry_put_in_is_found(trail: Engine) -> None:
    tamper(
        trail,
        "UPDATE events SET position = position + 100 WHERE position > 2",
        "UPDATE events SET position = position - 99 WHERE position > 100",
        "INSERT INTO events SELECT 3, gen_random_uuid(), type, 'x', occurred_at, actor, request_id, trace_id, data, "
        "previous_hash, hash FROM events WHERE position = 2",
    )
    broken = verify(trail).broken
    assert broken is not None
    assert broken.position == 3


def test_entries_in_another_order_are_found(trail: Engine) -> None:
    tamper(
        trail,
        "UPDATE events SET position = 100 WHERE position = 2",
        "UPDATE events SET position = 2 WHERE position = 4",
        "UPDATE events SET position = 4 WHERE position = 100",
    )
    broken = verify(trail).broken
    assert broken is not None
    assert broken.position == 2


def test_an_end_that_was_cut_off_is_found_against_a_head_that_was_kept(trail: Engine) -> None:
    kept = head(trail)
    tamper(trail, "DELETE FROM events WHERE position > 3")
    assert verify(trail).broken is None
    broken = verify(trail, kept).broken
    assert broken is not None
    assert (broken.position, "cut off" in broken.message) == (4, True)


def test_a_trail_that_was_written_anew_is_found_against_a_head_that_was_kept(trail: Engine) -> None:
    kept = head(trail)
    tamper(trail, "DELETE FROM events WHERE position > 3")
    write(trail, "x", "y", "z")
    assert verify(trail).broken is None
    broken = verify(trail, kept).broken
    assert broken is not None
    assert (broken.position, "written anew" in broken.message) == (5, True)


def test_a_beginning_that_was_cut_off_is_found(trail: Engine) -> None:
    tamper(trail, "DELETE FROM events WHERE position < 3")
    broken = verify(trail).broken
    assert broken is not None
    assert (broken.position, "begins at entry 3" in broken.message) == (3, True)


def prune(engine: Engine, through: int, *, hash_told: str | None = None) -> Head:
    """What is removed, as the events tell it."""
    with unit_of_work(engine) as uow:
        last = uow.events.after(through - 1, limit=1)[0]
        uow.events.append(
            EventsPruned(
                subject="events",
                occurred_at=NOON,
                through_position=through,
                through_hash=hash_told or last.hash,
                count=through,
            )
        )
        uow.commit()
    tamper(engine, f"DELETE FROM events WHERE position <= {through}")
    return Head(through, last.hash)


def test_a_pruned_beginning_is_in_order_where_an_entry_vouches_for_it(trail: Engine) -> None:
    prune(trail, 2)
    prune(trail, 4)
    verdict = verify(trail, head(trail))
    assert (verdict.entries, verdict.head.position, verdict.broken) == (3, 7, None)


def test_a_pruned_beginning_is_not_in_order_where_more_is_missing_than_was_told(trail: Engine) -> None:
    prune(trail, 2)
    tamper(trail, "DELETE FROM events WHERE position = 3")
    assert verify(trail).broken is not None


def test_a_pruned_beginning_must_end_with_the_hash_that_was_told(trail: Engine) -> None:
    prune(trail, 2, hash_told="0" * 64)
    assert verify(trail).broken is not None


def test_a_kept_head_that_is_the_last_of_what_was_pruned_still_counts(trail: Engine) -> None:
    kept = prune(trail, 2)
    assert verify(trail, kept).broken is None
    broken = verify(trail, Head(2, "0" * 64)).broken
    assert broken is not None
    assert broken.position == 2


def test_a_kept_head_that_was_pruned_proves_nothing_any_more(trail: Engine) -> None:
    prune(trail, 2)
    broken = verify(trail, Head(1, "0" * 64)).broken
    assert broken is not None
    assert "pruned since" in broken.message


# ── The database and Python hash the same ────────────────────────────────────────────────────────────────


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    subject=ANYTHING,
    reason=st.none() | ANYTHING,
    actor=st.none() | ANYTHING.map(storable),
    request_id=st.none() | ANYTHING.map(storable),
    trace_id=st.none() | ANYTHING.map(storable),
    at=st.timedeltas(timedelta(0), timedelta(days=300_000)).map(lambda later: NOON.replace(year=1971) + later),
)
def test_the_database_and_python_hash_the_same(
    engine: Engine,
    subject: str,
    reason: str | None,
    actor: str | None,
    request_id: str | None,
    trace_id: str | None,
    at: datetime,
) -> None:
    origin = Origin(actor=actor, request_id=request_id, trace_id=trace_id)
    with unit_of_work(engine, origin) as uow:
        uow.events.append(disabled(subject, reason, at))
        uow.commit()
        (entry,) = uow.events.after(uow.events.head().position - 1, limit=1)
    assert (entry.subject, entry.actor, entry.occurred_at) == (storable(subject), actor, at.astimezone(UTC))
    assert entry.data == {"reason": None if reason is None else storable(reason)}
    assert link_hash(entry) == entry.hash


def test_what_is_hashed_is_the_very_text_that_was_written(engine: Engine) -> None:
    with unit_of_work(engine) as uow:
        uow.events.append(disabled("a", 'é "x"'))
        uow.commit()
        (entry,) = uow.events.after(0, limit=1)
    assert entry.data_json == json.dumps({"reason": 'é "x"'}, ensure_ascii=False, separators=(",", ":"))


# ── Writers ──────────────────────────────────────────────────────────────────────────────────────────────


def test_positions_have_no_gaps_and_are_in_the_order_of_commits(engine: Engine) -> None:
    seen: list[list[int]] = []
    stop = threading.Event()

    def read() -> None:
        """Whoever reads on from where he was misses nothing."""
        position, positions = 0, list[int]()
        while not stop.is_set() or position < 200:
            with unit_of_work(engine) as uow:
                new = [entry.position for entry in uow.events.after(position, limit=50)]
            positions += new
            position = new[-1] if new else position
        seen.append(positions)

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(8) as writers:
        for written in [writers.submit(write, engine, *map(str, range(25))) for _ in range(8)]:
            written.result()
    stop.set()
    reader.join()
    assert seen == [list(range(1, 201))]
    assert verify(engine).entries == 200


def test_events_of_one_commit_follow_each_other(engine: Engine) -> None:
    def write_three(name: str) -> None:
        with unit_of_work(engine) as uow:
            for number in range(3):
                uow.events.append(disabled(f"{name}{number}"))
            uow.commit()

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write_three, "abcdefgh"))
    with unit_of_work(engine) as uow:
        subjects = [entry.subject for entry in uow.events.walk()]
    assert sorted(zip(subjects[::3], subjects[1::3], subjects[2::3], strict=True)) == [
        (f"{name}0", f"{name}1", f"{name}2") for name in "abcdefgh"
    ]


def test_what_is_rolled_back_leaves_no_gap(trail: Engine) -> None:
    with unit_of_work(trail) as uow:
        uow.events.append(disabled("x"))
        uow.events.write()
    write(trail, "f")
    assert head(trail).position == 6
    assert verify(trail).broken is None


def test_a_writer_that_froze_does_not_hold_up_others_for_good(engine: Engine, postgres: str) -> None:
    freezing = database.pool(postgres, application_name="frozen", frozen_seconds=0.5)
    try:
        with unit_of_work(freezing) as frozen:
            frozen.events.append(disabled("x"))
            frozen.events.write()  # and nothing more
            write(engine, "a")
            with pytest.raises(Exception, match="does not answer"):
                frozen.commit()
    finally:
        freezing.dispose()
    with unit_of_work(engine) as uow:
        assert [entry.subject for entry in uow.events.walk()] == ["a"]


def test_a_connection_gives_frozen_transactions_up_by_itself(postgres: str) -> None:
    engine = database.connect(postgres, application_name="tests")
    try:
        with engine.connect() as connection:
            timeout = connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one()
    finally:
        engine.dispose()
    assert timeout == "30s"


def test_a_long_trail_is_read_a_little_at_a_time(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO events (type, subject, occurred_at, data) "
                "SELECT 'engine.enabled', number::text, now(), '{}' FROM generate_series(1, 3000) number"
            )
        )
    with unit_of_work(engine) as uow, closing(uow.events.walk()) as walk:
        next(walk)
        # A cursor on the server holds the rest.
        cursors = uow._connection.execute(text("SELECT count(*) FROM pg_cursors")).scalar_one()
    assert cursors == 1
    verdict = verify(engine)
    assert (verdict.entries, verdict.broken) == (3000, None)


# ── Without Hansard ──────────────────────────────────────────────────────────────────────────────────────


def test_what_the_document_says_is_all_that_is_needed_to_check_the_trail(trail: Engine, postgres: str) -> None:
    document = Path(__file__).parents[2] / "docs" / "events.md"
    program = document.read_text().partition("```python\n")[2].partition("```")[0]
    check = compile(program.replace("postgresql://…/hansard", postgres), str(document), "exec")
    exec(check, {})
    tamper(trail, "UPDATE events SET subject = 'x' WHERE position = 3")
    with pytest.raises(AssertionError, match="3 was changed"):
        exec(check, {})
    tamper(trail, "DELETE FROM events WHERE position = 3")
    with pytest.raises(AssertionError, match="4 does not follow"):
        exec(check, {})
