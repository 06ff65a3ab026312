"""Which hours of a period are taken as a whole, and what is left to be read fact by fact."""

from datetime import UTC, datetime, timedelta

from hansard.analytics.hours import spans
from hansard.domain.period import Bucket, Period

DAY = datetime(2026, 3, 2, tzinfo=UTC)
LATER = DAY + timedelta(days=30)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return DAY + timedelta(hours=hour, minutes=minute, seconds=second)


def period(since: datetime, until: datetime, bucket: Bucket = Bucket.HOUR, time_zone: str = "UTC") -> Period:
    return Period.of(now=LATER, since=since, until=until, bucket=bucket, time_zone=time_zone)


def test_the_hours_at_the_ends_of_a_period_are_cut() -> None:
    whole, rest = spans(period(at(1, 20), at(5, 0, 1)), sealed_until=LATER, by_bucket=True)
    assert whole == [(at(2), at(5))]
    assert rest == [(at(1, 20), at(2)), (at(5), at(5, 0, 1))]


def test_a_period_of_whole_hours_leaves_nothing() -> None:
    assert spans(period(at(1), at(5)), sealed_until=LATER, by_bucket=True) == ([(at(1), at(5))], [])


def test_what_is_not_sealed_yet_is_left() -> None:
    assert spans(period(at(1), at(5)), sealed_until=at(3), by_bucket=False) == ([(at(1), at(3))], [(at(3), at(5))])
    assert spans(period(at(1), at(5)), sealed_until=at(0), by_bucket=False) == ([], [(at(1), at(5))])
    assert spans(period(at(1), at(5)), sealed_until=None, by_bucket=False) == ([], [(at(1), at(5))])


def test_less_than_an_hour_is_never_whole() -> None:
    short = period(at(1, 10), at(1, 50))
    assert spans(short, sealed_until=LATER, by_bucket=False) == ([], [(short.since, short.until)])


def test_days_that_begin_at_half_past_cut_an_hour() -> None:
    in_india = period(at(0), at(24), Bucket.DAY, "Asia/Kolkata")
    whole, rest = spans(in_india, sealed_until=LATER, by_bucket=True)
    assert whole == [(at(0), at(18)), (at(19), at(24))]
    assert rest == [(at(18), at(19))]
    assert spans(in_india, sealed_until=LATER, by_bucket=False) == ([(at(0), at(24))], [])


def test_by_the_minute_each_hour_is_cut() -> None:
    assert spans(period(at(1), at(5), Bucket.MINUTE), sealed_until=LATER, by_bucket=True) == ([], [(at(1), at(5))])
