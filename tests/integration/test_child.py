"""A child process answers, can be killed, and outlives nobody."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from hansard.domain.errors import EngineCrashed, EngineFailed, EngineStopped, EngineTimedOut
from hansard.engines.child import ChildProcess

PARENT = """
import sys, time
from tests.integration.test_child import CountDown
from hansard.engines.child import ChildProcess
child = ChildProcess(CountDown, engine="count")
list(child.stream(1))
print(child.pid, flush=True)
for reply in child.stream(-1):
    pass
"""


class CountDown:
    """Counts down to one; fails at 13. Of a negative number it says the first, and then nothing for ever."""

    def __call__(self, start: int) -> Iterator[int]:
        if start == 13:
            raise ValueError("not thirteen")
        if start < 0:
            yield start
            threading.Event().wait()
        yield from range(start, 0, -1)


class Unbuildable:
    def __init__(self) -> None:
        raise ImportError("no such library")


@pytest.fixture
def child() -> Iterator[ChildProcess[int, int]]:
    child: ChildProcess[int, int] = ChildProcess(CountDown, engine="count")
    yield child
    child.stop()


def test_it_answers_request_after_request_in_one_process(child: ChildProcess[int, int]) -> None:
    assert list(child.stream(3)) == [3, 2, 1]
    pid = child.pid
    assert list(child.stream(2)) == [2, 1]
    assert child.pid == pid


def test_threads_take_turns(child: ChildProcess[int, int]) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda start: list(child.stream(start)), range(1, 12)))
    assert [len(answer) for answer in answers] == list(range(1, 12))


def test_a_stream_left_half_way_leaves_the_next_one_clean(child: ChildProcess[int, int]) -> None:
    half = child.stream(1000)
    next(half)
    half.close()
    assert list(child.stream(2)) == [2, 1]


def test_a_killed_child_is_a_crash_and_the_next_request_has_a_new_one(child: ChildProcess[int, int]) -> None:
    list(child.stream(1))
    pid = child.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lambda: list(child.stream(3)))
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EngineCrashed, match="SIGKILL"):
            answer.result()
    assert list(child.stream(2)) == [2, 1]
    assert child.pid != pid


def test_an_error_in_the_child_is_a_failure_here(child: ChildProcess[int, int]) -> None:
    with pytest.raises(EngineFailed, match="ValueError: not thirteen"):
        list(child.stream(13))
    assert list(child.stream(1)) == [1]


def test_a_worker_that_cannot_be_built_says_why() -> None:
    child: ChildProcess[int, int] = ChildProcess(Unbuildable, engine="unbuildable")  # type: ignore[arg-type]
    with pytest.raises(EngineFailed, match="no such library"):
        list(child.stream(1))


def test_silence_is_ended_when_patience_is(child: ChildProcess[int, int]) -> None:
    with pytest.raises(EngineTimedOut):
        list(child.stream(-1, patience_seconds=0.01))
    assert child.pid is None


def test_a_stream_that_is_stopped_kills_the_child_at_its_work(child: ChildProcess[int, int]) -> None:
    stop = threading.Event()
    endless = child.stream(-1, stop=stop)
    next(endless)
    process = psutil.Process(child.pid)
    stop.set()
    with pytest.raises(EngineStopped):
        next(endless)
    assert not is_alive(process)
    assert list(child.stream(2)) == [2, 1]


def test_a_stream_that_waits_for_its_turn_can_be_stopped(child: ChildProcess[int, int]) -> None:
    endless = child.stream(-1)
    next(endless)
    pid = child.pid
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: list(child.stream(3, stop=stop)))
        stop.set()
        with pytest.raises(EngineStopped):
            waiting.result()
    assert child.pid == pid  # the one at work is let be
    endless.close()


def test_a_stream_stopped_beforehand_starts_nothing(child: ChildProcess[int, int]) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(EngineStopped):
        list(child.stream(1, stop=stop))
    assert child.pid is None


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_signals_to_the_whole_group_are_left_to_the_parent(
    child: ChildProcess[int, int], signal_number: signal.Signals
) -> None:
    list(child.stream(1))
    pid = child.pid
    assert pid is not None
    os.kill(pid, signal_number)
    assert list(child.stream(2)) == [2, 1]
    assert child.pid == pid


def test_a_killed_parent_leaves_no_orphan() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    while is_alive(child):
        time.sleep(0.01)


def is_alive(process: psutil.Process) -> bool:
    """A zombie is dead: not every container has somebody who collects them."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
