"""An alert: a rule over a measured value, and whether it is broken for so long that somebody should know.

    ok ──(broken)──► pending ──(for some time)──► firing ◄──(broken again)── resolving ──(well for some time)──► ok
     ▲                  │                           │                            ▲
     └─────(well)───────┘                           └──────────(well)────────────┘

Only `firing` and the end of `resolving` are told. A value that dances around its threshold is neither broken nor well
for long enough to move an alert that is pending or resolving, so it does not flap. That is the `for` of Prometheus, and
its `keep_firing_for`.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from hansard.domain.events import AlertFired, AlertResolved, Event

LONGEST_SILENCE = timedelta(minutes=5)
"""What was not measured for longer (the machine slept, all was down) did not go on meanwhile: waiting begins anew."""


class RuleName(StrEnum):
    ERROR_RATE = "error_rate"
    LATENCY = "latency"
    INTERACTIVE_LATENCY = "interactive_latency"
    BACKLOG = "backlog"
    COVERAGE = "coverage"
    FALLBACKS = "fallbacks"
    CIRCUIT_OPEN = "circuit_open"
    NO_WORKER = "no_worker"
    DISK = "disk"
    WEBHOOK_DEAD = "webhook_dead"
    WEBHOOK_LAG = "webhook_lag"


class Severity(StrEnum):
    WARNING = "warning"
    """Somebody should look today."""
    CRITICAL = "critical"
    """Somebody should look now."""


class Unit(StrEnum):
    """What a rule's value counts. A part is from 0 to 1."""

    PART = "part"
    SECONDS = "seconds"
    BYTES = "bytes"
    COUNT = "count"


class AlertState(StrEnum):
    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVING = "resolving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Broken while the value is above the threshold, or below it if it `warns_below`.

    It fires after having been broken for `fire_after_seconds`, and resolves after having been well for
    `resolve_after_seconds`. What is `on_each_machine` has an alert for each.
    """

    name: RuleName
    unit: Unit
    threshold: float
    severity: Severity = Severity.WARNING
    fire_after_seconds: float
    resolve_after_seconds: float
    warns_below: bool = False
    on_each_machine: bool = False

    def is_broken_by(self, value: float | None) -> bool:
        """None, where there is too little to judge by, breaks nothing."""
        if value is None:
            return False
        return value < self.threshold if self.warns_below else value > self.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was measured, in a sentence for people too, and what to do if it is too much."""

    value: float | None
    message: str
    help: str | None = None


@dataclass(kw_only=True, eq=False)
class Alert:
    """Where one rule stands. `since` is when its state began; `value` and `message` are of the last reading.

    `name` is the rule's, with `@` and the machine behind it for what each machine has of its own. `trouble` says why
    the last try to measure came to nothing; the state then stays what it was.
    """

    name: str
    state: AlertState = AlertState.OK
    since: datetime | None = None
    fired_at: datetime | None = None
    """Set while it is firing or resolving."""
    severity: Severity = Severity.WARNING
    threshold: float = 0.0
    value: float | None = None
    message: str = ""
    measured_at: datetime | None = None
    trouble: str | None = None
    _events: list[Event] = field(default_factory=list[Event])

    @property
    def rule_name(self) -> str:
        return self.name.partition("@")[0]

    @property
    def is_firing(self) -> bool:
        """Whether it was told and is not over: also while it is resolving."""
        return self.fired_at is not None

    def observe(self, rule: Rule, reading: Reading, at: datetime) -> None:
        was_silent = self.measured_at is not None and at - self.measured_at > LONGEST_SILENCE
        self.severity, self.threshold = rule.severity, rule.threshold
        self.value, self.message, self.measured_at, self.trouble = reading.value, reading.message, at, None
        if rule.is_broken_by(reading.value):
            self._find_broken(rule, reading, at, was_silent=was_silent)
        else:
            self._find_well(rule, at, was_silent=was_silent)

    def miss(self, trouble: str) -> bool:
        """It could not be measured. Returns whether that is news."""
        is_news, self.trouble = self.trouble is None, trouble
        return is_news

    def dismiss(self, at: datetime) -> None:
        """Nobody measures it any more: its rule was switched off, or its machine is gone."""
        if self.is_firing:
            self._resolve(at)
        elif self.state is not AlertState.OK:
            self._enter(AlertState.OK, at)

    def pull_events(self) -> tuple[Event, ...]:
        """The events since the last call; the repository writes them in the commit that saves the change."""
        events, self._events = tuple(self._events), []
        return events

    def _find_broken(self, rule: Rule, reading: Reading, at: datetime, *, was_silent: bool) -> None:
        if self.state is AlertState.RESOLVING:
            self._enter(AlertState.FIRING, at)
        elif self.state is AlertState.OK or (self.state is AlertState.PENDING and was_silent):
            self._enter(AlertState.PENDING, at)
        if self.state is AlertState.PENDING and self._seconds(at) >= rule.fire_after_seconds:
            self._fire(reading, at)

    def _find_well(self, rule: Rule, at: datetime, *, was_silent: bool) -> None:
        if self.state is AlertState.PENDING:
            self._enter(AlertState.OK, at)
        elif self.state is AlertState.FIRING or (self.state is AlertState.RESOLVING and was_silent):
            self._enter(AlertState.RESOLVING, at)
        if self.state is AlertState.RESOLVING and self._seconds(at) >= rule.resolve_after_seconds:
            self._resolve(at)

    def _fire(self, reading: Reading, at: datetime) -> None:
        self._enter(AlertState.FIRING, at)
        self.fired_at = at
        self._events.append(
            AlertFired(
                subject=self.name,
                occurred_at=at,
                severity=self.severity.value,
                value=reading.value or 0.0,
                threshold=self.threshold,
                message=reading.message,
                help=reading.help,
            )
        )

    def _resolve(self, at: datetime) -> None:
        firing_seconds = (at - (self.fired_at or at)).total_seconds()
        self._enter(AlertState.OK, at)
        self.fired_at = None
        self._events.append(
            AlertResolved(
                subject=self.name,
                occurred_at=at,
                severity=self.severity.value,
                value=self.value,
                threshold=self.threshold,
                firing_seconds=firing_seconds,
            )
        )

    def _enter(self, state: AlertState, at: datetime) -> None:
        self.state, self.since = state, at

    def _seconds(self, at: datetime) -> float:
        return (at - (self.since or at)).total_seconds()
