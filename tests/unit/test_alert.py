"""When an alert fires, when it is over, and that it does not flap."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.domain.alert import LONGEST_SILENCE, Alert, AlertState, Reading, Rule, RuleName, Severity, Unit
from hansard.domain.events import AlertFired, AlertResolved

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RULE = Rule(
    name=RuleName.ERROR_RATE,
    unit=Unit.PART,
    threshold=0.1,
    severity=Severity.CRITICAL,
    fire_after_seconds=60,
    resolve_after_seconds=120,
)
WELL, BROKEN = 0.05, 0.5


def reading(value):
    return Reading(value=value, message="3 of 6 failed.", help="Look at the log.")


def after(*values, every_seconds=30, rule=RULE):
    """The alert after one reading each 30 s, and what it told."""
    alert = Alert(name=rule.name)
    for number, value in enumerate(values):
        alert.observe(rule, reading(value), NOON + timedelta(seconds=number * every_seconds))
    return alert, alert.pull_events()


def test_what_is_broken_for_less_than_its_time_tells_nobody():
    alert, told = after(BROKEN, BROKEN)

    assert alert.state is AlertState.PENDING
    assert told == ()


def test_what_stays_broken_fires_with_all_there_is_to_know():
    alert, told = after(BROKEN, BROKEN, BROKEN)

    assert alert.state is AlertState.FIRING
    assert told == (
        AlertFired(
            subject="error_rate",
            occurred_at=NOON + timedelta(seconds=60),
            severity="critical",
            value=BROKEN,
            threshold=0.1,
            message="3 of 6 failed.",
            help="Look at the log.",
        ),
    )


def test_what_gets_well_in_time_is_ok_again():
    assert after(BROKEN, BROKEN, WELL)[0].state is AlertState.OK


def test_one_good_reading_does_not_end_an_alert():
    alert, told = after(BROKEN, BROKEN, BROKEN, WELL, BROKEN)

    assert alert.state is AlertState.FIRING
    assert len(told) == 1


def test_what_stays_well_is_over_and_says_how_long_it_lasted():
    alert, told = after(BROKEN, BROKEN, BROKEN, WELL, WELL, WELL, WELL, WELL)

    assert alert.state is AlertState.OK
    assert not alert.is_firing
    over = told[-1]
    assert isinstance(over, AlertResolved)
    assert (over.value, over.firing_seconds) == (WELL, 150.0)


def test_a_rule_without_delay_fires_and_ends_at_once():
    at_once = Rule(
        name=RuleName.WEBHOOK_DEAD, unit=Unit.COUNT, threshold=0, fire_after_seconds=0, resolve_after_seconds=0
    )

    _, told = after(1, 0, rule=at_once)

    assert [event.type for event in told] == ["alert.fired", "alert.resolved"]


def test_too_little_to_judge_by_breaks_nothing():
    alert, told = after(None, None, None, None)

    assert alert.state is AlertState.OK
    assert told == ()


def test_an_alert_is_over_when_nothing_is_left_to_measure():
    _, told = after(BROKEN, BROKEN, BROKEN, None, None, None, None, None)

    assert told[-1].value is None


@pytest.mark.parametrize(("value", "broken"), [(0, True), (1, False), (2, False)])
def test_a_rule_may_warn_of_too_little(value, broken):
    rule = Rule(
        name=RuleName.NO_WORKER,
        unit=Unit.COUNT,
        threshold=1,
        fire_after_seconds=0,
        resolve_after_seconds=0,
        warns_below=True,
    )

    assert rule.is_broken_by(value) is broken


def test_what_was_not_looked_at_for_long_waits_anew():
    """A machine that slept while a value was too high wakes up with a value that is too high: that is two moments."""
    alert = Alert(name="error_rate")
    asleep = LONGEST_SILENCE + timedelta(seconds=1)

    alert.observe(RULE, reading(BROKEN), NOON)
    alert.observe(RULE, reading(BROKEN), NOON + asleep)

    assert alert.state is AlertState.PENDING
    assert alert.since == NOON + asleep


def test_what_cannot_be_measured_stays_as_it_is_and_is_news_once():
    alert, _ = after(BROKEN, BROKEN, BROKEN)

    assert alert.miss("The database does not answer.")
    assert not alert.miss("The database does not answer.")
    assert alert.state is AlertState.FIRING
    assert alert.trouble == "The database does not answer."


def test_a_reading_ends_the_trouble():
    alert, _ = after(WELL)
    alert.miss("away")

    alert.observe(RULE, reading(WELL), NOON)

    assert alert.trouble is None


def test_a_firing_alert_that_nobody_measures_any_more_is_called_off():
    alert, _ = after(BROKEN, BROKEN, BROKEN)

    alert.dismiss(NOON + timedelta(hours=1))

    assert alert.state is AlertState.OK
    assert [event.type for event in alert.pull_events()] == ["alert.resolved"]


def test_a_pending_alert_is_called_off_in_silence():
    alert, _ = after(BROKEN)

    alert.dismiss(NOON)

    assert alert.state is AlertState.OK
    assert alert.pull_events() == ()


# ── Any history ──────────────────────────────────────────────────────────────────────────────────────────

VALUES = st.one_of(st.none(), st.floats(0, 0.2))
HISTORIES = st.lists(st.tuples(VALUES, st.sampled_from([1, 10, 30, 60, 400])), max_size=60)


def told_by(history):
    """Each event with the moment it was told at, and the readings as (moment, broken)."""
    alert, now, told, readings = Alert(name="error_rate"), NOON, [], []
    for value, pause_seconds in history:
        now += timedelta(seconds=pause_seconds)
        alert.observe(RULE, reading(value), now)
        readings.append((now, RULE.is_broken_by(value)))
        told += alert.pull_events()
    return told, readings


@given(HISTORIES)
def test_firing_and_resolving_take_turns(history):
    told, _ = told_by(history)

    assert [event.type for event in told] == [
        ("alert.fired", "alert.resolved")[number % 2] for number in range(len(told))
    ]


@given(HISTORIES)
def test_nothing_is_told_before_its_time(history):
    told, readings = told_by(history)

    for event in told:
        wait = RULE.fire_after_seconds if isinstance(event, AlertFired) else RULE.resolve_after_seconds
        begin = event.occurred_at - timedelta(seconds=wait)
        during = [broken for at, broken in readings if begin <= at <= event.occurred_at]
        assert set(during) == {isinstance(event, AlertFired)}


@given(HISTORIES)
def test_two_alerts_of_one_rule_are_as_far_apart_as_both_waits(history):
    told, _ = told_by(history)
    fired = [event.occurred_at for event in told if isinstance(event, AlertFired)]

    for first, second in pairwise(fired):
        assert (second - first).total_seconds() >= RULE.fire_after_seconds + RULE.resolve_after_seconds


@given(st.lists(st.booleans(), min_size=20, max_size=200))
def test_a_value_that_dances_around_the_threshold_tells_nobody(coin):
    """Never broken for a minute on end: with every third reading well, nothing is told, whatever the others are."""
    values = [WELL if number % 3 == 2 else (BROKEN if heads else WELL) for number, heads in enumerate(coin)]

    assert after(*values)[1] == ()
