"""Tells the log when what functions and processes take cannot be written down, and when it can be again."""

from loguru import logger


def log_recording(error: Exception | None) -> None:
    if error is None:
        logger.info("What functions take is written down again; nothing was lost.")
    else:
        logger.warning("What functions take is kept in memory for now: {}", error)
