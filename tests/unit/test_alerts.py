"""The alert rules, judged on a service made of fakes."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hansard.application.alert_rules import HELP, default_rules
from hansard.application.alerts import MACHINE_GONE
from hansard.domain.alert import AlertState, RuleName
from hansard.domain.circuit import Circuit, CircuitPolicy
from hansard.domain.errors import Category, EngineFailed, EngineRejected, Failure, StorageError
from hansard.domain.events import EngineFellBack, TranscriptionCompleted, TranscriptionFailed, TranscriptionQueued
from tests.alerts import make_alerts
from tests.fakes import FakeClock, FakeDatabase
from tests.workshop import Workshop, speech

DOCUMENT = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text("utf-8")
RULES = default_rules(scarce_disk_bytes=5_000_000_000)
AT_ONCE = [replace(rule, fire_after_seconds=0, resolve_after_seconds=0) for rule in RULES]
OUR_FAULT = Failure(code="engine_failed", category=Category.SERVER, message="It broke.")
THEIR_FAULT = Failure(code="no_audio", category=Category.CLIENT, message="That is a picture.")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def database():
    return FakeDatabase()


def tell(database, *events):
    with database.unit_of_work() as uow:
        for event in events:
            uow.events.append(event)
        uow.commit()


def a_job(clock, number, outcome, *, seconds=10.0, interactive=False):
    """Its events: asked for, and ended by now, `seconds` later."""
    subject = f"job-{number}"
    asked = TranscriptionQueued(
        subject=subject,
        occurred_at=clock() - timedelta(seconds=seconds),
        audio_id=None,
        engine="auto",
        interactive=interactive,
    )
    return asked, outcome(subject, clock())


def completed(coverage=1.0):
    def outcome(subject, at):
        return TranscriptionCompleted(
            subject=subject,
            occurred_at=at,
            audio_id=None,
            engine="fake",
            model="fake-1",
            language="en",
            audio_seconds=60.0,
            word_count=9,
            degraded=False,
            coverage=coverage,
        )

    return outcome


def failed(failure):
    return lambda subject, at: TranscriptionFailed(subject=subject, occurred_at=at, audio_id=None, failure=failure)


def jobs(clock, *outcomes, **how):
    return [event for number, outcome in enumerate(outcomes) for event in a_job(clock, number, outcome, **how)]


def judged(database, clock, name, **how):
    """The alert of that rule, judged now, without waiting."""
    alerts = make_alerts(database, clock, rules=AT_ONCE, **how)
    alerts.evaluate()
    alerts.evaluate_here()
    return next(alert for standing in alerts.standings() for alert in standing.alerts if alert.rule_name == name)


# ── The rules ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_service_that_is_well_alerts_of_nothing_but_that_nobody_works(database, clock):
    alerts = make_alerts(database, clock, rules=AT_ONCE)

    alerts.evaluate()
    alerts.evaluate_here()

    assert {alert.name for alert in database.alerts.values() if alert.is_firing} == {"no_worker"}


def test_many_failures_are_told_with_their_number(database, clock):
    tell(database, *jobs(clock, failed(OUR_FAULT), completed(), completed(), completed()))

    alert = judged(database, clock, "error_rate")

    assert alert.is_firing
    assert alert.value == 0.25
    assert alert.message.startswith("1 of the 4 transcriptions that ended in the last 15 minutes failed")


def test_what_a_client_got_wrong_wakes_nobody(database, clock):
    tell(database, *jobs(clock, failed(THEIR_FAULT), failed(THEIR_FAULT), completed()))

    assert judged(database, clock, "error_rate").value == 0


def test_too_few_jobs_say_nothing(database, clock):
    tell(database, *jobs(clock, failed(OUR_FAULT)))

    alert = judged(database, clock, "error_rate")

    assert alert.value is None
    assert not alert.is_firing


def test_what_failed_long_ago_is_forgotten(database, clock):
    tell(database, *jobs(clock, failed(OUR_FAULT), failed(OUR_FAULT)))
    clock.advance(901)

    assert judged(database, clock, "error_rate").value is None


def test_jobs_that_take_hours_are_told(database, clock):
    tell(database, *jobs(clock, completed(), completed(), seconds=7200))

    assert judged(database, clock, "latency").value == 7200
    assert not judged(database, clock, "interactive_latency").is_firing


def test_people_who_wait_are_kept_apart_from_jobs_that_can(database, clock):
    tell(database, *jobs(clock, completed(), completed(), seconds=90, interactive=True))

    assert judged(database, clock, "interactive_latency").is_firing
    assert judged(database, clock, "latency").value is None


def test_a_backlog_is_told_in_seconds_of_work(clock):
    shop = Workshop(clock=clock)
    shop.submitted(speech(50))
    shop.database.job_seconds = dict.fromkeys(shop.database.jobs, 100_000.0)

    assert judged(shop.database, clock, "backlog").value == 20_000  # at 0.2 of their length, with nobody at work


def test_transcripts_with_holes_are_told(database, clock):
    tell(database, *jobs(clock, completed(0.5), completed(1.0), completed(None)))

    assert judged(database, clock, "coverage").value == pytest.approx(1 / 3)


def test_engines_that_are_replaced_often_are_told(database, clock):
    fell_back = EngineFellBack(
        subject="job-0",
        occurred_at=clock(),
        audio_id=None,
        engine="first",
        next_engine="fake",
        failure=OUR_FAULT,
    )
    asked, outcome, *others = jobs(clock, completed(), completed())
    tell(database, asked, fell_back, outcome, *others)

    assert judged(database, clock, "fallbacks").value == 0.5


def test_an_open_circuit_is_told_by_the_engines_name(database, clock):
    circuit = Circuit(engine="second")
    policy = CircuitPolicy(failures=1, open_seconds=30, longest_open_seconds=60, probe_seconds=60)
    circuit.fail(EngineFailed("It broke.", engine="second").failure, clock(), policy)
    database.circuits["second"] = circuit

    alert = judged(database, clock, "circuit_open")

    assert alert.value == 1
    assert "second" in alert.message


def test_an_engine_that_somebody_took_out_of_use_is_meant_to_be(database, clock):
    database.circuits["second"] = Circuit(engine="second")
    database.circuits["second"].disable(clock())

    assert judged(database, clock, "circuit_open").value == 0


def test_a_disk_is_each_machines_own(database, clock):
    judged(database, clock, "disk", machine="one", free_disk_bytes=lambda: 1)
    judged(database, clock, "disk", machine="two")

    assert database.alerts["disk@one"].is_firing
    assert not database.alerts["disk@two"].is_firing


@pytest.mark.parametrize("name", RuleName)
def test_every_rule_has_a_default_and_says_what_to_do(name):
    assert [rule.name for rule in RULES].count(name) == 1
    assert HELP[name]


# ── Judging them ─────────────────────────────────────────────────────────────────────────────────────────


def test_state_and_event_are_one_commit(database, clock):
    judged(database, clock, "no_worker")

    assert database.alerts["no_worker"].state is AlertState.FIRING
    assert [(entry.type, entry.subject) for entry in database.trail] == [("alert.fired", "no_worker")]


def test_judging_twice_tells_once(database, clock):
    judged(database, clock, "no_worker")
    judged(database, clock, "no_worker")

    assert len(database.trail) == 1


def test_what_cannot_be_measured_does_not_keep_the_others(database, clock):
    troubles = []

    def away():
        raise StorageError("The disk is gone.")

    alerts = make_alerts(database, clock, rules=AT_ONCE, troubles=troubles, free_disk_bytes=away)
    alerts.evaluate_here()
    alerts.evaluate_here()
    alerts.evaluate()

    assert [name for name, _ in troubles] == ["disk@here"]
    assert database.alerts["disk@here"].trouble == "The disk is gone."
    assert database.alerts["no_worker"].is_firing


def test_words_of_a_driver_are_not_kept(database, clock):
    def stumble():
        raise RuntimeError("password=secret")

    assert judged(database, clock, "disk", free_disk_bytes=stumble).trouble == "RuntimeError"


def test_an_alert_is_over_when_its_rule_is_switched_off(database, clock):
    judged(database, clock, "no_worker")

    make_alerts(database, clock, rules=[]).evaluate()

    assert not database.alerts["no_worker"].is_firing
    assert database.trail[-1].type == "alert.resolved"


def test_the_alerts_of_a_machine_that_is_gone_are_over(database, clock):
    judged(database, clock, "disk", machine="gone", free_disk_bytes=lambda: 1)
    clock.advance(MACHINE_GONE.total_seconds() + 1)

    make_alerts(database, clock, rules=AT_ONCE).evaluate()

    assert not database.alerts["disk@gone"].is_firing


def test_a_failed_job_counts_as_its_failure_says():
    """From the real use cases, not from events made by hand."""
    shop = Workshop()
    for number in range(2):
        transcription = shop.submitted(speech(number + 1))
        shop.engine.failures = [EngineRejected("It does not like it.", engine="fake")]
        shop.transcribe(transcription.id)

    assert judged(shop.database, shop.clock, "error_rate").value == 0


# ── The document ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_document_has_the_rule_as_it_is(rule):
    def told(seconds):
        return f"{seconds / 60:.0f} min" if seconds else "at once"

    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in DOCUMENT.splitlines() if line[:3] == "| `"
    ]
    (row,) = (cells for cells in rows if cells[0] == f"`{rule.name}`")
    assert row[2:] == [told(rule.fire_after_seconds), told(rule.resolve_after_seconds), rule.severity]
