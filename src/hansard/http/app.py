"""The API: routes, what every request goes through, and its description."""

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
from hansard.http.middleware import BodyLimit, RequestLog
from hansard.http.routes import audio, engines, health, metrics, transcriptions
from hansard.observability import shared_metrics
from hansard.settings import Settings

DESCRIPTION = """\
A recording goes in, a true record comes out: a transcript, or an honest account of why there is none.

    curl -F file=@talk.mp3 http://localhost:8000/transcriptions
    curl http://localhost:8000/transcriptions/{id}

What is refused is answered with [problem details](https://www.rfc-editor.org/rfc/rfc9457) that say what to do next.
Every answer carries an `X-Request-ID`, yours if you sent one; the service's log has it on every line.
Lists come in pages: follow `next_cursor` until it is null.

A request that makes something takes an `Idempotency-Key`, and may then be sent again without making it twice. Where
more is waiting than is taken on, it is refused with 503, or with 429 where it is your own, and a `Retry-After`.
"""

TAGS = [
    {"name": "transcriptions", "description": "Jobs that turn a recording into text."},
    {"name": "audio", "description": "The recordings themselves."},
    {"name": "engines", "description": "What does the listening."},
    {"name": "health", "description": "For whoever keeps the service running."},
]


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
    errors.install(app)
    app.add_middleware(BodyLimit, max_upload_bytes=container.settings.max_upload_bytes)
    app.add_middleware(RequestLog)
    app.add_api_route("/", _to_docs, include_in_schema=False)
    for router in (
        transcriptions.upload_router,
        transcriptions.router,
        audio.upload_router,
        audio.router,
        engines.router,
        health.router,
        metrics.router,
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
    yield
    container.health.stop()
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
        app.openapi_schema = errors.describe_problems(document)
    return app.openapi_schema
