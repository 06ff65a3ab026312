"""Tells the log of what is sent to webhooks: by ids and outcomes, never by URLs, which may hold secrets."""

from loguru import logger

from hansard.application.deliver import Sent
from hansard.observability.events import facts


def log_sent(sent: Sent) -> None:
    """One line for each attempt that has ended: a failure that is tried again is nothing to be woken for."""
    attempt = sent.attempt
    told = logger.bind(
        webhook_id=str(sent.webhook_id),
        delivery_id=str(sent.delivery_id),
        event=sent.event_type,
        attempt=attempt.number,
        latency_seconds=attempt.latency_seconds,
        delay_seconds=sent.delay_seconds,
    )
    if attempt.answer is not None:
        told = told.bind(status=attempt.answer.status)
    if attempt.failure is None:
        told.info("An event was delivered to a webhook.")
        return
    told = told.bind(**facts(attempt.failure))
    if sent.is_last:
        told.warning("An event could not be delivered to a webhook, and is given up: {}", attempt.failure.message)
    else:
        told.info("An event could not be delivered to a webhook, and is sent again: {}", attempt.failure.message)


def log_recovered(count: int) -> None:
    """What the sweep found."""
    if count:
        logger.bind(webhooks=count).debug("Webhooks had something due, and were asked to take their turns.")
