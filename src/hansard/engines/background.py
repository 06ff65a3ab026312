"""An event loop on a thread of its own, for calls that whoever waits for them may give up.

A blocking call cannot be given up: it ends when its time-out does, and its thread with it. A coroutine can be
cancelled wherever it waits, and what it had open is closed.
"""

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, wait
from contextlib import AbstractAsyncContextManager
from threading import Event as Flag
from typing import Any, Generic, TypeVar

from hansard.domain.errors import EngineFailed
from hansard.engines.stopping import NOTICE_SECONDS, go_on_unless, holding

Resource = TypeVar("Resource")
Result = TypeVar("Result")


class Background(Generic[Resource]):
    """Runs coroutines over one resource, a client with its connections, that lives as long as the loop.

    Both start with the first call, and again after a fork; both end with this object. `opening` must not refer to it.
    Thread-safe. The thread is a daemon, so it holds up nobody's exit; only a name that is being looked up does, until
    the system's resolver gives it up.
    """

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[Resource]], *, engine: str) -> None:
        self._opening = opening
        self._engine = engine
        self._lock = threading.Lock()
        self._running: _Running[Resource] | None = None

    def run(self, work: Callable[[Resource], Coroutine[Any, Any, Result]], stop: Flag) -> Result:
        """What `work` returns or raises.

        Raises `EngineStopped` soon after `stop` is set: the work is cancelled, also where it only just began.
        Raises `EngineFailed` where there is no loop to run it.
        """
        running = self._started(stop)
        try:
            return self._outcome(running, running.submit(work), stop)
        except CancelledError as error:
            raise self._failed("its event loop has ended") from error

    def _outcome(self, running: "_Running[Resource]", answer: "Future[Result]", stop: Flag) -> Result:
        try:
            while not wait([answer], NOTICE_SECONDS).done:
                go_on_unless(stop, self._engine)
                if not running.thread.is_alive():
                    raise CancelledError
            return answer.result()
        finally:
            answer.cancel()  # whatever made us leave; one that is done stays as it is

    def _started(self, stop: Flag) -> "_Running[Resource]":
        with holding(self._lock, stop, self._engine):
            # In a forked child the thread of the parent is not alive.
            if self._running is None or not self._running.thread.is_alive():
                try:
                    self._running = _Running(self._opening(), name=self._engine)
                except Exception as error:  # no file descriptors, no threads, certificates or proxies that are none
                    raise self._failed(str(error)) from error
                # Not at exit: a daemon needs no farewell, and a loop cannot end tidily while the interpreter does.
                weakref.finalize(self, self._running.end).atexit = False
            return self._running

    def _failed(self, reason: str) -> EngineFailed:
        return EngineFailed(
            f"The engine {self._engine} could not make the call: {reason}",
            engine=self._engine,
            help="Check the proxy settings, SSL_CERT_FILE, and how many files and threads the service may open.",
        )


class _Running(Generic[Resource]):
    """A living loop and what is open on it."""

    def __init__(self, opened: AbstractAsyncContextManager[Resource], *, name: str) -> None:
        started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, Resource]] = Future()
        self.thread = threading.Thread(target=_live, args=(opened, started), name=f"{name}-calls", daemon=True)
        self.thread.start()
        self._loop, self._over, self._resource = started.result()

    def submit(self, work: Callable[[Resource], Coroutine[Any, Any, Result]]) -> "Future[Result]":
        """Raises `CancelledError` where the loop is over."""
        call = work(self._resource)
        try:
            return asyncio.run_coroutine_threadsafe(call, self._loop)
        except RuntimeError as error:
            call.close()
            raise CancelledError from error

    def end(self) -> None:
        # In a forked child the loop is still the parent's: waking it from here would disturb that one.
        if self.thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)


def _live(opened: AbstractAsyncContextManager[Resource], started: "Future[Any]") -> None:
    """A thread's life. Who waits for the start is told how it went, whatever happens."""

    async def until_over() -> None:
        over = asyncio.Event()
        async with opened as resource:
            started.set_result((asyncio.get_running_loop(), over, resource))
            await over.wait()

    try:
        asyncio.run(until_over())
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)
