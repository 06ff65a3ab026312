"""How health is told from the last look and the time since, and how a part that hangs is kept to itself."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from hansard.application import health
from hansard.application.health import (
    Check,
    Finding,
    HealthMonitor,
    HealthReport,
    HealthStatus,
    Part,
    Trouble,
)
from hansard.domain.errors import StorageError
from tests.fakes import FakeClock

AWAY = Trouble(code="away", message="It is away.", help="Bring it back.")
SLOW = Finding(status=HealthStatus.DEGRADED, trouble=Trouble(code="slow", message="It is slow."))
SECRET = "postgresql://hansard:hunter2@db/hansard"


@dataclass
class Look:
    """Gives what a test puts into it, and counts."""

    finding: Finding = field(default_factory=lambda: Finding(detail="fine"))
    error: Exception | None = None
    before: Callable[[], object] = lambda: None
    calls: int = 0

    def __call__(self) -> Finding:
        self.calls += 1
        self.before()
        if self.error:
            raise self.error
        return self.finding


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def check(look: Look, name: str = "store", *, decides: bool = True, needs: str | None = None) -> Check:
    return Check(name, look, AWAY, every_seconds=30, timeout_seconds=5, decides=decides, needs=needs)


def only(report: HealthReport) -> Part:
    (part,) = report.parts
    return part


@contextmanager
def started(monitor: HealthMonitor) -> Iterator[None]:
    monitor.start()
    try:
        yield
    finally:
        monitor.stop()


# ── What is told ─────────────────────────────────────────────────────────────────────────────────────────


def test_before_the_first_look_nothing_is_known_and_the_service_is_starting(clock: FakeClock) -> None:
    report = HealthMonitor([check(Look())], clock).report()
    assert only(report).status is HealthStatus.UNKNOWN
    assert report.is_starting
    assert report.status is HealthStatus.DOWN


def test_a_look_that_finds_nothing_wrong_is_told_with_its_latency_and_its_time(clock: FakeClock) -> None:
    monitor = HealthMonitor([check(Look(before=lambda: clock.advance(0.25)))], clock)
    monitor.check_now()
    part = only(monitor.report())
    assert (part.status, part.trouble, part.detail) == (HealthStatus.OK, None, "fine")
    assert part.latency_seconds == 0.25
    assert part.checked_at == clock.now
    assert not monitor.report().missing


def test_a_look_that_raises_means_that_the_part_is_down(clock: FakeClock) -> None:
    monitor = HealthMonitor([check(Look(error=OSError("no route to host")))], clock)
    monitor.check_now()
    report = monitor.report()
    assert only(report).status is HealthStatus.DOWN
    assert report.missing == report.parts
    assert not report.is_starting


def test_what_was_raised_lends_its_code_and_nothing_of_its_words(clock: FakeClock) -> None:
    monitor = HealthMonitor([check(Look(error=StorageError(f"cannot reach {SECRET}", code="storage_full")))], clock)
    monitor.check_now()
    part = only(monitor.report())
    assert part.trouble == Trouble(code="storage_full", message="It is away.", help="Bring it back.")
    assert "hunter2" not in repr(monitor.report())


def test_the_last_error_is_remembered_after_it_is_over(clock: FakeClock) -> None:
    look = Look(error=OSError())
    monitor = HealthMonitor([check(look)], clock)
    monitor.check_now()
    failed_at = clock.now
    look.error = None
    clock.advance(60)
    monitor.check_now()
    part = only(monitor.report())
    assert part.status is HealthStatus.OK
    assert part.last_error
    assert (part.last_error.code, part.last_error.message, part.last_error.at) == ("away", "It is away.", failed_at)


def test_a_look_that_is_too_old_is_not_trusted(clock: FakeClock) -> None:
    monitor = HealthMonitor([check(Look())], clock)
    monitor.check_now()
    clock.advance(30 + 5 + 6)
    part = only(monitor.report())
    assert part.status is HealthStatus.UNKNOWN
    assert part.trouble == Trouble(code="stale", message="The last look at the store was 41 s ago.")
    assert part.detail is None


def test_a_look_that_has_not_come_back_in_time_means_that_the_part_is_down(clock: FakeClock) -> None:
    reports: list[HealthReport] = []

    def ask_in_the_middle() -> None:
        clock.advance(6)
        reports.append(monitor.report())

    look = Look()
    monitor = HealthMonitor([check(look)], clock)
    monitor.check_now()
    look.before = ask_in_the_middle
    monitor.check_now()
    part = only(reports[0])
    assert part.status is HealthStatus.DOWN
    assert part.trouble
    assert part.trouble.code == "timed_out"
    assert part.trouble.message == "It is away. There has been no answer for 6 s."
    assert part.detail is None


def test_a_look_that_is_under_way_leaves_the_last_one_standing(clock: FakeClock) -> None:
    statuses: list[HealthStatus] = []
    look = Look()
    monitor = HealthMonitor([check(look)], clock)
    monitor.check_now()
    look.before = lambda: statuses.append(only(monitor.report()).status)
    monitor.check_now()
    assert statuses == [HealthStatus.OK]


def test_a_look_that_came_back_too_late_means_that_the_part_is_down(clock: FakeClock) -> None:
    monitor = HealthMonitor([check(Look(before=lambda: clock.advance(6)))], clock)
    monitor.check_now()
    part = only(monitor.report())
    assert part.status is HealthStatus.DOWN
    assert part.trouble
    assert part.trouble.code == "timed_out"


# ── The parts together ───────────────────────────────────────────────────────────────────────────────────


def test_a_part_that_does_not_decide_only_degrades_the_whole(clock: FakeClock) -> None:
    monitor = HealthMonitor([check(Look()), check(Look(error=OSError()), "disk", decides=False)], clock)
    monitor.check_now()
    assert monitor.report().status is HealthStatus.DEGRADED
    assert not monitor.report().missing


def test_a_degraded_part_degrades_the_whole_and_leaves_it_ready(clock: FakeClock) -> None:
    monitor = HealthMonitor([check(Look(finding=SLOW))], clock)
    monitor.check_now()
    assert monitor.report().status is HealthStatus.DEGRADED
    assert not monitor.report().missing


def test_with_every_part_well_the_whole_is_ok(clock: FakeClock) -> None:
    monitor = HealthMonitor([check(Look()), check(Look(), "disk", decides=False)], clock)
    monitor.check_now()
    assert monitor.report().status is HealthStatus.OK


def test_a_part_is_not_accused_while_what_it_needs_is_down(clock: FakeClock) -> None:
    database, tables = Look(error=OSError()), Look(error=OSError())
    monitor = HealthMonitor([check(database, "database"), check(tables, "tables", needs="database")], clock)
    monitor.check_now()
    first, second = monitor.report().missing
    assert (first.status, second.status) == (HealthStatus.DOWN, HealthStatus.UNKNOWN)
    assert second.trouble == Trouble(code="unknown", message="Nobody can tell about the tables without the database.")


def test_a_part_that_is_down_by_itself_is(clock: FakeClock) -> None:
    tables = check(Look(error=OSError()), "tables", needs="database")
    monitor = HealthMonitor([check(Look(), "database"), tables], clock)
    monitor.check_now()
    assert [part.status for part in monitor.report().parts] == [HealthStatus.OK, HealthStatus.DOWN]


def test_the_service_is_not_starting_any_more_once_a_part_is_down(clock: FakeClock) -> None:
    statuses: list[bool] = []
    second = Look(before=lambda: statuses.append(monitor.report().is_starting))
    monitor = HealthMonitor([check(Look(error=OSError()), "database"), check(second)], clock)
    monitor.check_now()
    assert statuses == [False]


def test_details_are_found_by_their_kind(clock: FakeClock) -> None:
    monitor = HealthMonitor([check(Look(finding=Finding(detail=7))), check(Look(), "disk")], clock)
    monitor.check_now()
    assert monitor.report().detail(int) == 7
    assert monitor.report().detail(str) == "fine"
    assert monitor.report().detail(bytes) is None


# ── Who is told of changes ───────────────────────────────────────────────────────────────────────────────


def test_changes_are_told_once_with_what_was_raised(clock: FakeClock) -> None:
    told: list[tuple[HealthStatus, Exception | None]] = []
    look = Look()
    monitor = HealthMonitor([check(look)], clock, lambda part, error: told.append((part.status, error)))
    error = OSError()
    for raised in (None, error, error, None, None):
        look.error = raised
        monitor.check_now()
    assert told == [(HealthStatus.DOWN, error), (HealthStatus.OK, None)]


def test_a_part_that_cannot_be_known_is_told_as_such(clock: FakeClock) -> None:
    told: list[tuple[str, HealthStatus]] = []
    database, tables = Look(error=OSError()), Look(error=OSError())
    checks = [check(database, "database"), check(tables, "tables", needs="database")]
    HealthMonitor(checks, clock, lambda part, _: told.append((part.name, part.status))).check_now()
    assert told == [("database", HealthStatus.DOWN), ("tables", HealthStatus.UNKNOWN)]


def test_a_look_that_hangs_is_told_while_it_does(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TELL_SECONDS", 0.01)
    told, release = threading.Event(), threading.Event()
    statuses: list[HealthStatus] = []

    def hang() -> None:
        clock.advance(6)
        release.wait()

    def observe(part: Part, _: Exception | None) -> None:
        statuses.append(part.status)
        told.set()

    with started(HealthMonitor([check(Look(before=hang))], clock, observe)):
        assert told.wait(10)
        release.set()
    assert statuses == [HealthStatus.DOWN]


# ── Threads ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_look_that_hangs_holds_up_no_other(clock: FakeClock) -> None:
    release, looked = threading.Event(), threading.Event()
    hanging = Look(before=release.wait)
    monitor = HealthMonitor([check(hanging, "hanging"), check(Look(before=looked.set), "other")], clock)
    with started(monitor):
        try:
            assert looked.wait(10)
        finally:
            release.set()
    assert hanging.calls == 1


def test_a_part_that_is_down_is_looked_at_again_soon(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "RECHECK_SECONDS", 0.0)
    again = threading.Event()
    look = Look(error=OSError())
    look.before = lambda: again.set() if look.calls == 2 else None
    with started(HealthMonitor([check(look)], clock)):
        assert again.wait(10)  # and not the 30 s of its check


def test_stopping_does_not_wait_for_what_hangs_and_ends_the_rest(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "STOPPING_SECONDS", 0.0)
    release = threading.Event()
    with started(HealthMonitor([check(Look(before=release.wait), "hanging"), check(Look(), "other")], clock)):
        threads = {thread.name: thread for thread in threading.enumerate()}
    threads["health-other"].join(10)
    ended = {name: not threads[name].is_alive() for name in ("health-hanging", "health-other")}
    release.set()
    assert ended == {"health-hanging": False, "health-other": True}
