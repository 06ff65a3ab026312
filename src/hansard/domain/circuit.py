"""A circuit breaker for each engine: one that fails again and again is left alone for a while, then tried once.

    closed ──(failures in a row, or a configuration error)──► open
      ▲                                                        │  after a while
      ├────────(the probe succeeds)────────── half-open ◄──────┘
      │                                           │
      └── by hand                                 └──(the probe fails)──► open, for twice as long

Source: Michael Nygard, "Release It!", chapter "Circuit Breaker"; the doubling is that of every back-off. All
processes share one state, so what they see together opens a circuit, and one of them makes the probe.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from hansard.domain.errors import Category, Failure
from hansard.domain.events import EngineCircuitClosed, EngineCircuitOpened, EngineDisabled, EngineEnabled, Event


class CircuitState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Admission(StrEnum):
    """What somebody who wants to use the engine is told."""

    GRANTED = "granted"
    PROBE = "probe"
    """Granted, to find out whether it works again."""
    REFUSED = "refused"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitPolicy:
    """`failures` in a row open a circuit, for `open_seconds` the first time and twice as long each time after, up to
    `longest_open_seconds`. A probe that has not been heard of for `probe_seconds` was lost, and another may be made.
    """

    failures: int
    open_seconds: float
    longest_open_seconds: float
    probe_seconds: float


WEIGHT: Mapping[Category, float] = MappingProxyType(
    {
        Category.SERVER: 1,
        Category.TIMEOUT: 1,
        Category.RATE_LIMIT: 1,
        Category.AUTHENTICATION: float("inf"),
        Category.CONFIGURATION: float("inf"),
    }
)
"""What a failure counts. The rest count nothing: a client's error says nothing about the engine, and what crashed it
is most often the recording. A wrong key is as wrong the next time, so one is enough."""


@dataclass(kw_only=True, eq=False)
class Circuit:
    """`failures` counts those in a row; `openings` the times it has opened since the engine last worked."""

    engine: str
    state: CircuitState = CircuitState.CLOSED
    failures: int = 0
    openings: int = 0
    retry_at: datetime | None = None
    """When the next probe may be made; None while it is closed."""
    disabled: bool = False
    disabled_reason: str | None = None
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    last_failure: Failure | None = None
    _events: list[Event] = field(default_factory=list[Event])

    @property
    def is_at_rest(self) -> bool:
        """Whether whoever comes is let in and a success changes nothing but its date."""
        return self.state is CircuitState.CLOSED and not self.failures and not self.disabled

    def is_paused(self, at: datetime) -> bool:
        """Whether it is too early for the next probe."""
        return self.retry_at is not None and at < self.retry_at

    def admit(self, at: datetime, policy: CircuitPolicy) -> Admission:
        if self.disabled:
            return Admission.DISABLED
        if self.state is CircuitState.CLOSED:
            return Admission.GRANTED
        if self.is_paused(at):
            return Admission.REFUSED
        self.state = CircuitState.HALF_OPEN
        self.retry_at = at + timedelta(seconds=policy.probe_seconds)
        return Admission.PROBE

    def succeed(self, at: datetime) -> None:
        """The engine did some work. That closes the circuit, whoever it was that got through."""
        self.last_success_at = at
        self._close(at, by_hand=False)

    def fail(self, failure: Failure, at: datetime, policy: CircuitPolicy) -> None:
        """The engine failed. Failures that say nothing about the engine change nothing."""
        weight = WEIGHT.get(failure.category, 0)
        if not weight:
            return
        self.failures += 1
        self.last_failure_at, self.last_failure = at, failure
        is_probe = self.state is CircuitState.HALF_OPEN
        if is_probe or (self.state is CircuitState.CLOSED and self.failures * weight >= policy.failures):
            self._open(failure, at, policy)

    def abandon_probe(self, at: datetime) -> None:
        """The probe came to nothing, for reasons that are not the engine's: the next one may be made at once."""
        if self.state is CircuitState.HALF_OPEN:
            self.state, self.retry_at = CircuitState.OPEN, at

    def reset(self, at: datetime) -> None:
        """Close it by hand, and forget the failures."""
        self._close(at, by_hand=True)

    def disable(self, at: datetime, reason: str | None = None) -> None:
        """Take the engine out of use. Doing so again changes the reason alone."""
        was_disabled, self.disabled, self.disabled_reason = self.disabled, True, reason
        if not was_disabled:
            self._events.append(EngineDisabled(subject=self.engine, occurred_at=at, reason=reason))

    def enable(self, at: datetime) -> None:
        """Put it back into use."""
        if self.disabled:
            self.disabled, self.disabled_reason = False, None
            self._events.append(EngineEnabled(subject=self.engine, occurred_at=at))

    def pull_events(self) -> tuple[Event, ...]:
        """The events since the last call; the repository writes them in the commit that saves the change."""
        events, self._events = tuple(self._events), []
        return events

    def _open(self, failure: Failure, at: datetime, policy: CircuitPolicy) -> None:
        # An exponent without bound would overflow where an engine is down for months.
        seconds = min(policy.longest_open_seconds, policy.open_seconds * 2 ** min(self.openings, 30))
        self.state, self.openings, self.retry_at = CircuitState.OPEN, self.openings + 1, at + timedelta(seconds=seconds)
        self._events.append(
            EngineCircuitOpened(
                subject=self.engine, occurred_at=at, failures=self.failures, retry_at=self.retry_at, failure=failure
            )
        )

    def _close(self, at: datetime, *, by_hand: bool) -> None:
        was_closed = self.state is CircuitState.CLOSED
        self.state, self.failures, self.openings, self.retry_at = CircuitState.CLOSED, 0, 0, None
        if not was_closed:
            self._events.append(EngineCircuitClosed(subject=self.engine, occurred_at=at, by_hand=by_hand))
