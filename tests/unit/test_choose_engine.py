"""Finding an engine that can do the job here and now."""

import pytest

from hansard.application.choose_engine import POLL_SECONDS, ChooseEngine
from hansard.application.ports import EngineState, EngineStatus, Recognition
from hansard.domain.errors import EngineRejected, EngineUnavailable
from hansard.domain.transcription import AUTO
from tests.fakes import FakeClock, FakeEngine

NO_KEY = EngineStatus(state=EngineState.UNAVAILABLE, detail="no key is set", help="Set OPENAI_API_KEY.")
FETCHING = EngineStatus(state=EngineState.PREPARING, detail="40 % fetched")


class Choice:
    def __init__(self, *engines: FakeEngine, chain: tuple[str, ...] | None = None) -> None:
        self.clock = FakeClock()
        self.waited_for: list[str] = []
        by_name = {engine.name: engine for engine in engines}
        self.choose = ChooseEngine(by_name, chain or tuple(by_name), self.clock.sleep)

    def __call__(self, name: str = AUTO, request: Recognition | None = None) -> str:
        return self.choose(name, request or Recognition(), on_wait=self.waited_for.append).name


def test_auto_takes_the_first_of_the_chain() -> None:
    assert Choice(FakeEngine("best"), FakeEngine("second"))() == "best"


def test_auto_passes_over_what_is_not_available() -> None:
    assert Choice(FakeEngine("best", states=[NO_KEY]), FakeEngine("second"))() == "second"


def test_auto_passes_over_what_cannot_honour_the_request() -> None:
    picky = FakeEngine("picky", refuses=EngineRejected("no such model", engine="picky"))
    assert Choice(picky, FakeEngine("second"))() == "second"


def test_a_named_engine_is_not_replaced_by_another() -> None:
    with pytest.raises(EngineUnavailable) as refusal:
        Choice(FakeEngine("best", states=[NO_KEY]), FakeEngine("second"))("best")
    assert refusal.value.failure.help == "Set OPENAI_API_KEY."


def test_an_engine_that_is_being_prepared_is_waited_for() -> None:
    choice = Choice(FakeEngine("best", states=[FETCHING, FETCHING]), FakeEngine("second"))
    assert choice() == "best"
    assert choice.clock.slept == [POLL_SECONDS, POLL_SECONDS]
    assert choice.waited_for == ["waiting for best: 40 % fetched"] * 2


def test_an_engine_that_fails_to_prepare_is_passed_over() -> None:
    assert Choice(FakeEngine("best", states=[FETCHING, NO_KEY]), FakeEngine("second"))() == "second"


def test_when_none_will_do_the_last_one_says_why() -> None:
    refused = EngineRejected("English only", engine="last")
    choice = Choice(FakeEngine("best", states=[NO_KEY]), FakeEngine("last", refuses=refused))
    with pytest.raises(EngineRejected, match="English only"):
        choice()


def test_a_chain_may_name_an_engine_that_is_not_here() -> None:
    assert Choice(FakeEngine("here"), chain=("gone", "here"))() == "here"


def test_an_engine_that_is_not_here_any_more_is_unavailable() -> None:
    with pytest.raises(EngineUnavailable, match="no engine called gone"):
        Choice(FakeEngine("here"))("gone")
