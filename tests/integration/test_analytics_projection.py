"""Facts are made of the events alone: in whatever pieces, after whatever crash, they come out the same."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select, text

from hansard.analytics.database import AnalyticsDatabase
from hansard.analytics.projection import FACT_TABLES, HOUR_TABLES, Projection
from hansard.domain.errors import AnalyticsUnavailable, Conflict
from hansard.domain.events import CanaryRecognised, Event, Interruption
from hansard.domain.transcription import Attempt, AttemptKind, AttemptOutcome
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from tests.fakes import FakeClock, FakeDatabase
from tests.story import BROKEN, Story


def tell(database: FakeDatabase, events: Sequence[Event]) -> None:
    with database.unit_of_work() as uow:
        for event in events:
            uow.events.append(event)
        uow.commit()


def projection_of(analytics: AnalyticsDatabase, database: FakeDatabase, **how: Any) -> Projection:
    return Projection(database=analytics, unit_of_work=database.unit_of_work, clock=FakeClock(), **how)


def facts(analytics: AnalyticsDatabase) -> dict[str, list[dict[str, Any]]]:
    """And the hours that they were summed up to."""
    with analytics.begin() as connection:
        return {
            table.name: [
                dict(row)
                for row in connection.execute(select(table).order_by(*(table.primary_key or table.columns))).mappings()
            ]
            for table in (*FACT_TABLES, *HOUR_TABLES)
        }


def only(analytics: AnalyticsDatabase) -> dict[str, Any]:
    (fact,) = facts(analytics)["transcription_facts"]
    return fact


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def database() -> FakeDatabase:
    return FakeDatabase()


@pytest.fixture
def project(analytics_database: AnalyticsDatabase, database: FakeDatabase, story: Story) -> Callable[[], None]:
    """Writes what the story has so far, and makes facts of it."""

    def now() -> None:
        tell(database, story.events)
        story.events.clear()
        projection_of(analytics_database, database).catch_up()

    return now


def test_a_completed_transcription_tells_where_its_time_went(
    analytics_database: AnalyticsDatabase, project: Callable[[], None], story: Story
) -> None:
    story.complete(story.queue(interactive=True), seconds=5)
    project()
    fact = only(analytics_database)
    assert (fact["status"], fact["engine"], fact["model"], fact["owner"]) == ("completed", "whisper", "small", "alice")
    assert (fact["queue_seconds"], fact["recognising_seconds"], fact["running_seconds"]) == (10, 5, 7)
    assert (fact["audio_seconds"], fact["coverage"], fact["interactive"]) == (60, 0.98, True)


def test_each_time_that_it_is_asked_for_counts(
    analytics_database: AnalyticsDatabase, project: Callable[[], None], story: Story
) -> None:
    transcription = story.queue()
    story.fail(transcription)
    transcription.retry(story.after(86_400))
    story.complete(transcription)
    project()
    first, second = facts(analytics_database)["transcription_facts"]
    assert (first["status"], first["failure_code"], first["engine"]) == ("failed", "engine_failed", "openai")
    assert (second["status"], second["failure_code"], second["owner"]) == ("completed", None, "alice")
    assert second["queue_seconds"] == 10


def test_a_worker_that_died_sends_it_back_to_the_queue(
    analytics_database: AnalyticsDatabase, project: Callable[[], None], story: Story
) -> None:
    transcription = story.queue()
    story.work(transcription)
    transcription.interrupt(story.after(7), Interruption.WORKER_LOST)
    story.complete(transcription)
    project()
    fact = only(analytics_database)
    assert (fact["runs"], fact["interruptions"], fact["attempts"]) == (2, 1, 2)
    assert (fact["queue_seconds"], fact["running_seconds"]) == (20, 15)


def test_attempts_are_kept_with_what_they_are_paid_by(
    analytics_database: AnalyticsDatabase, project: Callable[[], None], story: Story
) -> None:
    transcription = story.queue(owner="bob")
    transcription.start(story.after(1))
    transcription.begin_attempt(engine="openai", model="gpt-4o-transcribe", at=story.after(1))
    transcription.advance_attempt(30, input_tokens=400, output_tokens=90)
    transcription.advance_attempt(30, input_tokens=410, output_tokens=80)
    transcription.end_attempt(story.after(4))
    story.take(transcription)
    project()
    (attempt,) = facts(analytics_database)["attempt_facts"]
    assert (attempt["owner"], attempt["engine"], attempt["outcome"]) == ("bob", "openai", "succeeded")
    assert (attempt["recognised_seconds"], attempt["processing_seconds"]) == (60, 4)
    assert (attempt["input_tokens"], attempt["output_tokens"]) == (810, 170)


def test_what_engines_did_live_counts_as_the_work_that_it_was(
    analytics_database: AnalyticsDatabase, project: Callable[[], None], story: Story
) -> None:
    transcription = story.queue()
    live = Attempt(
        number=1,
        engine="whisper",
        model="small",
        started_at=story.now - timedelta(minutes=10),
        ended_at=story.now,
        outcome=AttemptOutcome.SUCCEEDED,
        recognised_seconds=50,
        kind=AttemptKind.LIVE,
        at_work_seconds=5,
    )
    transcription.take_in([live, replace(live, kind=AttemptKind.INTERIMS, at_work_seconds=8)], story.after(0))
    story.complete(transcription, seconds=1)
    project()
    fact = only(analytics_database)
    assert (fact["attempts"], fact["recognising_seconds"]) == (3, 14)
    attempts = facts(analytics_database)["attempt_facts"]
    assert [(each["recognised_seconds"], each["processing_seconds"]) for each in attempts] == [
        (50, 5),
        (50, 8),
        (50, 1),
    ]


def test_what_was_deleted_stays_a_number(
    analytics_database: AnalyticsDatabase, project: Callable[[], None], story: Story
) -> None:
    transcription = story.queue()
    story.fail(transcription)
    project()
    transcription.delete(story.after(1))
    story.take(transcription)
    project()
    fact = only(analytics_database)
    assert (fact["status"], fact["deleted_at"]) == ("failed", story.now)


def test_what_befalls_engines_is_kept(
    analytics_database: AnalyticsDatabase, project: Callable[[], None], story: Story
) -> None:
    transcription = story.queue()
    story.work(transcription, engine="openai")
    transcription.end_attempt(story.after(1), BROKEN)
    transcription.fall_back(story.after(1), engine="openai", next_engine="whisper", failure=BROKEN)
    story.take(transcription)
    story.events.append(
        CanaryRecognised(
            subject="whisper", occurred_at=story.now, passed=True, word_accuracy=0.9, processing_seconds=1, failure=None
        )
    )
    project()
    fell_back, canary = facts(analytics_database)["engine_facts"]
    assert (fell_back["engine"], fell_back["next_engine"], fell_back["transcription_id"]) == (
        "openai",
        "whisper",
        transcription.id,
    )
    assert (canary["engine"], canary["happening"], canary["word_accuracy"]) == ("whisper", "canary", 0.9)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), batches=st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_facts_made_piece_by_piece_are_those_made_at_once(
    analytics_database: AnalyticsDatabase, seed: int, batches: list[int]
) -> None:
    database, story = FakeDatabase(), Story(seed)
    for _ in range(12):
        story.any_life()
        story.after(1_800)
    pieces = projection_of(analytics_database, database)
    pieces.rebuild(force=True)
    told = 0
    for size in batches:
        tell(database, story.events[told : told + size])
        told += size
        projection_of(analytics_database, database, batch=max(1, size // 3)).catch_up()
    tell(database, story.events[told:])
    pieces.catch_up()
    piece_by_piece = facts(analytics_database)
    assert piece_by_piece["transcription_facts"]
    assert piece_by_piece["transcription_hours"]
    pieces.rebuild()
    assert facts(analytics_database) == piece_by_piece


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_the_time_from_asking_to_the_end_is_all_accounted_for(analytics_database: AnalyticsDatabase, seed: int) -> None:
    database, story = FakeDatabase(), Story(seed)
    for _ in range(10):
        story.any_life()
    tell(database, story.events)
    projection_of(analytics_database, database).rebuild(force=True)
    for fact in facts(analytics_database)["transcription_facts"]:
        if fact["ended_at"] is not None:
            total_seconds = (fact["ended_at"] - fact["asked_at"]).total_seconds()
            assert fact["queue_seconds"] + fact["running_seconds"] == pytest.approx(total_seconds)


def test_a_crash_before_the_commit_leaves_nothing_and_is_made_up_for(
    analytics_database: AnalyticsDatabase, database: FakeDatabase, story: Story
) -> None:
    story.complete(story.queue())
    tell(database, story.events)
    dying = projection_of(analytics_database, database, batch=3)

    def die(position: int) -> None:
        if position >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dying.catch_up(tell=die)
    assert dying.state().position == 3
    dying.catch_up()
    assert only(analytics_database)["status"] == "completed"


def test_a_commit_that_fails_takes_the_facts_with_it(
    analytics_database: AnalyticsDatabase, database: FakeDatabase, story: Story
) -> None:
    story.complete(story.queue())
    tell(database, story.events)

    def broken_clock() -> datetime:
        raise ZeroDivisionError  # after the facts were written, before it is noted how far they have come

    broken = Projection(database=analytics_database, unit_of_work=database.unit_of_work, clock=broken_clock)
    with pytest.raises(ZeroDivisionError):
        broken.catch_up()
    assert facts(analytics_database)["transcription_facts"] == []
    projection_of(analytics_database, database).catch_up()
    assert only(analytics_database)["runs"] == 1


def test_one_projects_at_a_time(analytics_database: AnalyticsDatabase, database: FakeDatabase, story: Story) -> None:
    story.complete(story.queue())
    tell(database, story.events)
    waits: list[float] = []
    with analytics_database.engine.connect() as other:
        other.execute(text("SELECT pg_advisory_lock(x'46414354'::bigint)"))

        def let_go(seconds: float) -> None:
            waits.append(seconds)
            other.execute(text("SELECT pg_advisory_unlock(x'46414354'::bigint)"))

        projection_of(analytics_database, database, sleep=let_go).catch_up()
    assert len(waits) == 1
    assert only(analytics_database)["runs"] == 1


def test_whoever_has_no_time_gets_what_there_is(
    analytics_database: AnalyticsDatabase, database: FakeDatabase, story: Story
) -> None:
    story.complete(story.queue())
    tell(database, story.events)
    ticks = iter([0.0, 0.5, 1.5])
    hurried = projection_of(analytics_database, database, batch=2, monotonic=lambda: next(ticks))
    hurried.catch_up(within_seconds=1)
    state = hurried.state()
    assert (state.position, state.behind) == (2, len(story.events) - 2)


def test_events_that_were_pruned_unread_are_counted(
    analytics_database: AnalyticsDatabase, project: Callable[[], None], engine: Engine, story: Story
) -> None:
    story.complete(story.queue())
    write_for_real(engine, story.events)
    prune(engine, through=2)
    projection = real_projection(analytics_database, engine)
    projection.catch_up()
    assert projection.state().missed == 2
    assert facts(analytics_database)["transcription_facts"] == []


def test_facts_that_cannot_be_made_again_are_not_dropped_unless_told_to(
    analytics_database: AnalyticsDatabase, engine: Engine, story: Story
) -> None:
    story.complete(story.queue())
    gone = len(story.events)
    story.complete(story.queue())
    write_for_real(engine, story.events)
    projection = real_projection(analytics_database, engine)
    projection.catch_up()
    prune(engine, through=gone)
    with pytest.raises(Conflict) as refusal:
        projection.rebuild()
    assert refusal.value.failure.code == "facts_would_be_lost"
    assert len(facts(analytics_database)["transcription_facts"]) == 2
    projection.rebuild(force=True)
    assert len(facts(analytics_database)["transcription_facts"]) == 1
    projection.rebuild()
    assert projection.state().missed == gone


def test_a_database_restored_from_a_backup_is_noticed(
    analytics_database: AnalyticsDatabase, database: FakeDatabase, project: Callable[[], None], story: Story
) -> None:
    story.complete(story.queue())
    project()
    other, another_story = FakeDatabase(), Story(seed=1)
    another_story.complete(another_story.queue())
    tell(other, another_story.events[:2])
    with pytest.raises(AnalyticsUnavailable) as shorter:
        projection_of(analytics_database, other).catch_up()
    another_story.complete(another_story.queue())
    tell(other, another_story.events[2:])
    with pytest.raises(AnalyticsUnavailable) as longer:
        projection_of(analytics_database, other).catch_up()
    assert shorter.value.failure.code == longer.value.failure.code == "analytics_out_of_step"
    projection_of(analytics_database, other).rebuild()
    assert len(facts(analytics_database)["transcription_facts"]) == 2


def test_real_events_make_facts(analytics_database: AnalyticsDatabase, engine: Engine, story: Story) -> None:
    for _ in range(5):
        story.any_life()
    write_for_real(engine, story.events)
    real_projection(analytics_database, engine).catch_up()
    from_real_events = facts(analytics_database)
    pretended = FakeDatabase()
    tell(pretended, story.events)
    projection_of(analytics_database, pretended).rebuild(force=True)
    assert facts(analytics_database) == from_real_events


def write_for_real(engine: Engine, events: Sequence[Event]) -> None:
    with SqlUnitOfWork(engine, TranscriptionJobs) as uow:
        for event in events:
            uow.events.append(event)
        uow.commit()


def real_projection(analytics: AnalyticsDatabase, engine: Engine) -> Projection:
    return Projection(
        database=analytics, unit_of_work=lambda: SqlUnitOfWork(engine, TranscriptionJobs), clock=FakeClock()
    )


def prune(engine: Engine, *, through: int) -> None:
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL hansard.pruning TO 'on'"))
        connection.execute(text("SET LOCAL session_replication_role TO replica"))
        connection.execute(text("DELETE FROM events WHERE position <= :through"), {"through": through})
