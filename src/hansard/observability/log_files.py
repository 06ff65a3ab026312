"""The log of each process in a file of its own: bounded, compressed when it is full, whole lines whatever happens.

    worker.1.jsonl                          what it writes now
    worker.1.20261123T072831.123456.jsonl.gz   what it wrote before

A process holds a lock on the file it writes, so that two of one name (`hansard worker`, twice) take two: `worker~2`. A
record is one write at the file's end, and a process that is killed loses none that was written.
"""

import fcntl
import gzip
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

SUFFIX = ".jsonl"
PACKED = ".jsonl.gz"
_STAMP = "%Y%m%dT%H%M%S.%f"
_STAMPED = r"\.\d{8}T\d{6}\.\d{6}"
_NAME = re.compile(rf"(.+?)({_STAMPED})?{re.escape(SUFFIX)}(\.gz)?")
_MOST_OF_ONE_NAME = 100


def _now() -> datetime:
    return datetime.now(UTC)


class LogFile:
    """The log of the process `name` in `directory`, opened with its first line.

    It is put aside when it would grow beyond `most_bytes`, and when a new day (UTC) has begun. Of those put aside, the
    last `kept` stay, and none for longer than `days`. Never raises: the log must not be what stops the work.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        *,
        most_bytes: int,
        kept: int,
        days: float,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._directory = directory
        self._name = re.sub(r"[^\w.-]", "_", name)
        self._most_bytes, self._kept, self._days = most_bytes, kept, days
        self._now = now
        self._descriptor: int | None = None
        self._path = directory / f"{self._name}{SUFFIX}"
        self._size_bytes = 0
        self._day: date = date.min
        self._is_torn = False
        self._packing: threading.Thread | None = None

    def write(self, line: bytes) -> None:
        """`line` ends with a line break. What there is no room for on the disk is lost."""
        with suppress(OSError, RuntimeError):  # of a thread that cannot be started, as the interpreter ends
            if self._descriptor is None:
                self._open()
                self._tidy_up()
            if self._size_bytes and (
                self._size_bytes + len(line) > self._most_bytes or self._day != self._now().date()
            ):
                self._put_aside()
            self._append(line)

    def close(self) -> None:
        self._finish_packing()  # first: a file that nobody holds any more may look like one to prune
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, line: bytes) -> None:
        if self._descriptor is None:
            return
        if self._is_torn:
            line = b"\n" + line
        written = 0
        try:
            written = os.write(self._descriptor, line)
        finally:
            self._is_torn = self._is_torn if not written else written < len(line)
            self._size_bytes += written

    def _open(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        for number in range(1, _MOST_OF_ONE_NAME):
            self._path = self._directory / f"{self._name}{f'~{number}' if number > 1 else ''}{SUFFIX}"
            descriptor = _locked(self._path)
            if descriptor is not None:
                break
        else:
            return
        about = os.fstat(descriptor)
        self._descriptor, self._size_bytes = descriptor, about.st_size
        self._day = datetime.fromtimestamp(about.st_mtime, UTC).date() if about.st_size else self._now().date()
        # Whoever wrote it may have been killed, or have met a full disk, in the middle of a line.
        self._is_torn = bool(about.st_size) and os.pread(descriptor, 1, about.st_size - 1) != b"\n"

    def _put_aside(self) -> None:
        stamp = self._now().strftime(_STAMP)
        self._path.rename(self._path.with_name(f"{self._path.name.removesuffix(SUFFIX)}.{stamp}{SUFFIX}"))
        before, self._descriptor = self._descriptor, None
        if before is not None:
            os.close(before)
        self._open()
        self._day = self._now().date()
        self._tidy_up()

    def _tidy_up(self) -> None:
        """In a thread: to compress a file takes a moment, and whoever logs may be an event loop."""
        self._finish_packing()
        self._packing = threading.Thread(target=self._pack_and_prune, name="log-files")
        self._packing.start()

    def _finish_packing(self) -> None:
        if self._packing is not None:
            self._packing.join()

    def _pack_and_prune(self) -> None:
        own = re.compile(re.escape(self._path.name.removesuffix(SUFFIX)) + _STAMPED + re.escape(SUFFIX))
        with suppress(OSError):
            for file in self._directory.iterdir():
                if own.fullmatch(file.name):
                    _pack(file)
            packed = sorted(file for file in self._directory.iterdir() if own.fullmatch(file.name.removesuffix(".gz")))
            before = (self._now() - timedelta(days=self._days)).timestamp()
            for file in [*packed[: -self._kept or None], *_older(self._directory, before)]:
                file.unlink(missing_ok=True)


def was_put_aside(file: Path) -> bool:
    parts = _NAME.fullmatch(file.name)
    return parts is not None and parts[2] is not None


def log_files(directory: Path) -> dict[str, list[Path]]:
    """The files of each process by its name, oldest first, the one that is written last."""
    found: dict[str, list[Path]] = {}
    named = {file: parts for file in directory.glob("*") if (parts := _NAME.fullmatch(file.name))}
    for file, parts in sorted(named.items(), key=lambda item: item[1][2] or "~"):
        # While a file is being packed, both are there.
        if not (file.name.endswith(SUFFIX) and file.with_name(f"{file.name}.gz") in named):
            found.setdefault(parts[1], []).append(file)
    return found


def lines_of(file: Path) -> Iterator[bytes]:
    """Whole lines; one that is cut off at the end, or a packed file that is damaged, ends them."""
    with (
        suppress(EOFError, gzip.BadGzipFile, FileNotFoundError),
        gzip.open(file, "rb") if file.name.endswith(PACKED) else file.open("rb") as lines,
    ):
        yield from (line for line in lines if line.endswith(b"\n"))


def _locked(path: Path) -> int | None:
    """Open at its end and ours alone until it is closed; None when another process has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        os.close(descriptor)  # it was put aside between the two


def _pack(file: Path) -> None:
    part = file.with_name(f"{file.name}.part")
    with file.open("rb") as plain, gzip.open(part, "wb", compresslevel=6) as packed:
        shutil.copyfileobj(plain, packed)
    shutil.copystat(file, part)
    part.replace(file.with_name(f"{file.name}.gz"))
    file.unlink()


def _older(directory: Path, before: float) -> Iterator[Path]:
    """Files nobody has written since: also of processes that are no more."""
    for file in directory.iterdir():
        with suppress(FileNotFoundError):  # another process tidies up, too
            if file.name.endswith((SUFFIX, PACKED, ".part")) and file.stat().st_mtime < before and not _is_held(file):
                yield file


def _is_held(file: Path) -> bool:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        # Shared, so that two who look are not taken for somebody who writes.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
