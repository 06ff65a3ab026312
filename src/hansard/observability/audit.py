"""Tells the log what the daily look at the audit trail found. The head in it is what a later look can be held against:
a log that is shipped elsewhere keeps it where nobody who tampers with the database can reach it.
"""

from loguru import logger

from hansard.domain.audit import Verdict


def log_audit(verdict: Verdict) -> None:
    told = logger.bind(position=verdict.head.position, hash=verdict.head.hash, entries=verdict.entries)
    if verdict.broken is None:
        told.info("The audit trail holds together.")
    else:
        told.bind(broken_at=verdict.broken.position).error(
            "The audit trail was tampered with: {} See docs/events.md.", verdict.broken.message
        )
