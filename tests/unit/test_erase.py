"""Removing what lies outside the database, once, however often it is begun."""

from uuid import UUID

import pytest

from hansard.application.erase import StillAtWork
from hansard.application.ports.work import Erasure
from hansard.domain.audio import AudioFile
from hansard.domain.errors import StorageError
from hansard.domain.events import AudioFileErased
from tests.workshop import Workshop, speech


def deleted(shop: Workshop, pcm: bytes) -> tuple[AudioFile, UUID, Erasure]:
    """A recording with one transcription, which a worker had begun."""
    transcription = shop.submitted(pcm)
    audio = shop.database.audio[transcription.audio_id]
    shop.prepared.write(transcription.id, [pcm])
    shop.delete_audio(audio.id)
    return audio, transcription.id, shop.database.erasures[-1]


def told(shop: Workshop) -> list[AudioFileErased]:
    return [event for event in shop.database.events if isinstance(event, AudioFileErased)]


def test_bytes_prepared_audio_and_traces_go_and_an_event_says_so() -> None:
    shop = Workshop()
    audio, transcription_id, erasure = deleted(shop, speech(1))
    shop.erase(erasure)
    assert (shop.store.objects, shop.prepared.pcm, shop.forgotten) == ({}, {}, [transcription_id])
    assert told(shop) == [
        AudioFileErased(subject=str(audio.id), occurred_at=shop.clock.now, bytes_removed=True, pipeline_runs=1)
    ]


def test_bytes_that_another_audio_file_has_stay_until_it_goes_too() -> None:
    shop = Workshop()
    other = shop.uploaded(speech(1))
    _, _, erasure = deleted(shop, speech(1))
    shop.erase(erasure)
    assert list(shop.store.objects) == [other.stored.sha256]
    assert [event.bytes_removed for event in told(shop)] == [False]
    shop.delete_audio(other.id)
    shop.erase(shop.database.erasures[-1])
    assert shop.store.objects == {}
    assert [event.bytes_removed for event in told(shop)] == [False, True]


def test_doing_it_again_tells_nothing_twice() -> None:
    shop = Workshop()
    _, _, erasure = deleted(shop, speech(1))
    shop.erase(erasure)
    shop.erase(erasure)
    assert len(told(shop)) == 1


def test_the_same_bytes_uploaded_since_are_left_alone_when_it_is_done_again() -> None:
    shop = Workshop()
    _, _, erasure = deleted(shop, speech(1))
    shop.erase(erasure)
    audio = shop.uploaded(speech(1))
    shop.erase(erasure)
    assert list(shop.store.objects) == [audio.stored.sha256]


def test_traces_that_cannot_be_removed_now_do_not_keep_the_recording() -> None:
    shop = Workshop()
    _, transcription_id, erasure = deleted(shop, speech(1))
    forget, shop.forget_runs = shop.forget_runs, unreachable  # type: ignore[method-assign]
    with pytest.raises(StorageError):
        shop.erase(erasure)
    assert (shop.store.objects, shop.prepared.pcm, told(shop)) == ({}, {}, [])
    shop.forget_runs = forget  # type: ignore[method-assign]
    shop.erase(erasure)
    assert shop.forgotten == [transcription_id]
    assert len(told(shop)) == 1


def unreachable(transcription_id: UUID) -> int:
    raise StorageError("ZenML's store is away.")


def test_it_waits_for_a_worker_that_has_not_noticed_yet() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.database.at_work.add(transcription.id)
    shop.delete_audio(transcription.audio_id)
    with pytest.raises(StillAtWork):
        shop.erase(shop.database.erasures[0])
    assert shop.store.objects
    assert told(shop) == []


def test_a_job_that_came_back_since_is_taken_out_again() -> None:
    shop = Workshop()
    _, transcription_id, erasure = deleted(shop, speech(1))
    shop.database.jobs.append(transcription_id)
    shop.erase(erasure)
    assert shop.database.jobs == []
    assert len(told(shop)) == 1


def test_of_a_transcription_alone_the_traces_go_and_the_recording_stays() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.prepared.write(transcription.id, [speech(1)])
    shop.delete_transcription(transcription.id)
    shop.erase(shop.database.erasures[0])
    assert (shop.prepared.pcm, shop.forgotten) == ({}, [transcription.id])
    assert len(shop.store.objects) == 1
    assert told(shop) == []
