"""The line of each attempt: ids and outcomes, and no word of where it went or what it was signed with."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from loguru import logger

from hansard.application.deliver import Sent
from hansard.domain.delivery import Answer, DeliveryAttempt
from hansard.domain.errors import DeliveryTimedOut, Failure
from hansard.observability.webhooks import log_sent

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SILENCE = DeliveryTimedOut("The endpoint took too long to answer.").failure


@pytest.fixture
def records() -> Iterator[list[Any]]:
    records: list[Any] = []
    sink = logger.add(lambda message: records.append(message.record))  # type: ignore[attr-defined]
    yield records
    logger.remove(sink)


def sent(*, failure: Failure | None = None, is_last: bool = True) -> Sent:
    answer = None if failure else Answer(status=204, body="thanks")
    return Sent(
        webhook_id=UUID(int=1),
        delivery_id=UUID(int=2),
        event_type="audio.erased",
        attempt=DeliveryAttempt(number=3, began_at=NOON, ended_at=NOON, answer=answer, failure=failure),
        delay_seconds=1.5,
        is_last=is_last,
    )


def test_what_was_delivered_has_a_line_with_its_ids(records: list[Any]) -> None:
    log_sent(sent())
    (record,) = records
    assert record["level"].name == "INFO"
    assert record["extra"] == {
        "webhook_id": str(UUID(int=1)),
        "delivery_id": str(UUID(int=2)),
        "event": "audio.erased",
        "attempt": 3,
        "latency_seconds": 0.0,
        "delay_seconds": 1.5,
        "status": 204,
    }


@pytest.mark.parametrize(("is_last", "level"), [(False, "INFO"), (True, "WARNING")])
def test_a_failure_is_a_warning_only_when_it_is_given_up(records: list[Any], is_last: bool, level: str) -> None:
    log_sent(sent(failure=SILENCE, is_last=is_last))
    (record,) = records
    assert (record["level"].name, record["extra"]["code"]) == (level, "webhook_timed_out")
    assert SILENCE.message in record["message"]
