"""Removing a recording or a transcription for good: nothing stays but the receipt, whatever a worker does meanwhile."""

from collections.abc import Callable
from typing import BinaryIO
from uuid import UUID, uuid4

import pytest

from hansard.application.ports.work import Erasure
from hansard.domain.audio import StoredObject
from hansard.domain.errors import NotFound
from hansard.domain.events import AudioFileDeleted, TranscriptionDeleted
from hansard.domain.transcription import Parameters
from tests.fakes import FakeAudioStore
from tests.workshop import Workshop, speech

TERMINAL = {"transcription.completed", "transcription.failed", "transcription.cancelled"}


def story(shop: Workshop, subject: UUID) -> list[str]:
    return [event.type for event in shop.database.events if event.subject == str(subject)]


def rows_left(shop: Workshop) -> int:
    data = shop.database
    return sum(map(len, (data.audio, data.transcriptions, data.speech, data.passages, data.transcripts, data.jobs)))


# ── Audio files ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_recording_goes_with_its_transcriptions_their_words_and_their_jobs() -> None:
    shop = Workshop()
    completed = shop.submitted(speech(2))
    shop.transcribe(completed.id)
    shop.submit(completed.audio_id, Parameters())
    shop.delete_audio(completed.audio_id)
    assert rows_left(shop) == 0


def test_the_receipt_stays() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    audio = shop.database.audio[transcription.audio_id]
    shop.delete_audio(audio.id)
    assert shop.database.events[-1] == AudioFileDeleted(
        subject=str(audio.id),
        occurred_at=shop.clock.now,
        sha256=audio.stored.sha256,
        size_bytes=audio.stored.size_bytes,
        transcriptions=1,
    )


def test_what_has_not_ended_is_cancelled_first() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.delete_audio(transcription.audio_id)
    assert story(shop, transcription.id) == [
        "transcription.queued",
        "transcription.cancelled",
        "transcription.deleted",
    ]


def test_what_has_ended_keeps_its_end() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.transcribe(transcription.id)
    shop.delete_audio(transcription.audio_id)
    told = story(shop, transcription.id)
    assert [kind for kind in told if kind in TERMINAL] == ["transcription.completed"]
    (receipt,) = [event for event in shop.database.events if isinstance(event, TranscriptionDeleted)]
    assert receipt.status == "completed"


def test_what_lies_elsewhere_is_ordered_to_be_erased() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    audio = shop.database.audio[transcription.audio_id]
    shop.delete_audio(audio.id)
    assert shop.database.erasures == [
        Erasure(audio_id=audio.id, stored=audio.stored, transcription_ids=(transcription.id,))
    ]


def test_other_recordings_stay() -> None:
    shop = Workshop()
    other = shop.submitted(speech(1))
    shop.delete_audio(shop.submitted(speech(1)).audio_id)
    assert (list(shop.database.audio), list(shop.database.transcriptions)) == ([other.audio_id], [other.id])
    assert shop.database.jobs == [other.id]


def test_a_recording_that_was_deleted_is_not_found() -> None:
    shop = Workshop()
    audio = shop.uploaded(speech(1))
    shop.delete_audio(audio.id)
    with pytest.raises(NotFound):
        shop.delete_audio(audio.id)
    with pytest.raises(NotFound):
        shop.submit(audio.id, Parameters())


# ── Transcriptions ───────────────────────────────────────────────────────────────────────────────────────


def test_a_transcription_goes_and_its_recording_stays() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(2))
    other = shop.submit(transcription.audio_id, Parameters())
    shop.transcribe(transcription.id)
    shop.delete_transcription(transcription.id)
    assert list(shop.database.transcriptions) == [other.id]
    assert shop.database.transcripts == {}
    assert list(shop.database.audio) == [transcription.audio_id]


def test_a_queued_one_goes_with_its_job_after_it_was_cancelled() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.delete_transcription(transcription.id)
    assert shop.database.jobs == []
    assert story(shop, transcription.id)[1:] == ["transcription.cancelled", "transcription.deleted"]


def test_its_traces_are_ordered_to_be_erased_and_the_recording_is_not() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.delete_transcription(transcription.id)
    assert shop.database.erasures == [
        Erasure(audio_id=transcription.audio_id, stored=None, transcription_ids=(transcription.id,))
    ]


def test_a_transcription_that_never_was_is_not_found() -> None:
    with pytest.raises(NotFound):
        Workshop().delete_transcription(uuid4())


# ── While a worker is at it ──────────────────────────────────────────────────────────────────────────────


class MeddledStore(FakeAudioStore):
    """`on_open` happens when a worker begins to decode."""

    on_open: Callable[[], None] = staticmethod(lambda: None)

    def open(self, stored: StoredObject) -> BinaryIO:
        self.on_open()
        return super().open(stored)


def worked_off(shop: Workshop, transcription_id: UUID) -> None:
    """A worker's whole part: the job, and the erasure that the deletion ordered, until nothing is left to do."""
    shop.database.at_work.add(transcription_id)
    with pytest.raises(NotFound):
        shop.transcribe(transcription_id)
    shop.database.at_work.remove(transcription_id)
    shop.database.jobs.remove(transcription_id)
    for erasure in shop.database.erasures:
        shop.erase(erasure)


def nothing_is_left(shop: Workshop) -> bool:
    return not (rows_left(shop) or shop.store.objects or shop.prepared.pcm)


@pytest.mark.parametrize("passage", [1, 2, 3])
def test_a_recording_deleted_at_any_passage_leaves_nothing_behind(passage: int) -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(3))

    def delete(number: int) -> None:
        if number == passage:
            shop.delete_audio(transcription.audio_id)

    shop.engine.on_passage = delete
    worked_off(shop, transcription.id)
    assert nothing_is_left(shop)
    assert [kind for kind in story(shop, transcription.id) if kind in TERMINAL] == ["transcription.cancelled"]
    assert story(shop, transcription.audio_id) == ["audio.uploaded", "audio.deleted", "audio.erased"]


def test_a_recording_deleted_while_it_is_decoded_leaves_nothing_behind() -> None:
    store = MeddledStore()
    shop = Workshop(store=store)
    transcription = shop.submitted(speech(3))
    store.on_open = lambda: shop.delete_audio(transcription.audio_id)
    worked_off(shop, transcription.id)
    assert nothing_is_left(shop)
    assert shop.engine.heard == []


def test_a_recording_deleted_before_a_worker_begins_leaves_nothing_behind() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(3))
    shop.database.at_work.add(transcription.id)
    shop.delete_audio(transcription.audio_id)
    worked_off(shop, transcription.id)
    assert nothing_is_left(shop)


@pytest.mark.parametrize("passage", [1, 2, 3])
def test_a_transcription_deleted_at_any_passage_leaves_the_recording_alone(passage: int) -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(3))

    def delete(number: int) -> None:
        if number == passage:
            shop.delete_transcription(transcription.id)

    shop.engine.on_passage = delete
    worked_off(shop, transcription.id)
    assert rows_left(shop) == len(shop.database.audio) == len(shop.store.objects) == 1
    assert shop.prepared.pcm == {}
