"""Which job goes first: short ones soon, long ones in the end, and nobody before others by asking for more."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hansard.queue.rank import SECONDS_PER_PRIORITY, rank

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = 3600.0

lengths = st.floats(min_value=0, max_value=24 * HOUR)
backlogs = st.floats(min_value=0, max_value=1000 * HOUR)
priorities = st.integers(-100, 100)


def ranked(
    at_seconds: float = 0.0, *, audio_seconds: float = 60.0, own_seconds_ahead: float = 0.0, priority: int = 0
) -> int:
    return rank(
        NOON + timedelta(seconds=at_seconds),
        audio_seconds=audio_seconds,
        own_seconds_ahead=own_seconds_ahead,
        priority=priority,
    )


# ── Two jobs ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_short_recording_goes_before_a_long_one_that_came_first() -> None:
    assert ranked(10, audio_seconds=3) > ranked(0, audio_seconds=10 * HOUR)


def test_a_long_recording_that_has_waited_for_its_own_length_is_not_overtaken_any_more() -> None:
    assert ranked(0, audio_seconds=HOUR) > ranked(HOUR, audio_seconds=3)


def test_a_priority_is_a_credit_of_time() -> None:
    credit_seconds = 10 * SECONDS_PER_PRIORITY
    assert ranked(credit_seconds - 1, priority=10) > ranked(0) > ranked(credit_seconds + 1, priority=10)


@given(lengths, backlogs, priorities, lengths, backlogs, priorities)
def test_nobody_is_overtaken_by_what_comes_when_his_job_is_due(
    audio_seconds: float, own: float, priority: int, later_audio: float, later_own: float, later_priority: int
) -> None:
    due_seconds = audio_seconds + own + (later_priority - priority) * SECONDS_PER_PRIORITY
    later = ranked(
        max(0.0, due_seconds) + 1, audio_seconds=later_audio, own_seconds_ahead=later_own, priority=later_priority
    )
    assert ranked(audio_seconds=audio_seconds, own_seconds_ahead=own, priority=priority) >= later


@given(st.floats(min_value=0, max_value=1e18), st.integers(-(10**12), 10**12))
def test_a_length_out_of_this_world_still_has_a_rank(audio_seconds: float, priority: int) -> None:
    assert -(2**31) <= ranked(audio_seconds=audio_seconds, priority=priority) < 2**31


# ── A queue at work ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(order=True)
class Job:
    order: tuple[int, int]
    owner: str = field(compare=False)
    audio_seconds: float = field(compare=False)
    came_at: float = field(compare=False)


Arrival = tuple[float, str, float]
"""When, whose, and how long."""


def done_by(workers: int, arrivals: Iterable[Arrival], *, real_time_factor: float = 1.0) -> Iterator[tuple[Job, float]]:
    """Each job with the moment that it is begun, in that order; ranked as the queue ranks them."""
    coming = sorted(arrivals)[::-1]
    waiting: list[Job] = []
    free_at = [0.0] * workers
    number = 0
    while coming or waiting:
        now = heapq.heappop(free_at)
        if not waiting:
            now = max(now, coming[-1][0])
        while coming and coming[-1][0] <= now:
            came_at, owner, seconds = coming.pop()
            own = sum(job.audio_seconds for job in waiting if job.owner == owner and job.audio_seconds <= seconds)
            number += 1
            place = ranked(came_at, audio_seconds=seconds, own_seconds_ahead=own)
            heapq.heappush(waiting, Job((-place, number), owner, seconds, came_at))
        job = heapq.heappop(waiting)
        yield job, now
        heapq.heappush(free_at, now + job.audio_seconds * real_time_factor)


def test_a_short_recording_waits_for_no_more_than_what_is_being_done() -> None:
    archive = [(0.0, "archive", 10 * HOUR)] * 5
    begun = {job.owner: at for job, at in done_by(1, [*archive, (60.0, "somebody", 3.0)], real_time_factor=0.1)}
    assert begun["somebody"] == HOUR


def test_a_long_recording_is_reached_although_short_ones_never_stop_coming() -> None:
    # More than the worker can do: three seconds of audio each second and a half, for a day.
    stream = [(second * 1.5, f"caller {second}", 3.0) for second in range(57_600)]
    waited = next(at for job, at in done_by(1, [(0.0, "archive", HOUR), *stream]) if job.owner == "archive")
    assert HOUR <= waited <= 2.1 * HOUR


def test_a_thousand_recordings_of_one_caller_stand_before_hardly_any_of_another() -> None:
    thousand = [(0.0, "many", 60.0)] * 1000
    few = [(hour * HOUR, "one", 60.0) for hour in range(1, 10)]
    waits = [at - job.came_at for job, at in done_by(2, [*thousand, *few]) if job.owner == "one"]
    assert max(waits) <= 60.0


def test_callers_who_both_ask_for_much_are_served_in_turn() -> None:
    both = [(0.0, "first", 60.0)] * 100 + [(1.0, "second", 60.0)] * 100
    owners = [job.owner for job, _ in done_by(1, both)]
    assert abs(owners[:100].count("first") - 50) <= 1


@given(st.lists(st.sampled_from([3.0, 60.0, 600.0]), min_size=1, max_size=30))
def test_a_caller_gets_recordings_of_one_length_back_in_the_order_in_which_he_asked(lengths: list[float]) -> None:
    begun = [job for job, _ in done_by(1, [(0.0, "one", seconds) for seconds in lengths])]
    for seconds in set(lengths):
        numbers = [job.order[1] for job in begun if job.audio_seconds == seconds]
        assert numbers == sorted(numbers)
