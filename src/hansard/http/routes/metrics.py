"""For Prometheus."""

from fastapi import APIRouter, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from hansard.http.dependencies import TheContainer

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
def metrics(container: TheContainer) -> Response:
    return Response(container.metrics.render(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
