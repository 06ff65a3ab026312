"""When to try an engine again: the decision as data, apart from whoever carries it out."""

from collections.abc import Callable
from dataclasses import dataclass

from hansard.domain.errors import EngineError


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential back-off with full jitter.

    Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. The provider's own
    `Retry-After` is a lower bound. `jitter` draws uniformly from 0 … 1.
    """

    max_attempts: int
    base_seconds: float
    cap_seconds: float
    budget_seconds: float
    jitter: Callable[[], float]

    def delay_seconds(self, error: EngineError, *, attempts: int, waited_seconds: float) -> float | None:
        """How long to wait before the next attempt, after `attempts` have failed; None to give up."""
        if not error.failure.retryable or attempts >= self.max_attempts:
            return None
        backoff = min(self.cap_seconds, self.base_seconds * 2 ** (attempts - 1)) * self.jitter()
        delay = max(backoff, error.retry_after_seconds or 0.0)
        return delay if waited_seconds + delay <= self.budget_seconds else None
