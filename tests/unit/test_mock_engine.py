"""The engine for tests: guarded, repeatable, and able to fail in every way there is."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag

import pytest

from hansard.application.ports.engines import EngineCall, Recognition
from hansard.domain.audio import BYTES_PER_SECOND
from hansard.domain.errors import Category, ConfigurationError, EngineError, EngineRejected, EngineStopped
from hansard.domain.transcription import Task
from hansard.engines.mock import FAILURES, MockEngine
from tests.fakes import FakeClock

THREE_SECONDS = bytes(3 * BYTES_PER_SECOND)


def waiting(clock: FakeClock) -> MockEngine:
    """Its time is the clock's."""

    def wait(stop: Flag, seconds: float | None) -> bool:
        clock.sleep(seconds or 0.0)
        return stop.is_set()

    return MockEngine(testing=True, wait=wait)


def test_it_cannot_be_had_outside_tests() -> None:
    with pytest.raises(ConfigurationError, match="tests only") as refused:
        MockEngine(testing=False)
    assert "TESTING=true" in (refused.value.failure.help or "")


def test_its_text_tells_how_much_it_heard() -> None:
    (segment,) = MockEngine(testing=True).recognise(THREE_SECONDS, Recognition())
    assert segment.text == "mock heard 3.0 seconds"


def test_a_translation_says_that_it_is_one_and_is_english() -> None:
    (segment,) = MockEngine(testing=True).recognise(THREE_SECONDS, Recognition(task=Task.TRANSLATE, language="de"))
    assert (segment.text, segment.language) == ("mock translated 3.0 seconds", "en")


def test_a_temperature_is_refused() -> None:
    with pytest.raises(EngineRejected) as refused:
        MockEngine(testing=True).model_for(Recognition(temperature=0.0))
    assert refused.value.failure.code == "temperature_not_supported"


def test_the_slow_model_counts_the_seconds_in_real_time() -> None:
    clock = FakeClock()
    segments = waiting(clock).recognise(THREE_SECONDS, Recognition(model="slow"))
    assert [segment.text for segment in segments] == ["second 1", "second 2", "second 3"]
    assert clock.slept == [1.0, 1.0, 1.0]


def test_the_slow_model_stops_when_nobody_listens_any_more() -> None:
    clock = FakeClock()
    segments = waiting(clock).recognise(THREE_SECONDS, Recognition(model="slow"))
    next(segments)
    del segments
    assert clock.slept == [1.0]


def test_the_slow_model_stops_in_the_middle_of_a_second() -> None:
    call = EngineCall()

    def interrupted(stop: Flag, seconds: float | None) -> bool:
        stop.set()
        return True

    segments = MockEngine(testing=True, wait=interrupted).recognise(THREE_SECONDS, Recognition(model="slow"), call)
    with pytest.raises(EngineStopped):
        next(segments)


def test_the_hanging_model_says_nothing_until_it_is_stopped() -> None:
    call = EngineCall()
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(list, MockEngine(testing=True).recognise(THREE_SECONDS, Recognition(model="hang"), call))
        assert not hanging.done()
        call.stop.set()
        with pytest.raises(EngineStopped):
            hanging.result()


@pytest.mark.parametrize("model", FAILURES)
def test_each_failing_model_fails_as_its_name_says(model: str) -> None:
    with pytest.raises(EngineError) as failed:
        list(MockEngine(testing=True).recognise(THREE_SECONDS, Recognition(model=model)))
    assert failed.value.failure.engine == "mock"


def test_it_can_fail_in_every_category_an_engine_has() -> None:
    categories = {make().failure.category for make in FAILURES.values()}
    assert categories == set(Category) - {Category.CANCELLED}


def test_an_unknown_model_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(EngineRejected) as refused:
        MockEngine(testing=True).model_for(Recognition(model="whisper-1"))
    assert "fail-rate-limit" in (refused.value.failure.help or "")
