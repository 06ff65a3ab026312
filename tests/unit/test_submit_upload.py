"""Taking a recording in and asking for its transcription, in one go."""

import io
from typing import Any

import pytest

from hansard.application.backlog import QueuePolicy
from hansard.domain.errors import InvalidAudio, InvalidRequest, QueueFull
from hansard.domain.transcription import Parameters, Transcription
from tests.workshop import Workshop, speech

ASKED = Parameters(language="en")


def sent(shop: Workshop, pcm: bytes, parameters: Parameters = ASKED, **more: Any) -> Transcription:
    return shop.submit_upload(io.BytesIO(pcm), file_name="talk.wav", parameters=parameters, **more)


def is_empty(shop: Workshop) -> bool:
    data = shop.database
    return not (shop.store.objects or data.audio or data.transcriptions or data.jobs or data.events)


def test_the_recording_the_transcription_and_the_job_are_made_together() -> None:
    shop = Workshop()
    transcription = sent(shop, speech(2), owner="ann", request_id="req-1")
    (audio,) = shop.database.audio.values()
    assert (transcription.audio_id, transcription.owner, transcription.request_id) == (audio.id, "ann", "req-1")
    assert (audio.owner, audio.file_name) == ("ann", "talk.wav")
    assert shop.store.objects[audio.stored.sha256] == speech(2)
    assert shop.database.jobs == [transcription.id]
    assert [event.type for event in shop.database.events] == ["audio.uploaded", "transcription.queued"]


def test_a_misspelt_engine_leaves_nothing_behind() -> None:
    shop = Workshop()
    with pytest.raises(InvalidRequest):
        sent(shop, speech(1), Parameters(engine="parrot"))
    assert is_empty(shop)


def test_a_file_that_cannot_be_used_leaves_nothing_behind() -> None:
    shop = Workshop()
    with pytest.raises(InvalidAudio):
        sent(shop, b"")
    assert is_empty(shop)


def test_a_full_queue_leaves_nothing_behind_not_even_the_bytes() -> None:
    shop = Workshop(queue_policy=QueuePolicy(most_waiting=0, most_waiting_of_owner=0))
    with pytest.raises(QueueFull):
        sent(shop, speech(1))
    assert is_empty(shop)


def test_a_refusal_leaves_the_bytes_that_another_file_has() -> None:
    shop = Workshop(queue_policy=QueuePolicy(most_waiting=0, most_waiting_of_owner=0))
    audio = shop.uploaded(speech(1))
    with pytest.raises(QueueFull):
        sent(shop, speech(1))
    assert list(shop.store.objects) == [audio.stored.sha256]


def test_the_same_with_the_same_key_is_what_was_made_first() -> None:
    shop = Workshop()
    first = sent(shop, speech(1), idempotency_key="k")
    assert sent(shop, speech(1), idempotency_key="k").id == first.id
    assert (len(shop.database.audio), shop.database.jobs) == (1, [first.id])


@pytest.mark.parametrize(("pcm", "parameters"), [(speech(2), ASKED), (speech(1), Parameters(language="de"))])
def test_something_else_with_the_same_key_is_refused_and_leaves_nothing(pcm: bytes, parameters: Parameters) -> None:
    shop = Workshop()
    sent(shop, speech(1), idempotency_key="k")
    with pytest.raises(InvalidRequest):
        sent(shop, pcm, parameters, idempotency_key="k")
    assert (len(shop.store.objects), len(shop.database.audio)) == (1, 1)


def test_a_key_for_an_upload_says_nothing_about_one_with_a_transcription() -> None:
    shop = Workshop()
    audio = shop.upload(io.BytesIO(speech(1)), file_name="talk.wav", idempotency_key="k")
    assert sent(shop, speech(1), idempotency_key="k").audio_id != audio.id


def test_who_shares_a_transcription_makes_no_second_recording() -> None:
    shop = Workshop()
    first = sent(shop, speech(1))
    assert sent(shop, speech(1), coalesce=True).id == first.id
    assert list(shop.database.audio) == [first.audio_id]
    assert len(shop.database.events) == 2


def test_a_shared_one_is_remembered_for_the_key() -> None:
    shop = Workshop()
    first = sent(shop, speech(1))
    sent(shop, speech(1), coalesce=True, idempotency_key="k")
    shop.transcribe(first.id)
    assert sent(shop, speech(1), coalesce=True, idempotency_key="k").id == first.id
