"""The port at which a machine's workers tell their metrics, with real sockets."""

import socket
from collections.abc import Callable, Iterator

import httpx
import pytest
from loguru import logger

from hansard.observability import metrics_server
from hansard.observability.metrics_server import MetricsServer
from tests.e2e.service import eventually, free_port

PAGE = b"hansard_build_info 1.0\n"
Serve = Callable[..., MetricsServer]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.setattr(metrics_server, "TAKE_OVER_SECONDS", 0.05)
    servers: list[MetricsServer] = []

    def serve(port: int, page: bytes = PAGE) -> MetricsServer:
        servers.append(MetricsServer(lambda: page, host="127.0.0.1", port=port))
        servers[-1].start()
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{level} {message}")
    yield lines
    logger.remove(sink)


def test_the_page_is_told_at_its_port(serve: Serve) -> None:
    server = serve(free_port())
    assert server.wait_until_listening(30)

    answer = httpx.get(f"http://127.0.0.1:{server.port}/metrics", trust_env=False)

    assert (answer.status_code, answer.content) == (200, PAGE)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_there_is_nothing_else(serve: Serve) -> None:
    server = serve(free_port())
    assert server.wait_until_listening(30)

    assert httpx.get(f"http://127.0.0.1:{server.port}/health", trust_env=False).status_code == 404


def test_a_second_worker_takes_over_when_the_first_one_ends(serve: Serve, log: list[str]) -> None:
    port = free_port()
    first = serve(port)
    assert first.wait_until_listening(30)
    second = serve(port, PAGE + b"# the second\n")
    eventually(lambda: any("Another worker answers" in line for line in log), "the second to see the first")

    first.stop()

    assert second.wait_until_listening(30)
    assert httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).content.endswith(b"# the second\n")
    assert not [line for line in log if line.startswith("WARNING")]


def test_a_port_that_something_else_has_is_told_once_with_what_to_do(serve: Serve, log: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.listen()
        server = serve(other.getsockname()[1])
        eventually(lambda: any(line.startswith("WARNING") for line in log), "a warning")
        assert not server.wait_until_listening(0.3)
    assert server.wait_until_listening(30)

    (warning,) = [line for line in log if line.startswith("WARNING")]
    assert "HANSARD_WORKER_METRICS_PORT" in warning
