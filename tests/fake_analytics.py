"""Analytics of a service in which nothing ever happened."""

from dataclasses import dataclass, field
from typing import Any

from hansard.application.ports import analytics as port
from hansard.application.ports.analytics import Asked, Spread
from hansard.domain.errors import AnalyticsUnavailable

NOTHING = Spread(count=0, p50=None, p90=None, p95=None, p99=None)
_TOTALS = port.Totals(
    **dict.fromkeys(
        ("asked", "completed", "failed", "cancelled", "degraded", "retried", "uploads", "uploaded_bytes"), 0
    ),
    audio_seconds=0.0,
    failure_rate=None,
    coverage=None,
    queue_seconds=NOTHING,
    total_seconds=NOTHING,
    cost=0.0,
)
_SPREADS = port.LatencySpreads(
    queue_seconds=NOTHING,
    preparing_seconds=NOTHING,
    recognising_seconds=NOTHING,
    total_seconds=NOTHING,
    real_time_factor=NOTHING,
)


@dataclass
class FakeAnalytics:
    """Remembers what it was asked. `away` is raised instead of an answer."""

    asked: list[Asked] = field(default_factory=list)
    away: AnalyticsUnavailable | None = None

    def overview(self, asked: Asked) -> port.Overview:
        before = asked.period.before
        return port.Overview(
            **self._report(asked),
            now=_TOTALS,
            before=_TOTALS,
            before_since=before.since,
            before_until=before.until,
            waiting=0,
            running=0,
            currency="USD",
            slower=(),
        )

    def throughput(self, asked: Asked) -> port.Throughput:
        return port.Throughput(**self._report(asked), buckets=())

    def latency(self, asked: Asked) -> port.Latency:
        return port.Latency(**self._report(asked), overall=_SPREADS, waits=None, slower=(), buckets=())

    def engines(self, asked: Asked) -> port.EngineReports:
        return port.EngineReports(**self._report(asked), currency="USD", items=(), happenings=(), slower=())

    def errors(self, asked: Asked) -> port.Errors:
        nothing = {"transcriptions": (), "attempts": (), "buckets": ()}
        return port.Errors(**self._report(asked), failed=0, ended=0, failure_rate=None, **nothing)

    def costs(self, asked: Asked) -> port.Costs:
        return port.Costs(**self._report(asked), currency="USD", cost=0.0, unpriced=(), items=(), buckets=())

    def _report(self, asked: Asked) -> dict[str, Any]:
        if self.away is not None:
            raise self.away
        self.asked.append(asked)
        period = asked.period
        return {
            "since": period.since,
            "until": period.until,
            "bucket": period.bucket,
            "time_zone": period.time_zone,
            "as_of": port.FactsState(position=0, behind=0, occurred_at=None, since=None, missed=0),
        }
