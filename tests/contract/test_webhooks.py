"""Webhooks and deliveries in a unit of work: the fake that the use cases are tested on, and PostgreSQL."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.webhooks import Outstanding
from hansard.application.ports.work import WebhookTurn
from hansard.domain.delivery import Answer, Delivery, DeliveryAttempt, DeliveryStatus
from hansard.domain.errors import DeliveryFailed, InvalidRequest, NotFound
from hansard.domain.events import AudioFileErased, EngineEnabled, Event, TranscriptionQueued
from hansard.domain.webhook import DisabledReason, Secret, Terms, Webhook
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from tests.fakes import FakeDatabase

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
DOWN = DeliveryFailed("The endpoint answers 500.", help="Look.").failure

Begin = Callable[[], UnitOfWork]


@pytest.fixture(params=["fake", "postgres"])
def begin(request: pytest.FixtureRequest) -> Begin:
    if request.param == "fake":
        return FakeDatabase().unit_of_work
    engine: Engine = request.getfixturevalue("engine")
    return lambda: SqlUnitOfWork(engine, TranscriptionJobs)


def registered(begin: Begin, *types: str, filter: dict[str, Any] | None = None) -> Webhook:
    """Its own registration is an event that it may want, too."""
    terms = Terms(url="https://example.com/", event_types=types or ("audio.erased",), filter=filter, description="Ours")
    webhook = Webhook.register(uuid4(), terms, "whsec_AAAA", NOON)
    with begin() as uow:
        uow.webhooks.add(webhook)
        uow.commit()
    return webhook


def erased(*, bytes_removed: bool = True, at: datetime = NOON) -> AudioFileErased:
    return AudioFileErased(subject=str(uuid4()), occurred_at=at, bytes_removed=bytes_removed, pipeline_runs=2)


def happened(begin: Begin, *events: Event) -> None:
    with begin() as uow:
        for event in events:
            uow.events.append(event)
        uow.commit()


def deliveries(begin: Begin, webhook: Webhook, **wanted: Any) -> tuple[Delivery, ...]:
    with begin() as uow:
        return uow.deliveries.page(webhook.id, limit=100, **wanted).items


def types(begin: Begin, webhook: Webhook) -> list[str]:
    return [delivery.event_type for delivery in deliveries(begin, webhook)]


def the_only(begin: Begin, webhook: Webhook) -> Delivery:
    (delivery,) = deliveries(begin, webhook)
    return delivery


def changed(begin: Begin, delivery: Delivery, change: Callable[[Delivery], object]) -> Delivery:
    with begin() as uow:
        found = uow.deliveries.get(delivery.webhook_id, delivery.id, for_update=True)
        change(found)
        uow.deliveries.save(found)
        uow.commit()
    return found


def delivered(delivery: Delivery) -> None:
    attempt = delivery.begin(NOON, "{}", headers={"webhook-id": "1"})
    delivery.succeed(attempt.number, Answer(status=200), NOON)


# ── Webhooks ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_webhook_comes_back_as_it_was_saved(begin: Begin) -> None:
    webhook = registered(begin, "transcription.*", "audio.erased", filter={"owner": "ann", "nested": {"a": [1]}})
    webhook.rotate("whsec_BBBB", NOON, keep_old_seconds=60)
    webhook.fail(NOON, dead_after_seconds=0)
    with begin() as uow:
        uow.webhooks.save(webhook)
        uow.commit()
    with begin() as uow:
        found = uow.webhooks.get(webhook.id, for_update=True)
    assert found.terms == webhook.terms
    assert found.secrets == (Secret("whsec_BBBB"), Secret("whsec_AAAA", NOON + timedelta(seconds=60)))
    assert (found.created_at, found.failing_since) == (NOON, NOON)
    assert found.disabled_reason is DisabledReason.DEAD


def test_what_happens_to_webhooks_is_on_record(begin: Begin) -> None:
    webhook = registered(begin)
    webhook.change(replace(webhook.terms, description=None), NOON)
    webhook.vanish(NOON)
    with begin() as uow:
        uow.webhooks.save(webhook)
        uow.commit()
    with begin() as uow:
        webhook.delete(NOON)
        uow.webhooks.delete(webhook)
        uow.commit()
    with begin() as uow:
        events = uow.events.of(webhook.id)
    assert [event.type for event in events] == [
        "webhook.registered",
        "webhook.changed",
        "webhook.disabled",
        "webhook.deleted",
    ]


def test_they_are_listed_the_oldest_first(begin: Begin) -> None:
    webhooks = [registered(begin), registered(begin)]
    with begin() as uow:
        assert [each.id for each in uow.webhooks.all()] == sorted(each.id for each in webhooks)


def test_one_that_is_not_there_is_told(begin: Begin) -> None:
    nobody = Webhook.register(uuid4(), Terms(url="https://example.com/"), "whsec_AAAA", NOON)
    with begin() as uow:
        with pytest.raises(NotFound):
            uow.webhooks.get(nobody.id)
        with pytest.raises(NotFound):
            uow.webhooks.save(nobody)


# ── Deliveries of what happens ───────────────────────────────────────────────────────────────────────────


def test_an_event_becomes_a_delivery_that_is_due_when_it_happened(begin: Begin) -> None:
    webhook, event = registered(begin), erased()
    happened(begin, event)
    with begin() as uow:
        (entry,) = uow.events.page(limit=1).items
    delivery = the_only(begin, webhook)
    assert (delivery.event_id, delivery.event_position, delivery.event_type) == (
        entry.id,
        entry.position,
        "audio.erased",
    )
    assert (delivery.created_at, delivery.next_attempt_at, delivery.status) == (NOON, NOON, DeliveryStatus.PENDING)
    assert (delivery.attempts, delivery.body, delivery.replay_of) == ((), None, None)


def test_what_is_rolled_back_is_delivered_to_nobody(begin: Begin) -> None:
    webhook = registered(begin)
    with begin() as uow:
        uow.events.append(erased())
    assert deliveries(begin, webhook) == ()


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (["*"], ["engine.enabled", "audio.erased", "webhook.registered"]),
        (["audio.*"], ["audio.erased"]),
        (["audio.erased", "engine.enabled"], ["engine.enabled", "audio.erased"]),
        (["audio.*", "audio.erased", "*"], ["engine.enabled", "audio.erased", "webhook.registered"]),
        (["audio.uploaded"], []),
    ],
)
def test_a_webhook_is_told_of_the_types_it_wants_once(begin: Begin, wanted: list[str], told: list[str]) -> None:
    webhook = registered(begin, *wanted)
    happened(begin, erased(), EngineEnabled(subject="fake", occurred_at=NOON))
    assert types(begin, webhook) == told


QUEUED = TranscriptionQueued(subject=str(uuid4()), occurred_at=NOON, audio_id=UUID(int=7), engine="auto", owner="ann")


@pytest.mark.parametrize(
    ("filter", "is_told"),
    [
        ({}, True),
        ({"owner": "ann"}, True),
        ({"owner": "ann", "interactive": False}, True),
        ({"owner": "bob"}, False),
        ({"owner": "ann", "engine": "whisper"}, False),
        ({"audio_id": str(UUID(int=7))}, True),
        ({"interactive": 0}, False),
        ({"owner": None}, False),
        ({"missing": None}, False),
        ({"owner": ["ann"]}, False),
        ({"owner": {"name": "ann"}}, False),
    ],
)
def test_a_filter_lets_through_what_has_its_values(begin: Begin, filter: dict[str, Any], is_told: bool) -> None:
    webhook = registered(begin, "transcription.queued", filter=filter)
    happened(begin, QUEUED)
    assert bool(deliveries(begin, webhook)) is is_told


def test_each_webhook_has_a_delivery_of_its_own(begin: Begin) -> None:
    webhooks = [registered(begin), registered(begin)]
    happened(begin, erased(), erased())
    assert [len(deliveries(begin, webhook)) for webhook in webhooks] == [2, 2]


def test_one_that_is_disabled_is_told_of_nothing_not_even_of_that(begin: Begin) -> None:
    webhook, other = registered(begin, "webhook.disabled"), registered(begin, "webhook.disabled")
    webhook.vanish(NOON)
    with begin() as uow:
        uow.webhooks.save(webhook)
        uow.commit()
    assert (types(begin, webhook), types(begin, other)) == ([], ["webhook.disabled"])


# ── Their record ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_delivery_comes_back_as_it_was_saved(begin: Begin) -> None:
    webhook = registered(begin)
    happened(begin, erased())

    def fail(delivery: Delivery) -> None:
        attempt = delivery.begin(NOON, '{"id":1}', headers={"webhook-id": "1"})
        answer = Answer(status=500, headers={"server": "x"}, body="Zürich – 録音", retry_after_seconds=7.5)
        delivery.fail(attempt.number, DOWN, LATER, answer=answer, next_at=LATER)

    saved = changed(begin, the_only(begin, webhook), fail)
    found = the_only(begin, webhook)
    assert vars(found) == vars(saved)
    assert found.attempts == (
        DeliveryAttempt(
            number=1,
            began_at=NOON,
            ended_at=LATER,
            request_headers={"webhook-id": "1"},
            answer=Answer(status=500, headers={"server": "x"}, body="Zürich – 録音", retry_after_seconds=7.5),
            failure=DOWN,
        ),
    )


def test_an_answer_may_hold_what_postgresql_does_not_keep(begin: Begin) -> None:
    webhook = registered(begin)
    happened(begin, erased())

    def succeed(delivery: Delivery) -> None:
        attempt = delivery.begin(NOON, "{}", headers={})
        delivery.succeed(attempt.number, Answer(status=200, body="a\0b"), NOON)

    changed(begin, the_only(begin, webhook), succeed)
    answer = the_only(begin, webhook).attempts[0].answer
    assert answer is not None
    assert answer.body.replace("\0", "") == "ab"


def test_pages_go_from_the_newest_to_the_oldest_and_may_be_of_one_status(begin: Begin) -> None:
    webhook = registered(begin)
    for _ in range(5):
        happened(begin, erased())
    newest_first = deliveries(begin, webhook)
    assert [each.event_position for each in newest_first] == [6, 5, 4, 3, 2]
    changed(begin, newest_first[2], delivered)
    with begin() as uow:
        first = uow.deliveries.page(webhook.id, limit=3)
        second = uow.deliveries.page(webhook.id, limit=3, cursor=first.next_cursor)
    assert [each.id for each in (*first.items, *second.items)] == [each.id for each in newest_first]
    assert second.next_cursor is None
    assert [each.id for each in deliveries(begin, webhook, status=DeliveryStatus.DELIVERED)] == [newest_first[2].id]


def test_a_cursor_of_somebody_else_is_refused(begin: Begin) -> None:
    webhook = registered(begin)
    with begin() as uow, pytest.raises(InvalidRequest):
        uow.deliveries.page(webhook.id, limit=3, cursor="x")


def test_a_delivery_is_found_with_its_webhook_only(begin: Begin) -> None:
    webhook, other = registered(begin), registered(begin, "engine.enabled")
    happened(begin, erased())
    delivery = the_only(begin, webhook)
    with begin() as uow, pytest.raises(NotFound):
        uow.deliveries.get(other.id, delivery.id)


def test_what_is_due_comes_in_the_order_of_its_times(begin: Begin) -> None:
    webhook = registered(begin)
    minutes = [timedelta(minutes=minute) for minute in (2, 1, 3)]
    for minute in minutes:
        happened(begin, erased(at=NOON + minute))
    third, first, second = deliveries(begin, webhook)
    with begin() as uow:
        assert uow.deliveries.due(webhook.id, NOON, limit=9) == ()
        assert uow.deliveries.due(webhook.id, NOON + minutes[0], limit=9) == (first.id, second.id)
        assert uow.deliveries.due(webhook.id, LATER, limit=2) == (first.id, second.id)
        assert uow.deliveries.due(webhook.id, LATER, limit=9) == (first.id, second.id, third.id)
        assert uow.deliveries.next_at(webhook.id) == NOON + minutes[1]
        assert uow.deliveries.next_at(uuid4()) is None
        assert uow.deliveries.outstanding(LATER) == Outstanding(pending=3, overdue_seconds=59 * 60)


def test_webhooks_with_something_due_are_known(begin: Begin) -> None:
    webhook, idle, failing = registered(begin), registered(begin, "engine.enabled"), registered(begin)
    happened(begin, erased(), erased())
    failing.fail(NOON, dead_after_seconds=60)
    with begin() as uow:
        uow.webhooks.save(failing)
        uow.commit()
    with begin() as uow:
        assert uow.deliveries.overdue(NOON - timedelta(seconds=1)) == ()
        overdue = {turn.webhook_id: turn.is_failing for turn in uow.deliveries.overdue(NOON)}
    assert overdue == {webhook.id: False, failing.id: True}
    assert idle.id not in overdue


def test_what_is_pending_is_held_and_the_rest_stays_as_it_is(begin: Begin) -> None:
    webhook = registered(begin)
    happened(begin, erased(), erased())
    newer, _ = deliveries(begin, webhook)
    changed(begin, newer, delivered)
    with begin() as uow:
        assert uow.deliveries.hold(webhook.id) == 1
        uow.commit()
    assert [each.status.value for each in deliveries(begin, webhook)] == ["delivered", "held"]
    with begin() as uow:
        assert uow.deliveries.next_at(webhook.id) is None


def test_what_was_missed_is_sent_again_and_nothing_else(begin: Begin) -> None:
    webhook = registered(begin, filter={"bytes_removed": True})
    happened(begin, erased(at=NOON - timedelta(days=9)), erased(), erased(), erased(), erased(bytes_removed=False))
    pending, held, done, _ = deliveries(begin, webhook)
    changed(begin, done, delivered)
    changed(begin, held, lambda delivery: vars(delivery).update(status=DeliveryStatus.HELD, next_attempt_at=None))
    with begin() as uow:
        assert uow.deliveries.replay_since(webhook, NOON, LATER) == 1
        uow.commit()
    again, *_ = deliveries(begin, webhook)
    assert (again.event_id, again.created_at, again.next_attempt_at) == (held.event_id, LATER, LATER)
    assert again.id not in {pending.id, held.id, done.id}
    with begin() as uow:
        assert uow.deliveries.replay_since(webhook, NOON, LATER) == 0


def test_a_delivery_that_repeats_another_is_kept_beside_it(begin: Begin) -> None:
    webhook = registered(begin)
    happened(begin, erased())
    first = changed(begin, the_only(begin, webhook), delivered)
    with begin() as uow:
        uow.deliveries.add(first.replay(uuid4(), LATER))
        uow.commit()
    again, _ = deliveries(begin, webhook)
    assert (again.replay_of, again.body, again.status) == (first.id, "{}", DeliveryStatus.PENDING)


def test_old_deliveries_are_removed_but_for_those_on_their_way(begin: Begin) -> None:
    webhook = registered(begin)
    happened(begin, erased(), erased(), erased(at=LATER))
    newest, newer, oldest = deliveries(begin, webhook)
    for each in (newest, oldest):
        changed(begin, each, delivered)
    with begin() as uow:
        assert uow.deliveries.first_event_pending() == newer.event_position
        assert uow.deliveries.over_before(LATER).count == 1
        assert uow.deliveries.remove_over_before(LATER, limit=9).count == 1
        uow.commit()
    assert [each.id for each in deliveries(begin, webhook)] == [newest.id, newer.id]


def test_a_webhook_takes_its_deliveries_along_when_it_goes(begin: Begin) -> None:
    webhook, other = registered(begin), registered(begin)
    happened(begin, erased())
    with begin() as uow:
        uow.webhooks.delete(webhook)
        uow.commit()
    assert (deliveries(begin, webhook), len(deliveries(begin, other))) == ((), 1)
    with begin() as uow:
        uow.deliveries.forget(other.id)
        uow.commit()
    assert deliveries(begin, other) == ()


# ── Turns, in the queue ──────────────────────────────────────────────────────────────────────────────────


def turns(engine: Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        query = (
            "SELECT args ->> 'webhook_id', queue_name FROM procrastinate_jobs WHERE task_name = 'deliver' ORDER BY id"
        )
        return [tuple(row) for row in connection.execute(text(query))]


@pytest.fixture
def begin_there(engine: Engine) -> Begin:
    return lambda: SqlUnitOfWork(engine, TranscriptionJobs)


def test_a_webhook_waits_for_one_turn_however_much_there_is_for_it(engine: Engine, begin_there: Begin) -> None:
    webhook, other = registered(begin_there), registered(begin_there)
    for _ in range(3):
        happened(begin_there, erased(), erased())
    assert sorted(turns(engine)) == sorted((str(each.id), "webhooks") for each in (webhook, other))


def test_one_that_is_failing_waits_on_a_lane_apart(engine: Engine, begin_there: Begin) -> None:
    webhook = registered(begin_there)
    happened(begin_there, erased())
    webhook.fail(NOON, dead_after_seconds=60)
    with begin_there() as uow:
        uow.webhooks.save(webhook)
        uow.commit()
    happened(begin_there, erased())
    assert turns(engine) == [(str(webhook.id), "failing_webhooks")]


def test_without_webhooks_nobody_takes_a_turn(engine: Engine, begin_there: Begin) -> None:
    happened(begin_there, erased())
    assert turns(engine) == []


def test_a_turn_that_waits_for_later_is_brought_forward_and_never_put_off(engine: Engine, begin_there: Begin) -> None:
    webhook_id = uuid4()
    now = datetime.now(UTC)
    for hours in (2, 1, 3):
        with begin_there() as uow:
            uow.jobs.defer_webhook_turns([WebhookTurn(webhook_id=webhook_id, at=now + timedelta(hours=hours))])
            uow.commit()
    with engine.connect() as connection:
        moments = connection.execute(text("SELECT scheduled_at FROM procrastinate_jobs")).scalars().all()
    assert moments == [now + timedelta(hours=1)]
