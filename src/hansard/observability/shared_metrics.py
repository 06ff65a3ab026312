"""Lets the processes of one machine count together, whichever of them is asked, and whichever of them was killed.

prometheus_client keeps the counts of a process in files of its own, mapped into memory: what was counted stays when
the process is killed. It names the files by process id, and leaves them behind for every process there ever was. Here
they belong to a numbered place instead, that one process holds at a time by a lock, which the system takes from it
when it dies. Who comes next takes the place and counts on: there are never more files than there were processes at
one time, no count is lost, and containers that share a directory, each with a process 1, don't share a file.

What a process uses at the moment (memory, connections) is told in the same way, by gauges, and only while it lives:
who comes next begins them anew.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false

import fcntl
import json
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import MappingProxyType

from loguru import logger
from prometheus_client import Metric, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus_client looks for the directory, each time it opens a file there."""

FILE_BYTES: Mapping[str, int] = MappingProxyType(
    {"counter": 512 * 1024, "histogram": 2 * 1024 * 1024, "gauge_livesum": 64 * 1024, "gauge_livemax": 64 * 1024}
)
"""More than our metrics fill with every label there is: a file that had to grow would do so without asking the disk for
room. By kind of metric, as prometheus_client names their files."""

_DAMAGE = (OSError, ValueError, RuntimeError, struct.error)
"""What reading a spoilt file may raise."""

_OF_THE_LIVING = "gauge_live"
"""Begins the names of what ends with its process."""


def share(directory: Path) -> None:
    """Keep the metrics that this process makes from now on in `directory`, for as long as it lives.

    Where that cannot be done, it counts alone, and the log says so: work does not stop for want of a number.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        place = _take_place(directory)
    except OSError as error:
        logger.bind(place=str(directory)).warning("What this process does will be missing in the metrics: {}", error)
        return
    os.environ[DIRECTORY_VARIABLE] = str(directory.resolve())
    values.ValueClass = values.MultiProcessValue(lambda: place)


def clear(directory: Path) -> None:
    """Start from zero in all places that no process holds: for the first process of many, and after an upgrade."""
    for lock_file in directory.glob("*.lock"):
        lock = _lock(lock_file)
        if lock is None:
            continue
        for file in _files(directory, lock_file.stem).values():
            file.unlink(missing_ok=True)
        os.close(lock)


def collector(own: Collector) -> Collector:
    """What all processes counted; or `own`, what this one did, where it counts alone."""
    directory = os.environ.get(DIRECTORY_VARIABLE)
    return AllProcesses(Path(directory)) if directory else own


@dataclass(frozen=True, slots=True)
class AllProcesses(Collector):
    """What was counted in `directory`, by processes that live and by those that are gone."""

    directory: Path

    def collect(self) -> Iterable[Metric]:
        held = {place for place in self._places() if _is_held(self.directory / f"{place}.lock")}
        files = [
            file
            for file in sorted(self.directory.glob("*.db"))
            if not file.name.startswith(_OF_THE_LIVING) or _place_of(file) in held
        ]
        try:
            return _merged(files)
        except _DAMAGE:
            return _merged(filter(_is_readable, files))

    def _places(self) -> Iterator[str]:
        return (_place_of(file) for file in self.directory.glob(f"{_OF_THE_LIVING}sum_*.db"))


def _take_place(directory: Path) -> str:
    for place in map(str, count(1)):
        lock = _lock(directory / f"{place}.lock")
        if lock is None:
            continue
        try:
            for kind, file in _files(directory, place).items():
                if kind.startswith(_OF_THE_LIVING):
                    file.unlink(missing_ok=True)
                _make_ready(file, FILE_BYTES[kind])
        except OSError:
            os.close(lock)
            raise
        return place  # with the lock held until the process ends
    raise AssertionError  # pragma: no cover - numbers don't end


def _lock(file: Path) -> int | None:
    """A descriptor that holds the lock until it is closed; None where another process has it.

    The file stays when the lock is gone: who removed it could remove it from under somebody.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _is_held(file: Path) -> bool:
    """Whether a process that lives has the place. A process that begins at the very moment takes the next one."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _files(directory: Path, place: str) -> dict[str, Path]:
    """By kind, as prometheus_client names them."""
    return {kind: directory / f"{kind}_{place}.db" for kind in FILE_BYTES}


def _place_of(file: Path) -> str:
    return file.stem.rpartition("_")[2]


def _make_ready(file: Path, size_bytes: int) -> None:
    """Have room for everything on the disk before it is needed.

    prometheus_client would make a file with nothing in it. To write to such a file when the disk is full is no error
    that could be caught: the system ends the process.
    """
    if _is_readable(file) and file.stat().st_size >= size_bytes:
        return
    fresh = file.with_suffix(".new")
    try:
        fresh.write_bytes(bytes(size_bytes))
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise
    fresh.replace(file)


def _merged(files: Iterable[Path]) -> Iterable[Metric]:
    return MultiProcessCollector.merge([str(file) for file in files], accumulate=True)


def _is_readable(file: Path) -> bool:
    """A machine that lost its power may leave half a file; it must not spoil the others."""
    try:
        for key, *_ in MmapedDict.read_all_values_from_file(file):
            json.loads(key)
    except _DAMAGE:
        return False
    return True
