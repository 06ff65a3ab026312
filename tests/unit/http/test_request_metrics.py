"""What is counted of requests."""

import asyncio
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from hansard.http.middleware.request_metrics import RequestMetrics
from tests.unit.http.api import TALK, FakeContainer, client_of, submit

DURATION = "hansard_http_request_duration_seconds"
TRANSCRIPTION = "/transcriptions/{transcription_id}"


def value(container: FakeContainer, metric: str, **labels: str) -> float | None:
    return container.registry.get_sample_value(metric, labels)


def answered(container: FakeContainer, route: str, method: str, status: str) -> float | None:
    return value(container, f"{DURATION}_count", route=route, method=method, status=status)


def test_a_request_is_counted_by_the_template_of_its_route(container: FakeContainer, client: TestClient) -> None:
    transcription_id = submit(client)["id"]
    client.get(f"/transcriptions/{transcription_id}")
    client.get("/transcriptions/0193ab12-5f6e-4c3d-8b2a-1c0d9e8f7a6b")

    assert answered(container, "/transcriptions", "POST", "2xx") == 1
    assert answered(container, TRANSCRIPTION, "GET", "2xx") == 1
    assert answered(container, TRANSCRIPTION, "GET", "4xx") == 1


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/models/somebody/own-model", "/v1/models/{model}"),
        ("/engines/fake", "/engines/{name}"),
        ("/health", "/health"),
        ("/static-offline-docs/swagger-ui.css", "/static-offline-docs"),
        ("/transcriptions/a/b/c/d", "unknown"),
        ("/../etc/passwd", "unknown"),
        ("/health%0A", "unknown"),
    ],
)
def test_paths_that_clients_make_up_share_one_name(
    container: FakeContainer, client: TestClient, path: str, route: str
) -> None:
    client.get(path)

    routes = {
        sample.labels["route"]
        for family in container.registry.collect()
        if family.name == "hansard_http_requests_in_flight"
        for sample in family.samples
    }
    assert routes == {route}


def test_methods_that_clients_make_up_share_one_name(container: FakeContainer, client: TestClient) -> None:
    client.request("BREW", "/health")
    client.request("WHEN", "/health")

    assert answered(container, "/health", "other", "4xx") == 2


def test_what_is_refused_before_its_route_is_counted_there(container: FakeContainer) -> None:
    container.free_disk_bytes = 0

    client_of(container).post("/transcriptions", files={"file": ("talk.wav", TALK)})

    assert answered(container, "/transcriptions", "POST", "5xx") == 1


def test_the_bytes_of_bodies_are_counted(container: FakeContainer, client: TestClient) -> None:
    answer = client.post("/v1/audio/speech", content=b"x" * 1000)

    labels = {"route": "/v1/audio/speech", "method": "POST"}
    assert value(container, "hansard_http_response_bytes_total", **labels) == len(answer.content)


def test_what_comes_in_is_counted_as_far_as_it_was_read(container: FakeContainer, client: TestClient) -> None:
    submit(client)

    received = value(container, "hansard_http_request_bytes_total", route="/transcriptions", method="POST")
    assert received is not None
    assert len(TALK) < received < len(TALK) + 1000


def test_an_unexpected_error_is_a_5xx(container: FakeContainer) -> None:
    def broken() -> Any:
        raise RuntimeError("boom")

    container.unit_of_work = broken  # type: ignore[method-assign]

    client_of(container).get("/transcriptions")

    assert answered(container, "/transcriptions", "GET", "5xx") == 1


# ── By hand, message by message ──────────────────────────────────────────────────────────────────────────


async def nothing() -> Message:
    return {"type": "http.request", "body": b""}


async def forget(message: Message) -> None:
    pass


def scope_of(path: str) -> Scope:
    return {"type": "http", "method": "GET", "path": path, "headers": []}


def test_a_request_is_in_flight_until_it_is_answered(container: FakeContainer) -> None:
    during: list[float | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        during.append(value(container, "hansard_http_requests_in_flight", route="unknown", method="GET"))
        await send({"type": "http.response.start", "status": 204, "headers": []})

    asyncio.run(RequestMetrics(app, container.request_counters, [])(scope_of("/x"), nothing, forget))

    assert during == [1]
    assert value(container, "hansard_http_requests_in_flight", route="unknown", method="GET") == 0


def test_a_stream_of_events_is_open_until_it_ends_and_its_duration_is_that_of_its_beginning(
    container: FakeContainer,
) -> None:
    during: list[tuple[float | None, float | None]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        streams = value(container, "hansard_http_event_streams_open", route="unknown")
        during.append((streams, answered(container, "unknown", "GET", "2xx")))

    asyncio.run(RequestMetrics(app, container.request_counters, [])(scope_of("/x"), nothing, forget))

    assert during == [(1, 1)]
    assert value(container, "hansard_http_event_streams_open", route="unknown") == 0
    assert answered(container, "unknown", "GET", "2xx") == 1


def test_a_client_that_went_away_before_the_answer_is_told_apart(container: FakeContainer) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    asyncio.run(RequestMetrics(app, container.request_counters, [])(scope_of("/x"), nothing, forget))

    assert answered(container, "unknown", "GET", "none") == 1


def test_an_error_that_nobody_handled_leaves_nothing_in_flight(container: FakeContainer) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError):
        asyncio.run(RequestMetrics(app, container.request_counters, [])(scope_of("/x"), nothing, forget))

    assert value(container, "hansard_http_requests_in_flight", route="unknown", method="GET") == 0
