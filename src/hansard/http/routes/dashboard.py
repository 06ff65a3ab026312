"""The page that shows how the service does."""

from datetime import UTC, datetime
from secrets import token_urlsafe
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from hansard.domain.period import Period
from hansard.http.dashboard.data import gather
from hansard.http.dashboard.page import DEFAULT_RANGE, RANGES, content_security_policy, render
from hansard.http.dependencies import TheContainer

router = APIRouter(tags=["analytics"])


@router.get("/analytics", summary="See how the service does", response_class=HTMLResponse)
def get_dashboard(
    request: Request,
    container: TheContainer,
    range_name: Annotated[str, Query(alias="range", pattern=f"^({'|'.join(RANGES)})$")] = DEFAULT_RANGE,
    time_zone: Annotated[str, Query(max_length=100, examples=["Europe/Zurich"])] = "UTC",
) -> HTMLResponse:
    """A page for people, complete in itself. Its figures are those of the routes below `/analytics`."""
    now, nonce = datetime.now(UTC), token_urlsafe(16)
    period = Period.of(now=now, since=now - RANGES[range_name], time_zone=time_zone)
    board = gather(container, period, made_at=now, address=str(request.base_url).rstrip("/"))
    return HTMLResponse(
        render(board, range_name=range_name, nonce=nonce),
        headers={
            "Content-Security-Policy": content_security_policy(nonce),
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        },
    )
