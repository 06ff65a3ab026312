"""docs/events.md tells of every event."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from hansard.cli import event_docs
from hansard.domain.events import EVENT_TYPES, Event

DOCUMENT = Path(__file__).parents[2] / "docs" / "events.md"


def test_the_document_is_that_of_the_code() -> None:
    event_docs.write(DOCUMENT, check=True)


def test_every_event_has_a_place_and_a_description() -> None:
    text = event_docs.event_list()
    for kind in EVENT_TYPES.values():
        assert f"### `{kind.type}`\n\n{event_docs.description(kind)}\n" in text


def test_an_event_without_a_description_is_noticed() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Undescribed(Event):
        type = "engine.undescribed"

    with pytest.raises(ValueError, match="Undescribed has no docstring"):
        event_docs.description(Undescribed)


def test_a_document_that_lags_is_noticed_and_what_people_wrote_stays(tmp_path: Path) -> None:
    document = tmp_path / "events.md"
    document.write_text(f"By hand.\n\n{event_docs.MARK}\n\nold\n")
    with pytest.raises(typer.Exit):
        event_docs.write(document, check=True)
    event_docs.write(document, check=False)
    event_docs.write(document, check=True)
    assert document.read_text() == f"By hand.\n\n{event_docs.event_list()}"
