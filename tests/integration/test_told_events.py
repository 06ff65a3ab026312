"""Who listens to a unit of work hears of what was committed, and can do no harm."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from loguru import logger
from sqlalchemy import Engine

from hansard.domain.events import EngineEnabled, Event
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs

ENABLED = EngineEnabled(subject="openai", occurred_at=datetime(2026, 1, 1, 12, tzinfo=UTC))


@pytest.fixture
def log() -> Iterator[list[Any]]:
    records: list[Any] = []
    handler = logger.add(lambda message: records.append(message.record), format="{message}")
    yield records
    logger.remove(handler)


def unit_of_work(engine: Engine, tell: Callable[[Event], object]) -> SqlUnitOfWork:
    return SqlUnitOfWork(engine, TranscriptionJobs, tell)


def test_what_is_committed_is_told_once(engine: Engine) -> None:
    told: list[Event] = []

    with unit_of_work(engine, told.append) as uow:
        uow.events.append(ENABLED)
        assert not told
        uow.commit()
        uow.commit()

    assert told == [ENABLED]


def test_what_is_rolled_back_is_not_told(engine: Engine) -> None:
    told: list[Event] = []

    with unit_of_work(engine, told.append) as uow:
        uow.events.append(ENABLED)

    assert not told


def test_a_commit_stands_when_it_cannot_be_told_of(engine: Engine, log: list[Any]) -> None:
    def fail(_: Event) -> None:
        raise OSError("disk full")

    with unit_of_work(engine, fail) as uow:
        uow.events.append(ENABLED)
        uow.commit()

    with unit_of_work(engine, fail) as uow:
        assert uow.events.of("openai") == (ENABLED,)
    assert [(record["level"].name, record["extra"]["event"]) for record in log] == [("ERROR", "engine.enabled")]


def test_an_event_that_cannot_be_told_of_does_not_silence_the_next(engine: Engine, log: list[Any]) -> None:
    told: list[Event] = []

    def fail_first(event: Event) -> None:
        told.append(event)
        if len(told) == 1:
            raise OSError("disk full")

    with unit_of_work(engine, fail_first) as uow:
        uow.events.append(ENABLED)
        uow.events.append(ENABLED)
        uow.commit()

    assert len(told) == 2
