"""Stopping what is not wanted any more."""

from uuid import uuid4

import pytest

from hansard.domain.errors import IllegalMove, NotFound
from hansard.domain.transcription import Status
from tests.workshop import Workshop, speech


def test_a_queued_transcription_is_cancelled_and_its_job_finds_nothing_to_do() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.cancel(transcription.id)
    shop.transcribe(transcription.id)
    assert shop.transcription(transcription.id).status is Status.CANCELLED
    assert shop.engine.heard == []


def test_the_event_is_written_with_the_change() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.cancel(transcription.id)
    assert shop.database.events[-1].type == "transcription.cancelled"


def test_what_has_ended_cannot_be_cancelled() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.transcribe(transcription.id)
    with pytest.raises(IllegalMove):
        shop.cancel(transcription.id)
    assert shop.transcription(transcription.id).status is Status.COMPLETED


def test_what_never_was_is_not_found() -> None:
    with pytest.raises(NotFound):
        Workshop().cancel(uuid4())
