"""Webhooks on record, their deliveries, and the way to their endpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from hansard.application.ports.paging import Page
from hansard.application.ports.retention import Amount
from hansard.application.ports.work import WebhookTurn
from hansard.domain.delivery import Answer, Delivery, DeliveryStatus
from hansard.domain.webhook import Webhook


class WebhookRepository(Protocol):
    """Saving a webhook, and deleting it, also writes the events it recorded.

    A unit of work that is to do with deliveries, too, locks the webhook first.
    """

    def add(self, webhook: Webhook) -> None: ...

    def get(self, webhook_id: UUID, *, for_update: bool = False) -> Webhook:
        """Raises `NotFound`. `for_update` locks it until the unit of work ends; events are written meanwhile."""
        ...

    def save(self, webhook: Webhook) -> None: ...

    def delete(self, webhook: Webhook) -> None:
        """With its deliveries."""
        ...

    def all(self) -> tuple[Webhook, ...]:
        """The oldest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """What is still to be sent, and how long what should have been sent first has been due."""

    pending: int
    overdue_seconds: float


class DeliveryRepository(Protocol):
    """A commit that writes events makes the deliveries of them, for each enabled webhook that wants them, and asks for
    the turns of those webhooks. So deliveries are added here only to send something again.
    """

    def add(self, delivery: Delivery) -> None: ...

    def get(self, webhook_id: UUID, delivery_id: UUID, *, for_update: bool = False) -> Delivery:
        """Raises `NotFound`."""
        ...

    def save(self, delivery: Delivery) -> None: ...

    def page(
        self, webhook_id: UUID, *, limit: int, cursor: str | None = None, status: DeliveryStatus | None = None
    ) -> Page[Delivery]:
        """Newest first. Raises `InvalidRequest` for a cursor it did not make."""
        ...

    def due(self, webhook_id: UUID, at: datetime, *, limit: int) -> tuple[UUID, ...]:
        """Those whose attempt is due, the longest due first."""
        ...

    def next_at(self, webhook_id: UUID) -> datetime | None:
        """When the next attempt is due; None: there is nothing more to send."""
        ...

    def hold(self, webhook_id: UUID) -> int:
        """What is pending is held from now on; how many there were."""
        ...

    def replay_since(self, webhook: Webhook, since: datetime, at: datetime) -> int:
        """Make a delivery of each event since then that the webhook wants, and that is neither delivered to it nor on
        its way; how many there are.
        """
        ...

    def overdue(self, at: datetime) -> tuple[WebhookTurn, ...]:
        """The webhooks that have something due."""
        ...

    def outstanding(self, at: datetime) -> Outstanding: ...

    def forget(self, webhook_id: UUID) -> None:
        """Remove what is left of a webhook that is gone."""
        ...

    def first_event_pending(self) -> int | None:
        """The position of the first event that is still to be sent to somebody."""
        ...

    def over_before(self, moment: datetime) -> Amount:
        """Those made before then that are not pending."""
        ...

    def remove_over_before(self, moment: datetime, *, limit: int) -> Amount:
        """Remove so many of them at most."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What goes to an endpoint: signed with each of the secrets, at `sent_at`. `id` becomes `webhook-id`."""

    id: str
    url: str
    body: str
    media_type: str
    secrets: Sequence[str] = field(repr=False)
    sent_at: datetime
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Beside those that tell what is sent and by whom."""


class WebhookSender(Protocol):
    def check(self, url: str) -> None:
        """Raises `InvalidRequest` for a URL to which nothing would ever be sent from here. May ask a name server."""
        ...

    def request_headers(self, message: Message) -> dict[str, str]:
        """Those it is sent with, but for the signature."""
        ...

    def send(self, message: Message) -> Answer:
        """Whatever the endpoint answers. Raises `DeliveryFailed` where there was no answer in time."""
        ...
