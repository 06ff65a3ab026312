"""How an error becomes an answer: one table, and RFC 9457 problem details for everything that is refused. Below `/v1`,
OpenAI's own shape takes their place.

The answer says what is wrong, whose move it is and what to do next. What a stranger should not see, such as the
message of an unexpected exception, stays in the log, under the request id that the answer carries.
"""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from loguru import logger
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from hansard.domain import errors
from hansard.domain.errors import Category, HansardError, QueueFull
from hansard.http.openai import errors as openai_errors
from hansard.http.schemas.problems import FieldError, Problem

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
"""Where an error is worth another try and does not say when."""


class TusRefused(errors.InvalidRequest):
    """A request that the tus protocol does not allow."""

    code = "bad_upload_request"


class TusVersionRefused(TusRefused):
    code = "tus_version_unsupported"


class TusTypeRefused(TusRefused):
    code = "upload_type_unsupported"


CHECKSUM_MISMATCH = 460
"""The tus protocol's own number."""

STATUS_OF: Mapping[type[HansardError], int] = {
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.UploadGone: HTTPStatus.GONE,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.RevisionMismatch: HTTPStatus.PRECONDITION_FAILED,
    errors.UploadInUse: HTTPStatus.LOCKED,
    errors.InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.ChecksumMismatch: CHECKSUM_MISMATCH,
    TusRefused: HTTPStatus.BAD_REQUEST,
    TusVersionRefused: HTTPStatus.PRECONDITION_FAILED,
    TusTypeRefused: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.InvalidAudio: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.EngineRejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.OwnerQueueFull: HTTPStatus.TOO_MANY_REQUESTS,
    errors.QueueFull: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.EngineUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.UploadsBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DownloadFailed: HTTPStatus.BAD_GATEWAY,
    errors.DownloadTimedOut: HTTPStatus.GATEWAY_TIMEOUT,
    errors.StorageError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DiskScarce: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.ConfigurationError: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The nearest ancestor of an error's class counts; what has none is a 500."""

CODE_OF: Mapping[int, str] = {
    400: "bad_request",
    404: "unknown_path",
    405: "method_not_allowed",
    428: "precondition_required",
    408: "upload_stalled",
    413: "too_large",
}
"""Codes of refusals that the framework makes itself."""


REFUSAL = "refusal"
"""Where a request's state has the code and the category that its line in the log shows."""

BODY_UNWANTED: Mapping[str, str] = {"Connection": "close"}
"""Goes with an answer given before all of the body has come in: without it the client would go on sending."""


class TooLarge(HTTPException):
    """Raised while a body comes in: the framework passes HTTP exceptions on, whoever raises them."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The request is larger than the {limit_bytes:,} bytes allowed here.",
            headers=BODY_UNWANTED,
        )


def problem_response(
    request_id: str | None,
    status: int,
    *,
    detail: str,
    code: str,
    category: Category,
    help: str | None = None,
    errors: list[FieldError] | None = None,
    backlog_seconds: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    problem = Problem(
        title="Checksum Mismatch" if status == CHECKSUM_MISMATCH else HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        category=category,
        help=help,
        request_id=request_id,
        errors=errors,
        backlog_seconds=backlog_seconds,
    )
    leave_out = {name for name in ("errors", "backlog_seconds") if getattr(problem, name) is None}
    return Response(problem.model_dump_json(exclude=leave_out), status, dict(headers or {}), media_type=MEDIA_TYPE)


def _answer(
    scope: Scope,
    status: int,
    *,
    detail: str,
    code: str,
    category: Category,
    help: str | None = None,
    param: str | None = None,
    errors: list[FieldError] | None = None,
    backlog_seconds: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """In the shape of the API that was asked; `param` is the field at fault, which OpenAI's names."""
    scope.setdefault("state", {})[REFUSAL] = {"code": code, "category": category.value}
    if openai_errors.speaks_openai(scope["path"]):
        return openai_errors.refusal(
            status, detail=detail, code=code, category=category, help=help, param=param, headers=headers
        )
    return problem_response(
        scope.get("state", {}).get("request_id"),
        status,
        detail=detail,
        code=code,
        category=category,
        help=help,
        errors=errors,
        backlog_seconds=backlog_seconds,
        headers=headers,
    )


def install(app: FastAPI) -> None:
    """Answer every refusal in one shape. Unexpected exceptions are answered by `middleware.request_log`."""
    app.add_exception_handler(HansardError, _domain_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _framework_refusal)


def unexpected_problem(scope: Scope) -> Response:
    return _answer(
        scope,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        detail="An unexpected error stopped this request.",
        code="internal_error",
        category=Category.INTERNAL,
        help=f"The service's log has the details, under request id {scope['state']['request_id']}.",
    )


_NO_FAULT_OF_OURS = (QueueFull, errors.UploadsBusy, errors.DownloadFailed)
"""They may refuse many requests, each of which has its line in the log already."""


def refused(request: Request, error: HansardError, *, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that tells of `error`, with `headers` beside those it needs."""
    failure = error.failure
    status = _status_of(type(error))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, _NO_FAULT_OF_OURS):
        told = logger.opt(exception=error).bind(code=failure.code, category=failure.category.value)
        told.error("The request could not be served.")
    more_headers = dict(headers or {})
    if failure.retryable:
        more_headers["Retry-After"] = str(_retry_after_seconds(error))
    return _answer(
        request.scope,
        status,
        detail=_sentence(failure.message),
        code=failure.code,
        category=failure.category,
        help=failure.help,
        param=error.param if isinstance(error, openai_errors.Unsupported) else None,
        backlog_seconds=round(error.backlog_seconds, 1) if isinstance(error, QueueFull) else None,
        headers=more_headers,
    )


def _domain_error(request: Request, error: Exception) -> Response:
    return refused(request, cast(HansardError, error))


def _retry_after_seconds(error: HansardError) -> int:
    return ceil(error.retry_after_seconds) if isinstance(error, QueueFull) else RETRY_AFTER_SECONDS


def _status_of(kind: type[HansardError]) -> int:
    for ancestor in kind.__mro__:
        if ancestor in STATUS_OF:
            return STATUS_OF[ancestor]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def _invalid_request(request: Request, error: Exception) -> Response:
    found = [_field_error(each) for each in cast(RequestValidationError, error).errors()]
    return _answer(
        request.scope,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        detail=" ".join(f"{each.field}: {each.message}." for each in found),
        code="invalid_request",
        category=Category.CLIENT,
        help="GET /docs describes each request and its fields.",
        param=found[0].field,
        errors=found,
    )


def _field_error(error: Mapping[str, Any]) -> FieldError:
    """What the client sent is not repeated: it may be long, secret, or not even text."""
    where: Sequence[object] = error["loc"]
    # The first part says body, query or path; JSON that cannot be read has a position instead of a name.
    path = [str(part) for part in where[1:] if not isinstance(part, int)]
    field = _printable(path) or str(where[0])
    if error["type"] == "value_error" and field == "file":
        message = "must be the recording itself, as a file part of multipart/form-data"
    else:
        message = _MESSAGES.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")
    return FieldError(field=field, code=error["type"], message=message)


_MESSAGES = {
    "extra_forbidden": "is not a parameter here",
    "missing": "is required",
    "json_invalid": "is not valid JSON",
    "dict_type": "must be an object",
    "model_attributes_type": "must be a JSON object, sent with Content-Type: application/json",
    "uuid_parsing": "must be a UUID",
}


def _printable(path: Iterable[str]) -> str:
    """A field's name comes from the client: keep it short and encodable."""
    return ".".join(path).encode("utf-8", "replace").decode()[:200]


def _framework_refusal(request: Request, error: Exception) -> Response:
    refusal = cast(HTTPException, error)
    status = refusal.status_code
    headers = dict(refusal.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        # The framework names the methods of one route; a path may have several.
        headers["Allow"] = ", ".join(_methods_of_path(request))
    return _answer(
        request.scope,
        status,
        detail=_DETAILS.get(status) or _sentence(refusal.detail),
        code=CODE_OF.get(status, "http_error"),
        category=Category.CLIENT,
        help=_HELP.get(status),
        headers=headers,
    )


_DETAILS = {
    404: "There is nothing at this path.",
    405: "This path does not answer to that method.",
    428: "A change must say, in If-Match, which revision of the transcript it is made to.",
}
_HELP = {
    400: "Send JSON as application/json, and a recording as multipart/form-data, in the field `file`.",
    404: "GET /docs lists the paths.",
    405: "The Allow header lists the methods; GET /docs describes them.",
    428: "Send the ETag of GET /transcriptions/{id}, or of the last change, as it is; `*` to change it in any case.",
    408: "HEAD tells how far the upload is: go on from there.",
    413: "Send a smaller file, compressed audio for instance, or raise HANSARD_MAX_UPLOAD_BYTES.",
}


def _methods_of_path(request: Request) -> list[str]:
    app = cast(FastAPI, request.app)
    return [
        method
        for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in app.routes)
    ]


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else f"{text}."
