"""Asking for a transcription."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from hansard.application.backlog import QueuePolicy
from hansard.domain.errors import Conflict, EngineRejected, InvalidRequest, NotFound, QueueFull
from hansard.domain.transcription import Parameters, Status, Transcription
from tests.fakes import FakeEngine
from tests.workshop import Workshop, speech

ASKED = Parameters(engine="fake", language="fr", prompt="Bonjour.", priority=2, metadata={"case": "7"})


def test_the_row_its_event_and_its_job_are_made_together() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    assert shop.transcription(transcription.id).status is Status.QUEUED
    assert shop.database.jobs == [transcription.id]
    assert [event.type for event in shop.database.events] == ["audio.uploaded", "transcription.queued"]


def test_the_queue_is_told_how_long_the_recording_is() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(3))
    assert shop.database.job_seconds[transcription.id] == 3.0


def test_what_was_asked_for_is_kept_with_who_asked() -> None:
    shop = Workshop()
    transcription = shop.submit(shop.uploaded(speech(1)).id, ASKED, owner="ann", request_id="req-1")
    kept = shop.transcription(transcription.id)
    assert (kept.parameters, kept.owner, kept.request_id) == (ASKED, "ann", "req-1")


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


def test_when_the_queue_is_full_nothing_is_made() -> None:
    shop = Workshop(queue_policy=QueuePolicy(most_waiting=1, most_waiting_of_owner=1))
    shop.submitted(speech(1))
    with pytest.raises(QueueFull):
        shop.submitted(speech(1))
    assert len(shop.database.transcriptions) == 1


def test_whether_there_is_room_can_be_asked_before_a_recording_is_sent() -> None:
    shop = Workshop(queue_policy=QueuePolicy(most_waiting=9, most_waiting_of_owner=1))
    shop.submit.require_room("default")
    shop.submitted(speech(1))
    with pytest.raises(QueueFull):
        shop.submit.require_room("default")
    shop.submit.require_room("somebody else")


# ── Sent again ───────────────────────────────────────────────────────────────────────────────────────────


def sent(shop: Workshop, audio_id: UUID, parameters: Parameters = ASKED) -> Transcription:
    return shop.submit(audio_id, parameters, idempotency_key="k")


def test_the_same_request_with_the_same_key_is_the_transcription_that_was_made_first() -> None:
    shop = Workshop()
    audio = shop.uploaded(speech(1))
    first = sent(shop, audio.id)
    assert sent(shop, audio.id).id == first.id
    assert shop.database.jobs == [first.id]


def test_the_answer_to_a_request_that_is_sent_again_tells_how_it_stands_now() -> None:
    shop = Workshop()
    audio = shop.uploaded(speech(1))
    shop.transcribe(sent(shop, audio.id).id)
    assert sent(shop, audio.id).status is Status.COMPLETED


def test_another_request_with_the_same_key_is_refused() -> None:
    shop = Workshop()
    audio = shop.uploaded(speech(1))
    sent(shop, audio.id)
    with pytest.raises(InvalidRequest):
        sent(shop, audio.id, replace(ASKED, language="de"))
    with pytest.raises(InvalidRequest):
        sent(shop, shop.uploaded(speech(1)).id)
    assert len(shop.database.transcriptions) == 1


def test_the_order_of_labels_does_not_make_it_another_request() -> None:
    shop = Workshop()
    audio = shop.uploaded(speech(1))
    first = sent(shop, audio.id, Parameters(metadata={"a": "1", "b": "2"}))
    assert sent(shop, audio.id, Parameters(metadata={"b": "2", "a": "1"})).id == first.id


def test_a_full_queue_does_not_refuse_what_was_accepted_before() -> None:
    shop = Workshop(queue_policy=QueuePolicy(most_waiting=1, most_waiting_of_owner=1))
    audio = shop.uploaded(speech(1))
    first = sent(shop, audio.id)
    assert sent(shop, audio.id).id == first.id


def test_a_key_whose_transcription_was_deleted_says_so() -> None:
    shop = Workshop()
    audio = shop.uploaded(speech(1))
    shop.delete_transcription(sent(shop, audio.id).id)
    with pytest.raises(Conflict) as refusal:
        sent(shop, audio.id)
    assert refusal.value.failure.code == "idempotency_key_spent"


# ── Shared ───────────────────────────────────────────────────────────────────────────────────────────────


def test_who_wants_the_same_of_the_same_bytes_can_share_one_transcription() -> None:
    shop = Workshop()
    first = shop.submitted(speech(1), ASKED)
    second = shop.submit(shop.uploaded(speech(1)).id, ASKED, coalesce=True)
    assert second.id == first.id
    assert shop.database.jobs == [first.id]


def test_one_that_is_running_can_be_shared_too() -> None:
    shop = Workshop()
    first = shop.submitted(speech(1), ASKED)
    shared: list[UUID] = []
    shop.engine.on_passage = lambda number: shared.append(shop.submit(first.audio_id, ASKED, coalesce=True).id)
    shop.transcribe(first.id)
    assert shared == [first.id]


def test_nothing_is_shared_unless_asked_for() -> None:
    shop = Workshop()
    first = shop.submitted(speech(1), ASKED)
    assert shop.submit(first.audio_id, ASKED).id != first.id


@pytest.mark.parametrize(
    "other", [{"language": "de"}, {"prompt": None}, {"priority": 3}, {"metadata": {"case": "8"}}, {"fallback": True}]
)
def test_who_wants_anything_else_gets_their_own(other: dict) -> None:
    shop = Workshop()
    first = shop.submitted(speech(1), ASKED)
    assert shop.submit(first.audio_id, replace(ASKED, **other), coalesce=True).id != first.id


def test_what_has_ended_is_not_shared() -> None:
    shop = Workshop()
    first = shop.submitted(speech(1), ASKED)
    shop.cancel(first.id)
    assert shop.submit(first.audio_id, ASKED, coalesce=True).id != first.id


def test_what_belongs_to_another_owner_is_not_shared() -> None:
    shop = Workshop()
    first = shop.submitted(speech(1), ASKED)
    assert shop.submit(first.audio_id, ASKED, owner="ann", coalesce=True).id != first.id


def test_a_shared_one_needs_no_room() -> None:
    shop = Workshop(queue_policy=QueuePolicy(most_waiting=1, most_waiting_of_owner=1))
    first = shop.submitted(speech(1), ASKED)
    assert shop.submit(first.audio_id, ASKED, coalesce=True).id == first.id
