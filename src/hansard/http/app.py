"""The API: routes, what every request goes through, and its description."""

import asyncio
import gc
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline

from hansard import __version__, bootstrap
from hansard.bootstrap import Container
from hansard.http import errors, openapi
from hansard.http.middleware.limits import BodyLimit, UploadGate
from hansard.http.middleware.request_log import RequestLog
from hansard.http.middleware.request_metrics import RequestMetrics
from hansard.http.openai.models import Models
from hansard.http.routes import ALL_ROUTES, URL_ROUTERS
from hansard.http.routes.events import Together
from hansard.http.sse import Streams
from hansard.http.uploads.places import UploadPlaces
from hansard.http.waiting import Waiting
from hansard.observability import shared_metrics
from hansard.settings import Settings


def create_app(container: Container) -> FastAPI:
    """The app owns the container from now on, and closes it when it shuts down."""
    app = FastAPIOffline(
        title="Hansard",
        version=__version__,
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        generate_unique_id_function=openapi.operation_id,
        lifespan=_lifespan,
    )
    app.state.container = container
    app.state.waiting = Waiting(container.changes, container.cancel)
    app.state.streams = Streams()
    app.state.together = Together()
    app.state.models = Models(container.engines, container.settings.openai_api_models, container.submit.check)
    errors.install(app)
    max_upload_bytes = container.settings.max_upload_bytes
    app.state.places = places = UploadPlaces(container.settings.max_concurrent_uploads)
    app.add_middleware(BodyLimit, max_upload_bytes=max_upload_bytes)
    app.add_middleware(UploadGate, places=places, room=container.disk_room, max_upload_bytes=max_upload_bytes)
    app.add_middleware(RequestLog, probe_every=container.settings.log_probe_every)
    app.add_middleware(RequestMetrics, counters=container.request_counters, routes=app.routes)
    app.add_api_route("/", _to_docs, include_in_schema=False)
    app.router.routes.extend(ALL_ROUTES.routes)
    app.openapi = partial(openapi.describe, app, URL_ROUTERS)
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
