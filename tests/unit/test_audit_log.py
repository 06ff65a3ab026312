"""What the daily look at the audit trail tells the log."""

from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger

from hansard.domain.audit import Break, Head, Verdict
from hansard.observability.audit import log_audit


@pytest.fixture
def log() -> Iterator[list[Any]]:
    records: list[Any] = []
    handler = logger.add(lambda message: records.append(message.record), format="{message}")
    yield records
    logger.remove(handler)


def test_the_head_is_told_for_whoever_keeps_the_log(log: list[Any]) -> None:
    log_audit(Verdict(entries=7, head=Head(7, "ab"), broken=None))
    (line,) = log
    assert line["level"].name == "INFO"
    assert {"position": 7, "hash": "ab", "entries": 7}.items() <= line["extra"].items()


def test_a_broken_trail_is_an_error(log: list[Any]) -> None:
    log_audit(Verdict(entries=2, head=Head(2, "ab"), broken=Break(3, "Entry 3 is missing.")))
    (line,) = log
    assert line["level"].name == "ERROR"
    assert "Entry 3 is missing." in line["message"]
    assert line["extra"]["broken_at"] == 3
