"""Stopping what is not wanted any more."""

from uuid import uuid4

import pytest

from hansard.domain.errors import IllegalMove, NotFound
from hansard.domain.transcription import Status
from tests.workshop import Workshop, speech


def test_a_queued_transcription_is_cancelled_with_its_job() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.cancel(transcription.id)
    assert shop.transcription(transcription.id).status is Status.CANCELLED
    assert shop.database.jobs == []


def test_a_job_that_a_worker_took_at_that_moment_finds_nothing_to_do() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.cancel(transcription.id)
    assert shop.transcribe(transcription.id).status is Status.CANCELLED
    assert shop.engine.heard == []


def test_a_running_one_is_left_to_its_worker_which_stops_and_keeps_what_it_had() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(3))
    shop.database.at_work.add(transcription.id)

    def cancel_at_the_second(number: int) -> None:
        if number == 2:
            shop.cancel(transcription.id)

    shop.engine.on_passage = cancel_at_the_second
    assert shop.transcribe(transcription.id).status is Status.CANCELLED
    assert [passage.segments[0].text for passage in shop.database.passages[transcription.id]] == ["word1"]
    assert shop.database.jobs == [transcription.id]


def test_the_event_is_written_with_the_change() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.cancel(transcription.id)
    assert shop.database.events[-1].type == "transcription.cancelled"


def test_cancelling_once_more_is_no_error_and_no_second_event() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.cancel(transcription.id)
    assert shop.cancel(transcription.id).status is Status.CANCELLED
    assert [event.type for event in shop.database.events].count("transcription.cancelled") == 1


@pytest.mark.parametrize(("pcm", "ended"), [(speech(1), Status.COMPLETED), (bytes(32_000), Status.FAILED)])
def test_what_has_ended_otherwise_cannot_be_cancelled(pcm: bytes, ended: Status) -> None:
    shop = Workshop()
    transcription = shop.submitted(pcm)
    shop.transcribe(transcription.id)
    with pytest.raises(IllegalMove) as refusal:
        shop.cancel(transcription.id)
    assert refusal.value.failure.help
    assert shop.transcription(transcription.id).status is ended


def test_what_never_was_is_not_found() -> None:
    with pytest.raises(NotFound):
        Workshop().cancel(uuid4())
