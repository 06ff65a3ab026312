"""What operators ask about the past, and the answers.

Reports are answered as they are, so their fields are what goes over the wire: seconds, and shares from 0 to 1. A
measure of nothing is None. Percentiles are of the single transcriptions or attempts, never of averages, and within 1 %;
counts and sums are exact.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from hansard.domain.period import Bucket, Period


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsState:
    """How far the facts have come: up to the event at `position`, of the time `occurred_at`, with `behind` to come.

    They begin at `since`. `missed` events were pruned before they could be read.
    """

    position: int
    behind: int
    occurred_at: datetime | None
    since: datetime | None
    missed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a report is about; None leaves a filter out. `interactive`: those that somebody waits for, or the others."""

    period: Period
    owner: str | None = None
    engine: str | None = None
    interactive: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What it is about, and the events that it takes into account."""

    since: datetime
    until: datetime
    bucket: Bucket
    time_zone: str
    as_of: FactsState


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How `count` measures lie: half of them are at most `p50`. Percentiles are within 1 % of the exact ones."""

    count: int
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """`asked` and the uploads are by when they came in, the others by when they ended. `failure_rate` is of those that
    completed or failed; `coverage` the mean part of the speech that has text.
    """

    asked: int
    completed: int
    failed: int
    cancelled: int
    degraded: int
    retried: int
    audio_seconds: float
    failure_rate: float | None
    coverage: float | None
    uploads: int
    uploaded_bytes: int
    queue_seconds: Spread
    total_seconds: Spread
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GotSlower:
    """Something that takes longer than some weeks before, beyond chance: the middles of both, with what they may be off
    by chance, don't overlap. `what` is queue, preparing, total (seconds) or recognising (seconds for a second of
    audio, by engine and model).
    """

    what: str
    engine: str | None
    model: str | None
    p50: float
    p50_before: float
    ratio: float
    count: int
    count_before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview(Report):
    """`before` is the same, as long, some whole weeks earlier. `waiting` and `running` are of now."""

    now: Totals
    before: Totals
    before_since: datetime
    before_until: datetime
    waiting: int
    running: int
    currency: str
    slower: tuple[GotSlower, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputBucket:
    start: datetime
    asked: int
    completed: int
    failed: int
    cancelled: int
    degraded: int
    audio_seconds: float
    uploads: int
    uploaded_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput(Report):
    buckets: tuple[ThroughputBucket, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySpreads:
    """Of completed transcriptions: in the queue, in a worker's hands before and after recognition, in recognition, from
    asking to the end; and the seconds of recognition for a second of audio.
    """

    queue_seconds: Spread
    preparing_seconds: Spread
    recognising_seconds: Spread
    total_seconds: Spread
    real_time_factor: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyBucket(LatencySpreads):
    start: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Where the time of all of them together went, as shares that add up to 1."""

    queue: float
    preparing: float
    recognising: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(Report):
    overall: LatencySpreads
    waits: Waits | None
    slower: tuple[GotSlower, ...]
    buckets: tuple[LatencyBucket, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReport:
    """`audio_seconds` and `processing_seconds` are of all its attempts; `completed`, `degraded_share` and `coverage` of
    the transcriptions that it ended. `cost` is None where it has no price. `beaten_by` names one that is better or
    as good in cost, coverage, failures and speed, and clearly better in one of them.
    """

    engine: str
    model: str
    attempts: int
    succeeded: int
    failed: int
    abandoned: int
    failure_rate: float | None
    audio_seconds: float
    processing_seconds: float
    real_time_factor: Spread
    completed: int
    degraded_share: float | None
    coverage: float | None
    cost: float | None
    cost_per_audio_hour: float | None
    beaten_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineHappenings:
    """`canary_passed` is of `canaries` known phrases."""

    engine: str
    fell_back: int
    circuit_opened: int
    disabled: int
    canaries: int
    canary_passed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReports(Report):
    currency: str
    items: tuple[EngineReport, ...]
    happenings: tuple[EngineHappenings, ...]
    slower: tuple[GotSlower, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReport:
    """`examples` are ids of transcriptions that are still there, the newest first."""

    code: str
    category: str
    engine: str | None
    count: int
    share: float
    first_at: datetime
    last_at: datetime
    examples: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBucket:
    start: datetime
    failed: int
    failed_attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors(Report):
    """`transcriptions` failed in the end; `attempts` failed too, but another one may have made up for it."""

    failed: int
    ended: int
    failure_rate: float | None
    transcriptions: tuple[ErrorReport, ...]
    attempts: tuple[ErrorReport, ...]
    buckets: tuple[ErrorBucket, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReport:
    """`cost` is None where the engine has no price."""

    engine: str
    model: str
    owner: str | None
    attempts: int
    audio_seconds: float
    input_tokens: int
    output_tokens: int
    processing_seconds: float
    cost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBucket:
    start: datetime
    cost: float
    audio_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs(Report):
    """By the prices of now, whatever they were then. `unpriced` names what has none, as `engine:model`."""

    currency: str
    cost: float
    unpriced: tuple[str, ...]
    items: tuple[CostReport, ...]
    buckets: tuple[CostBucket, ...]


class Analytics(Protocol):
    """Each answer takes in all events, or those that can be taken in within a second. Raises `AnalyticsUnavailable`."""

    def overview(self, asked: Asked) -> Overview: ...

    def throughput(self, asked: Asked) -> Throughput: ...

    def latency(self, asked: Asked) -> Latency: ...

    def engines(self, asked: Asked) -> EngineReports: ...

    def errors(self, asked: Asked) -> Errors: ...

    def costs(self, asked: Asked) -> Costs: ...
