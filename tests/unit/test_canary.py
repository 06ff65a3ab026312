"""A known phrase, now and then: by whom it is recognised, and what is told of it."""

from dataclasses import dataclass, field

import pytest

from hansard.application.canary import PHRASE, Canary, word_accuracy
from hansard.application.ports.engines import EngineState, EngineStatus
from hansard.domain.circuit import Circuit, CircuitPolicy
from hansard.domain.errors import EngineFailed
from hansard.domain.events import CanaryRecognised
from hansard.domain.transcript import Segment
from tests.fakes import FakeAudioDecoder, FakeClock, FakeDatabase, FakeEngine

CLIP = b"\x01" * 64_000
POLICY = CircuitPolicy(failures=1, open_seconds=30, longest_open_seconds=30, probe_seconds=30)


class Listener(FakeEngine):
    """Says the same of everything."""

    says: str = PHRASE

    def recognise(self, pcm, request, call=None):
        list(super().recognise(pcm, request, call))
        yield Segment(start_seconds=0.0, end_seconds=2.0, text=self.says)


@dataclass
class Cage:
    """The canary with its surroundings. The first engine of the chain is `first`."""

    first: Listener = field(default_factory=lambda: Listener(name="first"))
    second: Listener = field(default_factory=lambda: Listener(name="second"))
    clock: FakeClock = field(default_factory=FakeClock)
    database: FakeDatabase = field(default_factory=FakeDatabase)
    patience_seconds: float = 60.0

    def __call__(self) -> CanaryRecognised | None:
        canary = Canary(
            unit_of_work=self.database.unit_of_work,
            engines={engine.name: engine for engine in (self.second, self.first)},
            chain=("absent", "first", "second"),
            decoder=FakeAudioDecoder(),
            clip=lambda: CLIP,
            patience_seconds=self.patience_seconds,
            clock=self.clock,
        )
        return canary()


@pytest.fixture
def canary() -> Cage:
    return Cage()


def test_the_first_engine_of_the_chain_recognises_the_decoded_clip(canary: Cage) -> None:
    event = canary()
    assert event
    assert event.subject == "first"
    assert canary.first.heard == [CLIP]
    assert not canary.second.heard


def test_a_phrase_recognised_is_an_event(canary: Cage) -> None:
    canary.first.on_passage = lambda _: canary.clock.advance(0.5)
    event = canary()
    assert canary.database.events == [event]
    assert event == CanaryRecognised(
        subject="first",
        occurred_at=canary.clock.now,
        passed=True,
        word_accuracy=1.0,
        processing_seconds=0.5,
        failure=None,
    )


def test_other_words_do_not_pass(canary: Cage) -> None:
    canary.first.says = "thank you for watching"
    event = canary()
    assert event
    assert (event.passed, event.word_accuracy, event.failure) == (False, 0.0, None)


def test_one_wrong_word_passes_and_two_do_not(canary: Cage) -> None:
    canary.first.says = PHRASE.replace("back", "pack")
    once = canary()
    canary.first.says = PHRASE.replace("call me", "fall knee")
    twice = canary()
    assert once
    assert twice
    assert (once.passed, twice.passed) == (True, False)


def test_an_engine_that_fails_is_told_with_its_failure(canary: Cage) -> None:
    canary.first.failures = [EngineFailed("It broke.", engine="first")]
    event = canary()
    assert event
    assert event.failure
    assert (event.passed, event.failure.code) == (False, "engine_failed")


def test_an_engine_that_breaks_in_an_unforeseen_way_is_told_without_its_words(canary: Cage) -> None:
    def fail(_: int) -> None:
        raise RuntimeError("secret")

    canary.first.on_passage = fail
    event = canary()
    assert event
    assert event.failure
    assert event.failure.code == "internal_error"
    assert "secret" not in repr(event)


def test_an_engine_that_does_not_come_back_is_stopped(canary: Cage) -> None:
    class Deaf(Listener):
        def recognise(self, pcm, request, call=None):
            assert call.stop.wait(60)
            yield from super().recognise(pcm, request, call)

    canary.first, canary.patience_seconds = Deaf(name="first"), 0.01
    event = canary()
    assert event
    assert event.failure
    assert event.failure.code == "engine_timed_out"


def test_the_breaker_is_told_nothing(canary: Cage) -> None:
    canary.first.failures = [EngineFailed("It broke.", engine="first")]
    canary()
    assert not canary.database.circuits


@pytest.mark.parametrize("state", [EngineState.UNAVAILABLE, EngineState.PREPARING])
def test_an_engine_that_is_not_ready_is_passed_over(canary: Cage, state: EngineState) -> None:
    canary.first.states = [EngineStatus(state=state, detail="no model")]
    event = canary()
    assert event
    assert event.subject == "second"


def test_an_engine_whose_circuit_is_open_is_passed_over(canary: Cage) -> None:
    circuit = Circuit(engine="first")
    circuit.fail(EngineFailed("It broke.", engine="first").failure, canary.clock.now, POLICY)
    canary.database.circuits["first"] = circuit
    event = canary()
    assert event
    assert event.subject == "second"


def test_an_engine_that_was_disabled_is_passed_over(canary: Cage) -> None:
    circuit = Circuit(engine="first")
    circuit.disable(canary.clock.now)
    canary.database.circuits["first"] = circuit
    event = canary()
    assert event
    assert event.subject == "second"


def test_with_no_engine_that_could_take_it_nothing_is_recorded(canary: Cage) -> None:
    for engine in (canary.first, canary.second):
        engine.states = [EngineStatus(state=EngineState.UNAVAILABLE, detail="no model")]
    assert canary() is None
    assert not canary.database.events


@pytest.mark.parametrize(
    ("heard", "accuracy"),
    [
        (PHRASE, 1.0),
        ("Please, call me back tomorrow morning.", 1.0),
        ("Please call me back", 4 / 6),
        ("please call me back tomorrow morning please call me back tomorrow morning", 0.5),
        ("…", 0.0),
        ("", 0.0),
    ],
)
def test_words_are_counted_in_their_order_whatever_their_case_and_punctuation(heard: str, accuracy: float) -> None:
    assert word_accuracy(PHRASE, heard) == pytest.approx(accuracy)
