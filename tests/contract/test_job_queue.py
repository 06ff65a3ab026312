"""What every job queue does: the fake that the use cases are tested on, and procrastinate's tables in PostgreSQL."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.work import Erasure
from hansard.domain.audio import AudioFile, AudioProperties, StoredObject
from hansard.domain.transcription import Parameters, Transcription
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from tests.fakes import FakeDatabase

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

Begin = Callable[[], UnitOfWork]


@pytest.fixture(params=["fake", "procrastinate"])
def begin(request: pytest.FixtureRequest) -> Begin:
    if request.param == "fake":
        return FakeDatabase().unit_of_work
    engine: Engine = request.getfixturevalue("engine")
    return lambda: SqlUnitOfWork(engine, TranscriptionJobs)


def asked_for(begin: Begin, *, owner: str = "ann", audio_seconds: float | None = 60.0) -> UUID:
    audio = AudioFile(
        id=uuid4(),
        file_name="talk.mp3",
        media_type="audio/mpeg",
        stored=StoredObject(sha256="ab" * 32, size_bytes=1),
        properties=AudioProperties(
            container="mp3", codec="mp3", channels=1, sample_rate_hz=8_000, duration_seconds=audio_seconds
        ),
        uploaded_at=NOON,
    )
    transcription = Transcription.queue(audio_id=audio.id, parameters=Parameters(), at=NOON, owner=owner)
    with begin() as uow:
        uow.audio.add(audio)
        uow.transcriptions.add(transcription)
        uow.jobs.defer_transcription(transcription, audio_seconds=audio_seconds)
        uow.commit()
    return transcription.id


def test_what_was_asked_for_has_a_job(begin: Begin) -> None:
    first, second = asked_for(begin), asked_for(begin)
    with begin() as uow:
        assert uow.jobs.has_job(first)
        assert uow.jobs.jobs() == {first, second}


def test_what_was_not_asked_for_has_none(begin: Begin) -> None:
    with begin() as uow:
        assert not uow.jobs.has_job(uuid4())
        assert uow.jobs.jobs() == frozenset()


def test_what_is_withdrawn_has_no_job_any_more_and_the_others_keep_theirs(begin: Begin) -> None:
    first, second = asked_for(begin), asked_for(begin)
    with begin() as uow:
        uow.jobs.withdraw(first)
        uow.commit()
    with begin() as uow:
        assert uow.jobs.jobs() == {second}


def test_withdrawing_what_has_no_job_is_no_error(begin: Begin) -> None:
    with begin() as uow:
        uow.jobs.withdraw(uuid4())


def test_a_withdrawal_that_is_not_committed_did_not_happen(begin: Begin) -> None:
    transcription_id = asked_for(begin)
    with begin() as uow:
        uow.jobs.withdraw(transcription_id)
        assert not uow.jobs.has_job(transcription_id)
    with begin() as uow:
        assert uow.jobs.has_job(transcription_id)


def test_an_empty_queue_has_nothing_waiting(begin: Begin) -> None:
    with begin() as uow:
        waiting = uow.jobs.waiting("ann")
    assert (waiting.jobs, waiting.jobs_of_owner, waiting.audio_seconds, waiting.oldest_seconds) == (0, 0, 0.0, 0.0)
    assert (waiting.running, waiting.workers) == (0, 0)


def test_what_waits_is_counted_for_all_and_for_one_owner(begin: Begin) -> None:
    for owner, audio_seconds in (("ann", 60.0), ("ann", 30.5), ("bob", 10.0)):
        asked_for(begin, owner=owner, audio_seconds=audio_seconds)
    with begin() as uow:
        of_ann, of_nobody = uow.jobs.waiting("ann"), uow.jobs.waiting("nobody")
    assert (of_ann.jobs, of_ann.jobs_of_owner, of_ann.audio_seconds) == (3, 2, 100.5)
    assert (of_nobody.jobs, of_nobody.jobs_of_owner) == (3, 0)


def test_a_recording_of_unknown_length_waits_like_any_other(begin: Begin) -> None:
    transcription_id = asked_for(begin, audio_seconds=None)
    with begin() as uow:
        assert uow.jobs.has_job(transcription_id)
        assert uow.jobs.waiting("ann").jobs == 1


def test_an_erasure_is_no_transcription_that_waits(begin: Begin) -> None:
    with begin() as uow:
        uow.jobs.defer_erasure(Erasure(audio_id=uuid4(), stored=None, transcription_ids=(uuid4(),)))
        uow.commit()
    with begin() as uow:
        assert uow.jobs.waiting("ann").jobs == 0
        assert uow.jobs.jobs() == frozenset()


def test_nothing_is_more_urgent_than_the_only_job(begin: Begin) -> None:
    transcription_id = asked_for(begin)
    with begin() as uow:
        assert not uow.jobs.has_more_urgent(transcription_id)


def test_without_workers_there_are_none_to_tell_of(begin: Begin) -> None:
    with begin() as uow:
        assert uow.jobs.workers() == ()
