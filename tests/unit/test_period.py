"""The time that a report is about."""

from datetime import UTC, datetime, timedelta

import pytest

from hansard.domain.period import MOST_BUCKETS, Bucket, Period

NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)


def period(length: timedelta, bucket: Bucket | None = None, time_zone: str = "UTC") -> Period:
    return Period.of(now=NOW, since=NOW - length, bucket=bucket, time_zone=time_zone)


@pytest.mark.parametrize(
    ("length", "bucket"),
    [
        (timedelta(hours=1), Bucket.MINUTE),
        (timedelta(hours=3), Bucket.MINUTE),
        (timedelta(days=1), Bucket.HOUR),
        (timedelta(days=14), Bucket.HOUR),
        (timedelta(days=30), Bucket.DAY),
    ],
)
def test_the_pieces_make_a_readable_chart(length: timedelta, bucket: Bucket) -> None:
    assert period(length).bucket is bucket
    assert len(list(period(length).starts())) <= MOST_BUCKETS


def test_days_begin_at_local_midnight_also_when_the_clocks_change() -> None:
    days = list(period(timedelta(days=2), Bucket.DAY, "Europe/Zurich").starts())
    assert days == [
        datetime(2026, 3, 27, 23, tzinfo=UTC),
        datetime(2026, 3, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 29, 22, tzinfo=UTC),
    ]


def test_hours_begin_as_they_do_where_the_clocks_are_half_an_hour_off() -> None:
    first = next(period(timedelta(hours=5), Bucket.HOUR, "Asia/Kolkata").starts())
    assert first == datetime(2026, 3, 30, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize(("days", "weeks"), [(1, 1), (7, 1), (8, 2), (30, 5)])
def test_it_is_held_against_the_same_weekdays(days: int, weeks: int) -> None:
    now = period(timedelta(days=days))
    assert now.since - now.before.since == now.until - now.before.until == timedelta(weeks=weeks)
    assert now.before.until <= now.since
