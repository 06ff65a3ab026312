"""Uploads under way, as files: for each its bytes, `ID.part`, and how it stands, `ID.json`.

What counts is the offset in `ID.json`. It is written after the bytes that it counts have been forced to the disk, and
replaced in one step: so whatever is killed, and whenever the power fails, the first `offset_bytes` of `ID.part` are
the upload's. Whatever lies behind them is cut off before anything is written there.

The lock is the operating system's, on `ID.part`: it holds between the processes of a machine, and ends with its holder.
"""

import errno
import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from hansard.application.ports.storage import PartialUpload
from hansard.domain.errors import NotFound, StorageError, UploadInUse

_STATE = TypeAdapter(PartialUpload)


class PartialUploadFiles:
    """Implements `PartialUploads` in `directory`, which is made when missing."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def add(self, upload: PartialUpload) -> None:
        with _errors_translated():
            self._directory.mkdir(parents=True, exist_ok=True)
            part = self._part(upload.id)
            # Locked, since bytes without a state are what a process left behind that died here: see `hold`.
            with part.open("xb") as file:
                _lock(file, upload.id)
                _write_state(self._state(upload.id), upload)

    def get(self, upload_id: UUID) -> PartialUpload:
        with _errors_translated():
            return self._read(upload_id)

    @contextmanager
    def hold(self, upload_id: UUID) -> Generator["_HeldFiles"]:
        with self._locked(upload_id) as file:
            with _errors_translated():
                upload = self._intact(upload_id, file)
                file.truncate(upload.offset_bytes)
                file.seek(upload.offset_bytes)
            yield _HeldFiles(upload, file, self._part(upload_id), self._state(upload_id))

    def ids(self) -> tuple[UUID, ...]:
        """Also of those that died while they were added, or removed: `hold` clears them up."""
        with _errors_translated():
            if not self._directory.is_dir():
                return ()
            names = {path.name.partition(".")[0] for path in self._directory.iterdir()}
        return tuple(UUID(name) for name in sorted(names) if _is_id(name))

    @contextmanager
    def _locked(self, upload_id: UUID) -> Generator[BinaryIO]:
        with _errors_translated():
            try:
                file = self._part(upload_id).open("r+b", buffering=0)
            except FileNotFoundError as error:
                _clear(self._part(upload_id), self._state(upload_id))
                raise _unknown(upload_id) from error
        with file:
            with _errors_translated():
                _lock(file, upload_id)
            yield file

    def _intact(self, upload_id: UUID, file: BinaryIO) -> PartialUpload:
        """Its state. Raises `NotFound` where there is none, or less than it says; then the remains are removed."""
        try:
            upload = self._read(upload_id)
        except NotFound:
            _clear(self._part(upload_id), self._state(upload_id))
            raise
        if os.fstat(file.fileno()).st_size < upload.offset_bytes:
            _clear(self._part(upload_id), self._state(upload_id))
            raise _unknown(upload_id)
        return upload

    def _read(self, upload_id: UUID) -> PartialUpload:
        try:
            return _STATE.validate_json(self._state(upload_id).read_bytes())
        except (FileNotFoundError, ValidationError) as error:
            raise _unknown(upload_id) from error

    def _part(self, upload_id: UUID) -> Path:
        return self._directory / f"{upload_id}.part"

    def _state(self, upload_id: UUID) -> Path:
        return self._directory / f"{upload_id}.json"


class _HeldFiles:
    """Implements `HeldUpload`."""

    def __init__(self, upload: PartialUpload, file: BinaryIO, part: Path, state: Path) -> None:
        self._upload = upload
        self._file = file
        self._part = part
        self._state = state

    @property
    def upload(self) -> PartialUpload:
        return self._upload

    def append(self, block: bytes) -> None:
        with _errors_translated():
            remaining = memoryview(block)
            while remaining:
                remaining = remaining[self._file.write(remaining) :]

    def keep(self, *, expires_at: datetime) -> None:
        with _errors_translated():
            os.fdatasync(self._file.fileno())
            self._upload = replace(self._upload, offset_bytes=self._file.tell(), expires_at=expires_at)
            _write_state(self._state, self._upload)

    def open(self) -> BinaryIO:
        with _errors_translated():
            return self._part.open("rb")

    def remove(self) -> None:
        with _errors_translated():
            _clear(self._part, self._state)


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _lock(file: BinaryIO, upload_id: UUID) -> None:
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UploadInUse(
            f"Another request is sending the upload {upload_id}.",
            help="Wait for it to end; one that was cut off ends by itself, soon after its last byte.",
        ) from error


def _write_state(path: Path, upload: PartialUpload) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(_STATE.dump_json(upload))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _clear(part: Path, state: Path) -> None:
    """The state first: without it, the rest is nobody's."""
    for path in (state, state.with_suffix(".draft"), part):
        path.unlink(missing_ok=True)


def _unknown(upload_id: UUID) -> NotFound:
    return NotFound(
        f"There is no upload {upload_id} under way.",
        help="It may have expired, or been ended. POST /uploads begins another.",
    )


@contextmanager
def _errors_translated() -> Generator[None]:
    try:
        yield
    except OSError as error:
        why = "the disk is full" if error.errno in {errno.ENOSPC, errno.EDQUOT} else error.strerror
        raise StorageError(
            f"The upload could not be kept: {why}.",
            code="upload_not_written",
            help="Free space in HANSARD_DATA_DIR, or mend its permissions; then go on with the upload.",
        ) from error
