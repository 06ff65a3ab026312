"""Streams of events over real connections: clients that leave, clients that stay when the server is to stop."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import cast

import httpx
import pytest
import uvicorn

from hansard.bootstrap import Container
from hansard.domain.events import EngineEnabled
from hansard.http.app import create_app
from hansard.http.server import Server
from tests.unit.http.api import FakeContainer

PATIENCE_SECONDS = 20.0


class Api:
    """On fakes, at a port of its own. It would wait for its streams for ever when it is to stop."""

    def __init__(self) -> None:
        self.container = FakeContainer()
        app = create_app(cast(Container, self.container))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.server = Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=None), app.state.streams)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True)
        self.thread.start()

    def stop(self) -> bool:
        """Whether it did."""
        self.server.should_exit = True
        self.thread.join(PATIENCE_SECONDS)
        self.listener.close()
        return not self.thread.is_alive()

    def write(self, subject: str) -> None:
        with self.container.unit_of_work() as uow:
            uow.events.append(EngineEnabled(subject=subject, occurred_at=datetime(2026, 1, 1, tzinfo=UTC)))
            uow.commit()


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    assert api.stop()


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_server_with_streams_open_stops_and_they_end_in_order(api: Api) -> None:
    with ExitStack() as opened, httpx.Client(base_url=api.url, limits=httpx.Limits(max_connections=50)) as client:
        streams = [opened.enter_context(client.stream("GET", "/events/stream", timeout=None)) for _ in range(20)]
        assert api.stop()
        # A body that was cut off would raise.
        assert {stream.read() for stream in streams} == {b"retry: 2000\n\n"}


def test_what_is_committed_arrives(api: Api) -> None:
    with httpx.stream("GET", f"{api.url}/events/stream?after=0", timeout=PATIENCE_SECONDS) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 2000"
        api.write("a")
        assert [next(lines) for _ in range(3)] == ["", "event: engine.enabled", "id: 1"]


def test_a_client_that_leaves_is_let_go_of(api: Api) -> None:
    with httpx.stream("GET", f"{api.url}/events/stream", timeout=PATIENCE_SECONDS):
        eventually(lambda: api.container.event_feed.followers == 1)
    eventually(lambda: api.container.event_feed.followers == 0)
