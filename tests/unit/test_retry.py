"""Asking again for what failed or was cancelled."""

from uuid import UUID, uuid4

import pytest

from hansard.application.backlog import QueuePolicy
from hansard.application.run import GaveWay
from hansard.domain.errors import EngineFailed, EngineRejected, IllegalMove, InvalidRequest, NotFound, QueueFull
from hansard.domain.transcription import Parameters, Status, Transcription
from tests.fakes import FakeEngine
from tests.workshop import Workshop, speech

ASKED = Parameters(engine="fake", language="en")


def failed_at_the_third(shop: Workshop) -> Transcription:
    """Two passages of three are on record."""
    transcription = shop.submitted(speech(3), ASKED)

    def fail(number: int) -> None:
        if number == 3:
            shop.engine.failures = [EngineRejected("no", engine="fake")]

    shop.engine.on_passage = fail
    assert shop.transcribe(transcription.id).status is Status.FAILED
    done(shop, transcription.id)
    shop.engine.on_passage = lambda number: None
    return transcription


def done(shop: Workshop, transcription_id: UUID) -> None:
    """The queue's part, when a worker has done its job."""
    shop.database.jobs.remove(transcription_id)


def test_a_failed_one_is_queued_again_with_its_job_and_its_event() -> None:
    shop = Workshop()
    transcription = failed_at_the_third(shop)
    again = shop.retry(transcription.id)
    assert (again.id, again.status, again.failure) == (transcription.id, Status.QUEUED, None)
    assert shop.database.jobs == [transcription.id]
    assert shop.database.job_seconds[transcription.id] == 3.0
    assert shop.database.events[-1].type == "transcription.retried"


def test_the_same_is_gone_on_with_where_it_stopped() -> None:
    shop = Workshop()
    transcription = failed_at_the_third(shop)
    shop.retry(transcription.id)
    assert shop.transcribe(transcription.id).status is Status.COMPLETED
    assert len(shop.engine.heard) == 3


def test_the_same_parameters_spelt_out_are_the_same() -> None:
    shop = Workshop()
    transcription = failed_at_the_third(shop)
    shop.retry(transcription.id, ASKED)
    assert len(shop.database.passages[transcription.id]) == 2


def test_new_parameters_begin_anew() -> None:
    shop = Workshop()
    transcription = failed_at_the_third(shop)
    again = shop.retry(transcription.id, Parameters(language="de"))
    assert (again.parameters, again.progress) == (Parameters(language="de"), 0.0)
    assert shop.transcribe(transcription.id).status is Status.COMPLETED
    assert len(shop.engine.heard) == 5


def test_new_parameters_are_looked_at_before_anything_is_lost() -> None:
    shop = Workshop()
    transcription = failed_at_the_third(shop)
    with pytest.raises(InvalidRequest):
        shop.retry(transcription.id, Parameters(engine="parrot"))
    assert shop.transcription(transcription.id).status is Status.FAILED
    assert len(shop.database.passages[transcription.id]) == 2


def test_a_cancelled_one_can_be_taken_up_again() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.cancel(transcription.id)
    shop.retry(transcription.id)
    assert shop.transcribe(transcription.id).status is Status.COMPLETED


def test_a_worker_that_has_not_noticed_the_cancellation_writes_nothing_into_the_new_life() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(3))

    def cancel_and_retry(number: int) -> None:
        if number == 2:
            shop.cancel(transcription.id)
            shop.retry(transcription.id)

    shop.engine.on_passage = cancel_and_retry
    with pytest.raises(GaveWay):
        shop.transcribe(transcription.id)
    assert shop.transcription(transcription.id).status is Status.QUEUED
    assert len(shop.database.passages[transcription.id]) == 1
    assert shop.transcribe(transcription.id).status is Status.COMPLETED


@pytest.mark.parametrize(("take", "help_says"), [(False, "It is coming"), (True, "/audio/{audio_id}/transcriptions")])
def test_what_is_coming_or_has_come_cannot_be_retried(take: bool, help_says: str) -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    if take:
        shop.transcribe(transcription.id)
    with pytest.raises(IllegalMove) as refusal:
        shop.retry(transcription.id)
    assert help_says in (refusal.value.failure.help or "")
    assert len(shop.database.jobs) == 1


def test_a_running_one_cannot_be_retried() -> None:
    shop = Workshop(engine=FakeEngine(failures=[EngineFailed("no", engine="fake")]))
    transcription = shop.submitted(speech(1))
    refusals: list[str] = []

    def retry(number: int) -> None:
        with pytest.raises(IllegalMove) as refusal:
            shop.retry(transcription.id)
        refusals.append(refusal.value.failure.message)

    shop.engine.on_passage = retry
    shop.transcribe(transcription.id)
    assert "running" in refusals[0]


def test_a_full_queue_has_no_room_for_old_work_either() -> None:
    shop = Workshop(queue_policy=QueuePolicy(most_waiting=1, most_waiting_of_owner=1))
    transcription = shop.submitted(speech(1))
    shop.cancel(transcription.id)
    shop.submitted(speech(1))
    with pytest.raises(QueueFull):
        shop.retry(transcription.id)
    assert shop.transcription(transcription.id).status is Status.CANCELLED


def test_what_never_was_is_not_found() -> None:
    with pytest.raises(NotFound):
        Workshop().retry(uuid4())
