"""How the service is, as it was last looked at: whoever asks waits for no disk and no database.

Each part is looked at again and again in a thread of its own, so that one that hangs holds up no other. What is told
is worked out, at the moment of the question, from the last look and the time that has passed since:

    never looked at                        unknown
    a look has not come back in time       down, and no other is begun before it does
    the last look is too old               unknown: its thread is dead, or the machine was asleep
    it failed, and so did what it needs    unknown
    else                                   what the last look found

Anybody may ask, so every word is ours: what a driver or a provider said may hold an address with its password.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TypeVar

from hansard.application.ports.clock import Clock
from hansard.domain.errors import HansardError

RECHECK_SECONDS = 2.0
"""A part that is down is looked at so often, that its return is noticed soon."""

TOLERANCE_SECONDS = 5.0
"""How late a look may be on a busy machine before the one before it is too old."""

TELL_SECONDS = 1.0
"""How often it is found out whether there is a change to tell."""

STOPPING_SECONDS = 1.0

Detail = TypeVar("Detail")


class HealthStatus(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    """It works, not as it should."""
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is wrong, for programs and for people, and what to do about it."""

    code: str
    message: str
    help: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTrouble:
    """The last trouble there was; it may be over."""

    code: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a look found. `trouble` says why it is not OK; `detail` is whatever else there is to tell."""

    status: HealthStatus = HealthStatus.OK
    trouble: Trouble | None = None
    detail: object = None


@dataclass(frozen=True, slots=True)
class Check:
    """How to look at a part, how often, and for how long at most.

    A look that raises means `trouble`, with the code of the error where it is one of ours. The service is ready while
    every part that `decides` works. A part that `needs` another cannot be known while that one is down.
    """

    name: str
    look: Callable[[], Finding]
    trouble: Trouble
    _: KW_ONLY
    every_seconds: float
    timeout_seconds: float = 5.0
    decides: bool = False
    needs: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """`latency_seconds` and `checked_at` are of the last look that came back; `detail` is None unless it is current."""

    name: str
    decides_readiness: bool
    status: HealthStatus
    trouble: Trouble | None
    latency_seconds: float | None
    checked_at: datetime | None
    last_error: PastTrouble | None
    detail: object

    @property
    def works(self) -> bool:
        return self.status in {HealthStatus.OK, HealthStatus.DEGRADED}

    @property
    def is_starting(self) -> bool:
        """Whether all that is wrong is that the first look has not come back yet."""
        return self.status is HealthStatus.UNKNOWN and self.checked_at is None


@dataclass(frozen=True, slots=True)
class HealthReport:
    """All parts, at one moment."""

    parts: tuple[Part, ...]

    @property
    def missing(self) -> tuple[Part, ...]:
        """The parts for want of which the service is not ready."""
        return tuple(part for part in self.parts if part.decides_readiness and not part.works)

    @property
    def is_starting(self) -> bool:
        return bool(self.missing) and all(part.is_starting for part in self.missing)

    @property
    def status(self) -> HealthStatus:
        if self.missing:
            return HealthStatus.DOWN
        is_well = all(part.status is HealthStatus.OK for part in self.parts)
        return HealthStatus.OK if is_well else HealthStatus.DEGRADED

    def detail(self, kind: type[Detail]) -> Detail | None:
        """What is known of that kind; None when nothing current is."""
        return next((part.detail for part in self.parts if isinstance(part.detail, kind)), None)


HealthObserver = Callable[[Part, Exception | None], object]
"""Told when a part's status has changed, with what the last look raised."""


class HealthMonitor:
    """`start` and `stop` the looking; or have every part looked at once with `check_now`, in the caller's thread."""

    def __init__(
        self, checks: Iterable[Check], clock: Clock, observe: HealthObserver = lambda _part, _error: None
    ) -> None:
        self._watched = [_Watched(check, clock) for check in checks]
        self._clock = clock
        self._observe = observe
        self._told: dict[str, HealthStatus] = {}
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def report(self) -> HealthReport:
        """How it is, without looking: quick, whatever hangs."""
        now = self._clock()
        parts = {watched.check.name: watched.part(now) for watched in self._watched}
        return HealthReport(
            tuple(_blamed(parts[watched.check.name], parts.get(watched.check.needs or "")) for watched in self._watched)
        )

    def check_now(self) -> None:
        for watched in self._watched:
            watched.look()
        self._tell_changes()

    def start(self) -> None:
        for watched in self._watched:
            self._start_thread(watched.check.name, partial(self._keep_looking, watched))
        self._start_thread("observer", self._keep_telling)

    def stop(self) -> None:
        """Those that are looking get a moment to end."""
        self._stopping.set()
        until = time.monotonic() + STOPPING_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _start_thread(self, name: str, work: Callable[[], None]) -> None:
        # A daemon: a look that never comes back must not keep the process from ending.
        thread = threading.Thread(target=work, name=f"health-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _keep_looking(self, watched: "_Watched") -> None:
        while not self._stopping.is_set():
            watched.look()
            self._stopping.wait(watched.pause_seconds)

    def _keep_telling(self) -> None:
        """Apart from the looking: one that hangs tells of nothing."""
        while not self._stopping.wait(TELL_SECONDS):
            self._tell_changes()

    def _tell_changes(self) -> None:
        for part, watched in zip(self.report().parts, self._watched, strict=True):
            was = self._told.get(part.name, HealthStatus.OK)
            if part.status is not was and not part.is_starting:
                self._told[part.name] = part.status
                last = watched.memory.last
                self._observe(part, None if last is None else last.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One that came back."""

    ended_at: datetime
    latency_seconds: float
    finding: Finding
    error: Exception | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Memory:
    """What is remembered of a part. Replaced as a whole by its one writer, so readers need no lock."""

    looking_since: datetime | None = None
    last: _Look | None = None
    last_error: PastTrouble | None = None


@dataclass(slots=True)
class _Watched:
    check: Check
    clock: Clock
    memory: _Memory = field(default_factory=_Memory)

    @property
    def pause_seconds(self) -> float:
        last = self.memory.last
        is_down = last is not None and last.finding.status is HealthStatus.DOWN
        return min(self.check.every_seconds, RECHECK_SECONDS) if is_down else self.check.every_seconds

    def look(self) -> None:
        before = self.memory
        began_at = self.clock()
        self.memory = replace(before, looking_since=began_at)
        finding, error = self._found()
        ended_at = self.clock()
        latency_seconds = (ended_at - began_at).total_seconds()
        if error is None and latency_seconds > self.check.timeout_seconds:
            finding = self._overdue(f"The answer took {latency_seconds:.0f} s.")
        trouble = finding.trouble
        self.memory = _Memory(
            last=_Look(ended_at=ended_at, latency_seconds=latency_seconds, finding=finding, error=error),
            last_error=before.last_error
            if trouble is None
            else PastTrouble(code=trouble.code, message=trouble.message, at=ended_at),
        )

    def part(self, now: datetime) -> Part:
        memory = self.memory
        last = memory.last
        shown = self._shown(memory, now)
        return Part(
            name=self.check.name,
            decides_readiness=self.check.decides,
            status=shown.status,
            trouble=shown.trouble,
            latency_seconds=None if last is None else last.latency_seconds,
            checked_at=None if last is None else last.ended_at,
            last_error=memory.last_error,
            detail=shown.detail,
        )

    def _found(self) -> tuple[Finding, Exception | None]:
        try:
            return self.check.look(), None
        except Exception as error:  # noqa: BLE001 - whatever it is, it says how the part is
            code = error.failure.code if isinstance(error, HansardError) else self.check.trouble.code
            return Finding(status=HealthStatus.DOWN, trouble=replace(self.check.trouble, code=code)), error

    def _shown(self, memory: _Memory, now: datetime) -> Finding:
        if memory.looking_since is not None:
            looking_seconds = (now - memory.looking_since).total_seconds()
            if looking_seconds > self.check.timeout_seconds:
                return self._overdue(f"There has been no answer for {looking_seconds:.0f} s.")
        if memory.last is None:
            return _unknown("starting", f"There has been no look at the {self.check.name} yet.")
        age_seconds = (now - memory.last.ended_at).total_seconds()
        if age_seconds > self.check.every_seconds + self.check.timeout_seconds + TOLERANCE_SECONDS:
            return _unknown("stale", f"The last look at the {self.check.name} was {age_seconds:.0f} s ago.")
        return memory.last.finding

    def _overdue(self, how: str) -> Finding:
        trouble = replace(self.check.trouble, code="timed_out", message=f"{self.check.trouble.message} {how}")
        return Finding(status=HealthStatus.DOWN, trouble=trouble)


def _unknown(code: str, message: str) -> Finding:
    return Finding(status=HealthStatus.UNKNOWN, trouble=Trouble(code=code, message=message))


def _blamed(part: Part, needed: Part | None) -> Part:
    """A part that is down for want of another says so, instead of accusing itself."""
    if needed is None or part.status is not HealthStatus.DOWN or needed.status is not HealthStatus.DOWN:
        return part
    trouble = Trouble(code="unknown", message=f"Nobody can tell about the {part.name} without the {needed.name}.")
    return replace(part, status=HealthStatus.UNKNOWN, trouble=trouble, detail=None)
