"""The original recordings, as objects named by their SHA-256: on this disk, or in S3, Google Cloud Storage or Azure.

Naming by content makes a second upload of the same bytes free, and a half-written object impossible to mistake for a
whole one. obstore speaks to all of the stores; all that is read or written goes through in small blocks.
"""

import errno
import hashlib
import io
import os
import re
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import urlsplit
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, from_url

from hansard.domain.audio import StoredObject
from hansard.domain.errors import ConfigurationError, RecordingLost, StorageDenied, StorageError
from hansard.timing.decorators import monitor_performance, time_it

if TYPE_CHECKING:
    from obstore.store import ObjectStore

BLOCK_BYTES = 1024 * 1024

UPLOADED_PARTS = 2
"""Parts of 5 MB under way at once, and so in memory; obstore would take 12."""

SCHEMES = ("file", "s3", "gs", "az")

RETRY_TIMEOUT = timedelta(seconds=30)
"""How long obstore tries again by itself; obstore's own 3 minutes are more than a waiting upload bears."""

CHECK_BYTES = 64 * 1024
"""A disk that is as good as full takes a few bytes still."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}

_PATH = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/([0-9a-f]{64})")
"""As `_path` makes it."""

_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""As obstore's messages spell it: it has classes for few of them."""


class ObjectAudioStore:
    """Implements `AudioStore`.

    `url` is `file:///directory` (made when missing), `s3://bucket/prefix`, `gs://bucket/prefix` or
    `az://container/prefix`; accounts and credentials come from each cloud's usual environment variables. What can't be
    read twice is put aside in `scratch_directory` while it is stored. Raises `ConfigurationError` for other URLs.
    """

    def __init__(self, url: str, scratch_directory: Path) -> None:
        self._store = _connect(url)
        self._scratch_directory = scratch_directory

    @monitor_performance
    def put(self, source: BinaryIO) -> StoredObject:
        """Read twice: its name, the hash, must be known before anything is stored under it."""
        with _errors_translated(), self._rereadable(source) as file:
            start = file.tell()
            stored = _identify(file)
            if self._size_bytes(stored) != stored.size_bytes:
                file.seek(start)
                obstore.put(self._store, _path(stored), file, max_concurrency=UPLOADED_PARTS)
                self._flush_to_disk(stored)
            return stored

    @time_it
    def open(self, stored: StoredObject) -> BinaryIO:
        self._require(stored)
        return cast("BinaryIO", io.BufferedReader(_ObjectReader(self._store, stored), BLOCK_BYTES))

    def read(self, stored: StoredObject, start: int, end: int) -> Iterator[bytes]:
        """Each block is a request of its own: however slowly they are taken, no connection times out."""
        self._require(stored)
        return self._read(stored, start, min(end, stored.size_bytes))

    def exists(self, stored: StoredObject) -> bool:
        with _errors_translated():
            return self._size_bytes(stored) == stored.size_bytes

    @time_it
    def delete(self, stored: StoredObject) -> None:
        with _errors_translated():
            try:
                obstore.delete(self._store, _path(stored))
            except FileNotFoundError:
                return

    def stored(self, *, before: datetime) -> Iterator[StoredObject]:
        """What is named otherwise is somebody else's, and left out."""
        with _errors_translated():
            for listed in obstore.list(self._store):  # pyright: ignore[reportUnknownMemberType] - of Arrow, unused here
                for each in listed:
                    if (name := _PATH.fullmatch(each["path"])) and each["last_modified"] < before:
                        yield StoredObject(sha256=name[1], size_bytes=each["size"])

    def check(self) -> None:
        """Tells a store that is full (`storage_full`) from one that keeps us out (`storage_denied`) and one that does
        not answer.
        """
        # A name of its own: another process may be checking at the same time.
        path, data = f"check/{uuid4()}", bytes(CHECK_BYTES)
        with _errors_translated():
            obstore.put(self._store, path, data)
            try:
                if bytes(obstore.get(self._store, path).bytes()) != data:
                    raise OSError("what was written comes back otherwise")
            finally:
                with suppress(FileNotFoundError):
                    obstore.delete(self._store, path)

    def _read(self, stored: StoredObject, start: int, end: int) -> Iterator[bytes]:
        for position in range(start, end, BLOCK_BYTES):
            yield _read_range(self._store, stored, position, min(position + BLOCK_BYTES, end))

    def _require(self, stored: StoredObject) -> None:
        with _errors_translated():
            if self._size_bytes(stored) != stored.size_bytes:
                raise _lost(stored)

    def _size_bytes(self, stored: StoredObject) -> int | None:
        """None where there is no such object. A wrong size is a write that a power cut undid."""
        try:
            return obstore.head(self._store, _path(stored))["size"]
        except FileNotFoundError:
            return None

    @contextmanager
    def _rereadable(self, source: BinaryIO) -> Generator[BinaryIO]:
        if source.seekable():
            yield source
            return
        self._scratch_directory.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=self._scratch_directory) as spool:
            shutil.copyfileobj(source, spool, BLOCK_BYTES)
            spool.seek(0)
            yield cast("BinaryIO", spool)

    def _flush_to_disk(self, stored: StoredObject) -> None:
        """What was acknowledged must survive a power cut; obstore leaves that to the operating system."""
        if isinstance(self._store, LocalStore) and self._store.prefix:
            path = self._store.prefix / _path(stored)
            for part in (path, *path.parents[:3]):
                descriptor = os.open(part, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)


class _ObjectReader(io.RawIOBase):
    """Random access to one object; to be wrapped in a `BufferedReader`, so that a request fetches a block."""

    def __init__(self, store: "ObjectStore", stored: StoredObject) -> None:
        self._store = store
        self._stored = stored
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._stored.size_bytes}[whence]
        if origin + offset < 0:
            raise ValueError(f"negative seek position {origin + offset}")
        self._position = origin + offset
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        end = min(self._position + len(buffer), self._stored.size_bytes)
        if self._position >= end:
            return 0
        block = _read_range(self._store, self._stored, self._position, end)
        buffer[: len(block)] = block
        self._position += len(block)
        return len(block)

    def readall(self) -> bytes:
        """In blocks: `RawIOBase` would ask the store for 8 KiB at a time."""
        return b"".join(iter(lambda: self.read(BLOCK_BYTES), b""))


def _connect(url: str) -> "ObjectStore":
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise _unusable(url, f"“{scheme}” is no kind of object store")
    try:
        if scheme == "file":
            return LocalStore.from_url(url, mkdir=True)
        return from_url(url, retry_config={"retry_timeout": RETRY_TIMEOUT})
    except (BaseError, ValueError, OSError) as error:
        raise _unusable(url, _first_line(error)) from error


def _unusable(url: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"Recordings cannot be kept at {url}: {why}.",
        code="storage_url_invalid",
        help="Set HANSARD_STORAGE_URL to file:///absolute/path, s3://bucket/prefix, gs://bucket/prefix or "
        "az://container/prefix.",
    )


def _path(stored: StoredObject) -> str:
    """Two levels of directories, so that none grows too large for its file system."""
    return f"{stored.sha256[:2]}/{stored.sha256[2:4]}/{stored.sha256}"


def _identify(file: BinaryIO) -> StoredObject:
    digest, size_bytes = hashlib.sha256(), 0
    for block in _blocks(file):
        digest.update(block)
        size_bytes += len(block)
    return StoredObject(sha256=digest.hexdigest(), size_bytes=size_bytes)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def _read_range(store: "ObjectStore", stored: StoredObject, start: int, end: int) -> bytes:
    with _errors_translated():
        try:
            return bytes(obstore.get_range(store, _path(stored), start=start, end=end))
        except FileNotFoundError as error:
            raise _lost(stored) from error


def _lost(stored: StoredObject) -> RecordingLost:
    return RecordingLost(
        f"The recording's bytes (SHA-256 {stored.sha256}) are not in the store any more, or not all of them.",
        help="Does HANSARD_STORAGE_URL still point to where it was uploaded, and is that disk mounted? Put the object "
        "back from a backup and ask again; without one, upload the recording once more.",
    )


@contextmanager
def _errors_translated() -> Generator[None]:
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        number = _os_error(error)
        if number in _FULL:
            raise StorageError(
                "The disk with the recordings is full.", code="storage_full", help="Make room on it, then try again."
            ) from error
        if number in _DENIED or isinstance(error, PermissionDeniedError | UnauthenticatedError):
            raise StorageDenied(
                f"The store of recordings does not let the service do what it must: {_first_line(error)}.",
                help="Let the service's user write in the directory, on a disk that is not mounted read-only; or, in a "
                "cloud, let its account read, write and delete objects.",
            ) from error
        raise StorageError(
            f"The store of recordings did not answer as it should: {_first_line(error)}.",
            help="Check HANSARD_STORAGE_URL, the credentials and the network, or the permissions of the directory.",
        ) from error


def _os_error(error: Exception) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    found = _OS_ERROR.search(_first_line(error))
    return int(found[1]) if found else None


def _first_line(error: Exception) -> str:
    """What happened, without obstore's internal state that follows."""
    return str(error).partition("\n")[0].rstrip(".")
