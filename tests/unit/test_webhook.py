"""Webhooks by themselves: which events they want, how they are disabled, and when something is sent again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from hansard.domain.delivery import Answer, Delivery, DeliveryStatus
from hansard.domain.errors import DeliveryFailed, InvalidRequest
from hansard.domain.events import WebhookChanged, WebhookDeleted, WebhookDisabled, WebhookRegistered
from hansard.domain.webhook import (
    EVENT_TYPES,
    JITTER,
    RETRY_DELAYS_SECONDS,
    DisabledReason,
    Terms,
    Webhook,
    retry_delay_seconds,
)
from hansard.persistence.event_mapping import EVENT_TYPES as WRITTEN_TYPES

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
THREE_DAYS = 3 * 86_400
DOWN = DeliveryFailed("The endpoint answers 500.").failure


def a_webhook(**terms: object) -> Webhook:
    webhook = Webhook.register(UUID(int=1), Terms(url="https://example.com/", **terms), "whsec_1", NOON)  # type: ignore[arg-type]
    webhook.pull_events()
    return webhook


def a_delivery() -> Delivery:
    return Delivery(
        id=uuid4(),
        webhook_id=UUID(int=1),
        event_id=uuid4(),
        event_position=1,
        event_type="audio.erased",
        created_at=NOON,
        next_attempt_at=NOON,
    )


# ── What it is told of ───────────────────────────────────────────────────────────────────────────────────


def test_every_event_that_is_written_may_be_asked_for() -> None:
    assert set(EVENT_TYPES) == set(WRITTEN_TYPES)


@pytest.mark.parametrize("types", [(), ("transcription.finished",), ("transcription",), ("*.completed",), ("audio*",)])
def test_types_that_no_event_has_are_refused_with_those_that_there_are(types: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        a_webhook(event_types=types)
    assert refused.value.failure.code == "unknown_event_type"
    assert "transcription.completed" in (refused.value.failure.help or "")


@pytest.mark.parametrize(
    ("found", "wanted", "has_it"),
    [
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": True}, {"a": 1}, False),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, True),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, False),
        ({"a": ["x", "y"]}, {"a": ["y"]}, True),
        ({"a": ["x", "y"]}, {"a": ["y", "z"]}, False),
        ({"a": [{"b": 1, "c": 2}]}, {"a": [{"c": 2}]}, True),
        ({"a": "xy"}, {"a": ["x"]}, False),
        ({"a": None}, {"a": None}, True),
    ],
)
def test_a_filter_names_a_part_of_what_an_event_has(found: dict, wanted: dict, has_it: bool) -> None:
    assert a_webhook(filter=wanted).wants("audio.erased", found) is has_it


# ── What becomes of it ───────────────────────────────────────────────────────────────────────────────────


def test_registering_is_on_record_without_the_url() -> None:
    webhook = Webhook.register(UUID(int=1), Terms(url="https://example.com/?key=1"), "whsec_1", NOON)
    assert webhook.pull_events() == (WebhookRegistered(subject=str(webhook.id), occurred_at=NOON, event_types=("*",)),)
    assert webhook.pull_events() == ()


def test_a_change_tells_what_was_changed() -> None:
    webhook = a_webhook()
    webhook.change(replace(webhook.terms, url="https://example.org/", filter={"a": 1}), NOON)
    assert webhook.pull_events() == (
        WebhookChanged(subject=str(webhook.id), occurred_at=NOON, changed=("url", "filter")),
    )
    webhook.change(webhook.terms, NOON)
    webhook.enable(NOON)
    assert webhook.pull_events() == ()


def test_during_a_rotation_two_secrets_are_valid_then_one() -> None:
    webhook = a_webhook()
    webhook.rotate("whsec_2", NOON, keep_old_seconds=60)
    assert webhook.valid_secrets(NOON) == ("whsec_2", "whsec_1")
    assert webhook.valid_secrets(NOON + timedelta(seconds=60)) == ("whsec_2",)


def test_never_are_more_than_two_valid() -> None:
    webhook = a_webhook()
    for secret in ("whsec_2", "whsec_3"):
        webhook.rotate(secret, NOON, keep_old_seconds=60)
    assert webhook.valid_secrets(NOON) == ("whsec_3", "whsec_2")


def test_a_secret_that_leaked_is_void_at_once() -> None:
    webhook = a_webhook()
    webhook.rotate("whsec_2", NOON, keep_old_seconds=0)
    assert webhook.valid_secrets(NOON) == ("whsec_2",)
    assert "whsec" not in repr(webhook.pull_events())


def test_one_that_fails_for_days_is_dead() -> None:
    webhook = a_webhook()
    webhook.fail(NOON, dead_after_seconds=THREE_DAYS)
    webhook.fail(NOON + timedelta(days=2), dead_after_seconds=THREE_DAYS)
    assert webhook.enabled
    webhook.fail(NOON + timedelta(days=3), dead_after_seconds=THREE_DAYS)
    assert webhook.disabled_reason is DisabledReason.DEAD
    (told,) = webhook.pull_events()
    assert isinstance(told, WebhookDisabled)
    assert (told.reason, told.failing_since) == ("dead", NOON)


def test_a_success_makes_it_forget_its_failures() -> None:
    webhook = a_webhook()
    webhook.fail(NOON, dead_after_seconds=THREE_DAYS)
    webhook.succeed()
    webhook.fail(NOON + timedelta(days=3), dead_after_seconds=THREE_DAYS)
    assert webhook.enabled


def test_one_that_is_gone_is_disabled_at_once_and_that_is_told_once() -> None:
    webhook = a_webhook()
    webhook.vanish(NOON)
    webhook.vanish(NOON)
    assert [event.reason for event in webhook.pull_events() if isinstance(event, WebhookDisabled)] == ["gone"]


def test_one_that_is_enabled_again_has_three_days_again() -> None:
    webhook = a_webhook()
    webhook.fail(NOON, dead_after_seconds=0)
    webhook.enable(NOON + timedelta(days=9))
    webhook.fail(NOON + timedelta(days=10), dead_after_seconds=THREE_DAYS)
    assert webhook.enabled


def test_deleting_is_on_record() -> None:
    webhook = a_webhook()
    webhook.delete(NOON)
    assert webhook.pull_events() == (WebhookDeleted(subject=str(webhook.id), occurred_at=NOON),)


# ── When something is sent again ─────────────────────────────────────────────────────────────────────────


def test_ten_attempts_take_three_days() -> None:
    delays = [retry_delay_seconds(failures, jitter=0.0) for failures in range(1, 11)]
    assert delays == [*RETRY_DELAYS_SECONDS, None]
    assert THREE_DAYS < sum(RETRY_DELAYS_SECONDS) < THREE_DAYS * 1.1


def test_jitter_makes_a_delay_longer_by_a_part() -> None:
    assert retry_delay_seconds(2, jitter=1.0) == 300 * (1 + JITTER)


@pytest.mark.parametrize(
    ("wish", "delay"), [(None, 300), (10.0, 300), (600.0, 600), (86_400.0, 86_400), (86_401.0, 300), (1e12, 300)]
)
def test_an_endpoint_may_ask_for_a_longer_pause_within_reason(wish: float | None, delay: float) -> None:
    assert retry_delay_seconds(2, jitter=0.0, retry_after_seconds=wish) == delay


# ── A delivery ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (301, "webhook_redirects", True),
        (400, "webhook_failed", True),
        (410, "webhook_gone", False),
        (503, "webhook_failed", True),
    ],
)
def test_anything_but_2xx_is_a_failure(status: int, code: str, retryable: bool) -> None:
    failure = Answer(status=status).failure
    assert failure is not None
    assert (failure.code, failure.retryable) == (code, retryable)


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_any_2xx_is_a_success(status: int) -> None:
    assert Answer(status=status).failure is None


def test_an_attempt_without_an_end_was_interrupted_and_is_no_failure_of_the_endpoint() -> None:
    delivery = a_delivery()
    delivery.begin(NOON, "{}", headers={})
    second = delivery.begin(NOON + timedelta(seconds=9), "{}", headers={})
    first = delivery.attempts[0]
    assert first.failure is not None
    assert first.failure.code == "delivery_interrupted"
    assert (second.number, delivery.failures, delivery.is_due(NOON)) == (2, 0, True)


def test_a_late_success_of_an_attempt_taken_for_lost_counts() -> None:
    delivery = a_delivery()
    late = delivery.begin(NOON, "{}", headers={})
    delivery.begin(NOON, "{}", headers={})
    delivery.succeed(late.number, Answer(status=200), NOON)
    assert delivery.status is DeliveryStatus.DELIVERED


def test_a_late_failure_of_one_does_not() -> None:
    delivery = a_delivery()
    late = delivery.begin(NOON, "{}", headers={})
    delivery.begin(NOON, "{}", headers={})
    delivery.fail(late.number, DOWN, NOON, answer=None, next_at=None)
    assert (delivery.status, delivery.next_attempt_at) == (DeliveryStatus.PENDING, NOON)


def test_what_was_held_meanwhile_stays_so_unless_it_got_through() -> None:
    for is_taken, status in ((False, DeliveryStatus.HELD), (True, DeliveryStatus.DELIVERED)):
        delivery = a_delivery()
        attempt = delivery.begin(NOON, "{}", headers={})
        delivery.status, delivery.next_attempt_at = DeliveryStatus.HELD, None
        if is_taken:
            delivery.succeed(attempt.number, Answer(status=200), NOON)
        else:
            delivery.fail(attempt.number, DOWN, NOON, answer=None, next_at=NOON)
        assert (delivery.status, delivery.next_attempt_at) == (status, None)
