"""Asking for a transcription."""

from uuid import uuid4

import pytest

from hansard.domain.errors import EngineRejected, InvalidRequest, NotFound
from hansard.domain.transcription import Parameters, Status
from tests.fakes import FakeEngine
from tests.workshop import Workshop, speech


def test_the_row_its_event_and_its_job_are_made_together() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    assert shop.transcription(transcription.id).status is Status.QUEUED
    assert shop.database.jobs == [transcription.id]
    assert [event.type for event in shop.database.events] == ["audio.uploaded", "transcription.queued"]


def test_what_was_asked_for_is_kept_with_who_asked() -> None:
    shop = Workshop()
    asked = Parameters(engine="fake", language="fr", prompt="Bonjour.", metadata={"case": "7"})
    transcription = shop.submit(shop.uploaded(speech(1)).id, asked, request_id="req-1")
    kept = shop.transcription(transcription.id)
    assert (kept.parameters, kept.request_id) == (asked, "req-1")


def test_an_unknown_audio_file_is_not_found_and_leaves_no_job() -> None:
    shop = Workshop()
    with pytest.raises(NotFound):
        shop.submit(uuid4(), Parameters())
    assert shop.database.jobs == []


def test_an_unknown_engine_is_refused_with_the_names_of_the_known() -> None:
    shop = Workshop()
    with pytest.raises(InvalidRequest) as refusal:
        shop.submitted(speech(1), Parameters(engine="parrot"))
    assert refusal.value.failure.code == "unknown_engine"
    assert "auto, fake" in (refusal.value.failure.help or "")
    assert shop.database.jobs == []


def test_an_engine_that_cannot_do_what_is_asked_refuses_before_anything_is_made() -> None:
    shop = Workshop(engine=FakeEngine(refuses=EngineRejected("no such model", engine="fake")))
    with pytest.raises(EngineRejected):
        shop.submitted(speech(1), Parameters(engine="fake", model="fake-9"))
    assert shop.database.jobs == []


def test_what_auto_can_do_is_left_to_the_worker() -> None:
    shop = Workshop(engine=FakeEngine(refuses=EngineRejected("no such model", engine="fake")))
    transcription = shop.submitted(speech(1), Parameters(model="fake-9"))
    assert shop.database.jobs == [transcription.id]
