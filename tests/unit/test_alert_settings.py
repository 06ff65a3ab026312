"""`HANSARD_ALERTS` and `HANSARD_NOTIFY_ON`: what of the rules is other than by default."""

import pytest

from hansard.bootstrap import watching
from hansard.domain.alert import RuleName, Severity
from hansard.settings import SettingsError, load
from tests.fakes import FakeDatabase


def rules(monkeypatch, alerts):
    monkeypatch.setenv("HANSARD_ALERTS", alerts)
    alerts = watching.alerts(load(), FakeDatabase().unit_of_work)
    return {rule.name: rule for rule in alerts.rules}


def test_a_rule_is_tuned_in_what_is_named_and_nothing_else(monkeypatch):
    before = rules(monkeypatch, "{}")[RuleName.BACKLOG]

    after = rules(monkeypatch, '{"backlog": {"threshold": 7200, "severity": "critical"}}')[RuleName.BACKLOG]

    assert (after.threshold, after.severity) == (7200, Severity.CRITICAL)
    assert after.fire_after_seconds == before.fire_after_seconds


def test_a_rule_is_switched_off_with_false_and_the_others_stay(monkeypatch):
    found = rules(monkeypatch, '{"fallbacks": false}')

    assert set(RuleName) - set(found) == {RuleName.FALLBACKS}


@pytest.mark.parametrize(
    ("alerts", "complaint"),
    [
        ('{"backlogs": false}', "'backlog'"),
        ('{"backlog": {"treshold": 5}}', "extra inputs are not permitted"),
        ('{"backlog": {"fire_after_seconds": -1}}', "greater than or equal to 0"),
        ("{backlog", "is not JSON"),
    ],
)
def test_what_cannot_be_used_is_told_with_the_variable(monkeypatch, alerts, complaint):
    monkeypatch.setenv("HANSARD_ALERTS", alerts)

    with pytest.raises(SettingsError, match="HANSARD_ALERTS") as raised:
        load()

    assert complaint in str(raised.value)


def test_people_are_told_of_alerts_unless_they_want_more(monkeypatch):
    assert load().notify_on == ("alerts",)

    monkeypatch.setenv("HANSARD_NOTIFY_ON", "alerts, failed")

    assert load().notify_on == ("alerts", "failed")


def test_urls_of_recipients_are_not_shown(monkeypatch):
    monkeypatch.setenv("HANSARD_NOTIFY_URLS", "slack://secret")

    assert "secret" not in repr(load())
