"""Webhooks of the whole service: what is told arrives, also when the worker that tells it is killed over it."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier

from tests.e2e.service import Service, eventually, open_directory
from tests.web_server import WebServer, answer

pytestmark = [pytest.mark.xdist_group("webhooks"), pytest.mark.timeout(300)]

FIVE = Path(__file__).parent.parent / "data" / "five.wav"


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    with WebServer(pages={"/hook": answer()}) as web:
        yield web


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    settings = {"HANSARD_ENGINE_CHAIN": "mock", "HANSARD_WEBHOOKS_ALLOWED": "127.0.0.1"}
    with open_directory() as directory:
        service = Service(directory, settings=settings).start()
        yield service
        service.stop()


def register(service: Service, url: str) -> dict[str, str]:
    wish = {"url": url, "event_types": ["transcription.completed"]}
    made = service.http.post("/webhooks", json=wish)
    assert made.status_code == 201, made.text
    return made.json()


def posted(web: WebServer, path: str) -> list[dict[str, str]]:
    return [each.headers for each in web.posted if each.path == path]


def test_a_completed_transcription_is_told_with_the_id_of_the_request(service: Service, web: WebServer) -> None:
    made = register(service, web.url("/hook"))
    with FIVE.open("rb") as source:
        asked = service.http.post("/transcriptions", files={"file": source}, headers={"X-Request-ID": "req-7"})
    eventually(lambda: posted(web, "/hook"), "the webhook to be told")
    (sent,) = [each for each in web.posted if each.path == "/hook"]
    event = Verifier(made["secret"]).verify(sent.body, sent.headers)
    assert (event["type"], event["subject"]) == ("transcription.completed", asked.json()["id"])
    assert (event["requestid"], sent.headers["x-request-id"]) == ("req-7", "req-7")
    assert service.http.delete(f"/webhooks/{made['id']}").status_code == 204


def test_a_worker_killed_while_it_waits_for_an_endpoint_loses_nothing(service: Service, web: WebServer) -> None:
    asked, say = threading.Event(), answer()

    def hang_once(connection: socket.socket, path: str) -> None:
        if asked.is_set():
            say(connection, path)
        else:
            asked.set()
            connection.recv(1)

    web.pages["/once"] = hang_once
    made = register(service, web.url("/once"))
    service.post_file(FIVE, engine="mock")
    assert asked.wait(60)
    (worker,) = service.processes("worker")
    worker.kill()

    def told() -> dict[str, object] | None:
        found = service.get(f"/webhooks/{made['id']}/deliveries?outcome=delivered")["items"]
        return found[0] if found else None

    delivery = eventually(told, "the event to be delivered")
    details = service.get(f"/webhooks/{made['id']}/deliveries/{delivery['id']}")
    errors = [attempt["error"] and attempt["error"]["code"] for attempt in details["attempt_list"]]
    assert errors == ["delivery_interrupted", None]
    first, second = [each for each in web.posted if each.path == "/once"]
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == delivery["id"]
    assert json.loads(first.body) == json.loads(second.body)
    assert made["secret"] not in service.log
