"""When to try again, and when to give up."""

from hypothesis import given
from hypothesis import strategies as st

from hansard.application.retry_policy import RetryPolicy
from hansard.domain.errors import EngineError, EngineFailed, EngineRateLimited, EngineRejected

BUSY = EngineFailed("busy", engine="fake")


def policy(**changed) -> RetryPolicy:
    usual = {"max_attempts": 4, "base_seconds": 1.0, "cap_seconds": 60.0, "budget_seconds": 300.0}
    return RetryPolicy(**{**usual, "jitter": lambda: 1.0, **changed})


def slow_down(seconds: float) -> EngineError:
    return EngineRateLimited("slow down", engine="fake", retry_after_seconds=seconds)


def test_the_delay_doubles_with_each_failure() -> None:
    delays = [policy().delay_seconds(BUSY, attempts=failed, waited_seconds=0) for failed in (1, 2, 3)]
    assert delays == [1, 2, 4]


def test_the_delay_stops_growing_at_the_cap() -> None:
    assert policy(cap_seconds=3).delay_seconds(BUSY, attempts=3, waited_seconds=0) == 3


def test_jitter_takes_a_part_of_the_delay() -> None:
    assert policy(jitter=lambda: 0.25).delay_seconds(BUSY, attempts=3, waited_seconds=0) == 1


def test_it_gives_up_after_the_last_attempt() -> None:
    assert policy().delay_seconds(BUSY, attempts=4, waited_seconds=0) is None


def test_what_another_try_cannot_change_is_not_tried_again() -> None:
    refused = EngineRejected("no", engine="fake")
    assert policy().delay_seconds(refused, attempts=1, waited_seconds=0) is None


def test_the_providers_wish_outweighs_the_cap() -> None:
    assert policy(cap_seconds=5).delay_seconds(slow_down(90), attempts=1, waited_seconds=0) == 90


def test_the_providers_wish_is_the_least_not_the_most() -> None:
    assert policy().delay_seconds(slow_down(1), attempts=3, waited_seconds=0) == 4


def test_a_wish_beyond_the_budget_is_a_refusal() -> None:
    assert policy(budget_seconds=60).delay_seconds(slow_down(61), attempts=1, waited_seconds=0) is None


@given(
    attempts=st.integers(1, 60),
    waited=st.floats(0, 1000),
    jitter=st.floats(0, 1),
    wish=st.none() | st.floats(0, 1000),
)
def test_no_wait_is_negative_or_goes_over_the_budget(
    attempts: int, waited: float, jitter: float, wish: float | None
) -> None:
    error = EngineRateLimited("slow down", engine="fake", retry_after_seconds=wish)
    delay = policy(max_attempts=100, jitter=lambda: jitter).delay_seconds(
        error, attempts=attempts, waited_seconds=waited
    )
    assert delay is None or (delay >= 0 and waited + delay <= 300)
