"""Where it is kept what functions and processes took."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hansard.domain.performance import FunctionTimes, ResourceUse
from hansard.timing.calls import Calls


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSeen:
    """A version that ran, and when its functions were last counted."""

    version: str
    first: datetime
    last: datetime


class PerformanceRecords(Protocol):
    """All methods raise `AnalyticsUnavailable`. `since` is included, `until` is not; what is kept by the hour counts at
    the hour's start.
    """

    def add(self, times: Iterable[FunctionTimes], use: Iterable[ResourceUse]) -> None:
        """All or nothing. Times are added to what there is of the same bucket, process kind, version and function."""
        ...

    def roll_up(self, before: datetime) -> int:
        """Keep what is older by the hour only, in UTC; how many records went up in others. Again, it does nothing."""
        ...

    def count(self, before: datetime) -> int:
        """How many records are older."""
        ...

    def forget(self, before: datetime) -> int:
        """Remove what is older; how many records there were."""
        ...

    def calls(
        self, since: datetime, until: datetime, *, version: str | None = None, process: str | None = None
    ) -> tuple[Calls, ...]:
        """All calls of each function, together; None: of all versions, of all kinds of process."""
        ...

    def versions(self) -> tuple[VersionSeen, ...]:
        """Those that are still on record, by when they were last seen, the latest first."""
        ...

    def resource_use(self, since: datetime, until: datetime, *, bucket_seconds: float) -> tuple[ResourceUse, ...]:
        """Of each process, a record for each bucket in which it ran, oldest first."""
        ...
