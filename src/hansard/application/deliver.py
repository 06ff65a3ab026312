"""Send a webhook what is due to it, a turn at a time, so that nobody's endpoint keeps the others waiting.

An attempt is written down before anything is sent, and again when it has ended. Whoever takes the next turn after a
worker was lost finds an attempt without an end, and sends the same again: an endpoint gets every event at least once,
and tells by `webhook-id` what it had already.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from hansard.application.origin import acting
from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.webhooks import Message, WebhookSender
from hansard.application.ports.work import WebhookTurn
from hansard.domain.audit import Entry
from hansard.domain.cloud_event import MEDIA_TYPE, cloud_event, traceparent
from hansard.domain.delivery import Answer, Delivery, DeliveryAttempt
from hansard.domain.errors import DeliveryFailed, Failure, NotFound
from hansard.domain.webhook import Webhook, retry_delay_seconds
from hansard.timing.decorators import time_it

TURN_SECONDS = 5.0
"""When a turn ends, but for requests that are under way: others wait for theirs."""

TURN_DELIVERIES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An attempt that has ended, for logs and metrics.

    `delay_seconds` lie between the event and the attempt. `is_last`: nothing more will be sent, since it is there or
    since it is given up.
    """

    webhook_id: UUID
    delivery_id: UUID
    event_type: str
    attempt: DeliveryAttempt
    delay_seconds: float
    is_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """`source` names this service in what is sent. `jitter` draws uniformly from 0 … 1.

    `at_once` is how many requests one endpoint is sent at the same time; one that is failing is sent one.
    """

    unit_of_work: Callable[[], UnitOfWork]
    sender: WebhookSender
    source: str
    dead_after_seconds: float
    jitter: Callable[[], float]
    clock: Clock
    observe: Callable[[Sent], object] = lambda _: None
    at_once: int = 4

    @time_it
    def __call__(self, webhook_id: UUID, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """One turn. Then the webhook asks for its next one, when something is due; a worker that stops leaves that to
        the turn that it puts back.
        """
        webhook, due = self._due(webhook_id)
        if webhook is None:
            return
        ends_at = self.clock() + timedelta(seconds=TURN_SECONDS)

        def attempt(delivery_id: UUID) -> None:
            if not is_stopped() and self.clock() < ends_at:
                self._attempt(webhook_id, delivery_id)

        with ThreadPoolExecutor(1 if webhook.failing_since else self.at_once, thread_name_prefix="deliver") as pool:
            sent = [pool.submit(copy_context().run, attempt, delivery_id) for delivery_id in due]
        for each in sent:
            each.result()
        self._ask_for_the_next_turn(webhook_id)

    def recover(self) -> int:
        """Have webhooks take a turn that have something due, in case the queue has lost theirs; how many there are."""
        with self.unit_of_work() as uow:
            overdue = uow.deliveries.overdue(self.clock())
            uow.jobs.defer_webhook_turns(overdue)
            uow.commit()
        return len(overdue)

    def _due(self, webhook_id: UUID) -> tuple[Webhook | None, tuple[UUID, ...]]:
        """None where nothing is to be sent any more. Then what was still made for the webhook is put away."""
        with self.unit_of_work() as uow:
            webhook = _found(uow, webhook_id)
            if webhook is None:
                uow.deliveries.forget(webhook_id)
            elif not webhook.enabled:
                uow.deliveries.hold(webhook_id)
            else:
                return webhook, uow.deliveries.due(webhook_id, self.clock(), limit=TURN_DELIVERIES)
            uow.commit()
        return None, ()

    def _ask_for_the_next_turn(self, webhook_id: UUID) -> None:
        with self.unit_of_work() as uow:
            webhook, next_at = _found(uow, webhook_id), uow.deliveries.next_at(webhook_id)
            if webhook is not None and next_at is not None:
                is_failing = webhook.failing_since is not None
                uow.jobs.defer_webhook_turns([WebhookTurn(webhook_id=webhook_id, at=next_at, is_failing=is_failing)])
                uow.commit()

    # ── One attempt ──────────────────────────────────────────────────────────────────────────────────────

    def _attempt(self, webhook_id: UUID, delivery_id: UUID) -> None:
        try:
            begun = self._begin(webhook_id, delivery_id)
            if begun is None:
                return
            number, message, entry = begun
            with acting(request_id=entry.request_id, trace_id=entry.trace_id):
                answer, failure = self._send(message)
                self._settle(webhook_id, delivery_id, number, answer, failure)
        except NotFound:
            pass  # it was deleted meanwhile

    def _begin(self, webhook_id: UUID, delivery_id: UUID) -> tuple[int, Message, Entry] | None:
        """None where there is nothing to send, or not any more."""
        now = self.clock()
        with self.unit_of_work() as uow:
            webhook = uow.webhooks.get(webhook_id)
            delivery = uow.deliveries.get(webhook_id, delivery_id, for_update=True)
            if not (webhook.enabled and delivery.is_due(now)):
                return None
            try:
                entry = uow.events.get(delivery.event_id)
            except NotFound:
                delivery.give_up(_pruned(), now)
                uow.deliveries.save(delivery)
                uow.commit()
                return None
            message = self._message(webhook, delivery, entry, now)
            attempt = delivery.begin(now, message.body, headers=self.sender.request_headers(message))
            uow.deliveries.save(delivery)
            uow.checkpoint()
        return attempt.number, message, entry

    def _message(self, webhook: Webhook, delivery: Delivery, entry: Entry, at: datetime) -> Message:
        context = {"X-Request-ID": entry.request_id, "traceparent": traceparent(entry) if entry.trace_id else None}
        return Message(
            id=str(delivery.id),
            url=webhook.terms.url,
            body=delivery.body or cloud_event(entry, source=self.source),
            media_type=MEDIA_TYPE,
            secrets=webhook.valid_secrets(at),
            sent_at=at,
            headers={name: value for name, value in context.items() if value is not None},
        )

    def _send(self, message: Message) -> tuple[Answer | None, Failure | None]:
        try:
            answer = self.sender.send(message)
        except DeliveryFailed as error:
            return None, error.failure
        return answer, answer.failure

    def _settle(
        self, webhook_id: UUID, delivery_id: UUID, number: int, answer: Answer | None, failure: Failure | None
    ) -> None:
        now = self.clock()
        with self.unit_of_work() as uow:
            if uow.webhooks.get(webhook_id).is_told_by(success=failure is None):
                # Before the delivery: who disables a webhook locks them in this order, too.
                self._tell(uow, uow.webhooks.get(webhook_id, for_update=True), failure, now)
            delivery = uow.deliveries.get(webhook_id, delivery_id, for_update=True)
            if failure is None and answer is not None:
                delivery.succeed(number, answer, now)
            elif failure is not None:
                delivery.fail(
                    number, failure, now, answer=answer, next_at=self._next_at(delivery, failure, answer, now)
                )
            uow.deliveries.save(delivery)
            uow.checkpoint()  # undone, it is sent again
        self.observe(_sent(delivery, number))

    def _tell(self, uow: UnitOfWork, webhook: Webhook, failure: Failure | None, now: datetime) -> None:
        if failure is None:
            webhook.succeed()
        elif failure.retryable:
            webhook.fail(now, dead_after_seconds=self.dead_after_seconds)
        else:
            webhook.vanish(now)
        uow.webhooks.save(webhook)
        if not webhook.enabled:
            uow.deliveries.hold(webhook.id)

    def _next_at(self, delivery: Delivery, failure: Failure, answer: Answer | None, now: datetime) -> datetime | None:
        if not failure.retryable:
            return None
        wish = answer.retry_after_seconds if answer else None
        delay = retry_delay_seconds(delivery.failures + 1, jitter=self.jitter(), retry_after_seconds=wish)
        return None if delay is None else now + timedelta(seconds=delay)


def _found(uow: UnitOfWork, webhook_id: UUID) -> Webhook | None:
    try:
        return uow.webhooks.get(webhook_id)
    except NotFound:
        return None


def _sent(delivery: Delivery, number: int) -> Sent:
    attempt = delivery.attempts[number - 1]
    return Sent(
        webhook_id=delivery.webhook_id,
        delivery_id=delivery.id,
        event_type=delivery.event_type,
        attempt=attempt,
        delay_seconds=(attempt.began_at - delivery.created_at).total_seconds(),
        is_last=delivery.next_attempt_at is None,
    )


def _pruned() -> Failure:
    error = DeliveryFailed(
        "The event was removed from the audit trail before it could be sent.",
        code="event_pruned",
        help="Keep events for longer than webhooks may be away.",
    )
    return replace(error.failure, retryable=False)
