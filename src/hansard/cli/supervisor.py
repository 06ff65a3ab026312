"""Keeps the processes of `hansard up` running: starts them, starts them again when they die, ends them together.

honcho's manager runs the processes and passes signals on; two things are different here. It ends everything when one
process ends, and this keeps the others up and brings the one back. It reads each process's output through a process
in between, and here they inherit the terminal: each formats its own log lines, knows whether it may use colour, and
nothing has to stay alive for them to be read.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingParameterType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false, reportUntypedBaseClass=false
# pyright: reportAttributeAccessIssue=false

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any

from honcho.compat import ProcessManager
from honcho.manager import Manager
from honcho.process import Popen, Process
from loguru import logger

GRACE_SECONDS = 4.5
"""What a process gets to finish before it is killed: all is over within five seconds of Ctrl+C. A worker needs 4."""

SOUND_SECONDS = 30.0
"""A process that lived this long was sound: its next death starts the back-off anew."""

_LOOK_EVERY_SECONDS = 0.5
"""How soon a child notices that its parent is gone, and a paused process that it is wanted: cheap, and soon enough."""


class Supervisor(Manager):
    """Runs processes until SIGINT, SIGTERM or SIGHUP; a second one ends them at once. Use it in the main thread."""

    def __init__(
        self,
        *,
        grace_seconds: float = GRACE_SECONDS,
        backoff_seconds: float = 0.5,
        longest_backoff_seconds: float = 10.0,
    ) -> None:
        super().__init__()
        self.hurried = False
        """Whether it was asked to stop twice, so at once."""
        self._stopping = threading.Event()
        self._grace_seconds = grace_seconds
        # honcho's is for processes in between; ours are threads, and this one may be used in a signal handler.
        self.events = SimpleQueue()
        self._process_ctor = partial(
            _Kept,
            stopping=self._stopping,
            backoff_seconds=backoff_seconds,
            longest_backoff_seconds=longest_backoff_seconds,
        )

    def keep(self, name: str, command: Sequence[str], *, pass_fds: Sequence[int] = ()) -> None:
        """Run `command` as the process `name`, which inherits the file descriptors `pass_fds`, from `run` on."""
        self.add_process(name, list(command)).pass_fds = tuple(pass_fds)

    def run(self) -> None:
        """Return when everything was asked to stop, and has."""
        self.loop()

    def restart(self) -> None:
        """Start every process anew, gently."""
        for entry in self._processes.values():
            entry["obj"].restart(self._grace_seconds)

    def restart_on_change(self, directory: Path) -> None:
        """Watch the Python files below `directory`, and restart when they change."""
        threading.Thread(target=self._watch, args=(directory,), name="watch", daemon=True).start()

    def terminate(self) -> None:
        """Ask all to end, and after the grace end them. honcho calls this, too."""
        if self._terminating:
            return
        self._terminating = True
        logger.info("Stopping. Ctrl+C again stops at once.")
        self._stopping.set()
        self._killall()
        _later(self._grace_seconds, self.kill)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        # The second time this may interrupt the first, so it neither logs nor takes a lock.
        if self._terminating:
            self.hurried = True
            self.kill()
        else:
            self.terminate()

    def _watch(self, directory: Path) -> None:
        from watchfiles import PythonFilter, watch  # for development only

        for changes in watch(directory, watch_filter=PythonFilter(), stop_event=self._stopping):
            changed = sorted({Path(path).name for _, path in changes})
            logger.bind(files=", ".join(changed)).info("The code changed: starting anew.")
            self.restart()

    def _start(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)  # in place of honcho's, which don't count
        for entry in self._processes.values():
            threading.Thread(target=entry["obj"].run, args=(self.events,), name=entry["obj"].name, daemon=True).start()

    def _killall(self, force: bool = False) -> None:
        for entry in self._processes.values():
            entry["obj"].end(force=force)

    def _system_print(self, data: str) -> None:
        """Its own remarks; ours go to the log."""


class _Kept(Process):
    """A process that is started again whenever it ends, until `stopping` is set. Its children end with it."""

    pass_fds: tuple[int, ...] = ()

    def __init__(
        self,
        *arguments: Any,
        stopping: threading.Event,
        backoff_seconds: float,
        longest_backoff_seconds: float,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._child: Popen | None = None
        self._stopping = stopping
        self._backoff_seconds, self._longest_backoff_seconds = backoff_seconds, longest_backoff_seconds
        self._anew = threading.Event()
        self._groups = ProcessManager()

    def run(self, events: "SimpleQueue[Any] | None" = None, ignore_signals: bool = False) -> None:  # noqa: ARG002
        """Keep the manager's books: it hears of one start and one end, whatever happens in between."""
        self._events = events
        self._send_message({"pid": os.getpid()}, type="start")
        returncode, backoff_seconds = 0, self._backoff_seconds
        while not self._stopping.is_set():
            self._anew.clear()
            started = time.monotonic()
            returncode = self._run_once()
            if self._stopping.is_set() or self._anew.is_set():
                continue
            if time.monotonic() - started > SOUND_SECONDS:
                backoff_seconds = self._backoff_seconds
            logger.bind(name=self.name, ended_by=_cause(returncode), again_in_seconds=backoff_seconds).warning(
                "A process ended and will be started again."
            )
            self._pause(backoff_seconds)
            backoff_seconds = min(backoff_seconds * 2, self._longest_backoff_seconds)
        self._send_message({"returncode": returncode}, type="stop")

    def restart(self, grace_seconds: float) -> None:
        """End the process, so that `run` starts it anew without a pause."""
        self._anew.set()
        self.end()
        _later(grace_seconds, partial(self._end_if_still_there, self._child))

    def end(self, *, force: bool = False) -> None:
        """Ask the process to end, which sees to its own children; or end it and them."""
        child = self._child
        if child and force:
            self._groups.kill(child.pid)
        elif child:
            child.terminate()

    def _end_if_still_there(self, child: Popen | None) -> None:
        if child and child.poll() is None:
            self._groups.kill(child.pid)

    def _run_once(self) -> int:
        self._child = child = Popen(
            self.cmd,
            shell=False,
            env=self.env,
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=None,
            stderr=None,
            pass_fds=self.pass_fds,
        )
        if self._stopping.is_set():  # asked for while it was being started
            self.end()
        returncode = child.wait()
        self._groups.kill(child.pid)
        return returncode

    def _pause(self, seconds: float) -> None:
        over = time.monotonic() + seconds
        while time.monotonic() < over and not self._anew.is_set() and not self._stopping.wait(_LOOK_EVERY_SECONDS):
            pass


def end_with(parent_pid: int) -> None:
    """Have this process end when `parent_pid`, which started it, is gone without having been able to say so."""

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(_LOOK_EVERY_SECONDS)
        logger.warning("The process that started this one is gone: stopping.")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _later(seconds: float, action: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


def _cause(returncode: int) -> str:
    return signal.Signals(-returncode).name if returncode < 0 else f"exit code {returncode}"
