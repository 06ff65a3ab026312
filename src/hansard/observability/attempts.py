"""Tells the log, and the trace, of every try of every engine."""

from loguru import logger

from hansard.domain.transcription import Attempt, AttemptOutcome
from hansard.observability.events import facts
from hansard.observability.tracing import trace_attempt


def observe_attempt(attempt: Attempt, retry_in_seconds: float | None) -> None:
    """An `AttemptObserver`."""
    log_attempt(attempt, retry_in_seconds)
    trace_attempt(attempt, retry_in_seconds)


def log_attempt(attempt: Attempt, retry_in_seconds: float | None) -> None:
    """An `AttemptObserver`. A failure is a warning: what it leads to, another engine or none, is told when it does."""
    told = logger.bind(attempt=attempt.number, engine=attempt.engine, model=attempt.model)
    if attempt.outcome is AttemptOutcome.RUNNING:
        told.info("The engine begins.")
        return
    told = told.bind(recognised_seconds=attempt.recognised_seconds)
    failure = attempt.failure
    if failure is None:
        told.info("The engine is done.")
        return
    told = told.bind(**facts(failure))
    if retry_in_seconds is None:
        told.warning("The engine failed: {}", failure.message)
    else:
        told.bind(retry_in_seconds=retry_in_seconds).warning(
            "The engine failed, and is tried again: {}", failure.message
        )
