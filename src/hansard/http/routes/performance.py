"""What functions and processes took, and what engines were measured to take."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from hansard.application.performance import Order
from hansard.domain.performance import ResourceUse
from hansard.domain.period import Period
from hansard.http.dependencies import TheContainer
from hansard.http.schemas import performance as schemas
from hansard.http.schemas.benchmarks import BenchmarkList, BenchmarkSummary
from hansard.http.schemas.fields import Moment

router = APIRouter(prefix="/analytics", tags=["analytics"])

POINTS = 200
"""A chart needs no more, unless they are asked for."""

READABLE_BUCKETS = (15.0, 60.0, 300.0, 900.0, 3600.0, 6 * 3600.0, 24 * 3600.0)

Since = Annotated[Moment | None, Query(description="Default: a week before `until`.")]
Until = Annotated[Moment | None, Query(description="Default: now.")]


@router.get("/functions", summary="Which functions take how long?")
def get_functions(
    container: TheContainer,
    since: Since = None,
    until: Until = None,
    process: Annotated[str | None, Query(description="`api` or `worker`.", max_length=100)] = None,
    order: Annotated[Order, Query(description="What comes first has most of it.")] = Order.TOTAL,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> schemas.Functions:
    """The critical functions of all processes, and which of them got slower since the last version or a week ago. Times
    are by five minutes, older ones by the hour.
    """
    period = Period.of(now=datetime.now(UTC), since=since, until=until)
    report = container.performance.functions(period.since, period.until, process=process, order=order)
    return schemas.Functions(
        since=period.since,
        until=period.until,
        version=report.version,
        items=[schemas.Function.of(calls) for calls in report.functions[:limit]],
        since_last_version=schemas.ComparedFunctions.of(report.since_last_version),
        since_week_before=schemas.ComparedFunctions.of(report.since_week_before),
    )


@router.get("/benchmarks", summary="How well and how fast did engines hear?")
def get_benchmarks(
    container: TheContainer, limit: Annotated[int, Query(ge=1, le=1000, description="The latest so many.")] = 20
) -> BenchmarkList:
    """What `hansard bench run` measured here, that came to its end; the latest first."""
    runs = container.benchmarks.recent(limit, ended_only=True)
    return BenchmarkList(items=[BenchmarkSummary.of(run) for run in runs])


@router.get("/resources", summary="What do the processes use?")
def get_resources(
    container: TheContainer,
    since: Since = None,
    until: Until = None,
    bucket_seconds: Annotated[
        float | None, Query(ge=15, le=31 * 86400, description="Default: what makes a readable chart.")
    ] = None,
) -> schemas.Resources:
    """Processor, memory, threads, open files and I/O of each process: in detail for the last day, then by the hour."""
    period = Period.of(now=datetime.now(UTC), since=since, until=until)
    seconds = bucket_seconds or readable_bucket_seconds(period.until - period.since)
    by_process: dict[tuple[str, str], list[ResourceUse]] = {}
    for use in container.performance.resource_use(period.since, period.until, bucket_seconds=seconds):
        by_process.setdefault((use.host, use.process), []).append(use)
    return schemas.Resources(
        since=period.since,
        until=period.until,
        bucket_seconds=seconds,
        processes=[schemas.ProcessResources.of(by_process[key]) for key in sorted(by_process)],
    )


def readable_bucket_seconds(length: timedelta) -> float:
    """The shortest of the usual ones that leaves no more than `POINTS`."""
    fitting = (seconds for seconds in READABLE_BUCKETS if length.total_seconds() / seconds <= POINTS)
    return next(fitting, READABLE_BUCKETS[-1])
