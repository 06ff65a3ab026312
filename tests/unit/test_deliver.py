"""A turn: what is sent, what is written down of it, and when the next one comes."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from hansard.application.deliver import TURN_SECONDS
from hansard.application.origin import acting, current_origin
from hansard.domain.delivery import Answer, Delivery, DeliveryStatus
from hansard.domain.errors import DeliveryTimedOut
from hansard.domain.events import AudioFileErased, WebhookDisabled
from hansard.domain.webhook import RETRY_DELAYS_SECONDS, DisabledReason, Terms, Webhook
from tests.workshop import Workshop

TERMS = Terms(url="https://example.com/hook", event_types=("audio.erased",))
SILENCE = DeliveryTimedOut("The endpoint took too long to answer.")
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def shop() -> Workshop:
    return Workshop()


@pytest.fixture
def webhook(shop: Workshop) -> Webhook:
    return shop.webhooks.register(TERMS)


def happened(shop: Workshop, count: int = 1) -> None:
    with shop.database.unit_of_work() as uow:
        for _ in range(count):
            event = AudioFileErased(subject=str(uuid4()), occurred_at=shop.clock(), bytes_removed=True, pipeline_runs=0)
            uow.events.append(event)
        uow.commit()


def take_turn(shop: Workshop, webhook: Webhook, **given: Any) -> None:
    shop.database.webhook_turns.pop(webhook.id, None)
    shop.deliver(webhook.id, **given)


def deliveries(shop: Workshop) -> list[Delivery]:
    return list(shop.database.deliveries.values())


def statuses(shop: Workshop) -> list[str]:
    return [delivery.status.value for delivery in deliveries(shop)]


def state(shop: Workshop, webhook: Webhook) -> Webhook:
    return shop.database.webhooks[webhook.id]


# ── What is sent ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_is_sent_as_a_cloud_event_under_the_deliverys_id(shop: Workshop, webhook: Webhook) -> None:
    with acting(request_id="req-1", trace_id=TRACE):
        happened(shop)
    take_turn(shop, webhook)
    (message,), (delivery,), (*_, entry) = shop.webhook_sender.sent, deliveries(shop), shop.database.trail
    assert (message.id, message.url, message.secrets) == (str(delivery.id), TERMS.url, (webhook.secrets[0].value,))
    assert message.headers == {"X-Request-ID": "req-1", "traceparent": f"00-{TRACE}-{entry.id.hex[:16]}-01"}
    assert json.loads(message.body) == {
        "specversion": "1.0",
        "id": str(entry.id),
        "source": "hansard",
        "type": "audio.erased",
        "subject": entry.subject,
        "time": "2026-01-01T00:00:00.000000Z",
        "datacontenttype": "application/json",
        "sequence": f"{entry.position:020}",
        "requestid": "req-1",
        "traceparent": f"00-{TRACE}-{entry.id.hex[:16]}-01",
        "data": {"bytes_removed": True, "pipeline_runs": 0},
    }


def test_it_is_sent_in_the_course_of_what_it_tells_of(shop: Workshop, webhook: Webhook) -> None:
    seen: list[object] = []
    shop.webhook_sender.on_send = lambda _: seen.append((current_origin().request_id, current_origin().trace_id))
    with acting(request_id="req-1", trace_id=TRACE):
        happened(shop)
    take_turn(shop, webhook)
    assert seen == [("req-1", TRACE)]


def test_what_was_sent_and_answered_is_written_down(shop: Workshop, webhook: Webhook) -> None:
    happened(shop)
    shop.webhook_sender.answers = [Answer(status=202, headers={"server": "x"}, body="thanks")]
    shop.webhook_sender.on_send = lambda _: shop.clock.advance(0.25)
    take_turn(shop, webhook)
    (delivery,) = deliveries(shop)
    (attempt,) = delivery.attempts
    assert (delivery.status, delivery.body) == (DeliveryStatus.DELIVERED, shop.webhook_sender.sent[0].body)
    assert (attempt.answer, attempt.failure, attempt.latency_seconds) == (
        Answer(status=202, headers={"server": "x"}, body="thanks"),
        None,
        0.25,
    )
    assert attempt.request_headers == {"webhook-id": str(delivery.id)}


def test_an_attempt_is_on_record_before_it_is_made(shop: Workshop, webhook: Webhook) -> None:
    happened(shop)
    before: list[int] = []
    shop.webhook_sender.on_send = lambda _: before.append(len(deliveries(shop)[0].attempts))
    take_turn(shop, webhook)
    assert before == [1]


def test_whoever_observes_is_told_once_it_is_over(shop: Workshop, webhook: Webhook) -> None:
    happened(shop)
    shop.clock.advance(3)
    take_turn(shop, webhook)
    (sent,) = shop.sent
    assert (sent.event_type, sent.delay_seconds, sent.is_last, sent.attempt.failure) == (
        "audio.erased",
        3.0,
        True,
        None,
    )


# ── When it fails ────────────────────────────────────────────────────────────────────────────────────────


def test_what_fails_is_sent_again_by_the_schedule_under_the_same_id_then_given_up(
    shop: Workshop, webhook: Webhook
) -> None:
    happened(shop)
    shop.webhook_sender.answers = [Answer(status=500)] * 10
    # Something else gets through now and then, or it would be dead before the last attempt.
    patient = replace(shop.deliver, dead_after_seconds=10 * 86_400)
    for delay in RETRY_DELAYS_SECONDS:
        patient(webhook.id)
        turn = shop.database.webhook_turns.pop(webhook.id)
        assert turn.is_failing
        shop.clock.advance(delay - 1)
        patient(webhook.id)
        shop.clock.advance(1)
    patient(webhook.id)
    assert statuses(shop) == ["failed"]
    assert len(shop.webhook_sender.sent) == 10
    assert len({message.id for message in shop.webhook_sender.sent}) == 1
    assert len({message.body for message in shop.webhook_sender.sent}) == 1
    assert [sent.is_last for sent in shop.sent] == [False] * 9 + [True]


def test_the_next_turn_comes_when_the_next_attempt_is_due(shop: Workshop, webhook: Webhook) -> None:
    happened(shop)
    shop.webhook_sender.answers = [SILENCE]
    take_turn(shop, webhook)
    assert shop.database.webhook_turns[webhook.id].at == shop.clock() + timedelta(seconds=5)
    (attempt,) = deliveries(shop)[0].attempts
    assert attempt.failure == SILENCE.failure


def test_an_endpoint_that_asks_to_be_left_alone_is(shop: Workshop, webhook: Webhook) -> None:
    happened(shop)
    shop.webhook_sender.answers = [Answer(status=429, retry_after_seconds=600)]
    take_turn(shop, webhook)
    assert shop.database.webhook_turns[webhook.id].at == shop.clock() + timedelta(seconds=600)


def test_one_that_is_gone_is_disabled_and_what_is_pending_is_held(shop: Workshop, webhook: Webhook) -> None:
    happened(shop)
    shop.webhook_sender.answers = [Answer(status=503), Answer(status=410)]
    take_turn(shop, webhook)
    shop.clock.advance(5)
    happened(shop)
    shop.deliver(webhook.id)
    assert state(shop, webhook).disabled_reason is DisabledReason.GONE
    assert statuses(shop) == ["held", "held"]
    assert [event.reason for event in shop.database.events if isinstance(event, WebhookDisabled)] == ["gone"]


def test_one_that_takes_nothing_for_days_is_dead(shop: Workshop, webhook: Webhook) -> None:
    happened(shop)
    shop.webhook_sender.answers = [SILENCE] * 10
    for delay in RETRY_DELAYS_SECONDS:
        take_turn(shop, webhook)
        shop.clock.advance(delay)
    take_turn(shop, webhook)
    assert state(shop, webhook).disabled_reason is DisabledReason.DEAD
    assert statuses(shop) == ["held"]


def test_a_success_ends_the_failing(shop: Workshop, webhook: Webhook) -> None:
    happened(shop)
    shop.webhook_sender.answers = [SILENCE]
    take_turn(shop, webhook)
    assert state(shop, webhook).failing_since == shop.clock()
    shop.clock.advance(5)
    take_turn(shop, webhook)
    assert state(shop, webhook).failing_since is None
    assert statuses(shop) == ["delivered"]


def test_an_event_that_was_pruned_is_given_up(shop: Workshop, webhook: Webhook) -> None:
    happened(shop)
    shop.database.trail.clear()
    shop.database.events.clear()
    take_turn(shop, webhook)
    (delivery,) = deliveries(shop)
    assert (delivery.status, delivery.attempts[0].failure and delivery.attempts[0].failure.code) == (
        DeliveryStatus.FAILED,
        "event_pruned",
    )
    assert shop.webhook_sender.sent == []


# ── What comes between ───────────────────────────────────────────────────────────────────────────────────


def test_after_a_worker_was_lost_the_same_is_sent_again(shop: Workshop, webhook: Webhook) -> None:
    happened(shop)

    class Killed(BaseException):
        pass

    def kill(_: object) -> None:
        shop.webhook_sender.on_send = lambda _: None
        raise Killed

    shop.webhook_sender.on_send = kill
    with pytest.raises(Killed):
        take_turn(shop, webhook)
    take_turn(shop, webhook)
    (delivery,) = deliveries(shop)
    codes = [attempt.failure and attempt.failure.code for attempt in delivery.attempts]
    assert (codes, delivery.status) == (["delivery_interrupted", None], DeliveryStatus.DELIVERED)
    first, second = shop.webhook_sender.sent
    assert (first.id, first.body) == (second.id, second.body)


def test_a_webhook_that_is_deleted_while_something_is_sent_is_no_error(shop: Workshop, webhook: Webhook) -> None:
    happened(shop)
    shop.webhook_sender.on_send = lambda _: shop.webhooks.delete(webhook.id)
    take_turn(shop, webhook)
    assert deliveries(shop) == []
    assert shop.sent == []


def test_what_was_made_for_one_that_is_deleted_meanwhile_is_removed(shop: Workshop, webhook: Webhook) -> None:
    happened(shop)
    del shop.database.webhooks[webhook.id]
    take_turn(shop, webhook)
    assert deliveries(shop) == []


def test_what_was_made_for_one_that_is_disabled_meanwhile_is_held(shop: Workshop, webhook: Webhook) -> None:
    happened(shop)
    state(shop, webhook).disabled_reason = DisabledReason.BY_HAND
    take_turn(shop, webhook)
    assert statuses(shop) == ["held"]
    assert shop.webhook_sender.sent == []


# ── Turns ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_turn_ends_after_some_time_and_the_next_is_asked_for(shop: Workshop, webhook: Webhook) -> None:
    happened(shop, 3)
    shop.webhook_sender.on_send = lambda _: shop.clock.advance(TURN_SECONDS)
    take_turn(shop, webhook)
    assert statuses(shop).count("delivered") == 1
    assert shop.database.webhook_turns[webhook.id].at is not None


def test_a_turn_is_for_so_many_deliveries(shop: Workshop, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hansard.application.deliver.TURN_DELIVERIES", 2)
    happened(shop, 3)
    take_turn(shop, webhook)
    assert statuses(shop).count("pending") == 1
    take_turn(shop, webhook)
    assert statuses(shop).count("pending") == 0
    assert webhook.id not in shop.database.webhook_turns


def test_a_worker_that_is_to_stop_begins_nothing_more(shop: Workshop, webhook: Webhook) -> None:
    happened(shop, 3)
    take_turn(shop, webhook, is_stopped=lambda: True)
    assert shop.webhook_sender.sent == []
    assert webhook.id in shop.database.webhook_turns


def test_a_turn_that_the_queue_has_lost_is_found(shop: Workshop, webhook: Webhook) -> None:
    happened(shop)
    shop.database.webhook_turns.clear()
    assert shop.deliver.recover() == 1
    assert list(shop.database.webhook_turns) == [webhook.id]


def test_nothing_is_found_where_nothing_is_due(shop: Workshop, webhook: Webhook) -> None:
    happened(shop)
    take_turn(shop, webhook)
    assert shop.deliver.recover() == 0


def test_a_turn_of_nobody_is_no_error(shop: Workshop) -> None:
    shop.deliver(UUID(int=9))
    assert shop.sent == []
