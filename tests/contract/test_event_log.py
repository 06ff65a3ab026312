"""What readers of the audit trail find: from the fake, and from PostgreSQL."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from hansard.application.origin import acting
from hansard.application.ports.events import EVERYTHING, EventQuery
from hansard.application.ports.records import UnitOfWork
from hansard.domain.audit import GENESIS, Head, link_hash, verified
from hansard.domain.errors import InvalidRequest, NotFound
from hansard.domain.events import EngineDisabled, EngineEnabled, Event, TranscriptionCancelled
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from tests.fakes import FakeDatabase

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

Uows = Callable[[], UnitOfWork]


@pytest.fixture(params=["fake", "postgres"])
def uows(request: pytest.FixtureRequest) -> Uows:
    if request.param == "fake":
        return FakeDatabase().unit_of_work
    engine: Engine = request.getfixturevalue("engine")
    return lambda: SqlUnitOfWork(engine, TranscriptionJobs)


def enabled(subject: str, hour: int = 12) -> EngineEnabled:
    return EngineEnabled(subject=subject, occurred_at=NOON.replace(hour=hour))


def write(uows: Uows, *events: Event) -> None:
    """A commit each."""
    for event in events:
        with uows() as uow:
            uow.events.append(event)
            uow.commit()


@pytest.fixture
def written(uows: Uows) -> Uows:
    """Four entries of three types."""
    with acting(request_id="r-1", actor="ann", trace_id="1" * 32):
        write(uows, enabled("a", 9), EngineDisabled(subject="b", occurred_at=NOON.replace(hour=10), reason="old"))
    cancelled = TranscriptionCancelled(subject=str(uuid4()), occurred_at=NOON.replace(hour=11), audio_id=uuid4())
    write(uows, cancelled, enabled("b", 12))
    return uows


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (EVERYTHING, [1, 2, 3, 4]),
        (EventQuery(types=("engine.enabled",)), [1, 4]),
        (EventQuery(types=("engine.*",)), [1, 2, 4]),
        (EventQuery(types=("engine.disabled", "transcription.*")), [2, 3]),
        (EventQuery(types=("eng%.*",)), []),
        (EventQuery(types=("engine_enabled",)), []),
        (EventQuery(subject="b"), [2, 4]),
        (EventQuery(subject="b", types=("engine.enabled",)), [4]),
        (EventQuery(request_id="r-1"), [1, 2]),
        (EventQuery(since=NOON.replace(hour=10)), [2, 3, 4]),
        (EventQuery(until=NOON.replace(hour=10)), [1]),
        (EventQuery(since=NOON - timedelta(hours=2), until=NOON - timedelta(hours=1)), [2]),
    ],
)
def test_a_query_finds_what_it_wants(written: Uows, query: EventQuery, found: list[int]) -> None:
    with written() as uow:
        assert [entry.position for entry in uow.events.after(0, query, limit=10)] == found
        assert [entry.position for entry in reversed(uow.events.page(query, limit=10).items)] == found
        assert [entry.position for entry in uow.events.walk() if query.wants(entry)] == found


def test_an_entry_has_all_that_is_known_of_it(written: Uows) -> None:
    with written() as uow:
        entry = uow.events.after(1, limit=1)[0]
    assert (entry.position, entry.type, entry.subject) == (2, "engine.disabled", "b")
    assert (entry.actor, entry.request_id, entry.trace_id) == ("ann", "r-1", "1" * 32)
    assert (entry.occurred_at, entry.data) == (NOON.replace(hour=10), {"reason": "old"})
    assert entry.hash == link_hash(entry)


def test_what_comes_after_a_position_comes_in_parts(written: Uows) -> None:
    with written() as uow:
        assert [entry.position for entry in uow.events.after(1, limit=2)] == [2, 3]
        assert uow.events.after(4, limit=2) == ()


def test_pages_go_from_the_newest_to_the_oldest(written: Uows) -> None:
    with written() as uow:
        first = uow.events.page(limit=3)
        second = uow.events.page(limit=3, cursor=first.next_cursor)
    assert [entry.position for entry in (*first.items, *second.items)] == [4, 3, 2, 1]
    assert second.next_cursor is None


@pytest.mark.parametrize("cursor", ["x", "-1", "²"])
def test_a_cursor_that_is_none_is_refused(written: Uows, cursor: str) -> None:
    with written() as uow, pytest.raises(InvalidRequest) as refused:
        uow.events.page(limit=3, cursor=cursor)
    assert refused.value.failure.code == "invalid_cursor"


def test_an_entry_is_found_by_its_id(written: Uows) -> None:
    with written() as uow:
        entry = uow.events.after(2, limit=1)[0]
        assert uow.events.get(entry.id) == entry
        with pytest.raises(NotFound):
            uow.events.get(uuid4())


def test_the_whole_trail_holds_together(written: Uows) -> None:
    with written() as uow:
        verdict = verified(uow.events.walk())
        assert (verdict.entries, verdict.head, verdict.broken) == (4, uow.events.head(), None)


def test_an_empty_trail_ends_before_its_first_entry(uows: Uows) -> None:
    with uows() as uow:
        assert uow.events.head() == Head(0, GENESIS)
        assert list(uow.events.walk()) == []
