"""How much waits, how long that takes, and who is sent away."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.application.backlog import (
    LONGEST_RETRY_SECONDS,
    SHORTEST_RETRY_SECONDS,
    UNKNOWN_REAL_TIME_FACTOR,
    Backlog,
    QueuePolicy,
    measure_backlog,
)
from hansard.application.ports.work import Waiting, WorkerState
from hansard.domain.errors import Category, OwnerQueueFull, QueueFull
from hansard.domain.transcription import Parameters
from tests.workshop import Workshop, speech

HOUR = Waiting(jobs=60, jobs_of_owner=6, audio_seconds=3600, oldest_seconds=5, running=2, workers=2)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_worker(name: str) -> WorkerState:
    return WorkerState(name=name, host="h", pid=1, started_at=NOON, seen_at=NOON, models=(), transcription_id=None)


def full(shop: Workshop, owner: str = "default") -> QueueFull:
    with shop.database.unit_of_work() as uow, pytest.raises(QueueFull) as refusal:
        shop.queue_policy.require_room(uow, owner)
    return refusal.value


def test_the_backlog_is_what_the_workers_need_for_what_waits() -> None:
    assert Backlog.of(HOUR, 0.5).seconds == 900


def test_without_a_worker_it_is_what_one_would_need() -> None:
    assert Backlog.of(replace(HOUR, workers=0), 0.5).seconds == 1800


def test_before_anything_was_transcribed_a_slow_engine_is_assumed() -> None:
    assert Backlog.of(HOUR, None).seconds == 1800 * UNKNOWN_REAL_TIME_FACTOR


def test_what_waits_is_told_along() -> None:
    backlog = Backlog.of(HOUR, None)
    assert (backlog.jobs, backlog.jobs_of_owner, backlog.oldest_seconds, backlog.running) == (60, 6, 5, 2)


def test_the_speed_is_that_of_the_last_transcriptions() -> None:
    shop = Workshop()
    done = shop.submitted(speech(2))
    shop.engine.on_passage = lambda number: shop.clock.advance(3)
    shop.transcribe(done.id)
    shop.cancel(shop.submitted(speech(2)).id)
    shop.submitted(speech(4))
    shop.database.jobs.remove(done.id)
    with shop.database.unit_of_work() as uow:
        assert measure_backlog(uow, "default").seconds == 4 * 3


def test_room_is_waited_for_as_long_as_the_jobs_that_are_too_many_take() -> None:
    assert Backlog.of(HOUR, 0.5).retry_after_seconds(2) == 30


@given(
    jobs=st.integers(0, 10**6),
    too_many=st.integers(1, 10**6),
    audio_seconds=st.floats(0, 1e9),
    real_time_factor=st.none() | st.floats(0, 100),
)
def test_nobody_is_told_to_come_back_at_once_or_next_week(
    jobs: int, too_many: int, audio_seconds: float, real_time_factor: float | None
) -> None:
    backlog = Backlog.of(replace(HOUR, jobs=jobs, audio_seconds=audio_seconds), real_time_factor)
    assert SHORTEST_RETRY_SECONDS <= backlog.retry_after_seconds(too_many) <= LONGEST_RETRY_SECONDS


def test_a_queue_that_is_full_for_all_is_the_services_trouble() -> None:
    shop = Workshop(queue_policy=QueuePolicy(most_waiting=2, most_waiting_of_owner=9))
    shop.submitted(speech(10))
    shop.submitted(speech(50))
    refusal = full(shop, owner="somebody else")
    assert type(refusal) is QueueFull
    assert refusal.failure.category is Category.SERVER
    assert refusal.backlog_seconds == 60 * UNKNOWN_REAL_TIME_FACTOR
    assert refusal.retry_after_seconds == 30 * UNKNOWN_REAL_TIME_FACTOR


def test_an_owner_who_has_had_enough_is_told_so_while_others_have_room() -> None:
    shop = Workshop(queue_policy=QueuePolicy(most_waiting=9, most_waiting_of_owner=1))
    shop.submitted(speech(1))
    refusal = full(shop)
    assert type(refusal) is OwnerQueueFull
    assert refusal.failure.category is Category.RATE_LIMIT
    with shop.database.unit_of_work() as uow:
        shop.queue_policy.require_room(uow, "somebody else")


def test_there_is_room_up_to_the_bound() -> None:
    shop = Workshop(queue_policy=QueuePolicy(most_waiting=2, most_waiting_of_owner=2))
    shop.submitted(speech(1))
    shop.submitted(speech(1))
    with pytest.raises(QueueFull):
        shop.submitted(speech(1))
    assert len(shop.database.jobs) == 2


def test_more_workers_make_the_wait_shorter() -> None:
    shop = Workshop(queue_policy=QueuePolicy(most_waiting=1, most_waiting_of_owner=1))
    shop.submit(shop.uploaded(speech(60)).id, Parameters())
    alone = full(shop).backlog_seconds
    shop.database.workers += [a_worker("a"), a_worker("b"), a_worker("c")]
    assert full(shop).backlog_seconds == alone / 3
