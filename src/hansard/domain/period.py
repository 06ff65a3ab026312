"""The time that a report is about, and the pieces that it is cut into."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hansard.domain.errors import InvalidRequest

DEFAULT_LENGTH = timedelta(days=7)
MOST_BUCKETS = 2_000
WEEK = timedelta(days=7)


class Bucket(StrEnum):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


_LENGTHS = {Bucket.MINUTE: timedelta(minutes=1), Bucket.HOUR: timedelta(hours=1), Bucket.DAY: timedelta(days=1)}
_LONGEST_BY_MINUTE = timedelta(hours=3)
_LONGEST_BY_HOUR = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From `since` up to, not including, `until`; days and hours begin as they do in `time_zone`."""

    since: datetime
    until: datetime
    bucket: Bucket
    time_zone: str

    @classmethod
    def of(
        cls,
        *,
        now: datetime,
        since: datetime | None = None,
        until: datetime | None = None,
        bucket: Bucket | None = None,
        time_zone: str = "UTC",
    ) -> "Period":
        """What is left open is chosen: the week up to `now`, in pieces that make a readable chart.

        Raises `InvalidRequest`.
        """
        until = until or now
        since = since or until - DEFAULT_LENGTH
        if since >= until:
            raise InvalidRequest(
                "There is no time between `since` and `until`.",
                code="empty_period",
                help="Swap them, or leave one of them out.",
            )
        try:
            ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InvalidRequest(
                f"There is no time zone {time_zone!r}.",
                code="unknown_time_zone",
                help="Name it as the IANA does, such as Europe/Zurich, or leave it out for UTC.",
            ) from error
        bucket = bucket or _readable(until - since)
        if (until - since) / _LENGTHS[bucket] > MOST_BUCKETS:
            raise InvalidRequest(
                f"That would be more than {MOST_BUCKETS:,} pieces of a {bucket}.",
                code="too_many_buckets",
                help="Ask for a shorter time or a coarser `bucket`.",
            )
        return cls(since=since.astimezone(UTC), until=until.astimezone(UTC), bucket=bucket, time_zone=time_zone)

    @property
    def before(self) -> "Period":
        """As long, some whole weeks earlier: weekends are held against weekends."""
        weeks = -((self.since - self.until) // WEEK)
        return Period(
            since=self.since - weeks * WEEK,
            until=self.until - weeks * WEEK,
            bucket=self.bucket,
            time_zone=self.time_zone,
        )

    def starts(self) -> Iterator[datetime]:
        """When each of its buckets begins, in UTC. The first may begin before the period."""
        zone = ZoneInfo(self.time_zone)
        local = self.since.astimezone(zone)
        if self.bucket is Bucket.DAY:
            yield from self._days(local.date(), zone)
            return
        is_minute = self.bucket is Bucket.MINUTE
        past = timedelta(minutes=0 if is_minute else local.minute, seconds=local.second, microseconds=local.microsecond)
        start = self.since - past
        while start < self.until:
            yield start
            start += _LENGTHS[self.bucket]

    def _days(self, day: date, zone: ZoneInfo) -> Iterator[datetime]:
        while (start := datetime.combine(day, time_of_day(), zone).astimezone(UTC)) < self.until:
            yield start
            day += timedelta(days=1)


def _readable(length: timedelta) -> Bucket:
    if length <= _LONGEST_BY_MINUTE:
        return Bucket.MINUTE
    return Bucket.HOUR if length <= _LONGEST_BY_HOUR else Bucket.DAY
