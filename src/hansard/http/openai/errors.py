"""Refusals in the shape of OpenAI's API, which its clients turn into exceptions of their own.

    400 BadRequestError    the request, or the recording, cannot be honoured; `param` names the field
    404 NotFoundError      `model_not_found`, or no such path
    409 ConflictError      it was cancelled by somebody else
    413 APIStatusError     too large
    429 RateLimitError     enough of yours waits, or the provider asks us to slow down
    5xx InternalServerError  not the client's fault

OpenAI's SDK sends a request that is answered with 408, 409, 429 or 5xx twice again, unless `X-Should-Retry` says no.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Response

from hansard.domain.errors import Category, Failure, InvalidRequest, NotFound

PREFIX = "/v1"

_TYPES: Mapping[Category, str] = {
    Category.CLIENT: "invalid_request_error",
    Category.RATE_LIMIT: "rate_limit_error",
}
_TYPE_OTHERWISE = "server_error"

_STATUS_OF_FAILED_WORK: Mapping[Category, HTTPStatus] = {
    Category.CLIENT: HTTPStatus.BAD_REQUEST,
    Category.CANCELLED: HTTPStatus.CONFLICT,
    Category.RATE_LIMIT: HTTPStatus.TOO_MANY_REQUESTS,
    Category.TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    Category.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_STATUS_OTHERWISE = HTTPStatus.SERVICE_UNAVAILABLE
"""Also where our own key was refused: 401 would tell the client that his was."""


_PARAMS: Mapping[str, str] = {
    "unknown_engine": "model",
    "unknown_model": "model",
    "unsupported_language": "language",
    "prompt_not_supported": "prompt",
}
"""The field that a refusal is about which has another cause than its form."""

_MODELS_NOT_FOUND = frozenset({"unknown_engine", "unknown_model"})


class Unsupported(InvalidRequest):
    """A parameter that cannot be honoured here, named as the client sent it."""

    code = "unsupported_parameter"

    def __init__(self, param: str, message: str, *, help: str | None = None) -> None:
        super().__init__(message, help=help)
        self.param = param


class UnknownModel(NotFound):
    code = "unknown_model"


ENVELOPE_SCHEMA: Mapping[str, object] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "description": "What is wrong, and what to do next."},
                "type": {"type": "string", "enum": ["invalid_request_error", "rate_limit_error", "server_error"]},
                "param": {"type": ["string", "null"], "description": "The field that it is about."},
                "code": {"type": ["string", "null"], "description": "For programs; docs/errors.md lists them."},
            },
        }
    },
}
"""For the API's description."""


def speaks_openai(path: str) -> bool:
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def error_json(
    message: str, *, code: str | None, category: Category, help: str | None = None, param: str | None = None
) -> dict[str, object]:
    said = f"{message} {help}" if help else message
    if category is Category.CLIENT:
        param = param or _PARAMS.get(code or "")
        code = "model_not_found" if code in _MODELS_NOT_FOUND else code
    kind = _TYPES.get(category, _TYPE_OTHERWISE)
    return {"error": {"message": said, "type": kind, "param": param, "code": code}}


def refusal(
    status: int,
    *,
    detail: str,
    code: str | None,
    category: Category,
    help: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """What is 422 elsewhere is 400 in this API, or 404 where it is the model."""
    if category is Category.CLIENT and code in _MODELS_NOT_FOUND:
        status = HTTPStatus.NOT_FOUND
    elif status == HTTPStatus.UNPROCESSABLE_ENTITY:
        status = HTTPStatus.BAD_REQUEST
    body = error_json(detail, code=code, category=category, help=help, param=param)
    return Response(json.dumps(body, ensure_ascii=False), status, dict(headers or {}), media_type="application/json")


def failure_json(failure: Failure) -> dict[str, object]:
    return error_json(failure.message, code=failure.code, category=failure.category, help=failure.help)


def failed_work(failure: Failure, headers: Mapping[str, str]) -> Response:
    """The answer that tells why there is no transcript. What another try would not change is not worth one."""
    return refusal(
        _STATUS_OF_FAILED_WORK.get(failure.category, _STATUS_OTHERWISE),
        detail=failure.message,
        code=failure.code,
        category=failure.category,
        help=failure.help,
        headers={**headers, "X-Should-Retry": "true" if failure.retryable else "false"},
    )
