"""One running service for all tests that don't break it."""

from collections.abc import Iterator

import pytest

from tests.e2e.service import Service, open_directory


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    with open_directory() as directory:
        service = Service(directory).start()
        yield service
        service.stop()
