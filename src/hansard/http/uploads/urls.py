"""Recordings that are fetched from a URL: at the paths that take a form, in JSON."""

from typing import Any

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope

URL_ANSWERS: dict[int | str, dict[str, Any]] = {
    502: {"description": "`url_unreachable`, `url_failed`: the server that the URL names is at fault."},
    504: {"description": "`url_timed_out`: it took too long."},
}


class UrlRoute(APIRoute):
    """Serves a path's requests in JSON; those that send a form fall through to the route behind it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        is_json = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower() == "application/json"
        return (match, child_scope) if is_json else (Match.NONE, {})
