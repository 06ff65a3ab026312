"""docs/errors.md is true: the tables of what a provider, a model, another process and a database do wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.error_table import QUICK_SECTIONS, Row, rows, walk
from tests.openai_server import OpenAiServer
from tests.provoked import (  # noqa: F401 - imported to be registered
    analytics_failures,
    database_failures,
    local_failures,
    notification_failures,
    openai_api_failures,
    openai_failures,
    service_failures,
)
from tests.tiny_whisper import build_tiny_whisper

ROWS = [row for row in rows() if row.section not in QUICK_SECTIONS]


@pytest.fixture
def openai_server() -> Iterator[OpenAiServer]:
    with OpenAiServer() as running:
        yield running


@pytest.fixture(scope="module")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.event)
def test_what_the_table_says_is_what_happens(row: Row, request: pytest.FixtureRequest) -> None:
    walk(row, request)
