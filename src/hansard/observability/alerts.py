"""Tells the log of alerts that cannot be judged, and of what was removed because it was kept for long enough."""

from collections.abc import Iterable

from loguru import logger

from hansard.application.retention import Pruned
from hansard.domain.errors import HansardError


def log_unmeasured(name: str, error: Exception) -> None:
    """An `AlertTrouble`."""
    unforeseen = not isinstance(error, HansardError)
    told = logger.bind(alert=name).opt(exception=error if unforeseen else None)
    told.error("An alert cannot be judged, since its value cannot be measured: {}", error)


def log_pruned(pruned: Iterable[Pruned]) -> None:
    for each in pruned:
        told = logger.bind(kind=each.name, count=each.amount.count, size_bytes=each.amount.size_bytes)
        if each.error is not None:
            unforeseen = not isinstance(each.error, HansardError)
            told = told.opt(exception=each.error if unforeseen else None)
            told.error("What was kept for long enough could not be removed: {}", each.error)
        elif each.amount.count:
            told.info("What was kept for long enough is removed.")
