"""A webhook, and what became of its deliveries."""

from hansard.domain import delivery as domain
from hansard.domain.errors import Failure
from hansard.domain.webhook import Webhook
from hansard.http.schemas import webhooks as schemas


def webhook_json(webhook: Webhook) -> schemas.Webhook:
    terms = webhook.terms
    return schemas.Webhook(
        id=webhook.id,
        url=terms.url,
        event_types=list(terms.event_types),
        filter=None if terms.filter is None else dict(terms.filter),
        description=terms.description,
        enabled=webhook.enabled,
        disabled_reason=webhook.disabled_reason,
        failing_since=webhook.failing_since,
        old_secret_expires_at=webhook.secrets[-1].expires_at,
        created_at=webhook.created_at,
    )


def with_secret_json(webhook: Webhook) -> schemas.WebhookWithSecret:
    return schemas.WebhookWithSecret(**webhook_json(webhook).model_dump(), secret=webhook.secrets[0].value)


def delivery_json(delivery: domain.Delivery) -> schemas.Delivery:
    last = delivery.attempts[-1] if delivery.attempts else None
    return schemas.Delivery(
        id=delivery.id,
        webhook_id=delivery.webhook_id,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        created_at=delivery.created_at,
        status=delivery.status,
        next_attempt_at=delivery.next_attempt_at,
        attempts=len(delivery.attempts),
        last_status=last.answer.status if last and last.answer else None,
        last_error=error_json(last.failure) if last else None,
        replay_of=delivery.replay_of,
    )


def attempt_json(attempt: domain.DeliveryAttempt) -> schemas.DeliveryAttempt:
    return schemas.DeliveryAttempt(
        number=attempt.number,
        began_at=attempt.began_at,
        latency_seconds=attempt.latency_seconds,
        request_headers=dict(attempt.request_headers),
        response=answer_json(attempt.answer),
        error=error_json(attempt.failure),
    )


def answer_json(answer: domain.Answer | None) -> schemas.EndpointAnswer | None:
    if answer is None:
        return None
    return schemas.EndpointAnswer(status=answer.status, headers=dict(answer.headers), body=answer.body)


def error_json(failure: Failure | None) -> schemas.DeliveryError | None:
    if failure is None:
        return None
    return schemas.DeliveryError(
        code=failure.code, category=failure.category, message=failure.message, help=failure.help
    )
