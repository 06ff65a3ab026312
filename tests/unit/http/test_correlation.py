"""What ties a request to its log, its events, its job and its trace."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.trace import SpanKind, StatusCode

from tests.spans import Spans, id_of, parent_of, recorded, trace_of
from tests.unit.http.api import FakeContainer, client_of, settings, submit, upload

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"


@pytest.fixture
def spans() -> Iterator[Spans]:
    with recorded() as spans:
        yield spans


def events_of(container: FakeContainer) -> list[Any]:
    with container.unit_of_work() as uow:
        return list(uow.events.after(0, limit=100))


def test_events_tell_of_the_request_and_the_trace_that_led_to_them(
    client: TestClient, container: FakeContainer
) -> None:
    client.headers.update({"X-Request-ID": "r-1", "traceparent": TRACEPARENT})
    submit(client)

    entries = events_of(container)
    assert [entry.type for entry in entries] == ["audio.uploaded", "transcription.queued"]
    assert {(entry.actor, entry.request_id, entry.trace_id) for entry in entries} == {("client", "r-1", TRACE_ID)}


def test_a_request_without_a_trace_is_given_one_and_its_events_have_it(
    client: TestClient, container: FakeContainer, log: list[Any]
) -> None:
    upload(client)

    (entry,) = events_of(container)
    assert re.fullmatch("[0-9a-f]{32}", entry.trace_id)
    assert log[-1]["extra"]["trace_id"] == entry.trace_id


def test_a_traceparent_that_is_none_is_replaced(client: TestClient, log: list[Any]) -> None:
    client.get("/audio", headers={"traceparent": f"00-{'0' * 32}-{SPAN_ID}-01"})

    assert re.fullmatch("(?!0{32})[0-9a-f]{32}", log[-1]["extra"]["trace_id"])


def test_the_line_of_a_request_has_the_template_of_its_route(client: TestClient, log: list[Any]) -> None:
    audio = upload(client)
    client.get(f"/audio/{audio['id']}")
    client.get("/nothing")

    assert [line["extra"]["route"] for line in log] == ["/audio", "/audio/{audio_id}", None]


def test_the_line_of_a_refused_request_says_whose_move_it_is(client: TestClient, log: list[Any]) -> None:
    client.get("/audio/0193ab12-5f6e-4c3d-8b2a-1c0d9e8f7a6b")
    client.get("/audio?limit=x")
    client.get("/v1/models/none")

    assert [(line["extra"]["code"], line["extra"]["category"]) for line in log] == [
        ("not_found", "client"),
        ("invalid_request", "client"),
        ("unknown_model", "client"),
    ]


def test_health_checks_that_fail_are_logged_in_any_case(container: FakeContainer, log: list[Any]) -> None:
    client_of(container).get("/health/ready")  # before anybody has looked

    assert [line["level"].name for line in log] == ["INFO"]


def test_one_in_so_many_health_checks_is_logged_where_that_is_asked_for(log: list[Any]) -> None:
    client = client_of(FakeContainer(settings=settings(log_probe_every=3)))
    for _ in range(7):
        client.get("/health/live")

    levels = [line["level"].name for line in log]
    assert levels == ["INFO", "DEBUG", "DEBUG", "INFO", "DEBUG", "DEBUG", "INFO"]


# ── Traces ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_request_is_a_span_named_for_its_route(client: TestClient, spans: Spans) -> None:
    audio = upload(client)
    client.get(f"/audio/{audio['id']}?cursor=secret", headers={"X-Request-ID": "r-1", "traceparent": TRACEPARENT})

    span = spans.named("GET /audio/{audio_id}")
    assert span.kind is SpanKind.SERVER
    assert (trace_of(span), parent_of(span)) == (TRACE_ID, SPAN_ID)
    facts = dict(span.attributes or {})
    assert facts.pop("http.response.body.size", 0) > 0
    assert facts == {
        "http.request.method": "GET",
        "http.route": "/audio/{audio_id}",
        "http.response.status_code": 200,
        "http.request.body.size": 0,
        "url.path": f"/audio/{audio['id']}",
        "url.scheme": "http",
        "server.address": "testserver",
        "server.port": 80,
        "network.protocol.version": "1.1",
        "hansard.request_id": "r-1",
    }


def test_the_answer_names_the_span_it_is_of(client: TestClient, spans: Spans) -> None:
    answer = client.get("/audio", headers={"traceparent": TRACEPARENT})

    assert answer.headers["traceresponse"] == f"00-{TRACE_ID}-{id_of(spans.named('GET /audio'))}-01"
    assert "traceparent" not in answer.headers


def test_without_traces_the_answer_names_none(client: TestClient) -> None:
    assert "traceresponse" not in client.get("/audio", headers={"traceparent": TRACEPARENT}).headers


def test_a_refusal_is_no_error_of_ours(client: TestClient, spans: Spans) -> None:
    client.get("/audio/0193ab12-5f6e-4c3d-8b2a-1c0d9e8f7a6b")

    span = spans.named("GET /audio/{audio_id}")
    assert span.status.status_code is StatusCode.UNSET
    assert (span.attributes or {})["hansard.error.code"] == "not_found"


def test_an_unexpected_error_ends_the_span_in_error(
    container: FakeContainer, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(container, "unit_of_work", broken)
    client_of(container).get("/audio")

    span = spans.named("GET /audio")
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "500"


def test_health_checks_are_no_spans(client: TestClient, spans: Spans) -> None:
    client.get("/health/live", headers={"traceparent": TRACEPARENT})

    assert not spans.all


def test_a_live_session_is_one_span_and_its_answer_has_the_ids(client: TestClient, spans: Spans) -> None:
    with client.websocket_connect("/live?nonsense=1", headers={"X-Request-ID": "r-1"}) as socket:
        socket.receive_json()

    span = spans.named("WebSocket /live")
    assert span.kind is SpanKind.SERVER
    assert (span.attributes or {})["hansard.request_id"] == "r-1"


def test_what_a_live_session_becomes_belongs_to_its_request(client: TestClient, container: FakeContainer) -> None:
    with client, client.websocket_connect("/live", headers={"X-Request-ID": "r-1", "traceparent": TRACEPARENT}) as live:
        live.send_bytes(b"\x01\x00" * 16_000)
        live.send_json({"type": "end"})
        while live.receive_json()["type"] != "ended":
            pass

    assert {(entry.actor, entry.request_id, entry.trace_id) for entry in events_of(container)} == {
        ("client", "r-1", TRACE_ID)
    }
