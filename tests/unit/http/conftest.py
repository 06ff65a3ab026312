from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from loguru import logger

from hansard.observability.logging import add_origin
from tests.unit.http.api import FakeContainer, client_of


@pytest.fixture(autouse=True)
def _ids_in_the_log() -> Iterator[None]:
    logger.configure(patcher=add_origin)
    yield
    logger.configure(patcher=lambda record: None)


@pytest.fixture
def log() -> Iterator[list[Any]]:
    """The records that requests wrote, and nobody else."""
    records: list[Any] = []

    def keep(message: Any) -> None:
        if "request_id" in message.record["extra"]:
            records.append(message.record)

    handler = logger.add(keep, level="DEBUG", format="{message}")
    yield records
    logger.remove(handler)


@pytest.fixture
def container() -> FakeContainer:
    return FakeContainer()


@pytest.fixture
def client(container: FakeContainer) -> TestClient:
    return client_of(container)
