"""`hansard webhooks`: an operator's hand on what other systems are told."""

from contextlib import contextmanager
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from hansard import cli
from hansard.domain.delivery import Answer
from hansard.domain.errors import NotFound
from hansard.domain.events import AudioFileErased
from tests.unit.http.api import FakeContainer


@pytest.fixture
def container(monkeypatch):
    container = FakeContainer()

    @contextmanager
    def opened_container():
        yield container

    monkeypatch.setattr("hansard.cli.start.opened_container", opened_container)
    return container


def run(*arguments):
    return CliRunner().invoke(cli.app, ["webhooks", *map(str, arguments)], catch_exceptions=False)


def add(container):
    done = run("add", "https://example.com/hook", "--event", "audio.*", "--filter", '{"bytes_removed": true}')
    assert done.exit_code == 0, done.output
    (webhook,) = container.database.webhooks.values()
    return webhook, done.output


def happened(container):
    with container.unit_of_work() as uow:
        event = AudioFileErased(
            subject=str(uuid4()), occurred_at=container.clock(), bytes_removed=True, pipeline_runs=0
        )
        uow.events.append(event)
        uow.commit()


def test_one_is_added_and_its_secret_shown(container):
    webhook, output = add(container)
    assert webhook.terms.event_types == ("audio.*",)
    assert webhook.terms.filter == {"bytes_removed": True}
    assert webhook.secrets[0].value in output


def test_a_filter_that_is_no_object_is_a_usage_error(container):
    assert run("add", "https://example.com/", "--filter", "[1]").exit_code == 2
    assert not container.database.webhooks


def test_they_are_listed_without_their_secrets(container):
    webhook, _ = add(container)
    for output in (run("list").output, run("list", "--json").output):
        assert str(webhook.id) in output
        assert "whsec_" not in output


def test_a_test_that_is_not_taken_ends_with_1(container):
    webhook, _ = add(container)
    assert run("test", webhook.id).exit_code == 0
    container.webhook_sender.answers = [Answer(status=500)]
    assert run("test", webhook.id).exit_code == 1


def test_deliveries_are_listed_and_sent_again(container):
    webhook, _ = add(container)
    happened(container)
    container.deliver(webhook.id)
    (delivery,) = container.database.deliveries.values()
    assert str(delivery.id) in run("deliveries", webhook.id, "--outcome", "delivered").output
    assert str(delivery.id) not in run("deliveries", webhook.id, "--outcome", "failed").output
    assert run("replay", webhook.id, delivery.id).exit_code == 0
    assert len(container.database.deliveries) == 2


def test_what_was_missed_is_sent_again(container):
    webhook, _ = add(container)
    happened(container)
    container.database.deliveries.clear()
    assert "1 events" in run("replay", webhook.id, "--since", "2025-12-31").output


def test_a_replay_of_nothing_is_a_usage_error(container):
    webhook, _ = add(container)
    assert run("replay", webhook.id).exit_code == 2


@pytest.mark.usefixtures("container")
def test_an_id_that_names_nothing_is_told():
    with pytest.raises(NotFound):
        run("deliveries", uuid4())
