"""Webhooks: other systems that are told of events."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query, status

from hansard.http.dependencies import TheContainer
from hansard.http.mapping.webhooks import (
    answer_json,
    attempt_json,
    delivery_json,
    error_json,
    webhook_json,
    with_secret_json,
)
from hansard.http.schemas import webhooks as schemas

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

_URL_REFUSED: dict[int | str, dict[str, Any]] = {
    422: {
        "description": "`webhook_url_refused`: it leads inside; `webhook_url_invalid`; `unknown_event_type`; "
        "`invalid_request`."
    }
}
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "`not_found`."}}
_DISABLED: dict[int | str, dict[str, Any]] = {409: {"description": "`webhook_disabled`: enable it first."}}


@router.post("", status_code=status.HTTP_201_CREATED, summary="Register a webhook", responses=_URL_REFUSED)
def register_webhook(wish: schemas.NewWebhook, container: TheContainer) -> schemas.WebhookWithSecret:
    """The answer has its secret, which is not shown again."""
    return with_secret_json(container.webhooks.register(wish.terms()))


@router.get("", summary="List webhooks, the oldest first")
def list_webhooks(container: TheContainer) -> schemas.WebhookList:
    with container.unit_of_work() as uow:
        return schemas.WebhookList(items=[webhook_json(webhook) for webhook in uow.webhooks.all()])


@router.get("/{webhook_id}", summary="Look a webhook up", responses=_UNKNOWN)
def get_webhook(webhook_id: UUID, container: TheContainer) -> schemas.Webhook:
    with container.unit_of_work() as uow:
        return webhook_json(uow.webhooks.get(webhook_id))


@router.patch("/{webhook_id}", summary="Change, enable or disable a webhook", responses=_UNKNOWN | _URL_REFUSED)
def change_webhook(webhook_id: UUID, wish: schemas.WebhookChange, container: TheContainer) -> schemas.Webhook:
    return webhook_json(container.webhooks.change(webhook_id, wish.applied, enabled=wish.enabled))


@router.delete("/{webhook_id}", status_code=status.HTTP_204_NO_CONTENT, summary="Delete a webhook", responses=_UNKNOWN)
def delete_webhook(webhook_id: UUID, container: TheContainer) -> None:
    """With the record of its deliveries. What is under way may still arrive."""
    container.webhooks.delete(webhook_id)


@router.post("/{webhook_id}/rotate", summary="Give a webhook a new secret", responses=_UNKNOWN)
def rotate_webhook_secret(
    webhook_id: UUID, container: TheContainer, wish: Annotated[schemas.SecretRotation | None, Body()] = None
) -> schemas.WebhookWithSecret:
    """Until the old one expires, all is signed with both, so that the receiver may change over when it likes."""
    keep_old_seconds = (wish or schemas.SecretRotation()).keep_old_seconds
    return with_secret_json(container.webhooks.rotate(webhook_id, keep_old_seconds=keep_old_seconds))


@router.post("/{webhook_id}/test", summary="Send a test and tell how it went", responses=_UNKNOWN)
def test_webhook(webhook_id: UUID, container: TheContainer) -> schemas.Trial:
    """An event of the type `webhook.test` is sent while you wait, once, whether the webhook is enabled or not."""
    trial = container.webhooks.test(webhook_id)
    return schemas.Trial(
        delivered=trial.failure is None,
        latency_seconds=trial.latency_seconds,
        response=answer_json(trial.answer),
        error=error_json(trial.failure),
    )


@router.post(
    "/{webhook_id}/replay",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Send again what was missed",
    responses=_UNKNOWN | _DISABLED,
)
def replay_missed_events(
    webhook_id: UUID, query: Annotated[schemas.ReplayQuery, Query()], container: TheContainer
) -> schemas.Replayed:
    """Every event since then that the webhook wants and that was neither delivered to it nor is on its way."""
    return schemas.Replayed(deliveries=container.webhooks.replay_since(webhook_id, query.since))


@router.get("/{webhook_id}/deliveries", summary="List deliveries, the newest first", responses=_UNKNOWN)
def list_deliveries(
    webhook_id: UUID, query: Annotated[schemas.DeliveryQuery, Query()], container: TheContainer
) -> schemas.DeliveryPage:
    with container.unit_of_work() as uow:
        uow.webhooks.get(webhook_id)
        page = uow.deliveries.page(webhook_id, limit=query.limit, cursor=query.cursor, status=query.outcome)
    return schemas.DeliveryPage(items=[delivery_json(each) for each in page.items], next_cursor=page.next_cursor)


@router.get("/{webhook_id}/deliveries/{delivery_id}", summary="Look a delivery up", responses=_UNKNOWN)
def get_delivery(webhook_id: UUID, delivery_id: UUID, container: TheContainer) -> schemas.DeliveryDetails:
    """With what was sent, and what was answered to each attempt."""
    with container.unit_of_work() as uow:
        delivery = uow.deliveries.get(webhook_id, delivery_id)
    return schemas.DeliveryDetails(
        **delivery_json(delivery).model_dump(),
        body=delivery.body,
        attempt_list=[attempt_json(attempt) for attempt in delivery.attempts],
    )


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/replay",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Send an event again",
    responses=_UNKNOWN | _DISABLED,
)
def replay_delivery(webhook_id: UUID, delivery_id: UUID, container: TheContainer) -> schemas.Delivery:
    """As a delivery of its own, with a `webhook-id` of its own; the event's `id` in the body stays the same."""
    return delivery_json(container.webhooks.replay(webhook_id, delivery_id))
