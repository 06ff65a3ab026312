"""For whoever keeps the service running. Every answer is from memory: a probe waits for nothing, and never for a key.

The routes are coroutines, so they answer even while every thread that serves requests waits for a database that hangs.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from hansard.application.health import RECHECK_SECONDS, HealthReport, HealthStatus, Part
from hansard.domain.errors import Category
from hansard.http.dependencies import RequestId, TheContainer
from hansard.http.errors import problem_response
from hansard.http.mapping.health import health_json
from hansard.http.schemas import health as schemas
from hansard.http.schemas.problems import FieldError

STARTING_SECONDS = 1

NOT_KEPT = {"Cache-Control": "no-store"}


# async: a dependency that is a plain function would cost a thread each time, and there may be none.
async def _not_kept(response: Response) -> None:
    response.headers.update(NOT_KEPT)


router = APIRouter(prefix="/health", tags=["health"], dependencies=[Depends(_not_kept)])

_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"description": "`starting`, or `not_ready`: `errors` names each part that is missing."}
}
_DOWN: dict[int | str, dict[str, Any]] = {
    503: {"model": schemas.Health, "description": "The same, where its status is `down`."}
}


async def _report(container: TheContainer) -> HealthReport:
    return container.health.report()


TheReport = Annotated[HealthReport, Depends(_report)]


@router.get("/live", summary="Is the process alive?")
async def live() -> schemas.Alive:
    return schemas.Alive()


@router.get("/ready", summary="Can it take requests?", response_model=schemas.Alive, responses=_NOT_READY)
async def ready(report: TheReport, request_id: RequestId) -> schemas.Alive | Response:
    """Yes, while the database answers and has this version's tables, recordings can be stored, and at least one of the
    engines that `auto` tries can work, or is having its model fetched.
    """
    if not report.missing:
        return schemas.Alive()
    if report.is_starting:
        return _not_ready(request_id, "starting", "Hansard is starting.", STARTING_SECONDS, report.missing)
    down = [part for part in report.missing if part.status is HealthStatus.DOWN] or report.missing
    detail = " ".join(part.trouble.message for part in down if part.trouble)
    return _not_ready(request_id, "not_ready", detail, int(RECHECK_SECONDS), report.missing)


@router.get("", summary="How is each part?", responses=_DOWN)
async def health(report: TheReport, response: Response) -> schemas.Health:
    """As each was last looked at, some seconds ago at most. The answer is 503 when the status is `down`."""
    document = health_json(report)
    if document.status is HealthStatus.DOWN:
        response.status_code = 503
    return document


def _not_ready(
    request_id: str, code: str, detail: str, retry_after_seconds: int, missing: tuple[Part, ...]
) -> Response:
    return problem_response(
        request_id,
        503,
        detail=detail,
        code=code,
        category=Category.SERVER,
        help="GET /health tells how each part is, and what to do about it.",
        errors=[
            FieldError(field=part.name, code=part.trouble.code, message=part.trouble.message)
            for part in missing
            if part.trouble
        ],
        headers={"Retry-After": str(retry_after_seconds), **NOT_KEPT},
    )
