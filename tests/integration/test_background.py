"""Work in the background can be given up, and its loop neither outlives its owner nor holds up anybody's exit."""

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from hansard.domain.errors import EngineFailed, EngineStopped
from hansard.engines.background import Background

SCRIPT = """
import asyncio, os, sys, threading
from contextlib import asynccontextmanager
from hansard.engines.background import Background

@asynccontextmanager
async def opening():
    yield "open"

async def answer(resource):
    return resource

background = Background(opening, engine="test")
"""


class Client:
    """Counts how often it is opened and closed."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator["Client"]:
        self.opened += 1
        yield self
        self.closed += 1


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def background(client: Client) -> Iterator[Background[Client]]:
    background = Background(client, engine="test")
    yield background
    del background
    gc.collect()


def never() -> threading.Event:
    return threading.Event()


async def count(client: Client) -> int:
    return client.opened


async def fail(client: Client) -> None:
    raise ValueError("not today")


async def sleep_for_ever(client: Client) -> None:
    await asyncio.Event().wait()


def test_nothing_is_opened_before_it_is_needed(client: Client, background: Background[Client]) -> None:
    assert client.opened == 0
    assert background.run(count, never()) == 1


def test_calls_share_what_is_open(client: Client, background: Background[Client]) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: background.run(count, never()), range(8))) == [1] * 8


def test_what_the_work_raises_is_raised(background: Background[Client]) -> None:
    with pytest.raises(ValueError, match="not today"):
        background.run(fail, never())


def test_work_that_is_stopped_is_cancelled(background: Background[Client]) -> None:
    stop, cancelled = threading.Event(), threading.Event()

    async def work(client: Client) -> None:
        stop.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(EngineStopped):
        background.run(work, stop)
    assert cancelled.wait(10)
    assert background.run(count, never()) == 1


def test_work_that_is_stopped_beforehand_is_not_begun(client: Client, background: Background[Client]) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(EngineStopped):
        background.run(count, stop)
    assert client.opened == 0


def test_what_cannot_be_opened_is_a_failure_of_the_engine() -> None:
    def opening() -> Client:
        raise OSError("no such certificate")

    with pytest.raises(EngineFailed, match="no such certificate"):
        Background(opening, engine="test").run(count, never())


def test_what_fails_while_it_opens_is_a_failure_of_the_engine() -> None:
    @asynccontextmanager
    async def opening() -> AsyncIterator[Client]:
        raise OSError("too many open files")
        yield Client()

    with pytest.raises(EngineFailed, match="too many open files"):
        Background(opening, engine="test").run(count, never())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loop_that_ends_fails_its_calls_and_the_next_one_has_a_new_loop(background: Background[Client]) -> None:
    async def end_the_loop(client: Client) -> None:
        asyncio.get_running_loop().stop()
        await asyncio.Event().wait()

    with pytest.raises(EngineFailed, match="event loop has ended"):
        background.run(end_the_loop, never())
    for thread in threading.enumerate():
        if thread.name == "test-calls":
            thread.join(10)
    assert background.run(count, never()) == 2


def test_the_loop_ends_with_its_owner(client: Client) -> None:
    threads = set(threading.enumerate())
    background = Background(client, engine="test")
    background.run(count, never())
    (thread,) = set(threading.enumerate()) - threads
    del background
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
    assert client.closed == 1


def test_a_call_under_way_does_not_hold_up_the_exit() -> None:
    begun = """
def work(resource):
    begun.set()
    return asyncio.sleep(3600)

begun = threading.Event()
threading.Thread(target=background.run, args=(work, threading.Event()), daemon=True).start()
begun.wait()
"""
    assert said_by(SCRIPT + begun) == []


def test_after_a_fork_parent_and_child_go_their_own_ways() -> None:
    forks = """
print(background.run(answer, threading.Event()), flush=True)
child = os.fork()
print(background.run(answer, threading.Event()), flush=True)
if child:
    os.waitpid(child, 0)
    print(background.run(answer, threading.Event()), flush=True)
"""
    assert said_by(SCRIPT + forks) == ["open"] * 4


def said_by(script: str) -> list[str]:
    """The lines of a Python of its own, which must end by itself, in good order and without complaint."""
    python = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(python, check=True, capture_output=True, timeout=60, text=True)
    assert done.stderr == ""
    return done.stdout.splitlines()
