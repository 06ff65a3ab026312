"""What is alerted of: each rule, how its value is measured, and what to do about it.

Measured from the operational database alone: what is wrong with the analytics must not keep anybody from being called.
`docs/alerts.md` has them as a table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from types import MappingProxyType

from hansard.application.backlog import Backlog, measure_backlog
from hansard.application.ports.alerts import Outcomes
from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.domain.alert import Reading, Rule, RuleName, Severity, Unit
from hansard.domain.audio import DEFAULT_OWNER
from hansard.domain.circuit import CircuitState
from hansard.domain.webhook import DisabledReason

_MINUTE = 60.0


def default_rules(*, scarce_disk_bytes: int) -> tuple[Rule, ...]:
    return (
        Rule(
            name=RuleName.ERROR_RATE,
            unit=Unit.PART,
            threshold=0.1,
            severity=Severity.CRITICAL,
            fire_after_seconds=2 * _MINUTE,
            resolve_after_seconds=5 * _MINUTE,
        ),
        Rule(
            name=RuleName.LATENCY,
            unit=Unit.SECONDS,
            threshold=3600.0,
            fire_after_seconds=5 * _MINUTE,
            resolve_after_seconds=10 * _MINUTE,
        ),
        Rule(
            name=RuleName.INTERACTIVE_LATENCY,
            unit=Unit.SECONDS,
            threshold=60.0,
            fire_after_seconds=2 * _MINUTE,
            resolve_after_seconds=5 * _MINUTE,
        ),
        Rule(
            name=RuleName.BACKLOG,
            unit=Unit.SECONDS,
            threshold=3600.0,
            fire_after_seconds=5 * _MINUTE,
            resolve_after_seconds=5 * _MINUTE,
        ),
        Rule(
            name=RuleName.COVERAGE,
            unit=Unit.PART,
            threshold=0.2,
            fire_after_seconds=5 * _MINUTE,
            resolve_after_seconds=10 * _MINUTE,
        ),
        Rule(
            name=RuleName.FALLBACKS,
            unit=Unit.PART,
            threshold=0.2,
            fire_after_seconds=5 * _MINUTE,
            resolve_after_seconds=10 * _MINUTE,
        ),
        Rule(
            name=RuleName.CIRCUIT_OPEN,
            unit=Unit.COUNT,
            threshold=0.0,
            fire_after_seconds=_MINUTE,
            resolve_after_seconds=_MINUTE,
        ),
        Rule(
            name=RuleName.NO_WORKER,
            unit=Unit.COUNT,
            threshold=1.0,
            severity=Severity.CRITICAL,
            fire_after_seconds=_MINUTE,
            resolve_after_seconds=_MINUTE,
            warns_below=True,
        ),
        Rule(
            name=RuleName.DISK,
            unit=Unit.BYTES,
            threshold=float(scarce_disk_bytes),
            severity=Severity.CRITICAL,
            fire_after_seconds=_MINUTE,
            resolve_after_seconds=5 * _MINUTE,
            warns_below=True,
            on_each_machine=True,
        ),
        Rule(
            name=RuleName.WEBHOOK_DEAD,
            unit=Unit.COUNT,
            threshold=0.0,
            fire_after_seconds=0.0,
            resolve_after_seconds=0.0,
        ),
        Rule(
            name=RuleName.WEBHOOK_LAG,
            unit=Unit.SECONDS,
            threshold=300.0,
            fire_after_seconds=5 * _MINUTE,
            resolve_after_seconds=5 * _MINUTE,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at the service: what several rules are judged by is asked for once.

    The rates are over those transcriptions that ended in the last `window_seconds`, if they are no fewer than
    `least_jobs`; a coverage below `low_coverage` is low. `chain` are the engines that `auto` may use.
    """

    unit_of_work: Callable[[], UnitOfWork]
    free_disk_bytes: Callable[[], int]
    chain: tuple[str, ...]
    window_seconds: float
    least_jobs: int
    low_coverage: float
    clock: Clock

    def read(self, name: RuleName) -> Reading:
        """Raises whatever keeps it from being measured."""
        value, message = _MEASURES[name](self)
        return Reading(value=value, message=message, help=HELP[name])

    @cached_property
    def outcomes(self) -> Outcomes:
        since = self.clock() - timedelta(seconds=self.window_seconds)
        with self.unit_of_work() as uow:
            return uow.outcomes.since(since, low_coverage=self.low_coverage)

    @cached_property
    def backlog(self) -> Backlog:
        with self.unit_of_work() as uow:
            return measure_backlog(uow, DEFAULT_OWNER)

    @property
    def within(self) -> str:
        return f"in the last {self.window_seconds / _MINUTE:.0f} minutes"


Measured = tuple[float | None, str]
"""The value, and a sentence with it."""


def _error_rate(look: Look) -> Measured:
    return _part(look, look.outcomes.failed, look.outcomes.finished, "failed for reasons that are not the client's")


def _latency(look: Look) -> Measured:
    outcomes = look.outcomes
    completed = outcomes.completed - outcomes.interactive_completed
    return _seconds(look, outcomes.latency_seconds, completed, "transcriptions")


def _interactive_latency(look: Look) -> Measured:
    seconds, completed = look.outcomes.interactive_latency_seconds, look.outcomes.interactive_completed
    return _seconds(look, seconds, completed, "transcriptions that somebody waited for")


def _backlog(look: Look) -> Measured:
    backlog = look.backlog
    what_waits = f"{_counted(backlog.jobs, 'transcription')} in the queue, {backlog.audio_seconds:.0f} s of audio"
    workers = _counted(backlog.workers, "worker")
    return backlog.seconds, f"{what_waits}: about {backlog.seconds:.0f} s of work for {workers}."


def _coverage(look: Look) -> Measured:
    what = f"have text for less than {look.low_coverage:.0%} of their speech"
    return _part(look, look.outcomes.low_coverage, look.outcomes.completed, what)


def _fallbacks(look: Look) -> Measured:
    what = "were completed by another engine than the first that took them"
    return _part(look, look.outcomes.fell_back, look.outcomes.completed, what)


def _circuit_open(look: Look) -> Measured:
    with look.unit_of_work() as uow:
        circuits = [uow.circuits.get(name) for name in look.chain]
    # What an operator took out of use is meant to be.
    left_alone = [each.engine for each in circuits if each.state is not CircuitState.CLOSED and not each.disabled]
    if not left_alone:
        return 0.0, "Every engine's circuit is closed."
    return float(len(left_alone)), f"Left alone because they fail: {', '.join(left_alone)}."


def _no_worker(look: Look) -> Measured:
    workers = look.backlog.workers
    alive = f"Alive: {_counted(workers, 'worker')}." if workers else "No worker is alive: recordings wait."
    return float(workers), alive


def _disk(look: Look) -> Measured:
    free_bytes = look.free_disk_bytes()
    return float(free_bytes), f"{free_bytes / 1e9:.1f} GB are free in the data directory."


def _webhook_dead(look: Look) -> Measured:
    with look.unit_of_work() as uow:
        dead = [str(webhook.id) for webhook in uow.webhooks.all() if webhook.disabled_reason is DisabledReason.DEAD]
    return float(len(dead)), f"Nothing reached these webhooks for days: {', '.join(dead)}." if dead else "None is dead."


def _webhook_lag(look: Look) -> Measured:
    with look.unit_of_work() as uow:
        outstanding = uow.deliveries.outstanding(look.clock())
    overdue_seconds = outstanding.overdue_seconds
    late = f"The first of {outstanding.pending} deliveries to send has been due for {overdue_seconds:.0f} s."
    return overdue_seconds, late if overdue_seconds else "No delivery is late."


def _part(look: Look, some: int, of_all: int, what: str) -> Measured:
    if of_all < look.least_jobs:
        return None, f"Too few transcriptions ended {look.within} to judge by: {of_all}."
    part = some / of_all
    return part, f"{some} of the {of_all} transcriptions that ended {look.within} {what} ({part:.0%})."


def _seconds(look: Look, seconds: float | None, completed: int, which: str) -> Measured:
    if seconds is None or completed < look.least_jobs:
        return None, f"Too few {which} were completed {look.within} to judge by: {completed}."
    return seconds, f"Of {completed} {which} completed {look.within}, one in twenty took over {seconds:.0f} s."


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


_MEASURES: Mapping[RuleName, Callable[[Look], Measured]] = MappingProxyType(
    {
        RuleName.ERROR_RATE: _error_rate,
        RuleName.LATENCY: _latency,
        RuleName.INTERACTIVE_LATENCY: _interactive_latency,
        RuleName.BACKLOG: _backlog,
        RuleName.COVERAGE: _coverage,
        RuleName.FALLBACKS: _fallbacks,
        RuleName.CIRCUIT_OPEN: _circuit_open,
        RuleName.NO_WORKER: _no_worker,
        RuleName.DISK: _disk,
        RuleName.WEBHOOK_DEAD: _webhook_dead,
        RuleName.WEBHOOK_LAG: _webhook_lag,
    }
)

HELP: Mapping[RuleName, str] = MappingProxyType(
    {
        RuleName.ERROR_RATE: "GET /events?type=transcription.failed tells why each failed, and what to do about it.",
        RuleName.LATENCY: "GET /health tells whether they wait for workers: add some (HANSARD_WORKERS), or machines.",
        RuleName.INTERACTIVE_LATENCY: "Add workers (HANSARD_WORKERS), or use a faster engine or model.",
        RuleName.BACKLOG: "Add workers (HANSARD_WORKERS), or machines with `hansard worker`.",
        RuleName.COVERAGE: "Listen to some of them: a larger model, or another engine, may hear more.",
        RuleName.FALLBACKS: "GET /engines tells what is wrong with the engine that they were taken from.",
        RuleName.CIRCUIT_OPEN: "GET /engines tells why. Each is tried again by itself; `hansard engines reset NAME` "
        "does it at once.",
        RuleName.NO_WORKER: "`hansard up` and `hansard worker` run workers; their log says why they ended.",
        RuleName.DISK: "Make room, set HANSARD_DATA_DIR to a larger disk, or keep less: `hansard prune --dry-run`.",
        RuleName.WEBHOOK_DEAD: "Mend the endpoint, enable the webhook, and replay what it missed; or delete it.",
        RuleName.WEBHOOK_LAG: "GET /webhooks tells which endpoint fails; `hansard doctor` whether workers are alive.",
    }
)
"""What to do when a rule fires."""
