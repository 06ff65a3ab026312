"""Webhooks as their owners handle them: register, change, rotate, try out, send again, delete."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.webhooks import Message, WebhookSender
from hansard.application.ports.work import WebhookTurn
from hansard.domain.cloud_event import MEDIA_TYPE, trial_event
from hansard.domain.delivery import Answer, Delivery
from hansard.domain.errors import Conflict, DeliveryFailed, Failure
from hansard.domain.webhook import Terms, Webhook

KEEP_OLD_SECRET_SECONDS = 86_400.0

MOST_WEBHOOKS = 100
"""Each commit looks through them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How sending a test went: the endpoint's answer, if there was one, and what is wrong with it, if anything is."""

    answer: Answer | None
    failure: Failure | None
    latency_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    """`make_secret` makes one of the form `whsec_…`. `source` names this service in what is sent."""

    unit_of_work: Callable[[], UnitOfWork]
    sender: WebhookSender
    make_secret: Callable[[], str]
    source: str
    clock: Clock

    def register(self, terms: Terms) -> Webhook:
        """Raises `InvalidRequest` for a URL to which nothing is ever sent, `Conflict` where there are too many."""
        self.sender.check(terms.url)
        webhook = Webhook.register(uuid4(), terms, self.make_secret(), self.clock())
        with self.unit_of_work() as uow:
            if len(uow.webhooks.all()) >= MOST_WEBHOOKS:
                raise Conflict(
                    f"There are {MOST_WEBHOOKS} webhooks, and no more are taken.",
                    code="too_many_webhooks",
                    help="Delete some that are not used; one may take several event types.",
                )
            uow.webhooks.add(webhook)
            uow.commit()
        return webhook

    def change(self, webhook_id: UUID, terms: Callable[[Terms], Terms], *, enabled: bool | None = None) -> Webhook:
        """`terms` makes the new ones from those it has; `enabled` None leaves it as it is.

        What is pending when it is disabled is held. Raises as `register`.
        """

        def change(uow: UnitOfWork, webhook: Webhook, at: datetime) -> None:
            wanted = terms(webhook.terms)
            if wanted.url != webhook.terms.url:
                self.sender.check(wanted.url)
            webhook.change(wanted, at)
            if enabled is True:
                webhook.enable(at)
            if enabled is False:
                webhook.disable(at)
                uow.deliveries.hold(webhook.id)

        return self._change(webhook_id, change)

    def rotate(self, webhook_id: UUID, *, keep_old_seconds: float = KEEP_OLD_SECRET_SECONDS) -> Webhook:
        """Its new secret is the first of its secrets; the one before it is valid for so long."""
        secret = self.make_secret()
        return self._change(
            webhook_id, lambda _, webhook, at: webhook.rotate(secret, at, keep_old_seconds=keep_old_seconds)
        )

    def delete(self, webhook_id: UUID) -> None:
        """With the record of its deliveries."""
        with self.unit_of_work() as uow:
            webhook = uow.webhooks.get(webhook_id, for_update=True)
            webhook.delete(self.clock())
            uow.webhooks.delete(webhook)
            uow.commit()

    def test(self, webhook_id: UUID) -> Trial:
        """Send a `webhook.test` now, whether it is enabled or not. It is not kept, and not sent again."""
        with self.unit_of_work() as uow:
            webhook = uow.webhooks.get(webhook_id)
        now, test_id = self.clock(), uuid4()
        message = Message(
            id=str(test_id),
            url=webhook.terms.url,
            body=trial_event(test_id, subject=str(webhook_id), source=self.source, at=now),
            media_type=MEDIA_TYPE,
            secrets=webhook.valid_secrets(now),
            sent_at=now,
        )
        answer, failure = None, None
        try:
            answer = self.sender.send(message)
            failure = answer.failure
        except DeliveryFailed as error:
            failure = error.failure
        return Trial(answer=answer, failure=failure, latency_seconds=(self.clock() - now).total_seconds())

    def replay(self, webhook_id: UUID, delivery_id: UUID) -> Delivery:
        """Send it again, as a delivery of its own. Raises `Conflict` while the webhook is disabled."""
        now = self.clock()
        with self.unit_of_work() as uow:
            webhook = _enabled(uow, webhook_id)
            again = uow.deliveries.get(webhook_id, delivery_id).replay(uuid4(), now)
            uow.deliveries.add(again)
            _ask_for_a_turn(uow, webhook)
            uow.commit()
        return again

    def replay_since(self, webhook_id: UUID, since: datetime) -> int:
        """Send what it has missed since then; how many events that are. Raises `Conflict` while it is disabled."""
        now = self.clock()
        with self.unit_of_work() as uow:
            webhook = _enabled(uow, webhook_id)
            count = uow.deliveries.replay_since(webhook, since, now)
            _ask_for_a_turn(uow, webhook)
            uow.commit()
        return count

    def _change(self, webhook_id: UUID, change: Callable[[UnitOfWork, Webhook, datetime], object]) -> Webhook:
        with self.unit_of_work() as uow:
            webhook = uow.webhooks.get(webhook_id, for_update=True)
            change(uow, webhook, self.clock())
            uow.webhooks.save(webhook)
            uow.commit()
        return webhook


def _enabled(uow: UnitOfWork, webhook_id: UUID) -> Webhook:
    webhook = uow.webhooks.get(webhook_id)
    if not webhook.enabled:
        raise Conflict(
            "The webhook is disabled: nothing is sent to it.",
            code="webhook_disabled",
            help=f'Enable it first: PATCH /webhooks/{webhook_id} with {{"enabled": true}}.',
        )
    return webhook


def _ask_for_a_turn(uow: UnitOfWork, webhook: Webhook) -> None:
    uow.jobs.defer_webhook_turns([WebhookTurn(webhook_id=webhook.id, is_failing=webhook.failing_since is not None)])
