"""For whoever keeps the process alive and sends it work."""

from fastapi import APIRouter, Response
from loguru import logger

from hansard.domain.errors import Category
from hansard.http import schemas
from hansard.http.dependencies import RequestId, TheContainer
from hansard.http.errors import problem_response

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", summary="Is the process alive?")
async def live() -> schemas.Health:
    return schemas.Health()


@router.get(
    "/ready",
    summary="Can it take requests?",
    response_model=schemas.Health,
    responses={503: {"description": "The database does not answer."}},
)
def ready(container: TheContainer, request_id: RequestId) -> schemas.Health | Response:
    """Ready when the database answers. Engines may still be preparing: jobs wait for them in the queue."""
    try:
        with container.unit_of_work() as uow:
            uow.audio.page(limit=1)
    except Exception as error:  # noqa: BLE001 - whatever it is, work should not be sent here now
        logger.opt(exception=error).warning("The database does not answer.")
        return problem_response(
            request_id,
            503,
            detail="The database does not answer.",
            code="database_unavailable",
            category=Category.SERVER,
            help="`hansard doctor` says why.",
            headers={"Retry-After": "1"},
        )
    return schemas.Health()
