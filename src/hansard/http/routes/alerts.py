"""What somebody should know: the rules, where each stands, and what fired when."""

from typing import Annotated

from fastapi import APIRouter, Query

from hansard.application.ports.events import EventQuery
from hansard.domain.events import AlertFired, AlertResolved
from hansard.http.dependencies import TheContainer
from hansard.http.mapping.alerts import alerts_json, news_json
from hansard.http.schemas import alerts as schemas
from hansard.http.schemas.fields import PageQuery

router = APIRouter(prefix="/analytics/alerts", tags=["analytics"])

_NEWS = EventQuery(types=(AlertFired.type, AlertResolved.type))


@router.get("", summary="List the alert rules, and where each stands")
def list_alerts(container: TheContainer) -> schemas.Alerts:
    """As they were last judged, by whichever process did it. Those that are firing come first."""
    items = [item for standing in container.alerts.standings() for item in alerts_json(standing)]
    items.sort(key=lambda item: not item.firing)
    return schemas.Alerts(items=items, firing=sum(item.firing for item in items))


@router.get("/history", summary="List the alerts that fired, and those that were over")
def alert_history(parameters: Annotated[PageQuery, Query()], container: TheContainer) -> schemas.AlertHistory:
    """Newest first, as far back as events are kept."""
    with container.unit_of_work() as uow:
        page = uow.events.page(_NEWS, limit=parameters.limit, cursor=parameters.cursor)
    return schemas.AlertHistory(items=[news_json(entry) for entry in page.items], next_cursor=page.next_cursor)
