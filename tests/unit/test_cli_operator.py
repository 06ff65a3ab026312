"""`hansard alerts`, `hansard notify` and `hansard prune`."""

import json
from contextlib import contextmanager
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from hansard import bootstrap, cli
from hansard.application.retention import Kept, OldCheckpoints, Prune
from hansard.domain.errors import NotificationFailed, StorageError
from hansard.settings import Settings
from tests.alerts import FakeNotifier
from tests.unit.http.api import TALK, FakeContainer


@pytest.fixture
def container(monkeypatch):
    container = FakeContainer()

    @contextmanager
    def opened_container():
        yield container

    monkeypatch.setattr("hansard.cli.start.opened_container", opened_container)
    return container


def run(*arguments):
    return CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)


def firing(container):
    for _ in range(2):
        container.alerts.evaluate()
        container.clock.advance(61)


# ── Alerts ───────────────────────────────────────────────────────────────────────────────────────────────


def test_while_nothing_fires_the_rules_are_listed_and_all_is_well(container):
    answer = run("alerts")

    assert answer.exit_code == 0
    assert "error_rate" in answer.output
    assert "above 10.0%" in answer.output


def test_what_fires_is_listed_with_what_to_do_and_an_exit_code(container):
    firing(container)

    answer = run("alerts")

    assert answer.exit_code == 1
    assert "No worker is alive" in answer.output
    assert "`hansard worker` run workers" in answer.output


def test_programs_get_alerts_as_json(container):
    firing(container)

    assert json.loads(run("alerts", "--json").output)["firing"] == 1


def test_the_history_says_what_fired(container):
    firing(container)

    assert "No worker is alive" in run("alerts", "history").output
    assert json.loads(run("alerts", "history", "--json").output)[0]["name"] == "no_worker"


# ── Notifications ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def people(monkeypatch):
    people = FakeNotifier("mail-1", "chat-2")
    monkeypatch.setattr("hansard.bootstrap.notifier", lambda settings: people)
    monkeypatch.setattr("hansard.cli.start.start_quietly", lambda: None)  # it sets up the log of the whole process
    return people


def test_each_recipient_is_tried(people):
    answer = run("notify", "test")

    assert answer.exit_code == 0
    assert [notification.recipient for notification in people.sent] == ["mail-1", "chat-2"]
    assert "mail-1 was told." in answer.output


def test_who_cannot_be_told_does_not_keep_the_others(people):
    people.failures = [NotificationFailed("mail-1 could not be told.", help="Look at its URL.")]

    answer = run("notify", "test")

    assert answer.exit_code == 1
    assert "mail-1 could not be told. Look at its URL." in answer.output
    assert "chat-2 was told." in answer.output


def test_where_nobody_is_named_that_is_said(people):
    people.recipients = ()

    assert "HANSARD_NOTIFY_URLS is not set" in run("notify", "test").output


@pytest.mark.parametrize(
    ("urls", "kinds"),
    [
        ("json://one,json://two", ["json", "json"]),
        ("mailto://a:b@c.org json://two\n", ["mailto", "json"]),
        ("mailto://a:b@c.org?to=x@c.org,y@c.org, json://two", ["mailto", "json"]),
        (" , ", []),
    ],
)
def test_urls_are_told_apart_by_commas_and_spaces(urls, kinds):
    people = bootstrap.notifier(Settings(_env_file=None, notify_urls=urls))

    assert [name.rpartition("-")[0] for name in people.recipients] == kinds


# ── Pruning ──────────────────────────────────────────────────────────────────────────────────────────────


def an_old_one(container):
    transcription = container.submitted(TALK)
    container.transcribe(transcription.id)
    container.clock.advance(timedelta(days=31).total_seconds())


def test_a_dry_run_tells_what_would_go_and_removes_nothing(container):
    an_old_one(container)

    answer = run("prune", "--dry-run")

    assert answer.exit_code == 0
    assert "Would go" in answer.output
    assert "30 days" in answer.output
    assert container.database.speech


def test_pruning_removes_what_is_old_and_tells_it(container):
    an_old_one(container)

    (told,) = json.loads(run("prune", "--json").output)

    assert told == {"what": "checkpoints", "keep_days": 30.0, "count": 1, "size_bytes": 100, "error": None}
    assert not container.database.speech


def test_what_could_not_be_removed_is_told_with_an_exit_code(container, monkeypatch):
    def away():
        raise StorageError("The database is away.")

    month = timedelta(days=30)
    kept = (Kept(name="checkpoints", keep_for=month, holding=OldCheckpoints(unit_of_work=away)),)
    monkeypatch.setattr(FakeContainer, "prune", Prune(kept=kept, seconds_each=60, clock=container.clock))

    answer = run("prune")

    assert answer.exit_code == 1
    assert "The database is away." in answer.output
