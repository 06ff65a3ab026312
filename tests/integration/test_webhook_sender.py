"""Webhooks over real sockets: what is sent is what the standards' own verifiers take, and it goes nowhere else."""

import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import repeat
from typing import Any
from uuid import UUID, uuid4

import openai
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from hansard.application.ports.webhooks import Message
from hansard.domain.audit import Entry
from hansard.domain.cloud_event import MEDIA_TYPE, cloud_event
from hansard.domain.delivery import Answer
from hansard.domain.errors import DeliveryFailed, DeliveryTimedOut, EndpointWrong, HansardError, InvalidRequest
from hansard.remote.webhooks import ANSWER_BYTES, HttpWebhookSender, make_secret
from tests.web_server import Posted, Say, WebServer, answer, redirect

SECRET, OTHER_SECRET = make_secret(), make_secret()

ENTRY = Entry(
    position=17,
    id=UUID("8d6f3c1e-2a4b-4f6e-9b7d-1c2e3f4a5b6c"),
    type="transcription.completed",
    subject="5f0c9a52-6d0e-4c67-9d9c-0d5b3c1f7a10",
    occurred_at=datetime(2026, 11, 1, 12, 0, 0, 250_000, tzinfo=UTC),
    actor="worker",
    request_id="req-1",
    trace_id="0af7651916cd43dd8448eb211c80319c",
    data_json='{"language":"de","text":"Zürich – 録音","word_count":99}',
    previous_hash="",
    hash="",
)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer(pages={"/hook": answer(status="204 No Content")}) as web:
        yield web


@pytest.fixture
def sender() -> HttpWebhookSender:
    return HttpWebhookSender(timeout_seconds=5, allowed=["127.0.0.1"])


def message(url: str, **changes: Any) -> Message:
    given = {
        "id": str(uuid4()),
        "url": url,
        "body": cloud_event(ENTRY, source="https://hansard.example.org"),
        "media_type": MEDIA_TYPE,
        "secrets": (SECRET,),
        "sent_at": datetime.now(UTC),
        "headers": {"X-Request-ID": "req-1"},
        **changes,
    }
    return Message(**given)


def posted(sender: HttpWebhookSender, web: WebServer, **changes: Any) -> Posted:
    assert sender.send(message(web.url("/hook"), **changes)).failure is None
    (one,) = web.posted
    return one


# ── What is sent ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_standards_own_library_verifies_the_signature(sender: HttpWebhookSender, web: WebServer) -> None:
    sent = posted(sender, web)
    assert Verifier(SECRET).verify(sent.body, sent.headers)["type"] == "transcription.completed"


def test_another_secret_does_not_verify_it(sender: HttpWebhookSender, web: WebServer) -> None:
    sent = posted(sender, web)
    with pytest.raises(WebhookVerificationError):
        Verifier(OTHER_SECRET).verify(sent.body, sent.headers)


def test_a_changed_body_is_not_verified(sender: HttpWebhookSender, web: WebServer) -> None:
    sent = posted(sender, web)
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(sent.body.replace(b"99", b"98"), sent.headers)


def test_openais_sdk_unwraps_it(sender: HttpWebhookSender, web: WebServer) -> None:
    sent = posted(sender, web)
    client = openai.OpenAI(api_key="sk-test", webhook_secret=SECRET)
    event: Any = client.webhooks.unwrap(sent.body.decode(), sent.headers)
    assert event.type == "transcription.completed"
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(sent.body.decode(), sent.headers, secret=OTHER_SECRET)


def test_during_a_rotation_either_secret_verifies_it(sender: HttpWebhookSender, web: WebServer) -> None:
    sent = posted(sender, web, secrets=(SECRET, OTHER_SECRET))
    for secret in (SECRET, OTHER_SECRET):
        assert Verifier(secret).verify(sent.body, sent.headers)


def test_the_cloudevents_sdk_reads_the_body(sender: HttpWebhookSender, web: WebServer) -> None:
    sent = posted(sender, web)
    event = from_structured_event(HTTPMessage(sent.headers, sent.body))
    assert event.get_id() == str(ENTRY.id)
    assert event.get_source() == "https://hansard.example.org"
    assert event.get_type() == ENTRY.type
    assert event.get_subject() == ENTRY.subject
    assert event.get_time() == ENTRY.occurred_at
    assert event.get_data() == ENTRY.data
    assert event.get_extension("sequence") == "00000000000000000017"
    assert event.get_extension("requestid") == "req-1"
    assert event.get_extension("traceparent") == "00-0af7651916cd43dd8448eb211c80319c-8d6f3c1e2a4b4f6e-01"


def test_it_says_what_it_is_and_in_the_course_of_what_it_was_sent(sender: HttpWebhookSender, web: WebServer) -> None:
    sent = posted(sender, web, id="msg-1")
    assert sent.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert sent.headers["webhook-id"] == "msg-1"
    assert sent.headers["x-request-id"] == "req-1"
    assert sent.headers["user-agent"].startswith("Hansard/")


def test_the_headers_that_are_kept_are_those_sent_but_for_the_signature(
    sender: HttpWebhookSender, web: WebServer
) -> None:
    one = message(web.url("/hook"))
    sender.send(one)
    kept = {name.lower(): value for name, value in sender.request_headers(one).items()}
    assert kept.items() <= web.posted[0].headers.items()
    assert "webhook-signature" not in kept


def test_secrets_are_not_shown_where_a_message_is(web: WebServer) -> None:
    assert SECRET not in repr(message(web.url("/hook")))


# ── What is answered ─────────────────────────────────────────────────────────────────────────────────────


def test_the_answer_is_kept_in_part(sender: HttpWebhookSender, web: WebServer) -> None:
    web.pages["/hook"] = answer(
        b"x" * 1_000_000,
        status="503 Service Unavailable",
        Retry_After="120",
        Set_Cookie="a=b",
        Content_Type="text/plain",
    )
    answered = sender.send(message(web.url("/hook")))
    assert (answered.status, len(answered.body)) == (503, ANSWER_BYTES)
    assert answered.headers == {"content-type": "text/plain", "retry-after": "120"}
    assert answered.retry_after_seconds == 120


def test_bytes_that_are_no_text_are_kept_as_well_as_may_be(sender: HttpWebhookSender, web: WebServer) -> None:
    web.pages["/hook"] = answer(b"\xff\x00ok")
    assert sender.send(message(web.url("/hook"))).body == "\ufffd\x00ok"


def test_a_redirect_is_not_followed(sender: HttpWebhookSender, web: WebServer) -> None:
    web.pages["/hook"] = redirect(web.url("/elsewhere"))
    web.pages["/elsewhere"] = answer()
    answered = sender.send(message(web.url("/hook")))
    assert answered.status == 302
    assert answered.failure is not None
    assert answered.failure.code == "webhook_redirects"
    assert [each.path for each in web.posted] == ["/hook"]


def test_a_body_that_breaks_off_does_not_undo_the_status(sender: HttpWebhookSender, web: WebServer) -> None:
    web.pages["/hook"] = lambda connection, _: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok")
    assert sender.send(message(web.url("/hook"))) == Answer(status=200, body="ok")


# ── No answer ────────────────────────────────────────────────────────────────────────────────────────────


def failed(sender: HttpWebhookSender, url: str, kind: type[HansardError] = DeliveryFailed) -> str:
    with pytest.raises(kind) as caught:
        sender.send(message(url))
    return caught.value.failure.code


def trickle(line: bytes) -> Say:
    def say(connection: socket.socket, path: str) -> None:
        for _ in repeat(None):
            connection.sendall(line)
            time.sleep(0.02)

    return say


@pytest.mark.parametrize(
    "say", [lambda connection, _: connection.recv(1), trickle(b"x"), trickle(b"HTTP/1.1 100 Continue\r\n\r\n")]
)
def test_one_that_does_not_answer_in_time_is_let_go_of_however_lively_it_is(web: WebServer, say: Say) -> None:
    web.pages["/hook"] = say
    impatient = HttpWebhookSender(timeout_seconds=0.3, allowed=["127.0.0.1"])
    assert failed(impatient, web.url("/hook"), DeliveryTimedOut) == "webhook_timed_out"


def test_a_body_that_trickles_holds_nobody_up_for_longer_than_the_time_limit(web: WebServer) -> None:
    def say(connection: socket.socket, path: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        trickle(b"x")(connection, path)

    web.pages["/hook"] = say
    impatient = HttpWebhookSender(timeout_seconds=0.3, allowed=["127.0.0.1"])
    assert impatient.send(message(web.url("/hook"))).failure is None


def test_one_that_is_not_there(sender: HttpWebhookSender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert failed(sender, f"http://127.0.0.1:{port}/hook") == "webhook_unreachable"


def test_a_name_that_nobody_knows() -> None:
    assert failed(guarded(raising(OSError("no such host"))), "https://nobody.example/") == "webhook_unreachable"


def test_one_that_speaks_no_http(sender: HttpWebhookSender, web: WebServer) -> None:
    web.pages["/hook"] = lambda connection, _: connection.sendall(b"220 mail ready\r\n")
    assert failed(sender, web.url("/hook")) == "webhook_broke_off"


# ── Where nothing is sent ────────────────────────────────────────────────────────────────────────────────

Resolve = Callable[[str, int], list[str]]


def guarded(resolve: Resolve, *allowed: str) -> HttpWebhookSender:
    return HttpWebhookSender(timeout_seconds=5, allowed=allowed, resolve=resolve)


def raising(error: Exception) -> Resolve:
    def resolve(host: str, port: int) -> list[str]:
        raise error

    return resolve


def known_as(*addresses: str) -> Resolve:
    return lambda host, port: list(addresses)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "::1", "fd00::1", "::ffff:10.0.0.1"],
)
def test_nothing_is_sent_inside_whatever_it_is_called(address: str) -> None:
    sender = guarded(known_as(address))
    assert failed(sender, "https://hooks.example/", EndpointWrong) == "webhook_refused"
    with pytest.raises(InvalidRequest) as refused:
        sender.check("https://hooks.example/")
    assert refused.value.failure.code == "webhook_url_refused"


def test_a_name_that_was_public_when_it_was_registered_leads_nowhere_inside_later(web: WebServer) -> None:
    addresses = iter(["93.184.215.14", "127.0.0.1"])
    sender = guarded(lambda host, port: [next(addresses)])
    url = web.url("/hook", host="hooks.example")
    sender.check(url)
    assert failed(sender, url, EndpointWrong) == "webhook_refused"
    assert web.requests == []


def test_what_the_operator_allows_is_sent_inside(web: WebServer) -> None:
    for allowed in ("hooks.example", "127.0.0.0/8"):
        sender = guarded(known_as("127.0.0.1"), allowed)
        sender.check(web.url("/hook", host="hooks.example"))
        assert sender.send(message(web.url("/hook", host="hooks.example"))).failure is None


def test_a_name_that_is_not_known_yet_may_be_registered() -> None:
    guarded(raising(OSError("no such host"))).check("https://soon.example/hook")


def test_ports_of_other_services_are_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        guarded(known_as("93.184.215.14")).check("http://hooks.example:25/")
    assert refused.value.failure.code == "webhook_url_refused"


@pytest.mark.parametrize(
    "url",
    ["", "hooks.example", "ftp://hooks.example/", "https://", "https://ann:secret@hooks.example/", "http://a:99999/"],
)
def test_what_is_no_url_of_an_endpoint_is_refused(sender: HttpWebhookSender, url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sender.check(url)
    assert refused.value.failure.code == "webhook_url_invalid"


def test_a_secret_is_of_the_standards_form_and_never_made_twice() -> None:
    assert make_secret() != make_secret()
    assert make_secret().startswith("whsec_")
    assert Verifier(make_secret()).sign("id", datetime.now(UTC), "body").startswith("v1,")
