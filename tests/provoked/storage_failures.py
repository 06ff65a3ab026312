"""Every failure of the object store and the disks: real ones, where this machine can be had to fail so, else the
library's own exception put through our translation.
"""

import errno
import io
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from obstore.exceptions import GenericError

from hansard.audio.decoder import PyAvDecoder
from hansard.audio.prepared import PreparedAudioFiles
from hansard.domain.errors import HansardError
from hansard.storage import object_store
from hansard.storage.object_store import ObjectAudioStore
from tests.audio_files import clip
from tests.error_table import Provoked, provokes, raised_by, refused, start_fails, storage_fails
from tests.fakes import FakeAudioStore
from tests.unit.http.api import TALK, FakeContainer, client_of
from tests.workshop import speech

STORE = "Object store"


def stored_in(directory: Path) -> ObjectAudioStore:
    return ObjectAudioStore((directory / "objects").as_uri(), directory / "scratch")


def translated(error: Exception) -> HansardError:
    def fail() -> None:
        with object_store._errors_translated():
            raise error

    return raised_by(fail)


class Full(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")


@provokes(STORE, "Its disk, or the quota on it, is full")
def disk_full(tmp_path: Path) -> Provoked:
    return storage_fails(raised_by(lambda: stored_in(tmp_path).put(Full())))


@provokes(STORE, "Its disk, or the quota on it, is full")
def quota_exceeded() -> Provoked:
    return storage_fails(translated(GenericError("Generic LocalFileSystem error: Disk quota exceeded (os error 122)")))


class Forbidding(ThreadingHTTPServer):
    """An S3 that refuses everything."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.send_response(403)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                return

        super().__init__(("127.0.0.1", 0), Handler)


@provokes(STORE, "It does not let us in: rights, credentials, a disk mounted read-only")
def denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Provoked:
    server = Forbidding()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}"),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "somebody"),
        ("AWS_SECRET_ACCESS_KEY", "something"),
        ("AWS_REGION", "somewhere"),
    ):
        monkeypatch.setenv(name, value)
    try:
        store = ObjectAudioStore("s3://recordings", tmp_path)
        provoked = storage_fails(raised_by(lambda: store.put(io.BytesIO(b"bytes"))))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert "something" not in provoked.failure.message
    return provoked


@provokes(STORE, "It does not let us in: rights, credentials, a disk mounted read-only")
def read_only() -> Provoked:
    return storage_fails(translated(OSError(errno.EROFS, "Read-only file system")))


@provokes(STORE, "It cannot be reached, or does not do as it should")
def unusable(tmp_path: Path) -> Provoked:
    store, data = stored_in(tmp_path), io.BytesIO(b"a recording")
    (tmp_path / "objects" / object_store._identify(data).sha256[:2]).write_bytes(b"a file where a directory belongs")
    data.seek(0)
    return storage_fails(raised_by(lambda: store.put(data)))


@provokes(STORE, "It cannot be reached, or does not do as it should")
def unreachable() -> Provoked:
    return storage_fails(translated(GenericError("Generic S3 error: HTTP error: error sending request")))


def lost(directory: Path, damage: Callable[[Path], object]) -> Provoked:
    store = stored_in(directory)
    stored = store.put(io.BytesIO(b"a recording"))
    (path,) = (path for path in directory.rglob("*") if path.is_file())
    damage(path)
    return storage_fails(raised_by(lambda: store.open(stored)))


@provokes(STORE, "A recording that it had taken is gone, or shorter")
def gone(tmp_path: Path) -> Provoked:
    return lost(tmp_path, Path.unlink)


@provokes(STORE, "A recording that it had taken is gone, or shorter")
def shorter(tmp_path: Path) -> Provoked:
    return lost(tmp_path, lambda path: path.write_bytes(b"a rec"))


@provokes(STORE, "Reading the recording fails in the middle of decoding")
def disk_gave_up() -> Provoked:
    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 0:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(size)

    return storage_fails(raised_by(lambda: list(PyAvDecoder().decode(Breaking(clip("two_voices.flac"))))))


@provokes(STORE, "The decoded recording cannot be kept on the worker's disk")
def nowhere_to_decode_to(tmp_path: Path) -> Provoked:
    (tmp_path / "prepared").write_bytes(b"in the way")
    return storage_fails(raised_by(lambda: PreparedAudioFiles(tmp_path / "prepared").write(uuid4(), [speech(1)])))


@provokes(STORE, "An upload cannot be put aside while it comes in")
def not_written(monkeypatch: pytest.MonkeyPatch) -> Provoked:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("tempfile.SpooledTemporaryFile.write", full)
        return refused(client_of(FakeContainer()).post("/audio", files={"file": ("talk.wav", TALK)}))


@provokes(STORE, "Somebody deletes the same recording again and again while it is taken in")
def erased_again_and_again() -> Provoked:
    class Erased(FakeAudioStore):
        def exists(self, stored: object) -> bool:
            return False

    container = FakeContainer(store=Erased())
    return refused(client_of(container).post("/audio", files={"file": ("talk.wav", TALK)}))


@provokes(STORE, "`HANSARD_STORAGE_URL` cannot be used")
def no_store(tmp_path: Path) -> Provoked:
    return start_fails(raised_by(lambda: ObjectAudioStore("ftp://host/x", tmp_path)))
