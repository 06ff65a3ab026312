"""`hansard events` and `hansard audit` on a terminal."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner, Result

from hansard import cli
from hansard.application.origin import acting
from hansard.domain.events import EngineDisabled, EngineEnabled
from tests.unit.http.api import FakeContainer

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def container(monkeypatch: pytest.MonkeyPatch) -> FakeContainer:
    """With two events."""
    container = FakeContainer()

    @contextmanager
    def opened_container() -> Generator[FakeContainer]:
        yield container

    monkeypatch.setattr("hansard.cli.start.opened_container", opened_container)
    with acting(actor="ann"), container.unit_of_work() as uow:
        uow.events.append(EngineEnabled(subject="whisper", occurred_at=NOON))
        uow.events.append(EngineDisabled(subject="openai", occurred_at=NOON, reason="too dear"))
        uow.commit()
    return container


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, [*arguments], catch_exceptions=False)


LINES = [
    "2026-01-01 12:00:00Z 1 engine.enabled whisper by ann",
    '2026-01-01 12:00:00Z 2 engine.disabled openai by ann reason="too dear"',
]


def test_events_are_listed_newest_first() -> None:
    assert run("events", "list").stdout.splitlines() == LINES[::-1]


def test_the_last_events_are_shown_newest_last() -> None:
    assert run("events", "tail").stdout.splitlines() == LINES
    assert run("events", "tail", "-n", "1").stdout.splitlines() == LINES[1:]
    assert run("events", "tail", "-n", "0").stdout == ""


@pytest.mark.parametrize(
    "filters",
    [("--type", "engine.enabled"), ("--subject", "whisper"), ("--type", "engine.*", "--subject", "whisper")],
)
@pytest.mark.parametrize("command", ["list", "tail"])
def test_events_are_filtered(command: str, filters: tuple[str, ...]) -> None:
    assert run("events", command, *filters).stdout.splitlines() == LINES[:1]


@pytest.mark.parametrize("command", ["list", "tail"])
def test_a_type_that_does_not_exist_is_refused(command: str) -> None:
    result = run("events", command, "--type", "engine.enbled")
    assert result.exit_code == 2
    assert "engine.enabled" in result.stderr


def test_for_programs_an_event_is_a_line_of_json(container: FakeContainer) -> None:
    (line,) = run("events", "list", "--json", "--limit", "1").stdout.splitlines()
    event = json.loads(line)
    assert (event["position"], event["type"], event["data"]) == (2, "engine.disabled", {"reason": "too dear"})
    assert event["hash"] == container.database.trail[1].hash


def test_where_there_is_more_it_is_said() -> None:
    assert "--limit" in run("events", "list", "--limit", "1").stderr


def test_a_trail_that_holds_together_says_so_with_its_head(container: FakeContainer) -> None:
    result = run("audit", "verify")
    assert result.exit_code == 0
    assert result.stdout == f"2 entries hold together. Head: 2:{container.database.trail[1].hash}\n"


def test_a_trail_that_was_tampered_with_says_where(container: FakeContainer) -> None:
    trail = container.database.trail
    trail[0] = replace(trail[0], subject="openai")
    result = run("audit", "verify")
    assert (result.exit_code, result.stdout) == (1, "Entry 1 was changed: its hash does not fit it.\n")


def test_the_head_that_is_printed_is_what_a_later_look_is_held_against(container: FakeContainer) -> None:
    head = run("audit", "head").stdout.strip()
    assert run("audit", "verify", "--head", head).exit_code == 0
    container.database.trail.pop()
    container.database.events.pop()
    assert run("audit", "verify").exit_code == 0
    result = run("audit", "verify", "--head", head)
    assert result.exit_code == 1
    assert "cut off" in result.stdout


def test_a_head_that_is_none_is_refused() -> None:
    result = run("audit", "verify", "--head", "2")
    assert result.exit_code == 2
    assert "hansard audit head" in result.stderr
