"""What befalls webhooks: what is refused when they are registered, and how deliveries fail."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

from hansard.application.deliver import Deliver
from hansard.domain.errors import InvalidRequest
from hansard.domain.events import AudioFileErased
from hansard.domain.webhook import Terms
from hansard.remote.webhooks import HttpWebhookSender
from tests.error_table import Provoked, provokes, refused
from tests.unit.http.api import FakeContainer, client_of
from tests.web_server import Say, WebServer, answer, redirect
from tests.workshop import Workshop

SECTION = "Webhooks"
URL = "https://example.com/hook"


class _Shop(Workshop):
    """Sends over real sockets."""

    sender: HttpWebhookSender

    @property
    def deliver(self) -> Deliver:
        return Deliver(
            unit_of_work=self.database.unit_of_work,
            sender=self.sender,
            source="hansard",
            dead_after_seconds=3600,
            jitter=lambda: 0.0,
            clock=self.clock,
            at_once=1,
        )


def attempted(say: Say, *, allowed: bool = True, path: str = "/hook") -> Provoked:
    """One delivery to an endpoint that answers so, and what became of it."""
    with ExitStack() as opened:
        web = opened.enter_context(WebServer(pages={"/hook": say}))
        shop = _Shop()
        shop.sender = HttpWebhookSender(timeout_seconds=0.3, allowed=["127.0.0.1"] if allowed else [])
        return delivered(shop, web.url(path))


def delivered(shop: _Shop, url: str, before: Callable[[_Shop], object] = lambda _: None) -> Provoked:
    webhook = shop.webhooks.register(Terms(url=url, event_types=("audio.erased",)))
    with shop.database.unit_of_work() as uow:
        uow.events.append(
            AudioFileErased(subject=str(uuid4()), occurred_at=shop.clock(), bytes_removed=True, pipeline_runs=0)
        )
        uow.commit()
    before(shop)
    shop.deliver(webhook.id)
    (delivery,) = shop.database.deliveries.values()
    failure = delivery.attempts[0].failure
    assert failure is not None
    if not shop.database.webhooks[webhook.id].enabled:
        return Provoked(failure, "Disabled")
    return Provoked(failure, "Sent again" if delivery.status.value in {"pending", "delivered"} else "Given up")


@provokes(SECTION, "It answers with another status than 2xx")
def other_status() -> Provoked:
    return attempted(answer(status="500 Internal Server Error"))


@provokes(SECTION, "It answers with a redirect")
def redirected() -> Provoked:
    return attempted(redirect("/elsewhere"))


@provokes(SECTION, "It answers 410")
def gone() -> Provoked:
    return attempted(answer(status="410 Gone"))


@provokes(SECTION, "No answer comes in time")
def timed_out() -> Provoked:
    return attempted(lambda connection, path: connection.recv(1))


@provokes(SECTION, "It cannot be reached: its name, its port or its certificate is wrong")
def unreachable() -> Provoked:
    shop = _Shop()
    shop.sender = HttpWebhookSender(timeout_seconds=5, allowed=["127.0.0.1"])
    return delivered(shop, "http://127.0.0.1:1/hook")  # a port that no server of another test is given


@provokes(SECTION, "The connection breaks off before the answer, or what comes is no HTTP")
def broke_off() -> Provoked:
    return attempted(lambda connection, path: connection.sendall(b"220 mail ready\r\n"))


@provokes(SECTION, "Its URL has come to lead inside")
def leads_inside_now() -> Provoked:
    return attempted(answer(), allowed=False)


@provokes(SECTION, "The worker that sent it was lost")
def interrupted() -> Provoked:
    shop = _Shop()
    shop.sender = HttpWebhookSender(timeout_seconds=5, allowed=["127.0.0.1"])

    def begin(shop: _Shop) -> None:
        (delivery,) = shop.database.deliveries.values()
        delivery.begin(shop.clock(), "{}", headers={})

    with WebServer(pages={"/hook": answer()}) as web:
        return delivered(shop, web.url("/hook"), begin)


@provokes(SECTION, "The event was removed from the audit trail before it could be sent")
def pruned() -> Provoked:
    shop = _Shop()
    shop.sender = HttpWebhookSender(timeout_seconds=5)

    def prune(shop: _Shop) -> None:
        shop.database.trail.clear()
        shop.database.events.clear()

    return delivered(shop, URL, prune)


# ── Refused ──────────────────────────────────────────────────────────────────────────────────────────────


def registered(container: FakeContainer | None = None, **wish: Any) -> Provoked:
    return refused(client_of(container or FakeContainer()).post("/webhooks", json={"url": URL, **wish}))


def _checked(url: str) -> Provoked:
    try:
        HttpWebhookSender(timeout_seconds=5).check(url)
    except InvalidRequest as error:
        container = FakeContainer()
        container.webhook_sender.refuses = error
        return registered(container)
    raise AssertionError("it was let through")


@provokes(SECTION, "Its URL is none that could be sent to")
def bad_url() -> Provoked:
    return _checked("ftp://example.com/")


@provokes(SECTION, "Its URL leads inside, or to a port of other services")
def leads_inside() -> Provoked:
    return _checked("http://127.0.0.1:9000/")


@provokes(SECTION, "It is to be told of a type that no event has")
def unknown_type() -> Provoked:
    return registered(event_types=["nothing.happened"])


@provokes(SECTION, "There are 100 webhooks")
def too_many() -> Provoked:
    container = FakeContainer()
    for _ in range(100):
        container.webhooks.register(Terms(url=URL, event_types=("audio.uploaded",)))
    return registered(container)


@provokes(SECTION, "Something is to be sent again to one that is disabled")
def disabled() -> Provoked:
    container = FakeContainer()
    webhook = container.webhooks.register(Terms(url=URL))
    container.webhooks.change(webhook.id, lambda terms: terms, enabled=False)
    return refused(client_of(container).post(f"/webhooks/{webhook.id}/replay?since=2026-01-01"))
