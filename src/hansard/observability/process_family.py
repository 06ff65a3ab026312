"""What a process uses with all that it has started, which counts as its own: an engine's child, a download."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessUse:
    """Of one process: what it holds now; processor time and I/O since it began. What is not told is 0.

    `reaped_cpu_seconds` is what its children used that have ended.
    """

    cpu_seconds: float
    reaped_cpu_seconds: float
    memory_bytes: int
    threads: int
    open_files: int
    read_bytes: int
    written_bytes: int


def resident_bytes(process: psutil.Process) -> int:
    return process.memory_info().rss


def family_use(
    process: psutil.Process, memory_bytes: Callable[[psutil.Process], int] = resident_bytes
) -> dict[psutil.Process, ProcessUse]:
    """Of `process` and each child that is still there. Raises `psutil.Error` where `process` is gone."""
    found: dict[psutil.Process, ProcessUse] = {}
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.Error), each.oneshot():  # of one that has just ended, nothing is left to tell
            found[each] = _use(each, memory_bytes)
    return found


def _use(process: psutil.Process, memory_bytes: Callable[[psutil.Process], int]) -> ProcessUse:
    cpu, threads, memory = process.cpu_times(), process.num_threads(), memory_bytes(process)
    read_bytes, written_bytes, open_files = 0, 0, 0
    with suppress(psutil.Error):  # not told of another user's process, nor of one that ended and was not waited for
        io = process.io_counters()
        read_bytes, written_bytes = io.read_bytes, io.write_bytes
        open_files = process.num_fds()
    return ProcessUse(
        cpu_seconds=cpu.user + cpu.system,
        reaped_cpu_seconds=cpu.children_user + cpu.children_system,
        memory_bytes=memory,
        threads=threads,
        open_files=open_files,
        read_bytes=read_bytes,
        written_bytes=written_bytes,
    )
