"""What the processes of this machine use: processor, memory, threads, open files, I/O."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import psutil

from hansard.domain.errors import HansardError
from hansard.domain.performance import ResourceUse


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a process and its children came to; processor time and I/O since the process began."""

    pid: int
    at_seconds: float
    cpu_seconds: float
    memory_bytes: int
    threads: int
    open_files: int
    read_bytes: int
    written_bytes: int


class ResourceSampler:
    """Looks at a process and its children, the engines' among them, which count as its own.

    Processor time and I/O are told as what was added since the last look. What a child that ended used goes to its
    parent, so that nothing falls between two looks.

    `find` gives the process, or None while there is none. Memory is what is resident; where the processes share most of
    theirs, as PostgreSQL's do, `shares_memory` counts each shared page once.
    """

    def __init__(
        self,
        process: str,
        find: Callable[[], psutil.Process | None],
        *,
        host: str,
        shares_memory: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._process, self._host = process, host
        self._find, self._monotonic = find, monotonic
        self._memory_bytes = _proportional_bytes if shares_memory else _resident_bytes
        self._last = self._read()

    def __call__(self, now: datetime) -> Iterator[ResourceUse]:
        """One, or none: the process is not there, or was not the last time."""
        last, self._last = self._last, self._read()
        if last is None or self._last is None or last.pid != self._last.pid:
            return
        reading, seconds = self._last, self._last.at_seconds - last.at_seconds
        if seconds <= 0:
            return
        # A child that ends while it is looked at is missing in one sum or the other.
        cores = max(0.0, reading.cpu_seconds - last.cpu_seconds) / seconds
        yield ResourceUse(
            start=now - timedelta(seconds=seconds),
            host=self._host,
            process=self._process,
            seconds=seconds,
            samples=1,
            cores_least=cores,
            cores_mean=cores,
            cores_most=cores,
            memory_least_bytes=reading.memory_bytes,
            memory_mean_bytes=reading.memory_bytes,
            memory_most_bytes=reading.memory_bytes,
            threads_most=reading.threads,
            open_files_most=reading.open_files,
            read_bytes=max(0, reading.read_bytes - last.read_bytes),
            written_bytes=max(0, reading.written_bytes - last.written_bytes),
        )

    def _read(self) -> _Reading | None:
        try:
            process = self._find()
            if process is None:
                return None
            return self._sum(process.pid, [process, *process.children(recursive=True)])
        except (psutil.Error, HansardError):  # it has just ended, or its data are gone
            return None

    def _sum(self, pid: int, processes: Iterable[psutil.Process]) -> _Reading:
        cpu_seconds, memory_bytes, threads, open_files, read_bytes, written_bytes = 0.0, 0, 0, 0, 0, 0
        for process in processes:
            with suppress(psutil.Error), process.oneshot():  # of one that has just ended, nothing is left to tell
                cpu = process.cpu_times()
                cpu_seconds += cpu.user + cpu.system + cpu.children_user + cpu.children_system
                threads += process.num_threads()
                memory_bytes += self._memory_bytes(process)
                io = process.io_counters()
                read_bytes += io.read_bytes
                written_bytes += io.write_bytes
                open_files += process.num_fds()
        return _Reading(
            pid, self._monotonic(), cpu_seconds, memory_bytes, threads, open_files, read_bytes, written_bytes
        )


def this_process() -> psutil.Process | None:
    return psutil.Process()


def _resident_bytes(process: psutil.Process) -> int:
    return process.memory_info().rss


def _proportional_bytes(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except psutil.AccessDenied:  # of another user's process
        memory = process.memory_info()
        return memory.rss - memory.shared
