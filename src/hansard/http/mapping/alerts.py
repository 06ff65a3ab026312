"""Where an alert rule stands, and what fired when."""

from collections.abc import Iterator

from hansard.application.alert_rules import HELP
from hansard.application.alerts import Standing
from hansard.domain.alert import Alert, AlertState, Rule
from hansard.domain.audit import Entry
from hansard.domain.events import AlertFired
from hansard.http.schemas import alerts as schemas


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


def news_json(entry: Entry) -> schemas.AlertNews:
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
