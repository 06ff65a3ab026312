"""What somebody should know: the rules, where each stands, and what fired when."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query

from hansard.application.alert_rules import HELP
from hansard.application.alerts import Standing
from hansard.application.ports.events import EventQuery
from hansard.domain.alert import Alert, AlertState, Rule
from hansard.domain.audit import Entry
from hansard.domain.events import AlertFired, AlertResolved
from hansard.http import alert_schemas as schemas
from hansard.http.dependencies import TheContainer
from hansard.http.schemas import PageQuery

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
    return schemas.AlertHistory(items=[_news_json(entry) for entry in page.items], next_cursor=page.next_cursor)


def alerts_json(standing: Standing) -> Iterator[schemas.Alert]:
    """A rule that was never judged has one that is `ok`."""
    for alert in standing.alerts or (Alert(name=standing.rule.name),):
        yield _alert_json(standing.rule, alert)


def _alert_json(rule: Rule, alert: Alert) -> schemas.Alert:
    return schemas.Alert(
        name=alert.name,
        rule=rule.name,
        state=alert.state,
        firing=alert.is_firing,
        severity=rule.severity,
        unit=rule.unit,
        value=alert.value,
        threshold=rule.threshold,
        breaks="below" if rule.warns_below else "above",
        fire_after_seconds=rule.fire_after_seconds,
        resolve_after_seconds=rule.resolve_after_seconds,
        message=alert.message,
        help=HELP[rule.name],
        since=alert.since,
        fired_at=alert.fired_at,
        measured_at=alert.measured_at,
        trouble=alert.trouble,
    )


def _news_json(entry: Entry) -> schemas.AlertNews:
    data = entry.data
    return schemas.AlertNews(
        id=entry.id,
        occurred_at=entry.occurred_at,
        name=entry.subject,
        state=AlertState.FIRING if entry.type == AlertFired.type else AlertState.OK,
        severity=data["severity"],
        value=data["value"],
        threshold=data["threshold"],
        message=data.get("message"),
        firing_seconds=data.get("firing_seconds"),
    )
