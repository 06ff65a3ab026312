"""Tells the log of every try of every engine."""

from loguru import logger

from hansard.domain.transcription import Attempt, AttemptOutcome


def log_attempt(attempt: Attempt, retry_in_seconds: float | None) -> None:
    """An `AttemptObserver`."""
    told = logger.bind(attempt=attempt.number, engine=attempt.engine, model=attempt.model)
    if attempt.outcome is AttemptOutcome.RUNNING:
        told.info("The engine begins.")
        return
    told = told.bind(recognised_seconds=attempt.recognised_seconds)
    failure = attempt.failure
    if failure is None:
        told.info("The engine is done.")
        return
    told = told.bind(code=failure.code, category=failure.category.value, provider_status=failure.provider_status)
    if retry_in_seconds is None:
        told.error("The engine failed: {}", failure.message)
    else:
        told.bind(retry_in_seconds=retry_in_seconds).warning(
            "The engine failed, and is tried again: {}", failure.message
        )
