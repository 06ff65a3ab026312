"""The breaker that all processes share: who is let in, and what is written for it."""

import pytest

from hansard.domain.circuit import Admission, CircuitState
from hansard.domain.errors import Category, EngineOutOfUse, EnginePaused, Failure
from tests.workshop import Workshop

DOWN = Failure(code="engine_failed", category=Category.SERVER, message="503 from upstream.")


def opened() -> Workshop:
    shop = Workshop()
    for _ in range(5):
        shop.breaker.failed("openai", DOWN)
    return shop


def state(shop: Workshop) -> CircuitState:
    return shop.database.circuits["openai"].state


def test_an_engine_that_nothing_is_known_of_may_be_used() -> None:
    shop = Workshop()
    assert shop.breaker.admit("openai") is Admission.GRANTED
    assert shop.database.circuits == {}


def test_what_several_processes_see_together_opens_the_circuit() -> None:
    shop = Workshop()
    for process in (shop.breaker, shop.breaker, shop.breaker, shop.breaker):
        process.failed("openai", DOWN)
        shop.breaker.admit("openai")
    shop.breaker.failed("openai", DOWN)
    with pytest.raises(EnginePaused):
        shop.breaker.admit("openai")


def test_other_engines_are_not_touched() -> None:
    opened().breaker.admit("whisper")


def test_the_refusal_says_why_until_when_and_what_to_do() -> None:
    shop = opened()
    shop.clock.advance(10)
    with pytest.raises(EnginePaused) as refusal:
        shop.breaker.admit("openai")
    assert refusal.value.retry_after_seconds == 20
    assert "503 from upstream." in refusal.value.failure.message
    assert refusal.value.failure.engine == "openai"
    assert "POST /engines/openai/reset" in (refusal.value.failure.help or "")


def test_one_gets_through_to_try_and_what_it_finds_is_for_all() -> None:
    shop = opened()
    shop.clock.advance(30)
    assert shop.breaker.admit("openai") is Admission.PROBE
    with pytest.raises(EnginePaused):
        shop.breaker.admit("openai")
    shop.breaker.succeeded("openai")
    shop.breaker.admit("openai")
    assert [event.type for event in shop.database.events] == ["engine.circuit_opened", "engine.circuit_closed"]


def test_a_probe_that_was_called_off_does_not_keep_the_others_waiting() -> None:
    shop = opened()
    shop.clock.advance(30)
    shop.breaker.admit("openai")
    shop.breaker.abandoned("openai")
    shop.breaker.admit("openai")


def test_an_engine_out_of_use_is_refused_with_the_operators_reason() -> None:
    shop = Workshop()
    shop.breaker.disable("openai", "the contract has ended")
    with pytest.raises(EngineOutOfUse, match="the contract has ended"):
        shop.breaker.admit("openai")
    shop.breaker.enable("openai")
    shop.breaker.admit("openai")


def test_an_operator_closes_the_circuit_at_once() -> None:
    shop = opened()
    assert shop.breaker.reset("openai").state is CircuitState.CLOSED
    shop.breaker.admit("openai")


def test_the_last_success_and_the_last_failure_are_on_record() -> None:
    shop = Workshop()
    shop.breaker.succeeded("openai")
    shop.clock.advance(1)
    shop.breaker.failed("openai", DOWN)
    kept = shop.database.circuits["openai"]
    assert kept.last_success_at is not None
    assert (kept.last_failure_at, kept.last_failure) == (shop.clock.now, DOWN)


def test_while_all_is_well_a_success_is_written_now_and_then() -> None:
    shop = Workshop()
    first = shop.clock.now
    shop.breaker.succeeded("openai")
    shop.clock.advance(9)
    shop.breaker.succeeded("openai")
    assert shop.database.circuits["openai"].last_success_at == first
    shop.clock.advance(1)
    shop.breaker.succeeded("openai")
    assert shop.database.circuits["openai"].last_success_at == shop.clock.now


def test_a_success_after_a_failure_is_written_at_once() -> None:
    shop = Workshop()
    shop.breaker.succeeded("openai")
    shop.breaker.failed("openai", DOWN)
    shop.breaker.succeeded("openai")
    assert shop.database.circuits["openai"].failures == 0


def test_at_rest_nothing_is_written_for_asking() -> None:
    shop = Workshop()
    shop.breaker.succeeded("openai")
    before = shop.database.circuits["openai"]
    shop.breaker.admit("openai")
    assert shop.database.circuits["openai"] is before


def test_the_state_outlives_the_process() -> None:
    shop = opened()
    again = Workshop(database=shop.database)
    again.clock.now = shop.clock.now
    assert state(again) is CircuitState.OPEN
    with pytest.raises(EnginePaused):
        again.breaker.admit("openai")
