import pytest
from fastapi.testclient import TestClient

from tests.unit.http.api import FakeContainer, client_of


@pytest.fixture
def container() -> FakeContainer:
    return FakeContainer()


@pytest.fixture
def client(container: FakeContainer) -> TestClient:
    return client_of(container)
