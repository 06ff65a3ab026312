"""The API: routes, what every request goes through, and its description."""

import asyncio
import gc
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline

from hansard import __version__, bootstrap
from hansard.bootstrap import Container
from hansard.http import errors
from hansard.http.middleware import BodyLimit, RequestLog, UploadGate
from hansard.http.openai_models import Models
from hansard.http.places import UploadPlaces
from hansard.http.request_metrics import RequestMetrics
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
from hansard.http.sse import Streams
from hansard.http.uploads import describe_json_bodies
from hansard.http.waiting import Waiting
from hansard.observability import shared_metrics
from hansard.settings import Settings

DESCRIPTION = """\
A recording goes in, a true record comes out: a transcript, or an honest account of why there is none.

    curl -F file=@talk.mp3 http://localhost:8000/transcriptions
    curl http://localhost:8000/transcriptions/{id}

How the service does is on the page of [analytics](/analytics).

What is refused is answered with [problem details](https://www.rfc-editor.org/rfc/rfc9457) that say what to do next.
Every answer carries an `X-Request-ID`, yours if you sent one; the service's log has it on every line.
Lists come in pages: follow `next_cursor` until it is null.

A request that makes something takes an `Idempotency-Key`, and may then be sent again without making it twice. Where
more is waiting than is taken on, it is refused with 503, or with 429 where it is your own, and a `Retry-After`.
"""

TAGS = [
    {"name": "transcriptions", "description": "Jobs that turn a recording into text."},
    {"name": "editing", "description": "Correcting transcripts: every revision is kept."},
    {"name": "audio", "description": "The recordings themselves."},
    {"name": "uploads", "description": "Recordings on their way in, by the tus protocol; they go on where they broke."},
    {"name": "openai", "description": "OpenAI's audio API, for programs that speak it already."},
    {"name": "engines", "description": "What does the listening."},
    {"name": "events", "description": "What has happened, and what happens: the audit trail, live."},
    {"name": "analytics", "description": "How the service did: throughput, latency, errors, costs, functions."},
    {"name": "webhooks", "description": "Other systems that are told of events: signed, retried, on record."},
    {"name": "health", "description": "For whoever keeps the service running."},
]


URL_ROUTERS = (transcriptions.url_router, audio.url_router)
"""Before those that take forms at the same paths, with which they are described."""


def create_app(container: Container) -> FastAPI:
    """The app owns the container from now on, and closes it when it shuts down."""
    app = FastAPIOffline(
        title="Hansard",
        version=__version__,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        generate_unique_id_function=_operation_id,
        lifespan=_lifespan,
    )
    app.state.container = container
    app.state.waiting = Waiting(container.changes, container.cancel)
    app.state.streams = Streams()
    app.state.together = events.Together()
    app.state.models = Models(container.engines, container.settings.openai_api_models, container.submit.check)
    errors.install(app)
    max_upload_bytes = container.settings.max_upload_bytes
    app.state.places = places = UploadPlaces(container.settings.max_concurrent_uploads)
    app.add_middleware(BodyLimit, max_upload_bytes=max_upload_bytes)
    app.add_middleware(UploadGate, places=places, room=container.disk_room, max_upload_bytes=max_upload_bytes)
    app.add_middleware(RequestLog, probe_every=container.settings.log_probe_every)
    app.add_middleware(RequestMetrics, counters=container.request_counters, routes=app.routes)
    app.add_api_route("/", _to_docs, include_in_schema=False)
    for router in URL_ROUTERS:
        app.include_router(router, include_in_schema=False)
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
        app.include_router(router)
    app.openapi = partial(_openapi, app)
    return app


def build_app(settings: Settings) -> FastAPI:
    """The app on the real container, for a process of its own."""
    spool = settings.data_dir / "tmp"
    spool.mkdir(parents=True, exist_ok=True)
    # Uploads are spooled here while they come in: the system's own place may be small, or in memory.
    tempfile.tempdir = str(spool.resolve())
    shared_metrics.share(bootstrap.metrics_directory(settings))
    return create_app(bootstrap.build(settings, process="api"))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    container = cast(Container, app.state.container)
    container.health.start()
    container.live.start()
    container.process_gauges.start()
    container.performance_recorder.start()
    beside = (container.changes.listen(), container.event_feed.run(), container.keep_house_without_worker())
    tasks = [asyncio.ensure_future(each) for each in beside]
    # What was imported stays: leave it out of every later collection, which would hold up all requests.
    gc.collect()
    gc.freeze()
    yield
    for task in tasks:
        task.cancel()
    container.live.stop()
    container.health.stop()
    container.process_gauges.stop()
    container.performance_recorder.stop()
    container.close()


async def _to_docs() -> RedirectResponse:
    return RedirectResponse("/docs")


def _operation_id(route: APIRoute) -> str:
    """The function's name: clients are generated from these."""
    return route.name


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            tags=app.openapi_tags,
            routes=app.routes,
        )
        json_routes = [route for router in URL_ROUTERS for route in router.routes]
        describe_json_bodies(document, get_openapi(title=app.title, version=app.version, routes=json_routes))
        app.openapi_schema = errors.describe_problems(document)
    return app.openapi_schema
