"""`hansard search`: what was said, where and when, on a terminal."""

from collections.abc import Generator
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner, Result

from hansard import cli
from hansard.domain.errors import InvalidRequest
from tests.search_library import a_segment, keep
from tests.unit.http.api import FakeContainer


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> FakeContainer:
    container = FakeContainer()

    @contextmanager
    def opened_container() -> Generator[FakeContainer]:
        yield container

    monkeypatch.setattr("hansard.cli.start.opened_container", opened_container)
    keep(
        container.unit_of_work,
        a_segment(3725, "At noon, by the harbour.", speaker="Ann"),
        a_segment(4000, "Noon!"),
        owner="default",
    )
    return container


def run(*arguments: str, color: bool = False) -> Result:
    """Fails where the command does, with its own error."""
    return CliRunner().invoke(cli.app, ["search", *arguments], catch_exceptions=False, color=color)


@pytest.mark.usefixtures("container")
def test_each_hit_is_a_line_with_its_recording_and_its_time() -> None:
    assert run("noon").stdout.splitlines() == [
        "minutes.mp3 1:02:05 Ann: At noon, by the harbour.",
        "minutes.mp3 1:06:40 Noon!",
    ]


@pytest.mark.usefixtures("container")
def test_what_was_found_is_bold_on_a_terminal() -> None:
    assert "At \x1b[1mnoon\x1b[0m, by" in run("noon", "--speaker", "Ann", color=True).stdout


@pytest.mark.usefixtures("container")
def test_where_there_is_more_it_is_said() -> None:
    result = run("noon", "--limit", "1")
    assert len(result.stdout.splitlines()) == 1
    assert "--limit" in result.stderr


@pytest.mark.usefixtures("container")
def test_where_nothing_is_found_it_is_said_and_the_exit_code_is_1() -> None:
    result = run("midnight")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Nothing was found" in result.stderr


@pytest.mark.usefixtures("container")
def test_what_cannot_be_looked_for_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        run('""')
