"""How engines find out that their answer is not wanted any more."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from threading import Event as Flag

from hansard.domain.errors import EngineStopped

NOTICE_SECONDS = 0.2
"""How long who waits goes without a look at the flag. An engine has a second to notice it."""


def stopped(engine: str) -> EngineStopped:
    return EngineStopped(f"The engine {engine} was told to stop.", engine=engine)


def go_on_unless(stop: Flag, engine: str) -> None:
    """Raises `EngineStopped`."""
    if stop.is_set():
        raise stopped(engine)


@contextmanager
def holding(lock: threading.Lock, stop: Flag, engine: str) -> Generator[None]:
    """The lock, which another thread may hold for long. Raises `EngineStopped`, also where the lock is free."""
    go_on_unless(stop, engine)
    while not lock.acquire(timeout=NOTICE_SECONDS):
        go_on_unless(stop, engine)
    try:
        yield
    finally:
        lock.release()
