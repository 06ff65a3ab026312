"""What is decided about a job that went wrong, apart from doing it."""

from datetime import UTC, datetime, timedelta

import pytest
from procrastinate.jobs import Job

from hansard.application.transcribe import BrokenOff
from hansard.domain.errors import HansardError, StorageError
from hansard.queue.tasks import (
    LONGEST_BACKOFF_SECONDS,
    LONGEST_ERASURE_BACKOFF_SECONDS,
    MAX_OUTAGES,
    PutBack,
    TryAgain,
    underlying,
)


def backoff_seconds(attempts: int, longest: int) -> float:
    """How long a job waits that raised for the first time after `attempts`."""
    job = Job(queue="transcriptions", lock=None, queueing_lock=None, task_name="transcribe", attempts=attempts)
    before = datetime.now(UTC)
    decision = TryAgain(longest).get_retry_decision(exception=ZeroDivisionError(), job=job)
    assert decision.retry_at is not None
    return (decision.retry_at - before) / timedelta(seconds=1)


def test_a_job_that_raises_again_waits_longer() -> None:
    assert [round(backoff_seconds(attempts, 60)) for attempts in range(4)] == [1, 2, 4, 8]


@pytest.mark.parametrize("longest", [LONGEST_BACKOFF_SECONDS, LONGEST_ERASURE_BACKOFF_SECONDS])
def test_no_job_waits_longer_than_the_longest_back_off_however_often_it_raised(longest: int) -> None:
    assert round(backoff_seconds(10**9, longest)) == longest


def test_an_outage_of_storage_may_last_for_ten_minutes() -> None:
    borne_seconds = sum(backoff_seconds(attempts, LONGEST_BACKOFF_SECONDS) for attempts in range(MAX_OUTAGES - 1))
    assert 540 <= borne_seconds <= 660


def test_a_job_that_is_put_back_may_be_taken_at_once() -> None:
    job = Job(queue="transcriptions", lock=None, queueing_lock=None, task_name="transcribe", attempts=3)
    assert TryAgain(60).get_retry_decision(exception=PutBack(), job=job).retry_at is None


def broken_off_by(cause: Exception | None) -> BrokenOff:
    error = BrokenOff("Run 1 ended without an outcome.")
    error.__cause__ = cause
    return error


DISK_FULL = StorageError("The disk is full.", code="disk_full")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DISK_FULL, DISK_FULL),
        (broken_off_by(DISK_FULL), DISK_FULL),
        (broken_off_by(broken_off_by(DISK_FULL)), DISK_FULL),
        (broken_off_by(ZeroDivisionError()), None),
        (broken_off_by(None), None),
        (ZeroDivisionError(), None),
    ],
)
def test_a_run_that_was_broken_off_tells_what_broke_it(error: Exception, told: HansardError | None) -> None:
    assert underlying(error) is told
