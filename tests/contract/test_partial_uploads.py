"""What every `PartialUploads` does, held against the fake and against files; and what files do when they are cut."""

import multiprocessing
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from hansard.application.ports.storage import PartialUpload, PartialUploads
from hansard.domain.errors import NotFound, StorageError, UploadInUse
from hansard.domain.transcription import Parameters, Task
from hansard.storage.partial_uploads import PartialUploadFiles
from tests.fakes import FakePartialUploads

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
UPLOAD = PartialUpload(
    id=UUID("5f0c9a52-6d0e-4c67-9d9c-0d5b3c1f7a10"),
    owner="default",
    file_name="Zürich 議事録.mp3",
    metadata="filename WsO8",
    length_bytes=10,
    offset_bytes=0,
    parameters=Parameters(language="de", task=Task.TRANSLATE, metadata={"case": "7"}),
    request_id="r-1",
    expires_at=NOON,
)


@pytest.fixture(params=["fake", "files"])
def uploads(request, tmp_path: Path) -> PartialUploads:
    made = FakePartialUploads() if request.param == "fake" else PartialUploadFiles(tmp_path / "not yet" / "uploads")
    made.add(UPLOAD)
    return made


@pytest.fixture
def files(tmp_path: Path) -> PartialUploadFiles:
    made = PartialUploadFiles(tmp_path)
    made.add(UPLOAD)
    return made


def kept(uploads: PartialUploads) -> bytes:
    with uploads.hold(UPLOAD.id) as held, held.open() as data:
        return data.read()


def test_what_was_added_can_be_looked_up(uploads):
    assert uploads.get(UPLOAD.id) == UPLOAD
    assert uploads.ids() == (UPLOAD.id,)


def test_what_was_never_added_is_not_found(uploads):
    with pytest.raises(NotFound):
        uploads.get(uuid4())
    with pytest.raises(NotFound), uploads.hold(uuid4()):
        pass


def test_what_is_kept_counts(uploads):
    with uploads.hold(UPLOAD.id) as held:
        held.append(b"abc")
        held.append(b"de")
        held.keep(expires_at=LATER)
        assert held.upload == replace(UPLOAD, offset_bytes=5, expires_at=LATER)

    assert uploads.get(UPLOAD.id) == replace(UPLOAD, offset_bytes=5, expires_at=LATER)
    assert kept(uploads) == b"abcde"


def test_what_was_appended_and_not_kept_is_forgotten(uploads):
    with uploads.hold(UPLOAD.id) as held:
        held.append(b"abc")
        held.keep(expires_at=LATER)
        held.append(b"lost")

    with uploads.hold(UPLOAD.id) as held:
        assert held.upload.offset_bytes == 3
        held.append(b"de")
        held.keep(expires_at=LATER)
    assert kept(uploads) == b"abcde"


def test_it_is_held_by_one_at_a_time(uploads):
    with uploads.hold(UPLOAD.id):
        with pytest.raises(UploadInUse), uploads.hold(UPLOAD.id):
            pass
        assert uploads.get(UPLOAD.id) == UPLOAD
    with uploads.hold(UPLOAD.id):
        pass


def test_whoever_fails_lets_go_of_it(uploads):
    with pytest.raises(ZeroDivisionError), uploads.hold(UPLOAD.id):
        raise ZeroDivisionError

    with uploads.hold(UPLOAD.id):
        pass


def test_what_was_removed_is_not_found(uploads):
    with uploads.hold(UPLOAD.id) as held:
        held.remove()

    with pytest.raises(NotFound):
        uploads.get(UPLOAD.id)
    with pytest.raises(NotFound), uploads.hold(UPLOAD.id):
        pass
    assert uploads.ids() == ()


# ── Files ────────────────────────────────────────────────────────────────────────────────────────────────


def _die_with_bytes_not_kept(directory: Path) -> None:
    with PartialUploadFiles(directory).hold(UPLOAD.id) as held:
        held.append(b"abc")
        held.keep(expires_at=LATER)
        held.append(b"lost")
        os.kill(os.getpid(), 9)


def test_a_process_that_is_killed_leaves_what_it_kept_and_no_lock(files, tmp_path):
    child = multiprocessing.get_context("spawn").Process(target=_die_with_bytes_not_kept, args=(tmp_path,))
    child.start()
    child.join()

    assert child.exitcode == -9
    assert kept(files) == b"abc"


def _hold_until_told(directory: Path, held: "multiprocessing.synchronize.Event", told) -> None:
    with PartialUploadFiles(directory).hold(UPLOAD.id):
        held.set()
        told.wait()


def test_another_process_that_holds_it_is_respected(files, tmp_path):
    context = multiprocessing.get_context("spawn")
    is_held, told = context.Event(), context.Event()
    child = context.Process(target=_hold_until_told, args=(tmp_path, is_held, told))
    child.start()
    is_held.wait(30)

    with pytest.raises(UploadInUse), files.hold(UPLOAD.id):
        pass

    told.set()
    child.join()


def test_an_upload_that_died_while_it_was_added_is_cleared_up(files, tmp_path):
    (tmp_path / f"{UPLOAD.id}.json").unlink()
    (tmp_path / f"{UPLOAD.id}.draft").write_text("{")

    with pytest.raises(NotFound), files.hold(files.ids()[0]):
        pass

    assert not list(tmp_path.iterdir())


def test_an_upload_that_died_while_it_was_removed_is_cleared_up(files, tmp_path):
    (tmp_path / f"{UPLOAD.id}.part").unlink()

    with pytest.raises(NotFound), files.hold(files.ids()[0]):
        pass

    assert not list(tmp_path.iterdir())


def test_an_upload_with_fewer_bytes_than_it_should_have_is_no_more(files, tmp_path):
    with files.hold(UPLOAD.id) as held:
        held.append(b"abc")
        held.keep(expires_at=LATER)
    (tmp_path / f"{UPLOAD.id}.part").write_bytes(b"ab")

    with pytest.raises(NotFound), files.hold(UPLOAD.id):
        pass
    assert files.ids() == ()


def test_a_state_that_cannot_be_read_is_none(files, tmp_path):
    (tmp_path / f"{UPLOAD.id}.json").write_text('{"id": 7')

    with pytest.raises(NotFound):
        files.get(UPLOAD.id)


def test_what_is_not_ours_in_the_directory_is_left_alone(files, tmp_path):
    (tmp_path / "README.txt").write_text("mine")

    assert files.ids() == (UPLOAD.id,)


def test_a_directory_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StorageError, match="could not be kept") as caught:
        PartialUploadFiles(tmp_path / "file").add(UPLOAD)
    assert caught.value.failure.code == "upload_not_written"
