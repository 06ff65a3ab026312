"""What the dashboard tells: asked for at one moment, of the same places as the routes below `/analytics` do."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from hansard.application.backlog import Backlog, measure_backlog
from hansard.application.performance import FunctionReport
from hansard.application.ports.analytics import Asked, Costs, EngineReports, Errors, Latency, Overview, Throughput
from hansard.bootstrap import Container
from hansard.domain.audio import DEFAULT_OWNER
from hansard.domain.benchmark import BenchmarkRun
from hansard.domain.errors import Failure, StorageError
from hansard.domain.performance import ResourceUse
from hansard.domain.period import Period
from hansard.http.mapping.alerts import alerts_json
from hansard.http.routes.engines import list_engines
from hansard.http.routes.performance import readable_bucket_seconds
from hansard.http.schemas.alerts import Alert
from hansard.http.schemas.engines import Engine

T = TypeVar("T")

MOST_BENCHMARKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the analytics database tells of a period."""

    overview: Overview
    throughput: Throughput
    latency: Latency
    engines: EngineReports
    errors: Errors
    costs: Costs
    functions: FunctionReport
    resources: tuple[ResourceUse, ...]
    resource_bucket: timedelta
    benchmarks: tuple[BenchmarkRun, ...]
    """The latest, whenever that was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What the operational database tells of this moment."""

    backlog: Backlog
    engines: tuple[Engine, ...]
    alerts: tuple[Alert, ...]

    @property
    def firing(self) -> tuple[Alert, ...]:
        return tuple(alert for alert in self.alerts if alert.firing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """In place of what cannot be told stands why."""

    period: Period
    made_at: datetime
    address: str
    """Of the service, as this browser knows it."""
    past: Past | Failure
    present: Present | Failure


def gather(container: Container, period: Period, *, made_at: datetime, address: str) -> Dashboard:
    return Dashboard(
        period=period,
        made_at=made_at,
        address=address,
        past=_or_failure(lambda: _past(container, period)),
        present=_or_failure(lambda: _present(container)),
    )


def _past(container: Container, period: Period) -> Past:
    asked, analytics, performance = Asked(period=period), container.analytics, container.performance
    bucket_seconds = readable_bucket_seconds(period.until - period.since)
    return Past(
        overview=analytics.overview(asked),
        throughput=analytics.throughput(asked),
        latency=analytics.latency(asked),
        engines=analytics.engines(asked),
        errors=analytics.errors(asked),
        costs=analytics.costs(asked),
        functions=performance.functions(period.since, period.until),
        resources=performance.resource_use(period.since, period.until, bucket_seconds=bucket_seconds),
        resource_bucket=timedelta(seconds=bucket_seconds),
        benchmarks=tuple(container.benchmarks.recent(MOST_BENCHMARKS, ended_only=True)),
    )


def _present(container: Container) -> Present:
    with container.unit_of_work() as uow:
        backlog = measure_backlog(uow, DEFAULT_OWNER)
    alerts = (alert for standing in container.alerts.standings() for alert in alerts_json(standing))
    return Present(backlog=backlog, engines=tuple(list_engines(container).items), alerts=tuple(alerts))


def _or_failure(ask: Callable[[], T]) -> T | Failure:
    try:
        return ask()
    except StorageError as error:  # `AnalyticsUnavailable` is one
        return error.failure
