"""A worker process: takes jobs from the queue, one at a time, and gives each to the use case that does it."""

from hansard import bootstrap
from hansard.observability import logging
from hansard.settings import Settings


def main(settings: Settings, *, name: str) -> None:
    """Work until told to stop (SIGTERM or SIGINT)."""
    logging.configure(process=name, level=settings.log_level, format=settings.log_format)
    container = bootstrap.build(settings, process=name)
