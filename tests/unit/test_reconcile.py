"""The sweep: what disagrees with the queue is mended, what is at work is left alone."""

import io
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from hansard.application.idempotency import KEPT_FOR
from hansard.application.reconcile import Mended
from hansard.application.run import GaveWay
from hansard.domain.events import TranscriptionInterrupted
from hansard.domain.transcription import Status
from tests.workshop import Workshop, speech

NOTHING = Mended(queued=(), withdrawn=(), audio_removed=(), keys_forgotten=0)


def started(shop: Workshop) -> UUID:
    """A transcription in a worker's hands, its audio decoded."""
    transcription = shop.submitted(speech(2))
    with shop.database.unit_of_work() as uow:
        taken = uow.transcriptions.get(transcription.id, for_update=True)
        taken.start(shop.clock())
        uow.transcriptions.save(taken)
        uow.commit()
    shop.database.at_work.add(transcription.id)
    shop.prepared.write(transcription.id, [speech(2)])
    return transcription.id


def lose_job(shop: Workshop, transcription_id: UUID) -> None:
    shop.database.jobs.remove(transcription_id)
    shop.database.at_work.discard(transcription_id)


def test_where_all_is_well_nothing_is_touched() -> None:
    shop = Workshop()
    started(shop)
    shop.submitted(speech(1))
    ended = shop.submitted(speech(1))
    shop.transcribe(ended.id)
    shop.database.jobs.remove(ended.id)
    before = (list(shop.database.jobs), list(shop.database.events), dict(shop.prepared.pcm))
    assert shop.reconcile() == NOTHING
    assert not NOTHING.found_disagreement
    assert (shop.database.jobs, shop.database.events, shop.prepared.pcm) == before


def test_a_queued_one_without_a_job_gets_one() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(2))
    lose_job(shop, transcription.id)
    mended = shop.reconcile()
    assert mended.queued == (transcription.id,)
    assert mended.found_disagreement
    assert shop.database.jobs == [transcription.id]
    assert shop.database.job_seconds[transcription.id] == 2.0
    assert shop.reconcile() == NOTHING


def test_a_running_one_without_a_job_is_queued_again_and_its_event_says_why() -> None:
    shop = Workshop()
    running = started(shop)
    lose_job(shop, running)
    assert shop.reconcile().queued == (running,)
    assert shop.transcription(running).status is Status.QUEUED
    event = shop.database.events[-1]
    assert isinstance(event, TranscriptionInterrupted)
    assert event.reason == "job_lost"
    assert shop.database.jobs == [running]


def test_the_worker_that_had_it_finds_out_and_cannot_overwrite() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(2))

    def lose_it(number: int) -> None:
        if number == 1:
            lose_job(shop, transcription.id)
            shop.reconcile()

    shop.engine.on_passage = lose_it
    with pytest.raises(GaveWay):
        shop.transcribe(transcription.id)
    assert transcription.id not in shop.database.passages


@pytest.mark.parametrize("gone", [False, True])
def test_a_job_that_nobody_needs_is_taken_out(gone: bool) -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.delete_transcription(transcription.id) if gone else shop.cancel(transcription.id)
    shop.database.jobs.append(transcription.id)
    assert shop.reconcile().withdrawn == (transcription.id,)
    assert shop.database.jobs == []


def test_a_job_in_a_workers_hands_is_the_workers() -> None:
    shop = Workshop()
    running = started(shop)
    shop.cancel(running)
    assert shop.reconcile() == NOTHING
    assert shop.database.jobs == [running]


@pytest.mark.parametrize("gone", [False, True])
def test_audio_that_was_prepared_for_nothing_is_removed(gone: bool) -> None:
    shop = Workshop()
    running = started(shop)
    shop.database.at_work.clear()
    shop.delete_transcription(running) if gone else shop.cancel(running)
    assert shop.reconcile().audio_removed == (running,)
    assert shop.prepared.pcm == {}


def test_audio_of_something_this_database_never_knew_is_removed() -> None:
    shop = Workshop()
    stranger = uuid4()
    shop.prepared.write(stranger, [b""])
    assert shop.reconcile().audio_removed == (stranger,)


def test_audio_that_a_worker_may_be_writing_is_left_to_it() -> None:
    shop = Workshop()
    running = started(shop)
    shop.delete_transcription(running)
    assert shop.reconcile().audio_removed == ()
    assert list(shop.prepared.pcm) == [running]


def test_audio_of_what_waits_to_be_gone_on_with_is_kept() -> None:
    shop = Workshop()
    running = started(shop)
    lose_job(shop, running)
    assert shop.reconcile().audio_removed == ()
    assert list(shop.prepared.pcm) == [running]


def test_idempotency_keys_are_forgotten_after_a_day() -> None:
    shop = Workshop()
    for key in ("a", "b"):
        shop.upload(io.BytesIO(speech(1)), file_name="talk.wav", idempotency_key=key)
        shop.clock.advance(60)
    shop.clock.advance((KEPT_FOR - timedelta(seconds=60)).total_seconds())
    mended = shop.reconcile()
    assert mended.keys_forgotten == 1
    assert not mended.found_disagreement
    assert [key for _, _, key in shop.database.idempotency_keys] == ["b"]
