"""`/analytics/alerts`: where each rule stands, and what there was."""

from datetime import UTC, datetime

import pytest

from hansard.application.announce import Announce, Occasion
from hansard.application.ports.work import WorkerState

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def worker():
    return WorkerState(
        name="worker-1", host="here", pid=7, started_at=NOON, seen_at=NOON, models=(), transcription_id=None
    )


def evaluated(container, *, for_seconds=0):
    container.alerts.evaluate()
    container.alerts.evaluate_here()
    if for_seconds:
        container.clock.advance(for_seconds)
        evaluated(container)


def alert(client, name):
    return next(item for item in client.get("/analytics/alerts").json()["items"] if item["name"] == name)


def test_rules_that_were_never_judged_are_listed_with_what_they_mean(client):
    answer = client.get("/analytics/alerts").json()

    assert answer["firing"] == 0
    assert {item["state"] for item in answer["items"]} == {"ok"}
    found = alert(client, "no_worker")
    assert (found["threshold"], found["breaks"], found["unit"]) == (1.0, "below", "count")
    assert (found["severity"], found["fire_after_seconds"]) == ("critical", 60.0)
    assert (found["value"], found["measured_at"], found["since"]) == (None, None, None)


def test_what_fires_comes_first_with_what_to_do(client, container):
    evaluated(container, for_seconds=61)

    answer = client.get("/analytics/alerts").json()

    assert answer["firing"] == 1
    first = answer["items"][0]
    assert (first["name"], first["state"], first["firing"], first["value"]) == ("no_worker", "firing", True, 0.0)
    assert first["message"] == "No worker is alive: recordings wait."
    assert "hansard worker" in first["help"]
    assert first["fired_at"] == first["since"] == "2026-01-01T00:01:01Z"


def test_what_is_each_machines_own_has_a_row_for_each(client, container):
    evaluated(container)

    assert alert(client, "disk@here")["rule"] == "disk"


def test_what_could_not_be_measured_says_so(client, container):
    evaluated(container)
    container.database.alerts["disk@here"].miss("The disk is gone.")

    assert alert(client, "disk@here")["trouble"] == "The disk is gone."


def test_the_history_is_newest_first_and_comes_in_pages(client, container, worker):
    evaluated(container, for_seconds=61)
    container.database.workers.append(worker)
    evaluated(container, for_seconds=61)

    first = client.get("/analytics/alerts/history", params={"limit": 1}).json()
    second = client.get("/analytics/alerts/history", params={"limit": 1, "cursor": first["next_cursor"]}).json()

    (over,), (fired,) = first["items"], second["items"]
    assert (over["name"], over["state"], over["firing_seconds"], over["message"]) == ("no_worker", "ok", 61.0, None)
    assert (fired["state"], fired["severity"], fired["firing_seconds"]) == ("firing", "critical", None)
    assert second["next_cursor"] is None


def test_a_cursor_of_somebody_else_is_refused(client):
    answer = client.get("/analytics/alerts/history", params={"cursor": "nonsense"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


def test_people_are_notified_in_the_commit_that_makes_an_alert_fire(container):
    container.database.announce = Announce(
        recipients=("mail-1",), occasions=frozenset({Occasion.ALERTS}), public_url=None
    )

    evaluated(container, for_seconds=61)

    (notification,) = container.database.notifications
    assert notification.title == "Hansard: no_worker is firing (critical)"
