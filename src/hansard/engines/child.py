"""A process of its own for work that must not be able to hurt this one.

PocketSphinx holds the GIL for seconds, native code may crash, and a download may hang where nothing can interrupt it.
In a child they starve nobody, take nobody with them, and can be killed.

The child is this module, run by a fresh interpreter. (`multiprocessing`'s spawn would import the parent's `__main__`
again, which here is the whole service.) It ends when its parent does, however that ends: its standard input is a pipe
that only the parent holds open.
"""

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from enum import StrEnum
from math import inf
from multiprocessing.connection import Connection
from threading import Event as Flag
from typing import Any, Generic, TypeVar, cast

from hansard.domain.errors import EngineCrashed, EngineFailed, EngineTimedOut
from hansard.engines.stopping import NOTICE_SECONDS, go_on_unless, holding

Request = TypeVar("Request")
Reply = TypeVar("Reply")

Worker = Callable[[Request], Iterator[Reply]]
"""What the child does: answers one request with any number of replies."""


class _Mark(StrEnum):
    """What a message of the child is, apart from its content."""

    REPLY = "reply"
    END = "end"
    ERROR = "error"


class ChildProcess(Generic[Request, Reply]):
    """Runs `factory()` in a child that starts at the first request, and again after it died.

    `factory` and what is sent are pickled, so the factory is a class or function of an importable module. Thread-safe:
    one request at a time, so read a stream to its end, or close it, before the next one of the same thread.
    """

    def __init__(self, factory: Callable[[], Worker[Request, Reply]], *, engine: str) -> None:
        self._factory = factory
        self._engine = engine
        self._lock = threading.Lock()
        self._running: _Running | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        return self._running.process.pid if self._running is not None else None

    def stream(
        self, request: Request, *, patience_seconds: float | None = None, stop: Flag | None = None
    ) -> Generator[Reply]:
        """The replies as they come; None waits for ever for each.

        A stream that isn't read to its end costs the child its life: that is what stops the work. Raises
        `EngineStopped` soon after `stop` is set, `EngineCrashed` when the child dies, `EngineFailed` when the worker
        raises, and `EngineTimedOut` when `patience_seconds` pass without a reply.
        """
        stop = stop or Flag()
        with holding(self._lock, stop, self._engine):
            running = self._running = self._running or self._start()
            finished = False
            try:
                yield from self._replies(running, request, patience_seconds, stop)
                finished = True
            except (EOFError, OSError) as error:
                raise self._crashed(running) from error
            finally:
                if not finished:
                    self._running = None
                    running.kill()

    def stop(self) -> None:
        """End the child now, from any thread; a stream under way raises `EngineCrashed`."""
        if self._running is not None:
            self._running.kill()

    def _start(self) -> "_Running":
        try:
            return _Running(self._factory)
        except OSError as error:
            raise EngineFailed(
                f"No process could be started for the engine {self._engine}: {error.strerror}.",
                engine=self._engine,
                help="Look for memory, or the number of processes allowed, running out on this machine.",
            ) from error

    def _replies(
        self, running: "_Running", request: Request, patience_seconds: float | None, stop: Flag
    ) -> Iterator[Reply]:
        running.line.send(request)
        while True:
            self._await(running.line, patience_seconds, stop)
            mark, content = cast("tuple[_Mark, Any]", running.line.recv())
            if mark is _Mark.END:
                return
            if mark is _Mark.ERROR:
                raise EngineFailed(
                    f"The engine {self._engine} failed: {content}",
                    engine=self._engine,
                    help="Another engine may do. If it fails with every recording, install the dependencies anew.",
                )
            yield content

    def _await(self, line: Connection, patience_seconds: float | None, stop: Flag) -> None:
        """Until there is a message."""
        patient_until = inf if patience_seconds is None else time.monotonic() + patience_seconds
        while not line.poll(min(NOTICE_SECONDS, max(0.0, patient_until - time.monotonic()))):
            go_on_unless(stop, self._engine)
            if time.monotonic() >= patient_until:
                raise EngineTimedOut(
                    f"The engine {self._engine} gave no sign of life for {patience_seconds:g} s.",
                    engine=self._engine,
                    help="Look for what keeps this machine busy, then ask again.",
                )

    def _crashed(self, running: "_Running") -> EngineCrashed:
        status = running.process.wait()
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return EngineCrashed(
            f"The process of the engine {self._engine} died ({how}).",
            engine=self._engine,
            help="A new process takes the next attempt. If it dies again, look for memory running out on this machine.",
        )


class _Running:
    """A living child and the line to it."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        ours, theirs = socket.socketpair()
        self.line = Connection(ours.detach())
        # -P keeps the working directory off the child's import path until it has been given ours.
        command = f"from {__name__} import serve; serve({theirs.fileno()})"
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-c", command],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        # Also at exit, so that nothing outlives a clean shutdown by even a moment.
        self.kill = weakref.finalize(self, _kill, self.process, self.line)
        self.line.send(sys.path)
        self.line.send_bytes(pickle.dumps(factory))


def _kill(process: subprocess.Popen[bytes], line: Connection) -> None:
    process.kill()
    process.wait()
    line.close()
    if process.stdin is not None:
        process.stdin.close()


def serve(file_descriptor: int) -> None:
    """The child's life: answer what comes down the line until the parent is gone."""
    # Ctrl+C and a supervisor's SIGTERM reach the whole process group; what becomes of the child is the parent's choice.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    line: Connection = Connection(file_descriptor)
    sys.path[:] = line.recv()
    factory = line.recv_bytes()
    worker: Worker[Any, Any] | None = None
    while True:
        request = line.recv()
        try:
            worker = worker or cast("Worker[Any, Any]", pickle.loads(factory)())  # noqa: S301 - from our own parent
            for reply in worker(request):
                line.send((_Mark.REPLY, reply))
            line.send((_Mark.END, None))
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent is told
            line.send((_Mark.ERROR, f"{type(error).__name__}: {error}"))


def _die_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)
