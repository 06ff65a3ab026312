"""Webhooks on a real database, queue and web server: nothing is lost, and nobody keeps the others waiting."""

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text
from standardwebhooks import Webhook as Verifier

from hansard.application.deliver import Deliver, Sent
from hansard.application.webhooks import Webhooks
from hansard.domain.delivery import Delivery, DeliveryStatus
from hansard.domain.events import AudioFileErased
from hansard.domain.webhook import Terms, Webhook
from hansard.queue.jobs import DELIVER
from hansard.remote.webhooks import HttpWebhookSender, make_secret
from tests.queue_work import Work, execute, jobs, submitted, unit_of_work
from tests.web_server import Say, WebServer, answer


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer(pages={"/good": answer(), "/broken": answer(status="500 Internal Server Error")}) as web:
        yield web


class Office:
    """Webhooks with all that is behind them; `work` has a worker take their turns."""

    def __init__(self, engine: Engine, url: str, web: WebServer) -> None:
        self.engine = engine
        self.web = web
        sender = HttpWebhookSender(timeout_seconds=1.0, allowed=["127.0.0.1"])
        self.sent: list[Sent] = []
        self.webhooks = Webhooks(
            unit_of_work=self.unit_of_work, sender=sender, make_secret=make_secret, source="hansard", clock=now
        )
        self.deliver = Deliver(
            unit_of_work=self.unit_of_work,
            sender=sender,
            source="hansard",
            dead_after_seconds=3 * 86_400,
            jitter=lambda: 0.0,
            clock=now,
            observe=self.sent.append,
        )
        self.work = Work(url)
        self.work.deliver = self.deliver

    def unit_of_work(self):
        return unit_of_work(self.engine)

    def register(self, path: str) -> Webhook:
        return self.webhooks.register(Terms(url=self.web.url(path), event_types=("audio.erased",)))

    def happens(self, count: int = 1, *, commit: bool = True) -> None:
        with self.unit_of_work() as uow:
            for _ in range(count):
                uow.events.append(
                    AudioFileErased(subject=str(uuid4()), occurred_at=now(), bytes_removed=True, pipeline_runs=0)
                )
            if commit:
                uow.commit()

    def deliveries(self, webhook: Webhook, status: DeliveryStatus | None = None) -> tuple[Delivery, ...]:
        with self.unit_of_work() as uow:
            return uow.deliveries.page(webhook.id, limit=200, status=status).items

    def delivered(self, webhook: Webhook) -> int:
        return len(self.deliveries(webhook, DeliveryStatus.DELIVERED))

    def sent_to(self, path: str) -> int:
        return sum(1 for each in self.web.posted if each.path == path)

    def state(self, webhook: Webhook) -> Webhook:
        with self.unit_of_work() as uow:
            return uow.webhooks.get(webhook.id)


@pytest.fixture
def office(engine: Engine, postgres: str, web: WebServer) -> Office:
    return Office(engine, postgres, web)


# ── In one commit with what they tell of ─────────────────────────────────────────────────────────────────


def test_what_is_committed_is_delivered_and_can_be_verified(office: Office) -> None:
    webhook = office.register("/good")
    office.happens(3)
    office.work.until(lambda: office.delivered(webhook) == 3)
    secret = webhook.secrets[0].value
    bodies = [Verifier(secret).verify(each.body, each.headers) for each in office.web.posted]
    with office.unit_of_work() as uow:
        entries = {str(entry.id) for entry in uow.events.page(limit=3).items}
    assert {body["id"] for body in bodies} == entries
    assert jobs(office.engine) == []


def test_what_is_rolled_back_is_delivered_to_nobody(office: Office) -> None:
    webhook = office.register("/good")
    office.happens(commit=False)
    office.happens()
    office.work.until(lambda: office.delivered(webhook) == 1)
    assert len(office.web.posted) == 1


def test_a_delivery_that_comes_while_a_turn_is_taken_has_a_turn_of_its_own(office: Office) -> None:
    webhook = office.register("/slow")
    answered = answer()

    def say(connection: socket.socket, path: str) -> None:
        if office.sent_to("/slow") == 1:
            office.happens()
        answered(connection, path)

    office.web.pages["/slow"] = say
    office.happens()
    office.work.heartbeat_seconds = 2.0
    office.work.until(lambda: office.delivered(webhook) == 2)


def test_two_that_are_signed_with_during_a_rotation(office: Office) -> None:
    webhook = office.register("/good")
    rotated = office.webhooks.rotate(webhook.id)
    office.happens()
    office.work.until(lambda: office.delivered(webhook) == 1)
    (posted,) = office.web.posted
    for secret in (webhook.secrets[0], rotated.secrets[0]):
        assert Verifier(secret.value).verify(posted.body, posted.headers)


# ── What goes wrong ──────────────────────────────────────────────────────────────────────────────────────


def test_what_fails_is_sent_again_after_some_seconds(office: Office) -> None:
    webhook = office.register("/broken")
    office.happens()
    office.work.until(lambda: office.sent_to("/broken") == 1 and bool(office.state(webhook).failing_since))
    (delivery,) = office.deliveries(webhook)
    office.web.pages["/broken"] = answer()
    execute(office.engine, "UPDATE procrastinate_jobs SET scheduled_at = now()")
    execute(office.engine, "UPDATE webhook_deliveries SET next_attempt_at = now()")
    office.work.until(lambda: office.delivered(webhook) == 1)
    first, second = office.web.posted
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(delivery.id)
    assert first.body == second.body
    assert office.state(webhook).failing_since is None


def test_410_disables_it_and_the_others_hear_of_that(office: Office) -> None:
    office.web.pages["/gone"] = answer(status="410 Gone")
    webhook = office.register("/gone")
    other = office.webhooks.register(Terms(url=office.web.url("/good"), event_types=("webhook.disabled",)))
    office.happens()
    office.work.until(lambda: office.delivered(other) == 1)
    assert office.state(webhook).disabled_reason == "gone"
    assert [each.status for each in office.deliveries(webhook)] == [DeliveryStatus.HELD]


def test_a_redirect_is_a_failure(office: Office) -> None:
    office.web.pages["/moved"] = answer(status="308 Permanent Redirect", Location=office.web.url("/good"))
    office.register("/moved")
    office.happens()
    office.work.until(lambda: bool(office.sent))
    (sent,) = office.sent
    assert sent.attempt.failure is not None
    assert sent.attempt.failure.code == "webhook_redirects"
    assert office.sent_to("/good") == 0


def test_a_turn_that_raises_does_not_stick_and_the_next_one_works(office: Office) -> None:
    webhook = office.register("/good")
    failures: list[UUID] = []

    def deliver(webhook_id: UUID, is_stopped: Callable[[], bool]) -> None:
        if not failures:
            failures.append(webhook_id)
            office.happens()  # so that another turn waits by now
            raise RuntimeError("a mistake")
        office.deliver(webhook_id, is_stopped)

    office.work.deliver = deliver
    office.happens()
    office.work.until(lambda: office.delivered(webhook) == 2)
    assert jobs(office.engine) == []


def test_the_turn_of_a_dead_worker_is_taken_by_another_although_the_next_one_waits_already(office: Office) -> None:
    webhook = office.register("/good")
    office.happens()
    execute(office.engine, "UPDATE procrastinate_jobs SET status = 'doing'")
    office.happens()
    assert len(jobs(office.engine)) == 2
    office.work.until(lambda: office.delivered(webhook) == 2 and jobs(office.engine) == [])


def test_deliveries_whose_turn_was_lost_are_found(office: Office) -> None:
    webhook = office.register("/good")
    office.happens()
    execute(office.engine, f"DELETE FROM procrastinate_jobs WHERE task_name = '{DELIVER}'")
    assert office.deliver.recover() == 1
    office.work.until(lambda: office.delivered(webhook) == 1)


# ── Nobody waits for the others ──────────────────────────────────────────────────────────────────────────


def held_up(until: threading.Event) -> Say:
    say = answer()

    def hold(connection: socket.socket, path: str) -> None:
        until.wait(20)
        say(connection, path)

    return hold


def test_endpoints_that_are_slow_hold_up_neither_the_others_nor_transcriptions(office: Office) -> None:
    released = threading.Event()
    for number in range(4):
        office.web.pages[f"/slow{number}"] = held_up(released)
        office.register(f"/slow{number}")
    good = office.register("/good")
    office.happens(20)
    transcription_id = submitted(office.engine)

    def enough() -> bool:
        if office.delivered(good) == 20 and office.work.done == [transcription_id]:
            released.set()
        return released.is_set() and jobs(office.engine) == []

    office.work.until(enough)
    assert office.delivered(good) == 20


def test_one_endpoint_is_sent_a_few_requests_at_a_time(office: Office) -> None:
    at_once, most = [0], [0]
    lock, enough = threading.Lock(), threading.Barrier(office.deliver.at_once)
    say = answer()

    def count(connection: socket.socket, path: str) -> None:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        enough.wait(10)
        with lock:
            at_once[0] -= 1
        say(connection, path)

    office.web.pages["/busy"] = count
    webhook = office.register("/busy")
    office.happens(3 * office.deliver.at_once)
    office.work.until(lambda: office.delivered(webhook) == 3 * office.deliver.at_once)
    assert most == [office.deliver.at_once]


def test_ten_thousand_for_dead_endpoints_hold_up_nobody(office: Office) -> None:
    dead = [office.register("/broken") for _ in range(10)]
    office.happens(1000)
    good = office.register("/good")
    with office.unit_of_work() as uow:
        for webhook in dead:
            found = uow.webhooks.get(webhook.id)
            found.fail(now(), dead_after_seconds=3 * 86_400)
            uow.webhooks.save(found)
        uow.commit()
    office.happens()
    assert len(jobs(office.engine)) == 11
    left: list[int] = []

    def enough() -> bool:
        if office.delivered(good) == 1 and not left:
            with office.engine.connect() as connection:
                pending = "SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'"
                left.append(connection.execute(text(pending)).scalar_one())
            for webhook in dead:
                office.webhooks.change(webhook.id, lambda terms: terms, enabled=False)
        return bool(left) and jobs(office.engine) == []

    office.work.until(enough)
    assert left[0] > 9_000


# ── Again ────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_missed_while_it_was_disabled_is_sent_when_asked_for(office: Office) -> None:
    webhook = office.register("/good")
    since = now()
    office.webhooks.change(webhook.id, lambda terms: terms, enabled=False)
    office.happens(2)
    office.webhooks.change(webhook.id, lambda terms: terms, enabled=True)
    office.happens()
    assert office.webhooks.replay_since(webhook.id, since) == 2
    office.work.until(lambda: office.delivered(webhook) == 3)
    assert office.webhooks.replay_since(webhook.id, since) == 0


def test_a_delivery_is_sent_again_as_another_of_the_same_event(office: Office) -> None:
    webhook = office.register("/good")
    office.happens()
    office.work.until(lambda: office.delivered(webhook) == 1)
    (first,) = office.deliveries(webhook)
    again = office.webhooks.replay(webhook.id, first.id)
    office.work.until(lambda: office.delivered(webhook) == 2)
    one, two = office.web.posted
    assert (one.headers["webhook-id"], two.headers["webhook-id"]) == (str(first.id), str(again.id))
    assert one.body == two.body
