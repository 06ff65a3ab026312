"""Long work that can be called off: it runs in a thread of its own, while this one keeps asking whether it is wanted.

An engine, a decoder or a provider may keep a thread for minutes. Who waits for them here is back within moments of a
cancellation; the work is told to stop, and a thread that does not heed is left to end in vain.
"""

from collections.abc import Callable, Generator, Iterable
from contextvars import copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Semaphore, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

ASK_EVERY_SECONDS = 0.5
"""A cancellation takes effect within two seconds: this, one second's grace, and the rest for slow machines."""

GRACE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


def watched(
    work: Callable[[Flag], Iterable[T]], still_wanted: Callable[[], object], *, stop: Flag | None = None
) -> Generator[T]:
    """What `work` gives, one by one as it is asked for. `still_wanted` raises when nothing is wanted any more; then,
    or when this is closed, the flag that `work` was given is set.
    """
    stop = stop or Flag()
    line = _Line[T]()
    thread = Thread(target=copy_context().run, args=(line.make, work, stop), name="watched", daemon=True)
    thread.start()
    try:
        while True:
            line.wanted.release()
            item = _next(line, still_wanted)
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item.value
    finally:
        stop.set()
        line.wanted.release()
        thread.join(GRACE_SECONDS)


def watched_call(work: Callable[[Flag], T], still_wanted: Callable[[], object]) -> T:
    """The same for work with one result."""
    (result,) = watched(lambda stop: (work(stop),), still_wanted)
    return result


class _Line(Generic[T]):
    """Between the two threads: one item at a time, each made only when it is wanted."""

    def __init__(self) -> None:
        self.wanted = Semaphore(0)
        self.made: SimpleQueue[_Item[T] | _End] = SimpleQueue()

    def make(self, work: Callable[[Flag], Iterable[T]], stop: Flag) -> None:
        self.wanted.acquire()
        try:
            for value in work(stop):
                self.made.put(_Item(value))
                self.wanted.acquire()
                if stop.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - it is raised again, where somebody waits for it
            self.made.put(_End(error))
        else:
            self.made.put(_End(None))


def _next(line: _Line[T], still_wanted: Callable[[], object]) -> _Item[T] | _End:
    while True:
        try:
            return line.made.get(timeout=ASK_EVERY_SECONDS)
        except Empty:
            still_wanted()
