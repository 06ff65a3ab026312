"""What a worker does before its first job, so that this does not wait for models."""

from hansard.application.ports.engines import EngineState, EngineStatus
from hansard.application.warm_up import SILENCE, WarmUp
from hansard.domain.errors import EngineFailed
from tests.fakes import FakeEngine, FakeSpeechDetector

AWAY = EngineStatus(state=EngineState.UNAVAILABLE, detail="it is away")


def test_the_first_engine_that_is_ready_hears_silence() -> None:
    engines = FakeEngine("absent", states=[AWAY]), FakeEngine("present"), FakeEngine("last")
    WarmUp(FakeSpeechDetector, engines)()
    assert [engine.heard for engine in engines] == [[], [SILENCE], []]


def test_an_engine_that_fails_at_it_holds_up_nothing() -> None:
    engine = FakeEngine(failures=[EngineFailed("It broke.", engine="fake")])
    WarmUp(FakeSpeechDetector, [engine])()
    assert engine.requests


def test_what_finds_speech_is_warmed_up_too() -> None:
    fed: list[bytes] = []

    class Detector(FakeSpeechDetector):
        def feed(self, block: bytes) -> None:
            fed.append(block)

    WarmUp(Detector, [])()
    assert fed == [SILENCE]
