"""What every request goes through: its id, its line in the log, and the API's own description."""

import asyncio
import re

import pytest

from hansard.http.app import create_app
from tests.unit.http.api import TALK, client_of


def test_a_request_keeps_the_id_it_came_with(client):
    assert client.get("/health/live", headers={"X-Request-ID": "abc/1~"}).headers["x-request-id"] == "abc/1~"


@pytest.mark.parametrize("given", ["", "x" * 129, "with space", "tab\there", "émile".encode()])
def test_an_id_that_could_break_a_line_is_replaced(client, given):
    answer = client.get("/health/live", headers={"X-Request-ID": given})

    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_each_request_gets_an_id_of_its_own(client):
    first, second = (client.get("/health/live").headers["x-request-id"] for _ in range(2))

    assert first != second


def test_a_request_is_one_line_in_the_log(client, log):
    client.post("/audio", files={"file": ("talk.wav", TALK)}, headers={"X-Request-ID": "r-1"})

    (line,) = log
    assert line["message"] == "Request answered."
    assert line["level"].name == "INFO"
    assert line["extra"]["request_id"] == "r-1"
    assert line["extra"]["method"] == "POST"
    assert line["extra"]["path"] == "/audio"
    assert line["extra"]["status"] == 201
    assert line["extra"]["received_bytes"] > len(TALK)
    assert line["extra"]["sent_bytes"] > 0
    assert line["extra"]["duration_ms"] > 0


def test_a_path_cannot_forge_a_second_line(client, log):
    client.get("/nothing%0aGET%20/forged")

    assert log[0]["extra"]["path"] == "/nothing%0aGET%20/forged"


def test_a_query_stays_out_of_the_log(client, log):
    client.get("/audio?cursor=secret")

    assert log[0]["extra"]["path"] == "/audio"


def test_health_checks_are_logged_at_debug(client, log):
    client.get("/health/live")

    assert [line["level"].name for line in log] == ["DEBUG"]


def test_a_client_that_goes_away_leaves_nothing_and_no_error(container, log):
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    messages = [{"type": "http.request", "body": head, "more_body": True}, {"type": "http.disconnect"}]
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/transcriptions",
        "raw_path": b"/transcriptions",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"multipart/form-data; boundary=edge")],
    }
    asyncio.run(create_app(container)(scope, receive, send))

    assert not sent
    assert not container.store.objects
    assert [line["extra"]["status"] for line in log] == [499]


def test_the_root_leads_to_the_docs(client):
    answer = client.get("/")

    assert answer.is_redirect
    assert client.get(answer.headers["location"]).status_code == 200


def test_operations_have_names_fit_for_generated_clients(client):
    paths = client.get("/openapi.json").json()["paths"]
    names = [operation["operationId"] for path in paths.values() for operation in path.values()]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", name) for name in names)
    assert {"upload_audio", "download_audio", "transcribe_upload", "get_transcription"} <= set(names)


def test_every_refusal_in_the_api_description_is_a_problem(client):
    document = client.get("/openapi.json").json()
    refusals = [
        answer["content"]
        for name, path in document["paths"].items()
        for operation in path.values()
        for status, answer in operation["responses"].items()
        if (status == "default" or status >= "400") and (name, status) != ("/health", "503")
        if not name.startswith("/v1/")
    ]

    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert refusals
    assert all(content == problem for content in refusals)
    assert "ValidationError" not in document["components"]["schemas"]


def test_every_reference_in_the_api_description_leads_somewhere(client):
    answer = client.get("/openapi.json")
    schemas = answer.json()["components"]["schemas"]

    assert set(re.findall(r'"#/components/schemas/(\w+)"', answer.text)) == set(schemas)


def test_the_container_is_closed_with_the_app(container):
    with client_of(container):
        assert not container.closed
    assert container.closed
