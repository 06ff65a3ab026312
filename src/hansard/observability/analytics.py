"""What is said in the log about the analytics."""

from collections.abc import Callable

from loguru import logger

from hansard.domain.errors import AnalyticsUnavailable, HansardError


def log_analytics_away(error: AnalyticsUnavailable) -> None:
    """With what is behind it, which those who ask for figures are not told."""
    reason = error.__cause__ if isinstance(error.__cause__, HansardError) else error
    told = logger.bind(code=error.failure.code, category=error.failure.category.value, help=reason.failure.help)
    told.warning("There are no analytics for now: {}", reason.failure.message)


def quiet_while_away(work: Callable[[], object]) -> Callable[[], None]:
    """`work`, which is tried again and again: that the analytics are away is said once, and that they are back."""
    is_away = False

    def quietly() -> None:
        nonlocal is_away
        try:
            work()
        except AnalyticsUnavailable as error:
            if not is_away:
                log_analytics_away(error)
            is_away = True
            return
        if is_away:
            logger.info("The analytics are up to date again.")
        is_away = False

    return quietly
