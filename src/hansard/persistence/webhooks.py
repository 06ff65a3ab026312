"""Webhooks and their deliveries in PostgreSQL. `event_log.py` makes the deliveries, as it writes the events.

No foreign key leads from a delivery to its webhook: who writes an event would have to wait for whoever deletes the
webhook, and he for the event's writer. A delivery whose webhook is gone is removed when its turn comes.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, text, update

from hansard.application.ports.paging import Page
from hansard.application.ports.retention import Amount
from hansard.application.ports.webhooks import Outstanding
from hansard.application.ports.work import WebhookTurn
from hansard.domain.delivery import Answer, Delivery, DeliveryAttempt, DeliveryStatus
from hansard.domain.errors import NotFound
from hansard.domain.webhook import DisabledReason, Secret, Terms, Webhook
from hansard.persistence import tables
from hansard.persistence.cursors import number_in
from hansard.persistence.event_log import IS_WANTED, SqlEventLog
from hansard.persistence.values import (
    Json,
    Row,
    failure_from_json,
    failure_to_json,
    moment_from_json,
    moment_or_none,
    moment_to_json,
    storable,
)

_WEBHOOKS = tables.webhooks
_DELIVERIES = tables.webhook_deliveries
_IS_PENDING = _DELIVERIES.c.status == DeliveryStatus.PENDING.value

_REPLAY = text(f"""
    INSERT INTO webhook_deliveries (webhook_id, event_id, event_position, event_type, created_at, next_attempt_at)
    SELECT webhook.id, event.id, event.position, event.type, :at, :at
      FROM events AS event JOIN webhooks AS webhook ON {IS_WANTED}
     WHERE webhook.id = :webhook_id AND event.occurred_at >= :since
       AND NOT EXISTS (
           SELECT FROM webhook_deliveries AS made
            WHERE made.webhook_id = webhook.id AND made.event_position = event.position
              AND made.status IN ('pending', 'delivered'))
     ORDER BY event.position
""")  # noqa: S608 - put together from constants

_OVER = text("""
    SELECT count(*), coalesce(sum(pg_column_size(made.*)), 0)::bigint
      FROM webhook_deliveries AS made WHERE created_at < :moment AND status <> 'pending'
""")

_REMOVE_OVER = text("""
    WITH gone AS (
        DELETE FROM webhook_deliveries AS made WHERE id IN (
               SELECT id FROM webhook_deliveries WHERE created_at < :moment AND status <> 'pending'
                LIMIT :limit FOR UPDATE SKIP LOCKED)
        RETURNING pg_column_size(made.*) AS size_bytes)
    SELECT count(*), coalesce(sum(size_bytes), 0)::bigint FROM gone
""")


@dataclass(frozen=True, slots=True)
class SqlWebhookRepository:
    connection: Connection
    events: SqlEventLog

    def add(self, webhook: Webhook) -> None:
        self.connection.execute(insert(_WEBHOOKS), _webhook_to_row(webhook))
        self.events.extend(webhook.pull_events())

    def get(self, webhook_id: UUID, *, for_update: bool = False) -> Webhook:
        query = select(_WEBHOOKS).where(_WEBHOOKS.c.id == webhook_id)
        row = self.connection.execute(query.with_for_update() if for_update else query).mappings().one_or_none()
        if row is None:
            raise _no_webhook(webhook_id)
        return _webhook_from_row(row)

    def save(self, webhook: Webhook) -> None:
        statement = update(_WEBHOOKS).where(_WEBHOOKS.c.id == webhook.id).values(_webhook_to_row(webhook))
        if self.connection.execute(statement).rowcount == 0:
            raise _no_webhook(webhook.id)
        self.events.extend(webhook.pull_events())

    def delete(self, webhook: Webhook) -> None:
        self.connection.execute(delete(_WEBHOOKS).where(_WEBHOOKS.c.id == webhook.id))
        self.connection.execute(delete(_DELIVERIES).where(_DELIVERIES.c.webhook_id == webhook.id))
        self.events.extend(webhook.pull_events())

    def all(self) -> tuple[Webhook, ...]:
        query = select(_WEBHOOKS).order_by(_WEBHOOKS.c.created_at, _WEBHOOKS.c.id)
        return tuple(_webhook_from_row(row) for row in self.connection.execute(query).mappings())


@dataclass(frozen=True, slots=True)
class SqlDeliveryRepository:
    connection: Connection

    def add(self, delivery: Delivery) -> None:
        self.connection.execute(insert(_DELIVERIES), _delivery_to_row(delivery))

    def get(self, webhook_id: UUID, delivery_id: UUID, *, for_update: bool = False) -> Delivery:
        query = select(_DELIVERIES).where(_DELIVERIES.c.id == delivery_id, _DELIVERIES.c.webhook_id == webhook_id)
        row = self.connection.execute(query.with_for_update() if for_update else query).mappings().one_or_none()
        if row is None:
            raise _no_delivery(webhook_id, delivery_id)
        return _delivery_from_row(row)

    def save(self, delivery: Delivery) -> None:
        statement = update(_DELIVERIES).where(_DELIVERIES.c.id == delivery.id).values(_delivery_to_row(delivery))
        if self.connection.execute(statement).rowcount == 0:
            raise _no_delivery(delivery.webhook_id, delivery.id)

    def page(
        self, webhook_id: UUID, *, limit: int, cursor: str | None = None, status: DeliveryStatus | None = None
    ) -> Page[Delivery]:
        query = select(_DELIVERIES).where(_DELIVERIES.c.webhook_id == webhook_id)
        if status is not None:
            query = query.where(_DELIVERIES.c.status == status.value)
        if cursor is not None:
            query = query.where(_DELIVERIES.c.number < number_in(cursor, most_digits=18))
        rows = self.connection.execute(query.order_by(_DELIVERIES.c.number.desc()).limit(limit + 1)).mappings().all()
        return Page(
            items=tuple(_delivery_from_row(row) for row in rows[:limit]),
            next_cursor=str(rows[limit - 1]["number"]) if len(rows) > limit else None,
        )

    def due(self, webhook_id: UUID, at: datetime, *, limit: int) -> tuple[UUID, ...]:
        moment = _DELIVERIES.c.next_attempt_at
        query = select(_DELIVERIES.c.id).where(_DELIVERIES.c.webhook_id == webhook_id, _IS_PENDING, moment <= at)
        return tuple(self.connection.execute(query.order_by(moment, _DELIVERIES.c.number).limit(limit)).scalars())

    def next_at(self, webhook_id: UUID) -> datetime | None:
        query = select(func.min(_DELIVERIES.c.next_attempt_at))
        return self.connection.execute(query.where(_DELIVERIES.c.webhook_id == webhook_id, _IS_PENDING)).scalar_one()

    def hold(self, webhook_id: UUID) -> int:
        statement = update(_DELIVERIES).where(_DELIVERIES.c.webhook_id == webhook_id, _IS_PENDING)
        held = {"status": DeliveryStatus.HELD.value, "next_attempt_at": None}
        return self.connection.execute(statement.values(held)).rowcount

    def replay_since(self, webhook: Webhook, since: datetime, at: datetime) -> int:
        return self.connection.execute(_REPLAY, {"webhook_id": webhook.id, "since": since, "at": at}).rowcount

    def overdue(self, at: datetime) -> tuple[WebhookTurn, ...]:
        since = _WEBHOOKS.c.failing_since
        query = (
            select(_DELIVERIES.c.webhook_id, since)
            .join(_WEBHOOKS, _WEBHOOKS.c.id == _DELIVERIES.c.webhook_id, isouter=True)
            .where(_IS_PENDING, _DELIVERIES.c.next_attempt_at <= at)
            .distinct()
        )
        return tuple(
            WebhookTurn(webhook_id=row[0], is_failing=row[1] is not None) for row in self.connection.execute(query)
        )

    def outstanding(self, at: datetime) -> Outstanding:
        query = select(func.count(), func.min(_DELIVERIES.c.next_attempt_at)).where(_IS_PENDING)
        pending, first_at = self.connection.execute(query).one()
        overdue_seconds = 0.0 if first_at is None else max(0.0, (at - first_at).total_seconds())
        return Outstanding(pending=pending, overdue_seconds=overdue_seconds)

    def first_event_pending(self) -> int | None:
        query = select(func.min(_DELIVERIES.c.event_position)).where(_IS_PENDING)
        return self.connection.execute(query).scalar_one()

    def over_before(self, moment: datetime) -> Amount:
        return Amount(*self.connection.execute(_OVER, {"moment": moment}).one())

    def remove_over_before(self, moment: datetime, *, limit: int) -> Amount:
        return Amount(*self.connection.execute(_REMOVE_OVER, {"moment": moment, "limit": limit}).one())

    def forget(self, webhook_id: UUID) -> None:
        self.connection.execute(delete(_DELIVERIES).where(_DELIVERIES.c.webhook_id == webhook_id))


# ── Rows ─────────────────────────────────────────────────────────────────────────────────────────────────


def _webhook_to_row(webhook: Webhook) -> Row:
    terms = webhook.terms
    return {
        "id": webhook.id,
        "url": terms.url,
        "event_types": list(terms.event_types),
        "filter": None if terms.filter is None else dict(terms.filter),
        "description": terms.description,
        "secrets": [
            {"value": secret.value, "expires_at": moment_to_json(secret.expires_at)} for secret in webhook.secrets
        ],
        "created_at": webhook.created_at,
        "disabled_reason": webhook.disabled_reason,
        "failing_since": webhook.failing_since,
    }


def _webhook_from_row(row: Row) -> Webhook:
    reason = row["disabled_reason"]
    return Webhook(
        id=row["id"],
        terms=Terms(
            url=row["url"],
            event_types=tuple(row["event_types"]),
            filter=row["filter"],
            description=row["description"],
        ),
        secrets=tuple(Secret(each["value"], moment_from_json(each["expires_at"])) for each in row["secrets"]),
        created_at=row["created_at"].astimezone(UTC),
        disabled_reason=None if reason is None else DisabledReason(reason),
        failing_since=moment_or_none(row["failing_since"]),
    )


def _delivery_to_row(delivery: Delivery) -> Row:
    return {
        "id": delivery.id,
        "webhook_id": delivery.webhook_id,
        "event_id": delivery.event_id,
        "event_position": delivery.event_position,
        "event_type": delivery.event_type,
        "created_at": delivery.created_at,
        "status": delivery.status.value,
        "next_attempt_at": delivery.next_attempt_at,
        "attempts": [_attempt_to_json(attempt) for attempt in delivery.attempts],
        "body": delivery.body,
        "replay_of": delivery.replay_of,
    }


def _delivery_from_row(row: Row) -> Delivery:
    return Delivery(
        id=row["id"],
        webhook_id=row["webhook_id"],
        event_id=row["event_id"],
        event_position=row["event_position"],
        event_type=row["event_type"],
        created_at=row["created_at"].astimezone(UTC),
        status=DeliveryStatus(row["status"]),
        next_attempt_at=moment_or_none(row["next_attempt_at"]),
        attempts=tuple(_attempt_from_json(attempt) for attempt in row["attempts"]),
        body=row["body"],
        replay_of=row["replay_of"],
    )


def _attempt_to_json(attempt: DeliveryAttempt) -> Json:
    return {
        "number": attempt.number,
        "began_at": attempt.began_at.isoformat(),
        "ended_at": moment_to_json(attempt.ended_at),
        "request_headers": dict(attempt.request_headers),
        "answer": None if attempt.answer is None else _answer_to_json(attempt.answer),
        "failure": None if attempt.failure is None else failure_to_json(attempt.failure),
    }


def _attempt_from_json(data: Json) -> DeliveryAttempt:
    return DeliveryAttempt(
        number=data["number"],
        began_at=datetime.fromisoformat(data["began_at"]),
        ended_at=moment_from_json(data["ended_at"]),
        request_headers=data["request_headers"],
        answer=None if data["answer"] is None else Answer(**data["answer"]),
        failure=None if data["failure"] is None else failure_from_json(data["failure"]),
    )


def _answer_to_json(answer: Answer) -> Json:
    return {
        "status": answer.status,
        "headers": {name: storable(value) for name, value in answer.headers.items()},
        "body": storable(answer.body),
        "retry_after_seconds": answer.retry_after_seconds,
    }


def _no_webhook(webhook_id: UUID) -> NotFound:
    return NotFound(f"There is no webhook {webhook_id}.", help="GET /webhooks lists those there are.")


def _no_delivery(webhook_id: UUID, delivery_id: UUID) -> NotFound:
    return NotFound(
        f"There is no delivery {delivery_id} of this webhook.",
        help=f"GET /webhooks/{webhook_id}/deliveries lists them.",
    )
