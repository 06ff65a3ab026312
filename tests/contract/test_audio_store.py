"""What every `AudioStore` does, held against the fake, a local directory and S3's protocol."""

import errno
import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from obstore.exceptions import GenericError

from hansard.application.ports.storage import AudioStore
from hansard.domain.audio import StoredObject
from hansard.domain.errors import ConfigurationError, RecordingLost, StorageDenied, StorageError
from hansard.storage.object_store import ObjectAudioStore
from tests.fakes import FakeAudioStore
from tests.s3_server import S3Handler, S3Server

DATA = bytes(range(256)) * 100
SEVERAL_BLOCKS = os.urandom(1024) * 2500
MINUTE = timedelta(minutes=1)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
NOT_STORED = StoredObject(sha256="0" * 64, size_bytes=10)


@pytest.fixture
def s3(monkeypatch) -> Iterator[S3Server]:
    with S3Server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture(params=["fake", "directory", "s3"])
def store(request, tmp_path: Path) -> AudioStore:
    if request.param == "fake":
        return FakeAudioStore()
    if request.param == "directory":
        return directory_store(tmp_path)
    request.getfixturevalue("s3")
    return ObjectAudioStore("s3://recordings/some/prefix", tmp_path / "scratch")


def directory_store(tmp_path: Path) -> ObjectAudioStore:
    return ObjectAudioStore((tmp_path / "not yet there" / "objects").as_uri(), tmp_path / "scratch")


class Unseekable(io.RawIOBase):
    """A stream such as a socket or a pipe."""

    def __init__(self, data: bytes) -> None:
        self._source = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        return self._source.readinto(buffer)


def test_what_was_put_is_read_back(store: AudioStore):
    stored = store.put(io.BytesIO(DATA))

    with store.open(stored) as source:
        assert source.read() == DATA


def test_an_object_is_named_by_its_content(store: AudioStore):
    assert store.put(io.BytesIO(DATA)) == StoredObject(sha256=hashlib.sha256(DATA).hexdigest(), size_bytes=len(DATA))


def test_all_that_is_stored_is_listed_once_it_is_old_enough(store: AudioStore):
    stored = {store.put(io.BytesIO(data)) for data in (DATA, b"other", DATA)}
    store.check()

    assert sorted(store.stored(before=datetime.now(UTC) + MINUTE), key=hash) == sorted(stored, key=hash)
    assert list(store.stored(before=LONG_AGO)) == []


def test_a_store_that_does_not_answer_lists_nothing(tmp_path: Path, s3: S3Server):
    with s3.refusing(), pytest.raises(StorageError):
        list(ObjectAudioStore("s3://recordings", tmp_path).stored(before=datetime.now(UTC)))


def test_what_else_lies_in_the_store_is_not_listed(tmp_path: Path):
    store = directory_store(tmp_path)
    (tmp_path / "not yet there" / "objects" / "notes.txt").write_text("Mine.")

    assert list(store.stored(before=datetime.now(UTC) + MINUTE)) == []


def test_putting_starts_at_the_current_position(store: AudioStore):
    source = io.BytesIO(b"header" + DATA)
    source.seek(6)

    stored = store.put(source)

    assert store.open(stored).read() == DATA


def test_a_stream_that_cannot_be_rewound_is_stored_whole(store: AudioStore):
    stored = store.put(io.BufferedReader(Unseekable(SEVERAL_BLOCKS)))

    assert store.open(stored).read() == SEVERAL_BLOCKS


def test_no_bytes_at_all_are_an_object_too(store: AudioStore):
    stored = store.put(io.BytesIO(b""))

    assert store.open(stored).read() == b""
    assert b"".join(store.read(stored, 0, 0)) == b""


def test_an_open_object_can_be_sought_from_its_end(store: AudioStore):
    source = store.open(store.put(io.BytesIO(SEVERAL_BLOCKS)))

    assert source.seek(-10, io.SEEK_END) == len(SEVERAL_BLOCKS) - 10
    assert source.read(100) == SEVERAL_BLOCKS[-10:]
    assert source.seek(5) == 5
    assert source.read(5) == SEVERAL_BLOCKS[5:10]
    assert source.tell() == 10


def test_an_open_object_gives_plain_bytes(store: AudioStore):
    assert type(store.open(store.put(io.BytesIO(DATA))).read(10)) is bytes


def test_a_range_excludes_its_end(store: AudioStore):
    stored = store.put(io.BytesIO(SEVERAL_BLOCKS))

    assert b"".join(store.read(stored, 10, 2_000_000)) == SEVERAL_BLOCKS[10:2_000_000]


def test_a_range_past_the_end_gives_what_there_is(store: AudioStore):
    stored = store.put(io.BytesIO(DATA))

    assert b"".join(store.read(stored, len(DATA) - 3, len(DATA) + 100)) == DATA[-3:]


def test_what_cannot_be_opened_is_lost(store: AudioStore):
    with pytest.raises(RecordingLost):
        store.open(NOT_STORED)


def test_what_cannot_be_read_is_lost_at_the_call(store: AudioStore):
    with pytest.raises(RecordingLost):
        store.read(NOT_STORED, 0, 10)


def test_a_deleted_object_is_gone(store: AudioStore):
    stored = store.put(io.BytesIO(DATA))

    store.delete(stored)

    with pytest.raises(RecordingLost):
        store.open(stored)


def test_what_was_put_exists_until_it_is_deleted(store: AudioStore):
    assert not store.exists(NOT_STORED)
    stored = store.put(io.BytesIO(DATA))
    assert store.exists(stored)

    store.delete(stored)

    assert not store.exists(stored)


def test_a_store_that_works_passes_the_check_and_is_left_as_it_was(store: AudioStore):
    stored = store.put(io.BytesIO(DATA))

    store.check()

    assert store.open(stored).read() == DATA


def test_deleting_what_is_not_there_is_no_error(store: AudioStore):
    store.delete(NOT_STORED)


def test_the_same_bytes_again_store_nothing_new(tmp_path: Path):
    store = directory_store(tmp_path)
    store.put(io.BytesIO(DATA))
    before = [(path, path.stat().st_mtime_ns, path.stat().st_ino) for path in files_under(tmp_path)]

    store.put(io.BytesIO(DATA))

    assert [(path, path.stat().st_mtime_ns, path.stat().st_ino) for path in files_under(tmp_path)] == before


def test_an_object_lies_two_directories_deep_under_its_hash(tmp_path: Path):
    stored = directory_store(tmp_path).put(io.BytesIO(DATA))

    [path] = files_under(tmp_path)
    assert path.parts[-3:] == (stored.sha256[:2], stored.sha256[2:4], stored.sha256)


def test_an_object_that_a_power_cut_shortened_is_stored_again(tmp_path: Path):
    store = directory_store(tmp_path)
    stored = store.put(io.BytesIO(DATA))
    [path] = files_under(tmp_path)
    path.write_bytes(b"")

    store.put(io.BytesIO(DATA))

    assert store.open(stored).read() == DATA


def test_an_object_that_a_power_cut_shortened_does_not_exist(tmp_path: Path):
    store = directory_store(tmp_path)
    stored = store.put(io.BytesIO(DATA))
    [path] = files_under(tmp_path)
    path.write_bytes(DATA[:-1])

    assert not store.exists(stored)


def test_an_object_that_is_shorter_than_it_was_is_lost(tmp_path: Path):
    store = directory_store(tmp_path)
    stored = store.put(io.BytesIO(DATA))
    [path] = files_under(tmp_path)
    path.write_bytes(DATA[:-1])

    with pytest.raises(RecordingLost):
        store.open(stored)


def test_a_source_that_breaks_in_the_middle_leaves_nothing_behind(tmp_path: Path):
    store = directory_store(tmp_path)

    with pytest.raises(StorageError):
        store.put(BreaksAtSecondReading(SEVERAL_BLOCKS * 4))

    assert files_under(tmp_path) == []


class BreaksAtSecondReading(io.BytesIO):
    """Is hashed without trouble, and fails in the middle of being stored."""

    rewound = False

    def seek(self, *args: int) -> int:
        self.rewound = True
        return super().seek(*args)

    def read(self, size: int | None = -1) -> bytes:
        if self.rewound and self.tell() > 6_000_000:
            raise OSError("the disk gave up")
        return super().read(size)


def test_a_directory_that_cannot_be_made_is_a_configuration_error(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(ConfigurationError):
        ObjectAudioStore((tmp_path / "file" / "objects").as_uri(), tmp_path)


def test_a_store_that_cannot_be_written_is_a_storage_error(tmp_path: Path):
    store = ObjectAudioStore((tmp_path / "objects").as_uri(), tmp_path / "scratch")
    digest = hashlib.sha256(DATA).hexdigest()
    (tmp_path / "objects" / digest[:2]).write_bytes(b"a file where a directory belongs")

    with pytest.raises(StorageError):
        store.put(io.BytesIO(DATA))


def test_the_check_leaves_no_file_behind(tmp_path: Path):
    directory_store(tmp_path).check()

    assert files_under(tmp_path) == []


def test_the_check_leaves_no_object_behind(s3: S3Server, tmp_path: Path):
    ObjectAudioStore("s3://recordings", tmp_path).check()

    assert s3.objects == {}


def test_the_check_finds_a_directory_that_is_gone_for_good(tmp_path: Path):
    store = directory_store(tmp_path)
    shutil.rmtree(tmp_path / "not yet there")
    (tmp_path / "not yet there").write_bytes(b"a file where a directory was")

    with pytest.raises(StorageError):
        store.check()


def test_the_check_finds_a_store_that_gives_back_something_else(s3: S3Server, tmp_path: Path, monkeypatch):
    store = ObjectAudioStore("s3://recordings", tmp_path)
    monkeypatch.setattr(S3Handler, "do_GET", lambda handler: handler._answer(200, bytes(10)))

    with pytest.raises(StorageError):
        store.check()


def test_a_server_that_keeps_us_out_is_told_from_one_that_does_not_answer(s3: S3Server, tmp_path: Path, monkeypatch):
    store = ObjectAudioStore("s3://recordings", tmp_path)
    monkeypatch.setattr(S3Handler, "do_PUT", lambda handler: handler._answer(403))

    with pytest.raises(StorageDenied):
        store.check()


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "storage_full"),
        (errno.EDQUOT, "storage_full"),
        (errno.EACCES, "storage_denied"),
        (errno.EROFS, "storage_denied"),
        (errno.EIO, "storage_unavailable"),
    ],
)
def test_the_check_tells_what_the_disk_will_not_do(tmp_path: Path, monkeypatch, number: int, code: str):
    def refuse(*args: object, **options: object) -> None:
        raise GenericError(f"Generic LocalFileSystem error: {os.strerror(number)} (os error {number})")

    store = directory_store(tmp_path)
    monkeypatch.setattr("obstore.put", refuse)

    with pytest.raises(StorageError) as raised:
        store.check()

    assert raised.value.failure.code == code


def test_an_s3_server_that_refuses_is_a_storage_error(s3: S3Server, tmp_path: Path, monkeypatch):
    store = ObjectAudioStore("s3://recordings", tmp_path)
    monkeypatch.setattr(S3Handler, "do_HEAD", lambda handler: handler._answer(403))

    with pytest.raises(StorageError) as raised:
        store.put(io.BytesIO(DATA))

    assert raised.value.failure.retryable
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("url", ["ftp://host/x", "/var/objects", "memory:///", "http://host/x", "s3://", ""])
def test_a_url_that_is_no_store_is_a_configuration_error_that_names_the_setting(url: str, tmp_path: Path):
    with pytest.raises(ConfigurationError) as raised:
        ObjectAudioStore(url, tmp_path)

    assert "HANSARD_STORAGE_URL" in (raised.value.failure.help or "")


def files_under(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())
