"""What operators ask about the past. The answers are the reports as they are: see application/ports/analytics.py."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from hansard.application.ports import analytics as reports
from hansard.domain.period import Bucket, Period
from hansard.http.dependencies import TheContainer
from hansard.http.schemas.fields import Moment, PlainText

router = APIRouter(
    prefix="/analytics",
    tags=["analytics"],
    responses={
        422: {"description": "`empty_period`, `unknown_time_zone`, `too_many_buckets`; `invalid_request`."},
        503: {"description": "`analytics_unavailable`, `analytics_out_of_step`: everything else goes on."},
    },
)


def _asked(
    since: Annotated[
        Moment | None, Query(description="From this time on; UTC, unless it says otherwise. Default: 7 days back.")
    ] = None,
    until: Annotated[Moment | None, Query(description="Before this time. Default: now.")] = None,
    bucket: Annotated[
        Bucket | None, Query(description="The pieces of a chart. Default: what can be read well.")
    ] = None,
    time_zone: Annotated[
        str,
        Query(
            max_length=100, description="Where days and hours begin, as the IANA names it.", examples=["Europe/Zurich"]
        ),
    ] = "UTC",
    owner: Annotated[PlainText | None, Query(max_length=200, description="Only what is this owner's.")] = None,
    engine: Annotated[PlainText | None, Query(max_length=200, description="Only what this engine did.")] = None,
    interactive: Annotated[
        bool | None, Query(description="Only transcriptions that somebody waited for, or only the others.")
    ] = None,
) -> reports.Asked:
    period = Period.of(now=datetime.now(UTC), since=since, until=until, bucket=bucket, time_zone=time_zone)
    return reports.Asked(period=period, owner=owner, engine=engine, interactive=interactive)


AskedFor = Annotated[reports.Asked, Depends(_asked)]


@router.get("/overview", summary="How the service did, and how it did before")
def get_overview(container: TheContainer, asked: AskedFor) -> reports.Overview:
    """The sums, held against as long a time some whole weeks earlier, and what got slower since, beyond chance."""
    return container.analytics.overview(asked)


@router.get("/throughput", summary="How much was done, when")
def get_throughput(container: TheContainer, asked: AskedFor) -> reports.Throughput:
    return container.analytics.throughput(asked)


@router.get("/latency", summary="How long it took, and where jobs wait")
def get_latency(container: TheContainer, asked: AskedFor) -> reports.Latency:
    """Of completed transcriptions. Percentiles are of the transcriptions themselves, within 1 % of the exact ones."""
    return container.analytics.latency(asked)


@router.get("/engines", summary="Which engine is worth its money")
def get_engine_reports(container: TheContainer, asked: AskedFor) -> reports.EngineReports:
    """By engine and model: attempts, speed, failures, coverage, cost; and by which other one it is beaten."""
    return container.analytics.engines(asked)


@router.get("/errors", summary="What went wrong")
def get_errors(container: TheContainer, asked: AskedFor) -> reports.Errors:
    """By code, with some ids to look at. docs/errors.md says what each code means."""
    return container.analytics.errors(asked)


@router.get("/costs", summary="What it cost, by engine and owner")
def get_costs(container: TheContainer, asked: AskedFor) -> reports.Costs:
    """By the prices of `HANSARD_PRICES`, as they are now."""
    return container.analytics.costs(asked)
