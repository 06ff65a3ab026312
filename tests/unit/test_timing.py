"""Decorated functions do what they did, and are counted."""

import asyncio
import inspect
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from hansard.timing import calls
from hansard.timing.calls import Calls
from hansard.timing.decorators import monitor_performance, time_it

DECORATORS = pytest.mark.parametrize("decorator", [time_it, monitor_performance])


@pytest.fixture(autouse=True)
def counting() -> Iterator[None]:
    """Other tests call decorated functions, too: what they left is taken first."""
    calls.collect()
    calls.switch_on()
    yield
    calls.switch_off()
    calls.collect()


def collected() -> dict[str, Calls]:
    """By the function's own name."""
    return {each.function.rpartition(".")[2]: each for each in calls.collect()}


# ── Functions stay what they were ────────────────────────────────────────────────────────────────────────


@DECORATORS
def test_a_function_returns_what_it_did_and_keeps_its_name(decorator: Any) -> None:
    @decorator
    def double(number: int, *, by: int = 2) -> int:
        """Times two."""
        return number * by

    assert double(4, by=3) == 12
    assert (double.__name__, double.__doc__) == ("double", "Times two.")
    assert list(inspect.signature(double).parameters) == ["number", "by"]
    assert collected()["double"].count == 1


@DECORATORS
def test_a_method_is_counted_under_its_class(decorator: Any) -> None:
    class Submit:
        @decorator
        def __call__(self, number: int) -> int:
            return number

    assert Submit()(3) == 3
    assert collected()["Submit"].count == 1


@DECORATORS
def test_an_exception_passes_and_is_counted(decorator: Any) -> None:
    @decorator
    def fail() -> None:
        raise ValueError("no")

    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            fail()
    assert (collected()["fail"].count, calls.collect()) == (3, ())


@DECORATORS
def test_errors_are_told_apart_from_calls(decorator: Any) -> None:
    @decorator
    def fail_if(wanted: bool) -> None:
        if wanted:
            raise LookupError

    fail_if(False)
    with pytest.raises(LookupError):
        fail_if(True)
    found = collected()["fail_if"]
    assert (found.count, found.errors) == (2, 1)


@DECORATORS
def test_a_coroutine_function_stays_one(decorator: Any) -> None:
    @decorator
    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    assert inspect.iscoroutinefunction(answer)
    assert asyncio.run(answer()) == 42
    assert collected()["answer"].count == 1


@DECORATORS
def test_a_coroutine_s_exception_is_an_error_and_being_cancelled_is_none(decorator: Any) -> None:
    @decorator
    async def wait() -> None:
        await asyncio.sleep(3600)

    @decorator
    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError

    async def both() -> None:
        with pytest.raises(LookupError):
            await fail()
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(both())
    found = collected()
    assert (found["fail"].errors, found["wait"].errors, found["wait"].count) == (1, 0, 1)


@DECORATORS
def test_a_coroutine_can_handle_what_is_thrown_into_it(decorator: Any) -> None:
    @decorator
    async def patient() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return "tidied up"
        return "slept"

    async def cancel_it() -> str:
        task = asyncio.create_task(patient())
        await asyncio.sleep(0)
        task.cancel()
        return await task

    assert asyncio.run(cancel_it()) == "tidied up"


@DECORATORS
def test_a_generator_is_sent_to_thrown_into_and_returns_as_before(decorator: Any) -> None:
    @decorator
    def converse() -> Generator[str, str, str]:
        name = yield "who?"
        try:
            yield f"hello {name}"
        except LookupError:
            yield "lost"
        return "bye"

    talk = converse()
    assert inspect.isgeneratorfunction(converse)
    assert (next(talk), talk.send("Ann"), talk.throw(LookupError())) == ("who?", "hello Ann", "lost")
    with pytest.raises(StopIteration) as end:
        next(talk)
    assert end.value.value == "bye"


@DECORATORS
def test_a_generator_that_is_closed_early_tidies_up_and_is_no_error(decorator: Any) -> None:
    tidied: list[str] = []

    @decorator
    def count_up() -> Generator[int]:
        try:
            yield 1
            yield 2
        finally:
            tidied.append("yes")

    numbers = count_up()
    next(numbers)
    numbers.close()
    found = collected()["count_up"]
    assert (tidied, found.count, found.errors) == (["yes"], 1, 0)


@DECORATORS
def test_a_context_manager_is_counted_below_its_decorator(decorator: Any) -> None:
    @contextmanager
    @decorator
    def opened() -> Generator[str]:
        yield "open"

    with opened() as state:
        assert state == "open"
    with pytest.raises(LookupError), opened():
        raise LookupError
    found = collected()["opened"]
    assert (found.count, found.errors) == (2, 1)


def test_an_asynchronous_generator_is_refused() -> None:
    async def ticks() -> Any:
        yield 1

    with pytest.raises(TypeError, match="asynchronous generator"):
        time_it(ticks)


# ── What is counted ──────────────────────────────────────────────────────────────────────────────────────


@DECORATORS
def test_nothing_is_counted_while_switched_off(decorator: Any) -> None:
    @decorator
    def quiet() -> int:
        return 1

    calls.switch_off()
    assert quiet() == 1
    assert calls.collect() == ()


def test_a_duration_lies_between_the_shortest_and_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    durations = iter([10, 200, 3000])
    moments = iter([moment for duration in durations for moment in (0, duration)])
    monkeypatch.setattr("hansard.timing.decorators.perf_counter_ns", lambda: next(moments))

    @time_it
    def work() -> None: ...

    for _ in range(3):
        work()
    found = collected()["work"]
    assert (found.shortest_seconds, found.longest_seconds, found.total_seconds) == (10e-9, 3000e-9, 3210e-9)
    assert found.count == 3


def test_a_generator_s_time_is_without_its_reader_s(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0

    def read_clock() -> int:
        return now

    monkeypatch.setattr("hansard.timing.calls.perf_counter_ns", read_clock)

    @time_it
    def blocks() -> Generator[int]:
        nonlocal now
        now += 5
        yield 1
        now += 7

    for _ in blocks():
        now += 1000
    assert collected()["blocks"].total_seconds == 12e-9


def test_each_time_only_what_is_new_is_collected() -> None:
    @time_it
    def tick() -> None: ...

    tick()
    first = collected()["tick"].count
    assert calls.collect() == ()
    tick()
    tick()
    assert (first, collected()["tick"].count) == (1, 2)


def test_nothing_is_lost_between_threads_that_come_and_go_and_someone_who_collects() -> None:
    @monitor_performance
    def tick() -> None: ...

    done = threading.Event()
    taken: list[int] = []

    def collect_all_the_time() -> None:
        # At a pace that lets a thread which is at a call end it: two collections later, its place may be given up.
        while not done.wait(0.25):
            taken.extend(each.count for each in calls.collect())

    def tick_often() -> None:
        for _ in range(500):
            tick()

    collector = threading.Thread(target=collect_all_the_time)
    collector.start()
    for _ in range(5):
        with ThreadPoolExecutor(8) as threads:
            for _ in range(8):
                threads.submit(tick_often)
    done.set()
    collector.join()
    taken.extend(each.count for each in calls.collect())
    assert sum(taken) == 5 * 8 * 500


def test_processor_time_is_the_thread_s_own_and_the_process_s() -> None:
    @monitor_performance
    def work() -> None:
        until = time.thread_time_ns() + 20_000_000
        while time.thread_time_ns() < until:
            pass

    work()
    usage = collected()["work"].usage
    assert usage is not None
    assert 0.02 <= usage.cpu_seconds <= usage.process_cpu_seconds + 0.001


def test_a_coroutine_s_processor_time_is_without_what_runs_while_it_waits() -> None:
    @monitor_performance
    async def wait(turn: asyncio.Event) -> None:
        await turn.wait()

    async def busy(turn: asyncio.Event) -> None:
        until = time.thread_time_ns() + 50_000_000
        while time.thread_time_ns() < until:
            pass
        turn.set()

    async def both() -> None:
        turn = asyncio.Event()
        await asyncio.gather(wait(turn), busy(turn))

    asyncio.run(both())
    found = collected()["wait"]
    assert found.usage is not None
    assert found.usage.cpu_seconds < 0.05 <= found.total_seconds


def test_memory_that_a_call_needed_at_its_height_is_told() -> None:
    @monitor_performance
    def hoard() -> int:
        return len(b"\x01" * 300_000_000)

    hoard()
    usage = collected()["hoard"].usage
    assert usage is not None
    assert usage.peak_memory_bytes >= 300_000_000
    assert 0 <= usage.memory_growth_bytes <= usage.peak_memory_bytes


def test_what_is_only_timed_has_no_usage() -> None:
    @time_it
    def tick() -> None: ...

    tick()
    assert collected()["tick"].usage is None
