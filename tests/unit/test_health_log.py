"""What the log says of a part that falls ill, and of one that is well again."""

from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger

from hansard.application.health import HealthStatus, Part, Trouble
from hansard.observability.health import log_health


@pytest.fixture
def records() -> Iterator[list[Any]]:
    records: list[Any] = []
    handler = logger.add(lambda message: records.append(message.record), level="TRACE", format="{message}")
    yield records
    logger.remove(handler)


def a_part(status: HealthStatus, *, decides: bool = True) -> Part:
    is_well = status is HealthStatus.OK
    return Part(
        name="storage",
        decides_readiness=decides,
        status=status,
        trouble=None if is_well else Trouble(code="away", message="It is away.", help="Bring it back."),
        latency_seconds=0.5,
        checked_at=None,
        last_error=None,
        detail=None,
    )


@pytest.mark.parametrize(
    ("status", "decides", "level"),
    [
        (HealthStatus.DOWN, True, "ERROR"),
        (HealthStatus.DOWN, False, "WARNING"),
        (HealthStatus.DEGRADED, True, "WARNING"),
        (HealthStatus.UNKNOWN, True, "INFO"),
    ],
)
def test_what_decides_readiness_is_an_error_when_it_is_down(
    records: list[Any], status: HealthStatus, decides: bool, level: str
) -> None:
    log_health(a_part(status, decides=decides), None)
    (record,) = records
    assert (record["level"].name, record["message"]) == (level, "It is away.")
    assert record["extra"] == {
        "part": "storage",
        "status": status.value,
        "latency_seconds": 0.5,
        "code": "away",
        "help": "Bring it back.",
    }


def test_what_was_raised_stands_in_the_log(records: list[Any]) -> None:
    error = OSError("no route to host")
    log_health(a_part(HealthStatus.DOWN), error)
    assert records[0]["exception"].value is error


def test_a_part_that_is_well_again_is_told(records: list[Any]) -> None:
    log_health(a_part(HealthStatus.OK), None)
    (record,) = records
    assert (record["level"].name, record["extra"]["status"]) == ("INFO", "ok")
