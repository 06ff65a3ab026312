"""The circuit: a few stories told out, and a machine that drives it through random histories."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hansard.domain.circuit import WEIGHT, Admission, Circuit, CircuitPolicy, CircuitState
from hansard.domain.errors import Category, Failure
from hansard.domain.events import EngineCircuitClosed, EngineCircuitOpened, EngineDisabled, EngineEnabled, Event

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
POLICY = CircuitPolicy(failures=3, open_seconds=30, longest_open_seconds=600, probe_seconds=60)
SAYS_NOTHING = sorted(set(Category) - set(WEIGHT))


def broken(category: Category = Category.SERVER) -> Failure:
    return Failure(code="broken", category=category, message="It broke.")


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def opened() -> Circuit:
    circuit = Circuit(engine="fake")
    for _ in range(POLICY.failures):
        circuit.fail(broken(), NOON, POLICY)
    return circuit


def kinds(circuit: Circuit) -> list[str]:
    return [event.type for event in circuit.pull_events()]


def test_an_engine_that_works_is_at_everybodys_service() -> None:
    circuit = Circuit(engine="fake")
    circuit.succeed(NOON)
    assert circuit.admit(NOON, POLICY) is Admission.GRANTED
    assert circuit.last_success_at == NOON
    assert kinds(circuit) == []


@pytest.mark.parametrize("category", [Category.SERVER, Category.TIMEOUT, Category.RATE_LIMIT])
def test_so_many_failures_in_a_row_open_it(category: Category) -> None:
    circuit = Circuit(engine="fake")
    for _ in range(POLICY.failures - 1):
        circuit.fail(broken(category), NOON, POLICY)
    assert circuit.state is CircuitState.CLOSED
    circuit.fail(broken(category), NOON, POLICY)
    assert circuit.state is CircuitState.OPEN
    assert circuit.admit(after(29), POLICY) is Admission.REFUSED
    assert circuit.pull_events() == (
        EngineCircuitOpened(subject="fake", occurred_at=NOON, failures=3, retry_at=after(30), failure=broken(category)),
    )


@pytest.mark.parametrize("category", [Category.AUTHENTICATION, Category.CONFIGURATION])
def test_a_wrong_key_is_not_tried_a_second_time(category: Category) -> None:
    circuit = Circuit(engine="fake")
    circuit.fail(broken(category), NOON, POLICY)
    assert circuit.state is CircuitState.OPEN


@pytest.mark.parametrize("category", SAYS_NOTHING)
def test_what_is_not_the_engines_fault_does_not_count(category: Category) -> None:
    circuit = Circuit(engine="fake")
    for _ in range(9):
        circuit.fail(broken(category), NOON, POLICY)
    assert circuit.is_at_rest
    assert circuit.last_failure is None


def test_a_success_in_between_starts_the_count_anew() -> None:
    circuit = Circuit(engine="fake")
    for _ in range(2):
        circuit.fail(broken(), NOON, POLICY)
        circuit.fail(broken(), NOON, POLICY)
        circuit.succeed(NOON)
    assert circuit.is_at_rest


def test_after_a_while_one_may_try_and_the_others_wait_for_that() -> None:
    circuit = opened()
    assert circuit.admit(after(30), POLICY) is Admission.PROBE
    assert circuit.admit(after(31), POLICY) is Admission.REFUSED


def test_a_probe_that_succeeds_closes_it() -> None:
    circuit = opened()
    circuit.admit(after(30), POLICY)
    circuit.succeed(after(35))
    assert circuit.admit(after(35), POLICY) is Admission.GRANTED
    assert kinds(circuit) == ["engine.circuit_opened", "engine.circuit_closed"]


def test_each_probe_that_fails_doubles_the_wait_up_to_the_longest() -> None:
    circuit, now, waits = opened(), NOON, []
    for _ in range(7):
        assert circuit.retry_at is not None
        waits.append((circuit.retry_at - now).total_seconds())
        now = circuit.retry_at
        assert circuit.admit(now, POLICY) is Admission.PROBE
        circuit.fail(broken(), now, POLICY)
    assert waits == [30, 60, 120, 240, 480, 600, 600]


def test_after_it_worked_again_the_wait_is_short_again() -> None:
    circuit = opened()
    circuit.admit(after(30), POLICY)
    circuit.fail(broken(), after(30), POLICY)
    circuit.succeed(after(100))
    for _ in range(POLICY.failures):
        circuit.fail(broken(), after(200), POLICY)
    assert circuit.retry_at == after(230)


def test_an_engine_that_is_down_for_years_breaks_no_arithmetic() -> None:
    circuit = opened()
    circuit.openings = 100_000
    circuit.admit(after(30), POLICY)
    circuit.fail(broken(), after(30), POLICY)
    assert circuit.retry_at == after(630)


def test_a_probe_that_is_never_heard_of_again_makes_room_for_another() -> None:
    circuit = opened()
    circuit.admit(after(30), POLICY)
    assert circuit.admit(after(89), POLICY) is Admission.REFUSED
    assert circuit.admit(after(90), POLICY) is Admission.PROBE


def test_a_probe_that_came_to_nothing_makes_room_at_once() -> None:
    circuit = opened()
    circuit.admit(after(30), POLICY)
    circuit.abandon_probe(after(31))
    assert circuit.admit(after(31), POLICY) is Admission.PROBE


def test_who_got_in_before_it_opened_and_fails_now_does_not_make_the_wait_longer() -> None:
    circuit = opened()
    circuit.fail(broken(), after(10), POLICY)
    assert circuit.retry_at == after(30)
    assert kinds(circuit) == ["engine.circuit_opened"]


def test_who_got_in_before_it_opened_and_succeeds_closes_it() -> None:
    circuit = opened()
    circuit.succeed(after(10))
    assert circuit.admit(after(10), POLICY) is Admission.GRANTED


def test_an_operator_closes_it_by_hand_and_the_event_says_so() -> None:
    circuit = opened()
    circuit.reset(after(1))
    assert circuit.admit(after(1), POLICY) is Admission.GRANTED
    assert circuit.pull_events()[-1] == EngineCircuitClosed(subject="fake", occurred_at=after(1), by_hand=True)


def test_closing_what_is_closed_is_no_event() -> None:
    circuit = Circuit(engine="fake")
    circuit.reset(NOON)
    assert kinds(circuit) == []


def test_an_engine_out_of_use_stays_so_however_well_it_works() -> None:
    circuit = Circuit(engine="fake")
    circuit.disable(NOON, "too dear")
    circuit.succeed(NOON)
    circuit.reset(NOON)
    assert circuit.admit(after(9999), POLICY) is Admission.DISABLED
    assert not circuit.is_at_rest


def test_taking_it_out_of_use_again_changes_the_reason_alone() -> None:
    circuit = Circuit(engine="fake")
    circuit.disable(NOON, "too dear")
    circuit.disable(after(1), "too slow")
    assert circuit.disabled_reason == "too slow"
    assert kinds(circuit) == ["engine.disabled"]


def test_back_in_use_it_is_as_it_was() -> None:
    circuit = opened()
    circuit.disable(NOON)
    circuit.enable(after(1))
    circuit.enable(after(2))
    assert circuit.admit(after(2), POLICY) is Admission.REFUSED
    assert circuit.admit(after(30), POLICY) is Admission.PROBE
    assert kinds(circuit) == ["engine.circuit_opened", "engine.disabled", "engine.enabled"]


class AnyHistory(RuleBasedStateMachine):
    """Many who ask, are let in or not, and come back with good or bad news, while an operator meddles."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.circuit = Circuit(engine="fake")
        self.events: list[Event] = []
        self.failures_in_a_row = 0
        self.probe_until: datetime | None = None
        """While one probe is out."""

    def heard(self) -> list[Event]:
        events = list(self.circuit.pull_events())
        self.events += events
        return events

    @rule(seconds=st.floats(0, 1000))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def ask(self) -> None:
        before = deepcopy(vars(self.circuit))
        admission = self.circuit.admit(self.now, POLICY)
        assert (admission is Admission.DISABLED) == self.circuit.disabled
        if admission is Admission.GRANTED:
            assert self.circuit.state is CircuitState.CLOSED
        if admission is Admission.PROBE:
            assert self.probe_until is None or self.now >= self.probe_until, "two probes at a time"
            self.probe_until = self.now + timedelta(seconds=POLICY.probe_seconds)
        else:
            assert vars(self.circuit) == before
        assert self.heard() == []

    @precondition(lambda self: self.circuit.state is CircuitState.OPEN and not self.circuit.disabled)
    @rule(times=st.integers(1, 8))
    def one_probe_after_the_other_fails(self, times: int) -> None:
        for _ in range(times):
            self.now = max(self.now, self.circuit.retry_at or self.now)
            self.ask()
            self.fail(Category.SERVER)

    @rule()
    def succeed(self) -> None:
        self.circuit.succeed(self.now)
        self.failures_in_a_row, self.probe_until = 0, None
        assert self.circuit.state is CircuitState.CLOSED
        self.heard()

    @rule(category=st.sampled_from(sorted(WEIGHT)))
    def fail(self, category: Category) -> None:
        before, openings = self.circuit.state, self.circuit.openings
        self.circuit.fail(broken(category), self.now, POLICY)
        self.failures_in_a_row += 1
        is_enough = self.failures_in_a_row * WEIGHT[category] >= POLICY.failures
        opens = before is CircuitState.HALF_OPEN or (before is CircuitState.CLOSED and is_enough)
        assert [event.type for event in self.heard()] == ["engine.circuit_opened"] * opens
        if opens:
            wait = min(POLICY.longest_open_seconds, POLICY.open_seconds * 2**openings)
            assert self.circuit.retry_at == self.now + timedelta(seconds=wait)
        if before is CircuitState.HALF_OPEN:
            self.probe_until = None

    @rule(category=st.sampled_from(SAYS_NOTHING))
    def fail_for_reasons_of_its_own(self, category: Category) -> None:
        before = deepcopy(vars(self.circuit))
        self.circuit.fail(broken(category), self.now, POLICY)
        assert vars(self.circuit) == before

    @precondition(lambda self: self.circuit.state is CircuitState.HALF_OPEN)
    @rule()
    def abandon_the_probe(self) -> None:
        self.circuit.abandon_probe(self.now)
        self.probe_until = None
        assert self.heard() == []

    @rule()
    def reset(self) -> None:
        self.circuit.reset(self.now)
        self.failures_in_a_row, self.probe_until = 0, None
        self.heard()

    @rule()
    def disable(self) -> None:
        self.circuit.disable(self.now, "by hand")
        self.heard()

    @rule()
    def enable(self) -> None:
        self.circuit.enable(self.now)
        self.heard()

    @invariant()
    def there_is_a_time_for_the_next_try_unless_it_is_closed(self) -> None:
        assert (self.circuit.retry_at is None) == (self.circuit.state is CircuitState.CLOSED)

    @invariant()
    def nobody_is_kept_out_for_longer_than_the_longest_time(self) -> None:
        later = deepcopy(self.circuit)
        longest = timedelta(seconds=max(POLICY.longest_open_seconds, POLICY.probe_seconds))
        assert later.admit(self.now + longest, POLICY) is not Admission.REFUSED

    @invariant()
    def failures_are_counted_since_it_last_worked(self) -> None:
        assert self.circuit.failures == self.failures_in_a_row
        assert (self.circuit.openings > 0) == (self.circuit.state is not CircuitState.CLOSED)

    @invariant()
    def it_closes_once_after_it_opened(self) -> None:
        told = [event for event in self.events if isinstance(event, EngineCircuitOpened | EngineCircuitClosed)]
        assert not any(
            isinstance(event, EngineCircuitClosed) and isinstance(before, EngineCircuitClosed)
            for before, event in pairwise(told)
        )
        assert not told or isinstance(told[0], EngineCircuitOpened)
        is_closed = not told or isinstance(told[-1], EngineCircuitClosed)
        assert is_closed == (self.circuit.state is CircuitState.CLOSED)

    @invariant()
    def use_and_disuse_take_turns(self) -> None:
        told = [type(event) for event in self.events if isinstance(event, EngineDisabled | EngineEnabled)]
        assert told == [EngineDisabled, EngineEnabled] * (len(told) // 2) + [EngineDisabled] * (len(told) % 2)
        assert self.circuit.disabled == bool(len(told) % 2)


TestAnyHistory = AnyHistory.TestCase
