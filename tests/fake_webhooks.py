"""In-memory fakes of webhooks, their deliveries and their endpoints, for `fakes.py`, which holds the rest."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from hansard.application.ports.paging import Page
from hansard.application.ports.retention import Amount
from hansard.application.ports.webhooks import Message, Outstanding
from hansard.application.ports.work import WebhookTurn
from hansard.domain.audit import Entry
from hansard.domain.delivery import Answer, Delivery, DeliveryStatus
from hansard.domain.errors import DeliveryFailed, InvalidRequest, NotFound
from hansard.domain.webhook import Webhook

if TYPE_CHECKING:
    from tests.fakes import FakeDatabase


@dataclass
class FakeWebhookRepository:
    data: "FakeDatabase"

    def add(self, webhook: Webhook) -> None:
        self.data.events.extend(webhook.pull_events())
        self.data.webhooks[webhook.id] = deepcopy(webhook)

    def get(self, webhook_id: UUID, *, for_update: bool = False) -> Webhook:
        if webhook_id not in self.data.webhooks:
            raise NotFound(f"There is no webhook {webhook_id}.")
        return deepcopy(self.data.webhooks[webhook_id])

    def save(self, webhook: Webhook) -> None:
        self.get(webhook.id)
        self.add(webhook)

    def delete(self, webhook: Webhook) -> None:
        self.data.events.extend(webhook.pull_events())
        self.data.webhooks.pop(webhook.id, None)
        FakeDeliveryRepository(self.data).forget(webhook.id)

    def all(self) -> tuple[Webhook, ...]:
        return tuple(deepcopy(sorted(self.data.webhooks.values(), key=lambda each: (each.created_at, each.id))))


@dataclass
class FakeDeliveryRepository:
    """`data.deliveries` is in the order in which they were made."""

    data: "FakeDatabase"

    def add(self, delivery: Delivery) -> None:
        self.data.deliveries[delivery.id] = deepcopy(delivery)

    def get(self, webhook_id: UUID, delivery_id: UUID, *, for_update: bool = False) -> Delivery:
        found = self.data.deliveries.get(delivery_id)
        if found is None or found.webhook_id != webhook_id:
            raise NotFound(f"There is no delivery {delivery_id} of this webhook.")
        return deepcopy(found)

    def save(self, delivery: Delivery) -> None:
        self.get(delivery.webhook_id, delivery.id)
        self.add(delivery)

    def page(
        self, webhook_id: UUID, *, limit: int, cursor: str | None = None, status: DeliveryStatus | None = None
    ) -> Page[Delivery]:
        if cursor is not None and not cursor.isdecimal():
            raise InvalidRequest("That cursor is not one of ours.", code="invalid_cursor")
        found = [each for each in self._of(webhook_id) if status in {None, each.status}][::-1]
        first = int(cursor or 0)
        return Page(
            items=tuple(deepcopy(found[first : first + limit])),
            next_cursor=str(first + limit) if len(found) > first + limit else None,
        )

    def due(self, webhook_id: UUID, at: datetime, *, limit: int) -> tuple[UUID, ...]:
        due = [each for each in self._of(webhook_id) if each.is_due(at)]
        return tuple(each.id for each in sorted(due, key=lambda each: each.next_attempt_at or at)[:limit])

    def next_at(self, webhook_id: UUID) -> datetime | None:
        return min((each.next_attempt_at for each in self._of(webhook_id) if each.next_attempt_at), default=None)

    def hold(self, webhook_id: UUID) -> int:
        pending = [each for each in self._of(webhook_id) if each.status is DeliveryStatus.PENDING]
        for each in pending:
            each.status, each.next_attempt_at = DeliveryStatus.HELD, None
        return len(pending)

    def replay_since(self, webhook: Webhook, since: datetime, at: datetime) -> int:
        done = {DeliveryStatus.PENDING, DeliveryStatus.DELIVERED}
        there = {each.event_id for each in self._of(webhook.id) if each.status in done}
        missed = [
            entry
            for entry in self.data.trail
            if entry.occurred_at >= since and webhook.wants(entry.type, entry.data) and entry.id not in there
        ]
        for entry in missed:
            self.add(_delivery(webhook, entry, at))
        return len(missed)

    def overdue(self, at: datetime) -> tuple[WebhookTurn, ...]:
        due = {each.webhook_id for each in self.data.deliveries.values() if each.is_due(at)}
        webhooks = {webhook_id: self.data.webhooks.get(webhook_id) for webhook_id in sorted(due)}
        return tuple(
            WebhookTurn(webhook_id=webhook_id, is_failing=webhook is not None and webhook.failing_since is not None)
            for webhook_id, webhook in webhooks.items()
        )

    def outstanding(self, at: datetime) -> Outstanding:
        moments = [each.next_attempt_at for each in self.data.deliveries.values() if each.next_attempt_at]
        overdue_seconds = max(0.0, (at - min(moments)).total_seconds()) if moments else 0.0
        return Outstanding(pending=len(moments), overdue_seconds=overdue_seconds)

    def forget(self, webhook_id: UUID) -> None:
        for each in self._of(webhook_id):
            del self.data.deliveries[each.id]

    def first_event_pending(self) -> int | None:
        pending = {each.event_id for each in self.data.deliveries.values() if each.status is DeliveryStatus.PENDING}
        return min((entry.position for entry in self.data.trail if entry.id in pending), default=None)

    def over_before(self, moment: datetime) -> Amount:
        over = self._over(moment)
        return Amount(len(over), 100 * len(over))

    def remove_over_before(self, moment: datetime, *, limit: int) -> Amount:
        gone = self._over(moment)[:limit]
        for each in gone:
            del self.data.deliveries[each.id]
        return Amount(len(gone), 100 * len(gone))

    def _over(self, moment: datetime) -> list[Delivery]:
        made = self.data.deliveries.values()
        return [each for each in made if each.created_at < moment and each.status is not DeliveryStatus.PENDING]

    def _of(self, webhook_id: UUID) -> list[Delivery]:
        return [each for each in self.data.deliveries.values() if each.webhook_id == webhook_id]


def deliveries_of(webhooks: Iterable[Webhook], entries: Iterable[Entry]) -> list[Delivery]:
    """What a commit makes of the events it writes."""
    webhooks = [webhook for webhook in webhooks if webhook.enabled]
    return [
        _delivery(webhook, entry, entry.occurred_at)
        for entry in entries
        for webhook in webhooks
        if webhook.wants(entry.type, entry.data)
    ]


def _delivery(webhook: Webhook, entry: Entry, at: datetime) -> Delivery:
    return Delivery(
        id=uuid4(),
        webhook_id=webhook.id,
        event_id=entry.id,
        event_position=entry.position,
        event_type=entry.type,
        created_at=at,
        next_attempt_at=at,
    )


@dataclass
class FakeWebhookSender:
    """Answers what `answers` say, one a request, then 200. `on_send` may meddle."""

    answers: list[Answer | DeliveryFailed] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    refuses: InvalidRequest | None = None
    on_send: Callable[[Message], object] = lambda _: None

    def check(self, url: str) -> None:
        if self.refuses:
            raise self.refuses

    def request_headers(self, message: Message) -> dict[str, str]:
        return {"webhook-id": message.id, **message.headers}

    def send(self, message: Message) -> Answer:
        self.sent.append(message)
        self.on_send(message)
        answer = self.answers.pop(0) if self.answers else Answer(status=200)
        if isinstance(answer, DeliveryFailed):
            raise answer
        return answer
