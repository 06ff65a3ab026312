"""One download of one model, shared by all processes of this machine: whole or not there, never hanging.

    <directory>/<folder>            the whole model: renamed to this when its last byte had come
    <directory>/.fetching/<folder>  what has come so far; the next attempt keeps the files that are whole
                          ….json    how far it is, or why it failed, for every process to read
                          ….lock    held by the process that fetches, so a dead one is known as dead

The hub may refuse, hang, or stall half-way, and its client offers no way to interrupt it. So it runs in a child
process, which is killed when nothing comes for too long.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import errno
import fcntl
import fnmatch
import json
import os
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event as Flag

from hansard.domain.errors import EngineCrashed, EngineFailed, EngineTimedOut
from hansard.engines.child import ChildProcess

ENGINE = "whisper"

# Without tokenizer.json the loader would ask the hub for one.
REQUIRED_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.*")
WANTED_FILES = (*REQUIRED_FILES, "preprocessor_config.json")

REPORT_EVERY_SECONDS = 0.5
CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    done_bytes: int
    total_bytes: int

    @property
    def percent(self) -> int:
        return 100 * self.done_bytes // max(self.total_bytes, 1)

    def __str__(self) -> str:
        return f"{self.percent} % of {self.total_bytes / 1e6:.0f} MB"


@dataclass(frozen=True, slots=True)
class DownloadFailure:
    """`code` is "hub_unreachable" where another try may do. `failed_at` is a Unix time, as other processes read it."""

    code: str
    reason: str
    failed_at: float


class DownloadFailed(Exception):
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class ModelDownload:
    """The download of `repository` into `directory / folder`.

    `contact_seconds` is how long the hub may take to answer at all, `stall_seconds` how long no byte may come.
    """

    def __init__(
        self, repository: str, directory: Path, folder: str, *, contact_seconds: float, stall_seconds: float
    ) -> None:
        self._repository = repository
        self._target = directory / folder
        self._partial = directory / ".fetching" / folder
        self._record = directory / ".fetching" / f"{folder}.json"
        self._lock = directory / ".fetching" / f"{folder}.lock"
        self._contact_seconds = contact_seconds
        self._stall_seconds = stall_seconds

    @contextmanager
    def claim(self) -> Generator[bool]:
        """Whether this caller alone may run the download until it leaves the block."""
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def under_way(self) -> bool:
        """Whether a living process has claimed it."""
        try:
            with self._lock.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def state(self) -> DownloadProgress | DownloadFailure | None:
        """What the last attempt left on record; it may be over."""
        try:
            record = json.loads(self._record.read_bytes())
            return DownloadFailure(**record) if "failed_at" in record else DownloadProgress(**record)
        except (OSError, ValueError, TypeError):  # none, or another version's
            return None

    def forget_failure(self) -> None:
        if isinstance(self.state(), DownloadFailure):
            self._record.unlink(missing_ok=True)

    def run(self, on_progress: Callable[[DownloadProgress], None], *, stop: Flag | None = None) -> None:
        """Fetch the model; only inside `claim`.

        Raises `DownloadFailed`, and leaves it on record; `EngineStopped` soon after `stop` is set.
        """
        if not missing_files(self._target):  # it came while the claim was waited for
            return
        try:
            for progress in self._fetch(stop):
                self._write(progress)
                on_progress(progress)
            self._keep()
        except DownloadFailed as failed:
            self._write(DownloadFailure(code=failed.code, reason=failed.reason, failed_at=time.time()))
            raise

    def _fetch(self, stop: Flag | None) -> Iterator[DownloadProgress]:
        child: ChildProcess[_Order, DownloadProgress | _Refusal] = ChildProcess(_Fetcher, engine=ENGINE)
        try:
            order = _Order(repository=self._repository, destination=str(self._partial))
            replies = child.stream(order, patience_seconds=self._contact_seconds, stop=stop)
            for reply in self._unless_stalled(replies):
                if isinstance(reply, _Refusal):
                    raise DownloadFailed(reply.code, reply.reason)
                yield reply
        except EngineTimedOut as error:
            reason = f"the model hub did not answer within {self._contact_seconds:.0f} s"
            raise DownloadFailed("hub_unreachable", reason) from error
        except (EngineCrashed, EngineFailed) as error:
            raise DownloadFailed("hub_unreachable", f"the download was broken off: {error}") from error
        finally:
            child.stop()

    def _unless_stalled(
        self, replies: Generator["DownloadProgress | _Refusal"]
    ) -> Iterator["DownloadProgress | _Refusal"]:
        last, grown_at = None, time.monotonic()
        for reply in replies:
            if reply != last:
                last, grown_at = reply, time.monotonic()
            elif time.monotonic() - grown_at > self._stall_seconds:
                reason = f"the model hub sent nothing more for {self._stall_seconds:.0f} s, at {reply}"
                raise DownloadFailed("hub_unreachable", reason)
            yield reply

    def _keep(self) -> None:
        shutil.rmtree(self._partial / ".cache", ignore_errors=True)
        if self._target.exists():  # some of its files were lost
            shutil.rmtree(self._target)
        self._partial.rename(self._target)
        self._record.unlink(missing_ok=True)

    def _write(self, state: DownloadProgress | DownloadFailure) -> None:
        written = self._record.with_suffix(".new")
        written.write_text(json.dumps(asdict(state)), "utf-8")
        written.replace(self._record)


@dataclass(frozen=True, slots=True)
class _Order:
    repository: str
    destination: str


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: str
    reason: str


class _Fetcher:
    """The hub's client, in a child process: replies how far it is, twice a second."""

    def __init__(self) -> None:
        # Read once, when the client is imported. Without xet it is plain HTTP, which mirrors and proxies understand.
        os.environ.update(HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1")

    def __call__(self, order: _Order) -> Iterator[DownloadProgress | _Refusal]:
        from huggingface_hub.errors import RepositoryNotFoundError  # noqa: PLC0415 - only in the child

        try:
            yield from self._fetch(order)
        except RepositoryNotFoundError:
            reason = f"the model hub has no {order.repository}, or shows it to members only"
            yield _Refusal("no_such_model", reason)
        except Exception as error:  # noqa: BLE001 - the client raises its own, the HTTP library's and the system's
            yield _refusal(error)

    def _fetch(self, order: _Order) -> Iterator[DownloadProgress | _Refusal]:
        from huggingface_hub import HfApi, constants, snapshot_download  # noqa: PLC0415 - only in the child

        # The client writes 10 MB at a time: on a slow line, minutes of work would look like standing still.
        constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
        info = HfApi().model_info(order.repository, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        missing = [pattern for pattern in REQUIRED_FILES if not fnmatch.filter(sizes, pattern)]
        if missing:
            reason = f"{order.repository} is no Whisper model for CTranslate2: it has no {', '.join(missing)}"
            yield _Refusal("no_such_model", reason)
            return
        total = sum(sizes[name] for pattern in WANTED_FILES for name in fnmatch.filter(sizes, pattern))
        destination = Path(order.destination)
        for leftover in destination.rglob("*.incomplete"):  # of a killed attempt; the client never takes them up again
            leftover.unlink()
        with ThreadPoolExecutor(max_workers=1) as pool:
            download = pool.submit(
                lambda: snapshot_download(
                    order.repository, revision=info.sha, local_dir=destination, allow_patterns=list(WANTED_FILES)
                )
            )
            while not wait([download], REPORT_EVERY_SECONDS).done:
                yield DownloadProgress(min(_bytes_in(destination), total), total)
            download.result()
        yield DownloadProgress(total, total)


def _refusal(error: Exception) -> _Refusal:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return _Refusal("disk_full", f"the disk is full: {error}")
    first_line = str(error).partition("\n")[0]
    return _Refusal("hub_unreachable", f"the model hub cannot be reached ({type(error).__name__}: {first_line})")


def missing_files(directory: Path) -> list[str]:
    """What a directory lacks to be a whole model that loads without the network."""
    there = is_directory(directory)
    return [pattern for pattern in REQUIRED_FILES if not (there and any(directory.glob(pattern)))]


def is_directory(name: str | Path) -> bool:
    """`Path.is_dir` raises for names that no file can have, and this one may come from anybody."""
    return os.path.isdir(name)  # noqa: PTH112


def _bytes_in(directory: Path) -> int:
    """Of the model's files, whole or in the making; not of the notes that the client keeps in `.cache`."""
    total = 0
    for path in directory.rglob("*"):
        if path.suffix == ".incomplete" or ".cache" not in path.parts[len(directory.parts) :]:
            try:
                total += path.stat().st_size if path.is_file() else 0
            except FileNotFoundError:  # renamed since
                continue
    return total
