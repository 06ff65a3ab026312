"""Taking a recording in."""

import io

import pytest

from hansard.domain.errors import InvalidAudio
from hansard.domain.events import AudioFileUploaded
from tests.workshop import Workshop, speech


def test_the_bytes_the_row_and_the_event_are_kept() -> None:
    shop = Workshop()
    audio = shop.uploaded(speech(2))
    assert shop.store.objects[audio.stored.sha256] == speech(2)
    assert shop.database.audio[audio.id] == audio
    assert shop.database.events == [
        AudioFileUploaded(
            subject_id=audio.id,
            occurred_at=shop.clock.now,
            file_name="talk.wav",
            size_bytes=len(speech(2)),
            sha256=audio.stored.sha256,
            duration_seconds=2.0,
        )
    ]


def test_a_file_that_cannot_be_used_leaves_nothing_behind() -> None:
    shop = Workshop()
    with pytest.raises(InvalidAudio):
        shop.upload(io.BytesIO(b""), file_name="empty.wav")
    assert (shop.store.objects, shop.database.audio, shop.database.events) == ({}, {}, [])


def test_the_same_bytes_again_are_another_file_and_the_same_object() -> None:
    shop = Workshop()
    first, second = shop.uploaded(speech(1)), shop.uploaded(speech(1))
    assert first.id != second.id
    assert first.stored == second.stored
    assert len(shop.store.objects) == 1


@pytest.mark.parametrize(
    ("file_name", "media_type"),
    [("talk.mp3", "audio/mpeg"), ("Gespräch.WAV", "audio/x-wav"), ("talk", "application/octet-stream")],
)
def test_the_media_type_is_told_by_the_file_name(file_name: str, media_type: str) -> None:
    audio = Workshop().upload(io.BytesIO(speech(1)), file_name=file_name)
    assert audio.media_type == media_type
