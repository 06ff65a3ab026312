"""Does to a running service what machines, operators and bad luck do to it."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from threading import Event, Timer

import psutil
import psycopg

from tests.e2e.service import Service

FROZEN_SECONDS = 8.0
"""Longer than a worker may be silent before its job is another's."""

PATIENCE_SECONDS = 3.0

ENGINE_PROCESS = "hansard.engines.child"


@dataclass
class Monkey:
    """`pause_seconds` lie between two injuries, more or less. `power_cuts` take the whole service down and up again."""

    service: Service
    random: Random
    pause_seconds: float
    power_cuts: bool = False
    inflicted: Counter[str] = field(default_factory=Counter)
    _frozen: dict[psutil.Process, Timer] = field(default_factory=dict)

    def rage(self, over: Event) -> None:
        """Every kind of injury in turn, in any order, again and again."""
        while not over.is_set():
            injuries = [*INJURIES.items(), *([("power cut", Monkey._cut_the_power)] if self.power_cuts else [])]
            self.random.shuffle(injuries)
            for name, injure in injuries:
                if over.wait(self.pause_seconds * self.random.uniform(0.5, 1.5)):
                    break
                # Whoever was to be hurt may have gone already.
                with suppress(psutil.NoSuchProcess, psycopg.OperationalError, LookupError, FileNotFoundError):
                    injure(self)
                    self.inflicted[name] += 1
        self._thaw()

    # ── Workers and the API ──────────────────────────────────────────────────────────────────────────────

    def _kill_worker(self) -> None:
        self._any("worker").kill()

    def _stop_worker(self) -> None:
        self._any("worker").terminate()

    def _freeze_worker(self) -> None:
        worker = self._any("worker")
        worker.suspend()
        timer = self._frozen[worker] = Timer(FROZEN_SECONDS, _resume, [worker])
        timer.daemon = True
        timer.start()

    def _thaw(self) -> None:
        for worker, timer in self._frozen.items():
            timer.cancel()
            _resume(worker)

    def _kill_api(self) -> None:
        self._any("api").kill()

    def _kill_engine(self) -> None:
        """While it is at work, if that comes soon."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not (found := self._engines()) and time.monotonic() < give_up_at:
            time.sleep(0.05)
        self.random.choice(found).kill()

    def _engines(self) -> list[psutil.Process]:
        everybody = psutil.Process(self.service.process.pid).children(recursive=True)
        return [each for each in everybody if ENGINE_PROCESS in " ".join(each.cmdline())]

    def _cut_the_power(self) -> None:
        """Nobody can say a word, and after a while everything starts."""
        self._thaw()
        everybody = psutil.Process(self.service.process.pid).children(recursive=True)
        for process in (psutil.Process(self.service.process.pid), *everybody, self.service.postmaster()):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.service.process.wait()
        self.service.start()

    def _any(self, command: str) -> psutil.Process:
        return self.random.choice(self.service.processes(command))

    # ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────────────

    def _kill_postgres(self) -> None:
        self.service.postmaster().kill()

    def _stop_postgres(self) -> None:
        """A fast shutdown, as `pg_ctl restart` begins; the service starts it again."""
        self.service.postmaster().send_signal(signal.SIGINT)

    def _kill_connection(self) -> None:
        """The server takes a connection's sudden death for damage, and starts all of them anew."""
        backends = [each for each in self.service.postmaster().children() if " hansard " in " ".join(each.cmdline())]
        os.kill(self.random.choice(backends).pid, signal.SIGKILL)

    def _cut_connections(self) -> None:
        self.service.cut_connections()


def _resume(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.resume()


INJURIES: dict[str, Callable[[Monkey], None]] = {
    "worker killed": Monkey._kill_worker,
    "worker told to stop": Monkey._stop_worker,
    "worker frozen": Monkey._freeze_worker,
    "API killed": Monkey._kill_api,
    "engine's process killed": Monkey._kill_engine,
    "PostgreSQL killed": Monkey._kill_postgres,
    "PostgreSQL stopped": Monkey._stop_postgres,
    "PostgreSQL's connection killed": Monkey._kill_connection,
    "all connections cut": Monkey._cut_connections,
}
