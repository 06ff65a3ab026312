"""What every `PreparedAudio` does, held against the fake and against files."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from hansard.application.ports.storage import PreparedAudio
from hansard.audio.prepared import PreparedAudioFiles, this_boot
from hansard.domain.errors import InvalidAudio, StorageError
from hansard.domain.speech import Span
from tests.audio_files import tone
from tests.fakes import FakePreparedAudio

ID = uuid4()
PCM = tone(5.0)


@pytest.fixture(params=["fake", "files"])
def prepared(request, tmp_path: Path) -> PreparedAudio:
    return FakePreparedAudio() if request.param == "fake" else PreparedAudioFiles(tmp_path / "prepared")


def in_blocks(pcm: bytes) -> Iterator[bytes]:
    for start in range(0, len(pcm), 10_000):
        yield pcm[start : start + 10_000]


def test_what_was_written_is_read_back(prepared: PreparedAudio):
    prepared.write(ID, in_blocks(PCM))

    assert prepared.read(ID, Span(0, 5)) == PCM


def test_a_span_is_read_to_the_sample(prepared: PreparedAudio):
    prepared.write(ID, in_blocks(PCM))

    assert prepared.read(ID, Span(1.0, 1.00013)) == PCM[32_000:32_004]


def test_a_span_past_the_end_gives_what_there_is(prepared: PreparedAudio):
    prepared.write(ID, in_blocks(PCM))

    assert prepared.read(ID, Span(4.5, 9.0)) == PCM[-16_000:]
    assert prepared.read(ID, Span(7.0, 9.0)) == b""


def test_what_was_not_written_does_not_exist(prepared: PreparedAudio):
    prepared.write(uuid4(), in_blocks(PCM))

    assert not prepared.exists(ID)


def test_what_was_written_exists(prepared: PreparedAudio):
    prepared.write(ID, in_blocks(PCM))

    assert prepared.exists(ID)


def test_writing_again_replaces(prepared: PreparedAudio):
    prepared.write(ID, in_blocks(PCM))
    prepared.write(ID, [b"\x01\x02"])

    assert prepared.read(ID, Span(0, 5)) == b"\x01\x02"


def test_blocks_that_fail_leave_nothing(prepared: PreparedAudio):
    def failing() -> Iterator[bytes]:
        yield PCM
        raise InvalidAudio("cut off")

    with pytest.raises(InvalidAudio):
        prepared.write(ID, failing())

    assert not prepared.exists(ID)


def test_blocks_that_fail_leave_what_was_there(prepared: PreparedAudio):
    def failing() -> Iterator[bytes]:
        yield b"\x03\x04"
        raise InvalidAudio("cut off")

    prepared.write(ID, [b"\x01\x02"])
    with pytest.raises(InvalidAudio):
        prepared.write(ID, failing())

    assert prepared.read(ID, Span(0, 5)) == b"\x01\x02"


def test_two_writers_at_once_do_not_mix(prepared: PreparedAudio):
    def interrupted() -> Iterator[bytes]:
        yield b"\x01\x01"
        prepared.write(ID, [b"\x02\x02", b"\x02\x02"])
        yield b"\x01\x01"

    prepared.write(ID, interrupted())

    assert prepared.read(ID, Span(0, 5)) == b"\x01\x01\x01\x01"


def test_removed_audio_is_gone(prepared: PreparedAudio):
    prepared.write(ID, in_blocks(PCM))

    prepared.remove(ID)

    assert not prepared.exists(ID)


def test_removing_what_is_not_there_is_no_error(prepared: PreparedAudio):
    prepared.remove(ID)


def test_what_is_kept_is_known(prepared: PreparedAudio):
    other = uuid4()
    assert prepared.kept() == ()
    prepared.write(ID, in_blocks(PCM))
    prepared.write(other, in_blocks(PCM))
    assert set(prepared.kept()) == {ID, other}

    prepared.remove(other)

    assert prepared.kept() == (ID,)


def test_what_a_dead_writer_left_is_kept_too_and_known_once(tmp_path: Path):
    prepared = PreparedAudioFiles(tmp_path)
    prepared.write(ID, in_blocks(PCM))
    (tmp_path / f"{ID}.abc_1x2.part").write_bytes(PCM)
    orphan = uuid4()
    (tmp_path / f"{orphan}.abc_1x2.part").write_bytes(PCM)

    assert set(prepared.kept()) == {ID, orphan}
    assert len(prepared.kept()) == 2


def test_files_that_are_none_of_ours_are_not_kept_for_anybody(tmp_path: Path):
    for name in (".DS_Store", "notes.pcm", f"{ID}.wav", f"{ID}.pcm.bak"):
        (tmp_path / name).write_bytes(b"")

    assert PreparedAudioFiles(tmp_path).kept() == ()


def test_nothing_but_the_audio_itself_is_left_in_the_directory(tmp_path: Path):
    PreparedAudioFiles(tmp_path).write(ID, in_blocks(PCM))

    assert [path.name for path in tmp_path.iterdir()] == [f"{ID}.pcm"]


def test_removing_also_removes_what_a_dead_writer_left(tmp_path: Path):
    prepared = PreparedAudioFiles(tmp_path)
    (tmp_path / f"{ID}.abc.part").write_bytes(PCM)
    (tmp_path / f"{uuid4()}.abc.part").write_bytes(PCM)

    prepared.remove(ID)

    assert len(list(tmp_path.iterdir())) == 1


def test_what_another_boot_of_the_machine_left_is_not_relied_on_but_removed(tmp_path: Path):
    PreparedAudioFiles(tmp_path, boot="monday").write(ID, in_blocks(PCM))
    prepared = PreparedAudioFiles(tmp_path, boot="tuesday")

    assert not prepared.exists(ID)
    assert prepared.kept() == (ID,)
    prepared.write(ID, [PCM[:1000]])
    assert prepared.read(ID, Span(0, 5)) == PCM[:1000]
    prepared.remove(ID)
    assert list(tmp_path.iterdir()) == []


def test_another_process_of_the_same_boot_finds_it(tmp_path: Path):
    PreparedAudioFiles(tmp_path, boot=this_boot()).write(ID, in_blocks(PCM))

    assert PreparedAudioFiles(tmp_path, boot=this_boot()).read(ID, Span(0, 5)) == PCM


@pytest.mark.parametrize(("boot", "flushed"), [("monday", 0), (None, 1)])
def test_the_disk_is_waited_for_where_boots_have_no_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boot: str | None, flushed: int
):
    flushes: list[int] = []
    monkeypatch.setattr("os.fsync", flushes.append)
    PreparedAudioFiles(tmp_path, boot=boot).write(ID, in_blocks(PCM))

    assert len(flushes) == flushed


def test_a_directory_that_cannot_be_written_is_a_storage_error(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StorageError) as raised:
        PreparedAudioFiles(tmp_path / "file" / "prepared").write(ID, in_blocks(PCM))

    assert raised.value.failure.retryable
    assert raised.value.failure.help


def test_reading_what_is_not_there_is_a_storage_error(tmp_path: Path):
    with pytest.raises(StorageError):
        PreparedAudioFiles(tmp_path).read(ID, Span(0, 1))
