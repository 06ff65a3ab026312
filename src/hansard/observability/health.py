"""Tells the log when a part of the service falls ill, and when it is well again."""

from loguru import logger

from hansard.application.health import HealthStatus, Part


def log_health(part: Part, error: Exception | None) -> None:
    """A `HealthObserver`. What the look raised stands in the log alone: anybody may read the rest."""
    told = logger.bind(part=part.name, status=part.status.value, latency_seconds=part.latency_seconds)
    if part.trouble is None:
        told.info("This part of the service is well again.")
        return
    told = told.bind(code=part.trouble.code)
    if part.trouble.help is not None:
        told = told.bind(help=part.trouble.help)
    told.opt(exception=error).log(_level(part), "{}", part.trouble.message)


def _level(part: Part) -> str:
    if part.status is HealthStatus.UNKNOWN:  # for want of another, which is told
        return "INFO"
    return "ERROR" if part.decides_readiness and part.status is HealthStatus.DOWN else "WARNING"
