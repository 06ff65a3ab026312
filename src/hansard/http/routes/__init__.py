"""One module for each thing a path begins with; and all of them, in the order in which they are asked."""

from fastapi import APIRouter

from hansard.http.openapi import operation_id
from hansard.http.routes import (
    alerts,
    analytics,
    audio,
    dashboard,
    editing,
    engines,
    events,
    health,
    live,
    metrics,
    openai,
    performance,
    realtime,
    search,
    transcriptions,
    uploads,
    webhooks,
)

URL_ROUTERS = (transcriptions.url_router, audio.url_router)
"""Before those that take forms at the same paths, with which they are described."""


def _all_routes() -> APIRouter:
    every = APIRouter(generate_unique_id_function=operation_id)
    for router in URL_ROUTERS:
        every.include_router(router, include_in_schema=False)
    for router in (
        transcriptions.upload_router,
        transcriptions.router,
        editing.router,
        search.router,
        audio.upload_router,
        audio.router,
        uploads.router,
        engines.router,
        analytics.router,
        events.router,
        webhooks.router,
        alerts.router,
        openai.router,
        live.router,
        realtime.router,
        health.router,
        metrics.router,
        performance.router,
        dashboard.router,
    ):
        every.include_router(router)
    return every


ALL_ROUTES = _all_routes()
"""Once for the process: with the first request FastAPI takes a tenth of a second to work out what each one takes."""
