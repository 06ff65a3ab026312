"""The API's description, as OpenAPI: what FastAPI makes of the routes, and what it cannot know of them."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from hansard.http.errors import MEDIA_TYPE
from hansard.http.openai.errors import ENVELOPE_SCHEMA, speaks_openai
from hansard.http.schemas.problems import Problem

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


def operation_id(route: APIRoute) -> str:
    """The function's name: clients are generated from these."""
    return route.name


def describe(app: FastAPI, json_routers: Iterable[APIRouter]) -> dict[str, Any]:
    """`json_routers` take JSON at paths where `app` describes a form."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            tags=app.openapi_tags,
            routes=app.routes,
        )
        json_routes = [route for router in json_routers for route in router.routes]
        _add_json_bodies(document, get_openapi(title=app.title, version=app.version, routes=json_routes))
        _describe_problems(document)
        app.openapi_schema = document
    return app.openapi_schema


def _add_json_bodies(document: dict[str, Any], with_json: dict[str, Any]) -> None:
    """Say in the OpenAPI `document` that some paths take JSON as well as a form: it has one body for a path only."""
    document["components"]["schemas"].update(with_json["components"]["schemas"])
    for path, operations in with_json["paths"].items():
        for method, operation in operations.items():
            described = document["paths"][path][method]
            described["requestBody"]["content"].update(operation["requestBody"]["content"])
            described["responses"] = {**operation["responses"], **described["responses"]}


def _describe_problems(openapi: dict[str, Any]) -> None:
    """Say in the OpenAPI document that every refusal is a `Problem`, or OpenAI's: FastAPI only knows its own shape."""
    schemas = openapi["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    definition = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(definition.pop("$defs"))
    schemas["Problem"] = definition
    schemas["OpenAiError"] = ENVELOPE_SCHEMA
    problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    openai_error = {"application/json": {"schema": {"$ref": "#/components/schemas/OpenAiError"}}}
    for path, operations in openapi["paths"].items():
        content = openai_error if speaks_openai(path) else problem
        for operation in operations.values():
            answer = operation["responses"].get("200", {}).get("content")
            operation["responses"]["default"] = {"description": "It was refused.", "content": content}
            for status, response in operation["responses"].items():
                # What is the answer under either status, as a report of what is broken, is no refusal.
                is_refusal = "content" not in response or response["content"] != answer
                if status.isdigit() and int(status) >= HTTPStatus.BAD_REQUEST and is_refusal:
                    response["content"] = content
                if response["description"] == "Validation Error":
                    response["description"] = "A field cannot be honoured."
