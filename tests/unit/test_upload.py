"""Taking a recording in."""

import io
from datetime import timedelta
from typing import BinaryIO

import pytest

from hansard.domain.audio import DEFAULT_OWNER, StoredObject
from hansard.domain.errors import Conflict, InvalidAudio, InvalidRequest, StorageError
from hansard.domain.events import AudioFileUploaded
from tests.fakes import FakeAudioStore
from tests.workshop import Workshop, speech


def test_the_bytes_the_row_and_the_event_are_kept() -> None:
    shop = Workshop()
    audio = shop.uploaded(speech(2))
    assert shop.store.objects[audio.stored.sha256] == speech(2)
    assert shop.database.audio[audio.id] == audio
    assert shop.database.events == [
        AudioFileUploaded(
            subject=str(audio.id),
            occurred_at=shop.clock.now,
            size_bytes=len(speech(2)),
            sha256=audio.stored.sha256,
            duration_seconds=2.0,
            owner=DEFAULT_OWNER,
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


def test_whose_it_is_is_kept() -> None:
    shop = Workshop()
    audio = shop.upload(io.BytesIO(speech(1)), file_name="talk.wav", owner="ann")
    assert shop.database.audio[audio.id].owner == "ann"


@pytest.mark.parametrize(
    ("file_name", "media_type"),
    [("talk.mp3", "audio/mpeg"), ("Gespräch.WAV", "audio/x-wav"), ("talk", "application/octet-stream")],
)
def test_the_media_type_is_told_by_the_file_name(file_name: str, media_type: str) -> None:
    audio = Workshop().upload(io.BytesIO(speech(1)), file_name=file_name)
    assert audio.media_type == media_type


# ── Sent again ───────────────────────────────────────────────────────────────────────────────────────────


def sent(shop: Workshop, pcm: bytes, *, key: str = "k", file_name: str = "talk.wav", owner: str = "ann"):
    return shop.upload(io.BytesIO(pcm), file_name=file_name, owner=owner, idempotency_key=key)


def test_the_same_upload_with_the_same_key_is_the_audio_file_that_was_made_first() -> None:
    shop = Workshop()
    first = sent(shop, speech(1))
    assert sent(shop, speech(1)) == first
    assert list(shop.database.audio) == [first.id]
    assert len(shop.database.events) == 1


@pytest.mark.parametrize("other", [{"pcm": speech(2)}, {"pcm": speech(1), "file_name": "other.wav"}])
def test_another_upload_with_the_same_key_is_refused_and_leaves_nothing(other: dict) -> None:
    shop = Workshop()
    first = sent(shop, speech(1))
    with pytest.raises(InvalidRequest) as refusal:
        sent(shop, **other)
    assert refusal.value.failure.code == "idempotency_key_reused"
    assert list(shop.store.objects) == [first.stored.sha256]


def test_keys_of_different_owners_have_nothing_to_do_with_each_other() -> None:
    shop = Workshop()
    assert sent(shop, speech(1), owner="ann").id != sent(shop, speech(1), owner="ben").id


def test_a_key_is_forgotten_after_a_day() -> None:
    shop = Workshop()
    first = sent(shop, speech(1))
    shop.clock.advance(timedelta(hours=24).total_seconds())
    assert sent(shop, speech(1)).id == first.id
    shop.clock.advance(1)
    assert sent(shop, speech(1)).id != first.id


def test_a_key_whose_audio_file_was_deleted_says_so_and_leaves_nothing() -> None:
    shop = Workshop()
    shop.delete_audio(sent(shop, speech(1)).id)
    shop.erase(shop.database.erasures[0])
    with pytest.raises(Conflict) as refusal:
        sent(shop, speech(1))
    assert refusal.value.failure.code == "idempotency_key_spent"
    assert shop.store.objects == {}


# ── Erased meanwhile ─────────────────────────────────────────────────────────────────────────────────────


class ErasedMeanwhile(FakeAudioStore):
    """Right after being stored, the bytes are erased by somebody who deletes another file with them."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def put(self, source: BinaryIO) -> StoredObject:
        stored = super().put(source)
        if self.times:
            self.times -= 1
            self.delete(stored)
        return stored


def test_bytes_that_are_erased_before_the_row_is_there_are_stored_again() -> None:
    shop = Workshop(store=ErasedMeanwhile(times=2))
    audio = shop.uploaded(speech(1))
    assert shop.store.objects[audio.stored.sha256] == speech(1)
    assert list(shop.database.audio) == [audio.id]


def test_whoever_loses_that_race_every_time_is_told_to_send_it_again() -> None:
    shop = Workshop(store=ErasedMeanwhile(times=99))
    with pytest.raises(StorageError) as refusal:
        shop.uploaded(speech(1))
    assert refusal.value.failure.code == "upload_erased"
    assert (shop.database.audio, shop.database.events) == ({}, [])
