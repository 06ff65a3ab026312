"""What the processes of this machine use: processor, memory, threads, open files, I/O."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import psutil

from hansard.domain.errors import HansardError
from hansard.domain.performance import ResourceUse
from hansard.observability.process_family import family_use, resident_bytes


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
        self._memory_bytes = _proportional_bytes if shares_memory else resident_bytes
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
            used = family_use(process, self._memory_bytes).values()
        except (psutil.Error, HansardError):  # it has just ended, or its data are gone
            return None
        return _Reading(
            pid=process.pid,
            at_seconds=self._monotonic(),
            cpu_seconds=sum(each.cpu_seconds + each.reaped_cpu_seconds for each in used),
            memory_bytes=sum(each.memory_bytes for each in used),
            threads=sum(each.threads for each in used),
            open_files=sum(each.open_files for each in used),
            read_bytes=sum(each.read_bytes for each in used),
            written_bytes=sum(each.written_bytes for each in used),
        )


def this_process() -> psutil.Process | None:
    return psutil.Process()


def _proportional_bytes(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except psutil.AccessDenied:  # of another user's process
        memory = process.memory_info()
        return memory.rss - memory.shared
