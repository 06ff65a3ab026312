"""Which engines may do a job, and whether each can, here and now."""

import pytest

from hansard.application.engine_chain import POLL_SECONDS, EngineChain, none_will_do
from hansard.application.ports.engines import EngineState, EngineStatus, Recognition
from hansard.domain.errors import EngineError, EngineFailed, EnginePaused, EngineRejected, EngineUnavailable
from hansard.domain.transcription import Parameters
from tests.fakes import FakeClock, FakeEngine

NO_KEY = EngineStatus(state=EngineState.UNAVAILABLE, detail="no key is set", help="Set OPENAI_API_KEY.")
FETCHING = EngineStatus(state=EngineState.PREPARING, detail="40 % fetched")

ENGINES = {name: FakeEngine(name) for name in ("best", "second", "last")}
CHAIN = EngineChain(ENGINES, ("best", "second"))


def candidates(parameters: Parameters, chain: EngineChain = CHAIN) -> list[str]:
    return [engine.name for engine in chain.candidates(parameters)]


def require_ready(engine: FakeEngine) -> tuple[list[str], list[float]]:
    """What was waited for, and how long."""
    waited_for: list[str] = []
    clock = FakeClock()
    CHAIN.require_ready(engine, Recognition(), on_wait=waited_for.append, wait=clock.sleep)
    return waited_for, clock.slept


def test_auto_goes_down_the_chain() -> None:
    assert candidates(Parameters()) == ["best", "second"]


def test_a_named_engine_is_not_replaced_by_another() -> None:
    assert candidates(Parameters(engine="second")) == ["second"]


def test_a_named_engine_may_be_followed_by_the_chain() -> None:
    assert candidates(Parameters(engine="last", fallback=True)) == ["last", "best", "second"]


def test_no_engine_comes_twice() -> None:
    assert candidates(Parameters(engine="second", fallback=True)) == ["second", "best"]


def test_an_engine_that_is_not_here_any_more_is_unavailable() -> None:
    with pytest.raises(EngineUnavailable, match="no engine called gone"):
        candidates(Parameters(engine="gone"))


def test_an_engine_that_is_ready_is_not_waited_for() -> None:
    assert require_ready(FakeEngine()) == ([], [])


def test_an_engine_that_cannot_honour_the_request_says_so() -> None:
    with pytest.raises(EngineRejected, match="no such model"):
        require_ready(FakeEngine(refuses=EngineRejected("no such model", engine="fake")))


def test_an_engine_that_is_being_prepared_is_waited_for() -> None:
    engine = FakeEngine("best", states=[FETCHING, FETCHING])
    assert require_ready(engine) == (["waiting for best: 40 % fetched"] * 2, [POLL_SECONDS] * 2)


def test_an_engine_that_fails_to_prepare_says_what_to_do() -> None:
    with pytest.raises(EngineUnavailable) as refusal:
        require_ready(FakeEngine("best", states=[FETCHING, NO_KEY]))
    assert refusal.value.failure.help == "Set OPENAI_API_KEY."


UNAVAILABLE = EngineUnavailable("no key", engine="best", help="Set one.")
REJECTED = EngineRejected("English only", engine="last")
PAUSED = EnginePaused("failed too often", engine="second")


def test_a_single_refusal_speaks_for_itself() -> None:
    assert none_will_do([REJECTED]) is REJECTED


@pytest.mark.parametrize(
    ("refusals", "kind"),
    [
        ([REJECTED, REJECTED], EngineRejected),
        ([UNAVAILABLE, REJECTED], EngineUnavailable),
        ([UNAVAILABLE, PAUSED, REJECTED], EngineFailed),
    ],
)
def test_whose_move_it_is_follows_from_what_all_of_them_said(
    refusals: list[EngineError], kind: type[EngineError]
) -> None:
    assert type(none_will_do(refusals)) is kind


def test_what_each_of_them_said_is_told() -> None:
    failure = none_will_do([UNAVAILABLE, REJECTED]).failure
    assert failure.message == "No engine can do this now. best: no key. last: English only."
    assert failure.help == "Set one."
