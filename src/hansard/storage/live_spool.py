"""What live sessions take in, on this machine's disk from the first byte: a process that is killed loses nothing of it.

A session has two files. One is the recording itself, always one that players open: samples get a WAV header at once.
The other tells, line by line, what the session was begun with and what was recognised since. A lock on it, which ends
with the process that holds it however that ends, says that somebody has the session.
"""

import fcntl
import os
import struct
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from hansard.domain.errors import Conflict, NotFound, StorageError
from hansard.domain.live import Encoding, Hearing, LiveRequest

BLOCK_BYTES = 64 * 1024
WAV_HEADER_BYTES = 44
UNKNOWN_WAV_SIZE = 0xFFFFFFFF
"""What programs write that can't know it yet."""

_AUDIO, _NOTES, _ASIDE = ".audio", ".jsonl", ".refused"

_REQUEST = TypeAdapter(LiveRequest)
_HEARING = TypeAdapter(Hearing)

T = TypeVar("T")


class LiveSpoolFiles:
    """Implements `LiveSpool`: `<session id>.audio` and `.jsonl` in `directory`, which is made when it is needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def create(self, session_id: UUID, request: LiveRequest) -> "SpooledFiles":
        with _errors_translated():
            self._directory.mkdir(parents=True, exist_ok=True)
            path = self._directory / str(session_id)
            with path.with_suffix(_AUDIO).open("xb") as audio:
                audio.write(_header(request))
            part = path.with_suffix(".part")
            notes = _locked(part, "x+b")
            _append(notes, _REQUEST.dump_json(request) + b"\n")
            # Whoever finds notes of that name finds them whole.
            part.replace(path.with_suffix(_NOTES))
            return SpooledFiles(path, notes, request)

    def take(self, session_id: UUID) -> "SpooledFiles":
        path = self._directory / str(session_id)
        with _errors_translated():
            try:
                notes = _locked(path.with_suffix(_NOTES), "r+b")
            except FileNotFoundError as error:
                raise NotFound(
                    f"There is no live session {session_id}.",
                    code="unknown_session",
                    help="Begin a new one. One that ended before any audio had come in left nothing behind.",
                ) from error
            except BlockingIOError as error:
                raise Conflict(
                    f"Somebody else has the live session {session_id}.",
                    code="session_busy",
                    help="It is being stored, or another server has it. GET /transcriptions/{id} has it soon.",
                ) from error
            try:
                _drop_torn_line(notes)
                return SpooledFiles(path, notes, _parsed(_REQUEST, notes.readline()))
            except (StorageError, OSError):
                notes.close()
                raise

    def abandoned(self, before: datetime) -> tuple[UUID, ...]:
        with _errors_translated():
            paths = list(self._directory.glob(f"*{_NOTES}")) if self._directory.exists() else []
            return tuple(UUID(path.stem) for path in paths if _is_abandoned(path, before.timestamp()))


class SpooledFiles:
    """Implements `SpooledStream`. `path` is that of its files, without their suffix."""

    def __init__(self, path: Path, notes: FileIO, request: LiveRequest) -> None:
        self.request = request
        self._path = path
        self._notes = notes
        self._header_bytes = len(_header(request))
        # Without a buffer: what is appended is the operating system's, and survives this process.
        self._audio = path.with_suffix(_AUDIO).open("ab", buffering=0)
        self.received_bytes = max(0, self._audio.tell() - self._header_bytes)
        self._heal()

    def append(self, chunk: bytes) -> None:
        with _errors_translated():
            _append(self._audio, chunk)
        self.received_bytes += len(chunk)

    def sync(self) -> None:
        with _errors_translated():
            os.fsync(self._audio.fileno())

    def note(self, hearing: Hearing) -> None:
        with _errors_translated():
            _append(self._notes, _HEARING.dump_json(hearing) + b"\n")

    def hearings(self) -> tuple[Hearing, ...]:
        with _errors_translated():
            self._notes.seek(0)
            _, *lines = self._notes.read().splitlines()
        return tuple(_parsed(_HEARING, line) for line in lines)

    def blocks(self) -> Iterator[bytes]:
        with _errors_translated(), self._path.with_suffix(_AUDIO).open("rb") as audio:
            audio.seek(self._header_bytes)
            while block := audio.read(BLOCK_BYTES):
                yield block

    def recording(self) -> BinaryIO:
        with _errors_translated():
            if self._header_bytes:
                with self._path.with_suffix(_AUDIO).open("r+b") as audio:
                    audio.write(_header(self.request, self.received_bytes))
            return self._path.with_suffix(_AUDIO).open("rb")

    def release(self) -> None:
        self._audio.close()
        self._notes.close()

    def remove(self) -> None:
        with _errors_translated():
            # The notes last: without them nobody would look for the rest.
            self._path.with_suffix(_AUDIO).unlink(missing_ok=True)
            self._path.with_suffix(_NOTES).unlink(missing_ok=True)
        self.release()

    def set_aside(self) -> None:
        with _errors_translated():
            self._path.with_suffix(_AUDIO).replace(self._path.with_suffix(_ASIDE))
            self._path.with_suffix(_NOTES).unlink(missing_ok=True)
        self.release()

    def _heal(self) -> None:
        """A process that was killed may have left half a header or half a sample; nothing of that was acknowledged."""
        torn_bytes = self.received_bytes % 2 if self.request.encoding is Encoding.PCM16 else 0
        whole_bytes = self._header_bytes + self.received_bytes - torn_bytes
        if self._audio.tell() < self._header_bytes:
            os.truncate(self._audio.fileno(), 0)
            self._audio.write(_header(self.request))
        elif torn_bytes:
            os.truncate(self._audio.fileno(), whole_bytes)
            self.received_bytes -= torn_bytes


def _header(request: LiveRequest, data_bytes: int | None = None) -> bytes:
    """The WAV header of samples; nothing for containers, which bring their own. `data_bytes` None: not known yet."""
    if request.encoding is not Encoding.PCM16:
        return b""
    rate = request.sample_rate_hz
    size = UNKNOWN_WAV_SIZE if data_bytes is None else data_bytes
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    riff_size = min(UNKNOWN_WAV_SIZE, 4 + len(form) + 8 + size)
    return struct.pack("<4sI4s", b"RIFF", riff_size, b"WAVE") + form + struct.pack("<4sI", b"data", size)


def _append(file: FileIO, data: bytes) -> None:
    """All or nothing of it: who appended a part would append the whole again."""
    end = file.seek(0, os.SEEK_END)
    left = memoryview(data)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError:
        os.truncate(file.fileno(), end)
        raise


def _locked(path: Path, mode: Literal["r+b", "x+b"]) -> FileIO:
    """Raises `BlockingIOError` where somebody else has it. Without a buffer, as what is written has to last."""
    file = path.open(mode, buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists():  # it was removed while it was being opened
            raise FileNotFoundError(path)
    except OSError:
        file.close()
        raise
    return file


def _drop_torn_line(notes: FileIO) -> None:
    """The last note may have been cut off with the process that wrote it, and the next one must not continue it."""
    whole_bytes = notes.read().rfind(b"\n") + 1
    notes.truncate(whole_bytes)
    notes.seek(0)


def _is_abandoned(notes: Path, before: float) -> bool:
    try:
        touched = max(each.stat().st_mtime for each in (notes, notes.with_suffix(_AUDIO)))
        # The lock last: it keeps out whoever comes back just then.
        if touched >= before:
            return False
        _locked(notes, "r+b").close()
    except (FileNotFoundError, BlockingIOError):
        return False
    return True


def _parsed(adapter: TypeAdapter[T], line: bytes) -> T:
    try:
        return adapter.validate_json(line)
    except ValidationError as error:
        raise StorageError(
            "What a live session had noted down cannot be read.",
            code="live_notes_damaged",
            help="The recording is in the directory `live` of HANSARD_DATA_DIR, and may be uploaded by hand.",
        ) from error


@contextmanager
def _errors_translated() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"What is said live could not be kept on the disk: {error.strerror}.",
            code="live_not_written",
            help="Make room on the disk of HANSARD_DATA_DIR; then connect again, and go on from the last "
            "acknowledgement.",
        ) from error
