"""What every unit of work does, with its repositories: the fake that the use cases are tested on, and PostgreSQL."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from hansard.application.ports.records import IdempotencyKey, TranscriptionFilter, UnitOfWork
from hansard.domain.audio import AudioFile, AudioProperties, StoredObject
from hansard.domain.circuit import Circuit, CircuitPolicy
from hansard.domain.coverage import Coverage
from hansard.domain.diarization import Turn
from hansard.domain.errors import Category, Failure, InvalidRequest, NotFound, RevisionMismatch
from hansard.domain.events import (
    AudioFileUploaded,
    CanaryRecognised,
    EngineAttempted,
    EngineEnabled,
    TranscriptionQueued,
)
from hansard.domain.revision import Change, Revised, Revision, at_revision, difference
from hansard.domain.speech import Span, Speech
from hansard.domain.transcript import RecognisedPassage, Segment, Transcript, Word
from hansard.domain.transcription import (
    Attempt,
    AttemptKind,
    AttemptOutcome,
    Parameters,
    Result,
    Status,
    Transcription,
)
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from tests.fakes import FakeDatabase

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class Database:
    """What is under test: a way to begin, and a look at the jobs that were committed."""

    unit_of_work: Callable[[], UnitOfWork]
    jobs: Callable[[], int]


@pytest.fixture(params=["fake", "postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    if request.param == "fake":
        fake = FakeDatabase()
        return Database(fake.unit_of_work, lambda: len(fake.jobs))
    engine: Engine = request.getfixturevalue("engine")

    def jobs() -> int:
        with engine.connect() as connection:
            return connection.execute(text("SELECT count(*) FROM procrastinate_jobs")).scalar_one()

    return Database(lambda: SqlUnitOfWork(engine, TranscriptionJobs), jobs)


def an_audio_file(*, minute: int = 0, sha256: str = "ab" * 32) -> AudioFile:
    return AudioFile(
        id=uuid4(),
        file_name="Sitzung Nº 3 – 録音.mp3",
        media_type="audio/mpeg",
        stored=StoredObject(sha256=sha256, size_bytes=5_000_000_000),
        properties=AudioProperties(
            container="mp3", codec="mp3", channels=2, sample_rate_hz=44_100, duration_seconds=61.5
        ),
        uploaded_at=NOON + timedelta(minutes=minute),
        owner="ann",
    )


ASKED = Parameters(engine="whisper", language="en", priority=3, metadata={"case": "7"})


def a_transcription(
    audio: AudioFile, *, minute: int = 0, parameters: Parameters = ASKED, owner: str = "ann"
) -> Transcription:
    return Transcription.queue(
        audio_id=audio.id,
        parameters=parameters,
        at=NOON + timedelta(minutes=minute),
        owner=owner,
        request_id="req-1",
    )


def a_result(*, audio_seconds: float, processing_seconds: float) -> Result:
    (hallucination,) = a_passage(50.0, "Thank you for watching.").segments
    return Result(
        engine="fake",
        model="fake-1",
        language="en",
        audio_seconds=audio_seconds,
        speech_seconds=40.25,
        word_count=99,
        processing_seconds=processing_seconds,
        coverage=Coverage(
            speech_seconds=40.25, transcribed_seconds=35.0, gaps=(Span(3.0, 8.25),), dropped=(hallucination,)
        ),
        degraded_reasons=("second best",),
    )


def a_completed_one(
    audio: AudioFile,
    *,
    minute: int = 0,
    audio_seconds: float,
    processing_seconds: float,
    recognised_seconds: float = 40.25,
    is_abandoned: bool = False,
) -> Transcription:
    """Its one attempt heard all of the speech, or so much of it."""
    transcription = a_transcription(audio, minute=minute)
    transcription.start(NOON)
    transcription.begin_attempt(engine="fake", model="fake-1", at=NOON)
    transcription.advance_attempt(recognised_seconds)
    if not is_abandoned:
        transcription.end_attempt(NOON)
    transcription.complete(a_result(audio_seconds=audio_seconds, processing_seconds=processing_seconds), NOON)
    return transcription


def a_passage(start_seconds: float, text: str, *, decoding: int = 0) -> RecognisedPassage:
    span = Span(start_seconds, start_seconds + 1)
    word = Word(text, span.start_seconds, span.end_seconds, 0.5)
    segment = Segment(
        start_seconds=span.start_seconds,
        end_seconds=span.end_seconds,
        text=text,
        words=(word,),
        confidence=0.9,
        language="en",
        speaker="A",
        engine="fake",
    )
    return RecognisedPassage(span=span, engine="fake", model="fake-1", segments=(segment,), decoding=decoding)


def kept(database: Database, audio: AudioFile, *transcriptions: Transcription) -> None:
    with database.unit_of_work() as uow:
        uow.audio.add(audio)
        for transcription in transcriptions:
            uow.transcriptions.add(transcription)
        uow.commit()


def told(made: Transcription | Circuit) -> dict[str, object]:
    """All that is kept of it, to compare by."""
    return {name: value for name, value in vars(made).items() if name != "_events"}


# ── The unit itself ──────────────────────────────────────────────────────────────────────────────────────


def test_what_is_committed_is_there_for_the_next(database: Database) -> None:
    audio = an_audio_file()
    kept(database, audio)
    with database.unit_of_work() as uow:
        assert uow.audio.get(audio.id) == audio


def test_leaving_without_commit_keeps_nothing_not_even_the_job(database: Database) -> None:
    audio = an_audio_file()
    kept(database, audio)
    transcription = a_transcription(audio)
    with database.unit_of_work() as uow:
        uow.transcriptions.add(transcription)
        uow.jobs.defer_transcription(transcription, audio_seconds=61.5)
    with database.unit_of_work() as uow:
        with pytest.raises(NotFound):
            uow.transcriptions.get(transcription.id)
        assert uow.events.of(transcription.id) == ()
    assert database.jobs() == 0


def test_an_error_inside_keeps_nothing_and_is_passed_on(database: Database) -> None:
    audio = an_audio_file()

    def fail_in_the_middle() -> None:
        with database.unit_of_work() as uow:
            uow.audio.add(audio)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_in_the_middle()
    with database.unit_of_work() as uow, pytest.raises(NotFound):
        uow.audio.get(audio.id)


def test_state_event_and_job_come_with_one_commit(database: Database) -> None:
    audio = an_audio_file()
    transcription = a_transcription(audio)
    with database.unit_of_work() as uow:
        uow.audio.add(audio)
        uow.transcriptions.add(transcription)
        uow.jobs.defer_transcription(transcription, audio_seconds=61.5)
        assert database.jobs() == 0
        uow.commit()
    assert database.jobs() == 1
    with database.unit_of_work() as uow:
        assert told(uow.transcriptions.get(transcription.id)) == told(transcription)
        assert [event.type for event in uow.events.of(transcription.id)] == ["transcription.queued"]


def test_what_is_written_is_seen_within_the_unit_before_the_commit(database: Database) -> None:
    audio = an_audio_file()
    with database.unit_of_work() as uow:
        uow.audio.add(audio)
        assert uow.audio.get(audio.id) == audio


# ── Audio files ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_audio_file_that_never_was_is_not_found(database: Database) -> None:
    with database.unit_of_work() as uow, pytest.raises(NotFound):
        uow.audio.get(uuid4())


def test_audio_files_are_paged_newest_first(database: Database) -> None:
    files = [an_audio_file(minute=minute) for minute in range(5)]
    for audio in files:
        kept(database, audio)
    with database.unit_of_work() as uow:
        first = uow.audio.page(limit=2)
        second = uow.audio.page(limit=2, cursor=first.next_cursor)
        third = uow.audio.page(limit=2, cursor=second.next_cursor)
    assert [*first.items, *second.items, *third.items] == files[::-1]
    assert third.next_cursor is None


def test_a_page_that_holds_all_has_no_next(database: Database) -> None:
    kept(database, an_audio_file())
    with database.unit_of_work() as uow:
        assert uow.audio.page(limit=1).next_cursor is None


def test_files_uploaded_at_the_same_moment_are_paged_without_loss_or_repetition(database: Database) -> None:
    files = [an_audio_file() for _ in range(5)]
    for audio in files:
        kept(database, audio)
    seen: list[AudioFile] = []
    cursor = None
    with database.unit_of_work() as uow:
        for _ in range(3):
            page = uow.audio.page(limit=2, cursor=cursor)
            seen += page.items
            cursor = page.next_cursor
    assert {audio.id for audio in seen} == {audio.id for audio in files}
    assert len(seen) == 5


def test_what_is_added_meanwhile_does_not_shift_the_next_page(database: Database) -> None:
    files = [an_audio_file(minute=minute) for minute in range(4)]
    for audio in files:
        kept(database, audio)
    with database.unit_of_work() as uow:
        first = uow.audio.page(limit=2)
    kept(database, an_audio_file(minute=9))
    with database.unit_of_work() as uow:
        assert list(uow.audio.page(limit=2, cursor=first.next_cursor).items) == [files[1], files[0]]


@pytest.mark.parametrize("cursor", ["", "nonsense", "bm9uc2Vuc2U=", "\u00fc", "AAAA" * 100])
def test_a_cursor_that_was_made_up_is_refused(database: Database, cursor: str) -> None:
    kept(database, an_audio_file())
    with database.unit_of_work() as uow, pytest.raises(InvalidRequest) as refusal:
        uow.audio.page(limit=1, cursor=cursor)
    assert refusal.value.failure.code == "invalid_cursor"


def test_an_audio_file_can_be_looked_up_to_be_changed(database: Database) -> None:
    audio = an_audio_file()
    kept(database, audio)
    with database.unit_of_work() as uow:
        assert uow.audio.get(audio.id, for_update=True) == audio
        with pytest.raises(NotFound):
            uow.audio.get(uuid4(), for_update=True)


def test_bytes_are_in_use_as_long_as_one_audio_file_has_them(database: Database) -> None:
    first, second = an_audio_file(), an_audio_file()
    other = an_audio_file(sha256="cd" * 32)
    for audio in (first, second, other):
        kept(database, audio)
    with database.unit_of_work() as uow:
        uow.audio.hold_bytes(first.stored)
        uow.audio.delete(first.id)
        assert uow.audio.uses_bytes(first.stored)
        uow.audio.delete(second.id)
        assert not uow.audio.uses_bytes(first.stored)
        assert uow.audio.uses_bytes(other.stored)


def test_all_that_is_about_an_audio_file_goes_with_it_but_what_happened(database: Database) -> None:
    audio, other = an_audio_file(), an_audio_file()
    transcription, of_the_other = a_transcription(audio), a_transcription(other)
    kept(database, audio, transcription)
    kept(database, other, of_the_other)
    with database.unit_of_work() as uow:
        fill(uow, transcription)
        fill(uow, of_the_other)
        uow.audio.delete(audio.id)
        uow.commit()
    with database.unit_of_work() as uow:
        with pytest.raises(NotFound):
            uow.audio.get(audio.id)
        assert is_gone(uow, transcription)
        assert not is_gone(uow, of_the_other)
        assert [event.type for event in uow.events.of(transcription.id)] == ["transcription.queued"]


def fill(uow: UnitOfWork, transcription: Transcription) -> None:
    """Words of every kind."""
    uow.transcripts.save_speech(transcription.id, Speech(2.0, (Span(0.0, 2.0),)))
    transcript = Transcript.of([a_passage(0.0, "hello")])
    uow.transcripts.save(transcription, transcript)
    uow.transcripts.add_passage(transcription.id, a_passage(1.0, "again"))
    uow.transcripts.save_turns(transcription.id, (Turn(Span(0.0, 1.0), "1"),))
    correct(uow, transcription, transcript, 1)


def is_gone(uow: UnitOfWork, transcription: Transcription) -> bool:
    words = uow.transcripts
    left = (
        words.speech(transcription.id),
        words.get(transcription.id),
        words.passages(transcription.id) or None,
        words.turns(transcription.id),
        words.revisions(transcription.id) or None,
    )
    try:
        uow.transcriptions.get(transcription.id)
    except NotFound:
        return left == (None,) * len(left)
    assert None not in left
    return False


# ── Transcriptions ───────────────────────────────────────────────────────────────────────────────────────


def test_a_transcription_that_never_was_is_not_found(database: Database) -> None:
    with database.unit_of_work() as uow, pytest.raises(NotFound):
        uow.transcriptions.get(uuid4(), for_update=True)


def test_a_transcription_is_held_for_the_run_that_owns_it_and_for_no_other(database: Database) -> None:
    transcription = a_transcription(audio := an_audio_file())
    kept(database, audio, transcription)
    with database.unit_of_work() as uow:
        assert not uow.transcriptions.hold(transcription.id, run=transcription.run)
        number = transcription.start(NOON)
        uow.transcriptions.save(transcription)
        uow.commit()
    with database.unit_of_work() as uow:
        held = [uow.transcriptions.hold(transcription.id, run=run) for run in (number - 1, number, number + 1)]
        assert held == [False, True, False]
        assert not uow.transcriptions.hold(uuid4(), run=number)


def test_a_whole_life_is_kept_with_its_events_in_order(database: Database) -> None:
    audio = an_audio_file()
    transcription = a_transcription(audio)
    kept(database, audio, transcription)
    result = a_result(audio_seconds=61.5, processing_seconds=7.5)
    with database.unit_of_work() as uow:
        found = uow.transcriptions.get(transcription.id, for_update=True)
        found.start(NOON)
        found.begin_attempt(engine="fake", model="fake-1", at=NOON)
        found.advance_attempt(61.5, provider_request_id="req-1")
        found.warn("The pipeline store is away.")
        found.end_attempt(NOON + timedelta(seconds=7.5))
        found.pipeline_run_id = "run-1"
        found.complete(result, NOON + timedelta(seconds=8))
        uow.transcriptions.save(found)
        uow.commit()
    with database.unit_of_work() as uow:
        assert told(uow.transcriptions.get(transcription.id)) == told(found)
        assert [event.type for event in uow.events.of(transcription.id)] == [
            "transcription.queued",
            "transcription.started",
            "transcription.attempted",
            "transcription.completed",
        ]


def test_what_engines_did_in_a_live_session_is_kept_with_the_time_that_they_worked(database: Database) -> None:
    audio = an_audio_file()
    transcription = a_transcription(audio)
    live = Attempt(
        number=1,
        engine="fake",
        model="fake-1",
        started_at=NOON,
        ended_at=NOON + timedelta(minutes=10),
        outcome=AttemptOutcome.SUCCEEDED,
        recognised_seconds=300.0,
        kind=AttemptKind.LIVE,
        at_work_seconds=12.5,
    )
    transcription.take_in([live], NOON)
    kept(database, audio, transcription)
    with database.unit_of_work() as uow:
        assert uow.transcriptions.get(transcription.id).attempts == (live,)
        queued, attempted = uow.events.of(transcription.id)
    assert isinstance(queued, TranscriptionQueued)
    assert isinstance(attempted, EngineAttempted)
    assert (attempted.kind, attempted.processing_seconds) == ("live", 12.5)


def test_a_change_that_is_not_saved_is_not_kept(database: Database) -> None:
    audio = an_audio_file()
    transcription = a_transcription(audio)
    kept(database, audio, transcription)
    with database.unit_of_work() as uow:
        uow.transcriptions.get(transcription.id).cancel(NOON)
        uow.commit()
    with database.unit_of_work() as uow:
        assert uow.transcriptions.get(transcription.id).status is Status.QUEUED


def test_transcriptions_are_found_by_status_and_by_audio_file_page_by_page(database: Database) -> None:
    talk, other = an_audio_file(), an_audio_file()
    wanted = [a_transcription(talk, minute=minute) for minute in range(3)]
    cancelled = a_transcription(talk, minute=7)
    cancelled.cancel(NOON)
    kept(database, talk, *wanted, cancelled)
    kept(database, other, a_transcription(other, minute=8))
    with database.unit_of_work() as uow:
        queued = TranscriptionFilter(status=Status.QUEUED, audio_id=talk.id)
        first = uow.transcriptions.page(queued, limit=2)
        second = uow.transcriptions.page(queued, limit=2, cursor=first.next_cursor)
        of_the_talk = uow.transcriptions.page(TranscriptionFilter(audio_id=talk.id), limit=9)
        all_cancelled = uow.transcriptions.page(TranscriptionFilter(status=Status.CANCELLED), limit=9)
    assert [found.id for found in (*first.items, *second.items)] == [made.id for made in wanted[::-1]]
    assert second.next_cursor is None
    assert len(of_the_talk.items) == 4
    assert [found.id for found in all_cancelled.items] == [cancelled.id]


def test_transcriptions_are_found_by_engine_language_time_and_labels(database: Database) -> None:
    audio = an_audio_file()
    labelled = replace(ASKED, metadata={"room": "7", "court": "north"})
    early, late = a_transcription(audio, minute=1), a_transcription(audio, minute=2, parameters=labelled)
    late.start(NOON)
    late.complete(a_result(audio_seconds=60, processing_seconds=6), NOON)
    kept(database, audio, early, late)

    def found(**wanted: object) -> list[UUID]:
        with database.unit_of_work() as uow:
            return [row.id for row in uow.transcriptions.page(TranscriptionFilter(**wanted), limit=9).items]

    assert found(engine="fake") == found(language="en") == found(metadata={"room": "7"}) == [late.id]
    assert found(engine="other") == found(language="de") == found(metadata={"room": "8"}) == []
    assert found(since=late.created_at) == [late.id]
    assert found(until=late.created_at) == [early.id]


def test_a_transcription_goes_with_its_words_and_leaves_a_receipt(database: Database) -> None:
    audio = an_audio_file()
    transcription, other = a_transcription(audio), a_transcription(audio)
    kept(database, audio, transcription, other)
    with database.unit_of_work() as uow:
        fill(uow, transcription)
        fill(uow, other)
        found = uow.transcriptions.get(transcription.id, for_update=True)
        found.cancel(NOON)
        found.delete(NOON)
        uow.transcriptions.delete(found)
        uow.commit()
    with database.unit_of_work() as uow:
        assert is_gone(uow, transcription)
        assert not is_gone(uow, other)
        assert [event.type for event in uow.events.of(transcription.id)] == [
            "transcription.queued",
            "transcription.cancelled",
            "transcription.deleted",
        ]
        assert uow.audio.get(audio.id) == audio


def test_what_was_deleted_cannot_be_saved(database: Database) -> None:
    audio = an_audio_file()
    transcription = a_transcription(audio)
    kept(database, audio, transcription)
    with database.unit_of_work() as uow:
        uow.transcriptions.delete(transcription)
        with pytest.raises(NotFound):
            uow.transcriptions.save(transcription)


def test_all_transcriptions_of_an_audio_file_are_found_whatever_their_status(database: Database) -> None:
    talk, other = an_audio_file(), an_audio_file()
    wanted = [a_transcription(talk), a_completed_one(talk, audio_seconds=1, processing_seconds=1)]
    kept(database, talk, *wanted)
    kept(database, other, a_transcription(other))
    with database.unit_of_work() as uow:
        found = uow.transcriptions.of_audio(talk.id)
        assert uow.transcriptions.of_audio(uuid4()) == ()
    assert {each.id: told(each) for each in found} == {each.id: told(each) for each in wanted}


def test_what_is_queued_or_running_is_unfinished(database: Database) -> None:
    audio = an_audio_file()
    queued, running, failed = (a_transcription(audio, minute=minute) for minute in range(3))
    running.start(NOON)
    failed.fail(Failure(code="broken", category=Category.INTERNAL, message="It broke."), NOON)
    done = a_completed_one(audio, audio_seconds=1, processing_seconds=1)
    kept(database, audio, queued, running, failed, done)
    with database.unit_of_work() as uow:
        assert uow.transcriptions.unfinished() == (queued.id, running.id)


def test_the_speed_is_that_of_what_was_completed_long_recordings_counting_more(database: Database) -> None:
    audio = an_audio_file()
    short = a_completed_one(audio, minute=1, audio_seconds=10, processing_seconds=10)
    long = a_completed_one(audio, minute=2, audio_seconds=90, processing_seconds=15)
    with database.unit_of_work() as uow:
        assert uow.transcriptions.recent_real_time_factor() is None
    kept(database, audio, short, long, a_transcription(audio, minute=3))
    with database.unit_of_work() as uow:
        assert uow.transcriptions.recent_real_time_factor() == pytest.approx(0.25)


@pytest.mark.parametrize("untimed", [{"recognised_seconds": 20}, {"is_abandoned": True}], ids=["live", "worker died"])
def test_what_was_heard_by_no_attempt_that_was_timed_tells_nothing_of_speed(
    database: Database, untimed: dict[str, Any]
) -> None:
    audio = an_audio_file()
    timed = a_completed_one(audio, minute=1, audio_seconds=10, processing_seconds=5)
    other = a_completed_one(audio, minute=2, audio_seconds=90, processing_seconds=0.01, **untimed)
    kept(database, audio, timed, other)
    with database.unit_of_work() as uow:
        assert uow.transcriptions.recent_real_time_factor() == pytest.approx(0.5)


def test_what_was_heard_live_tells_nothing_of_the_speed_of_workers(database: Database) -> None:
    audio = an_audio_file()
    timed = a_completed_one(audio, minute=1, audio_seconds=10, processing_seconds=5)
    live = a_completed_one(audio, minute=2, audio_seconds=90, processing_seconds=200)
    live.attempts = tuple(replace(attempt, kind=AttemptKind.LIVE) for attempt in live.attempts)
    kept(database, audio, timed, live)
    with database.unit_of_work() as uow:
        assert uow.transcriptions.recent_real_time_factor() == pytest.approx(0.5)


def test_recordings_without_length_tell_nothing_of_speed(database: Database) -> None:
    audio = an_audio_file()
    kept(database, audio, a_completed_one(audio, audio_seconds=0, processing_seconds=1))
    with database.unit_of_work() as uow:
        assert uow.transcriptions.recent_real_time_factor() is None


# ── The same, in flight ──────────────────────────────────────────────────────────────────────────────────


def in_flight(database: Database, audio: AudioFile, parameters: Parameters = ASKED, owner: str = "ann") -> UUID | None:
    with database.unit_of_work() as uow:
        found = uow.transcriptions.in_flight(owner=owner, sha256=audio.stored.sha256, parameters=parameters)
    return None if found is None else found.id


def test_the_same_of_the_same_bytes_is_found_in_another_file_too(database: Database) -> None:
    first, second = an_audio_file(), an_audio_file()
    transcription = a_transcription(first)
    kept(database, first, transcription)
    kept(database, second)
    assert in_flight(database, second) == transcription.id
    assert in_flight(database, second, replace(ASKED, metadata=dict(ASKED.metadata))) == transcription.id


def test_of_several_that_are_the_same_the_first_is_found(database: Database) -> None:
    audio = an_audio_file()
    first, second = a_transcription(audio, minute=1), a_transcription(audio, minute=2)
    first.start(NOON)
    kept(database, audio, second, first)
    assert in_flight(database, audio) == first.id


@pytest.mark.parametrize(
    "other",
    [
        {"engine": "auto"},
        {"fallback": False},
        {"model": "m"},
        {"language": None},
        {"prompt": "p"},
        {"hotwords": "h"},
        {"priority": 0},
        {"metadata": {}},
    ],
)
def test_what_differs_in_any_parameter_is_not_the_same(database: Database, other: dict[str, Any]) -> None:
    audio = an_audio_file()
    kept(database, audio, a_transcription(audio))
    assert in_flight(database, audio, replace(ASKED, **other)) is None


def test_other_bytes_other_owners_and_what_has_ended_are_not_in_flight(database: Database) -> None:
    audio, other = an_audio_file(), an_audio_file(sha256="cd" * 32)
    ended = a_transcription(audio)
    ended.cancel(NOON)
    kept(database, audio, ended, a_transcription(audio, owner="ben"))
    kept(database, other, a_transcription(other))
    assert in_flight(database, audio) is None


# ── Words ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def transcription(database: Database) -> Transcription:
    audio = an_audio_file()
    made = a_transcription(audio)
    kept(database, audio, made)
    return made


def test_speech_is_kept_and_found_again(database: Database, transcription: Transcription) -> None:
    speech = Speech(audio_seconds=10.0, regions=(Span(0.5, 2.25), Span(3.0, 9.75)))
    with database.unit_of_work() as uow:
        assert uow.transcripts.speech(transcription.id) is None
        uow.transcripts.save_speech(transcription.id, speech)
        uow.commit()
    with database.unit_of_work() as uow:
        assert uow.transcripts.speech(transcription.id) == speech


def test_speech_that_is_heard_again_replaces_the_first(database: Database, transcription: Transcription) -> None:
    with database.unit_of_work() as uow:
        uow.transcripts.save_speech(transcription.id, Speech(1.0, (Span(0.0, 1.0),)))
        uow.transcripts.save_speech(transcription.id, Speech(2.0, ()))
        assert uow.transcripts.speech(transcription.id) == Speech(2.0, ())


def test_passages_come_in_order_of_time_whenever_they_were_recognised(
    database: Database, transcription: Transcription
) -> None:
    late, early = a_passage(5.0, "late"), a_passage(1.0, "early")
    for passage in (late, early):
        with database.unit_of_work() as uow:
            uow.transcripts.add_passage(transcription.id, passage)
            uow.commit()
    with database.unit_of_work() as uow:
        assert uow.transcripts.passages(transcription.id) == (early, late)


def test_what_was_heard_again_stands_beside_what_was_heard_first(
    database: Database, transcription: Transcription
) -> None:
    first, again, later = a_passage(1.0, "first"), a_passage(1.0, "again", decoding=1), a_passage(2.0, "later")
    with database.unit_of_work() as uow:
        for passage in (again, later, first):
            uow.transcripts.add_passage(transcription.id, passage)
        uow.commit()
    with database.unit_of_work() as uow:
        assert uow.transcripts.passages(transcription.id) == (first, again, later)


def test_what_is_of_no_use_for_what_is_asked_now_is_forgotten(database: Database, transcription: Transcription) -> None:
    with database.unit_of_work() as uow:
        uow.transcripts.save_speech(transcription.id, Speech(audio_seconds=9, regions=(Span(0, 9),), channels=2))
        uow.transcripts.add_passage(transcription.id, a_passage(1.0, "hello"))
        uow.transcripts.add_passage(transcription.id, a_passage(1.0, "hello", decoding=1))
        uow.transcripts.save_turns(transcription.id, (Turn(Span(0, 9), "1"),))
        uow.transcripts.clear(transcription.id)
        uow.commit()
    with database.unit_of_work() as uow:
        assert uow.transcripts.passages(transcription.id) == ()
        assert uow.transcripts.turns(transcription.id) is None
        assert uow.transcripts.speech(transcription.id) is None


def test_turns_outlive_the_passages(database: Database, transcription: Transcription) -> None:
    turns = (Turn(Span(0, 4.5), "1"), Turn(Span(4, 9), "2"))
    with database.unit_of_work() as uow:
        assert uow.transcripts.turns(transcription.id) is None
        uow.transcripts.save_turns(transcription.id, turns)
        uow.transcripts.save(transcription, Transcript(language="en", segments=()))
        uow.commit()
    with database.unit_of_work() as uow:
        assert uow.transcripts.turns(transcription.id) == turns


def test_the_transcript_takes_the_place_of_the_passages(database: Database, transcription: Transcription) -> None:
    passage = a_passage(1.0, "hello")
    transcript = Transcript.of([passage])
    with database.unit_of_work() as uow:
        assert uow.transcripts.get(transcription.id) is None
        uow.transcripts.add_passage(transcription.id, passage)
        uow.transcripts.save(transcription, transcript)
        uow.commit()
    with database.unit_of_work() as uow:
        assert uow.transcripts.get(transcription.id) == transcript
        assert uow.transcripts.passages(transcription.id) == ()


def test_a_transcription_comes_with_its_transcript_if_there_is_one(
    database: Database, transcription: Transcription
) -> None:
    transcript = Transcript(language="en", segments=(Segment(start_seconds=0.0, end_seconds=1.0, text="Hello."),))
    with database.unit_of_work() as uow:
        assert uow.transcriptions.with_transcript(transcription.id)[1] is None
        uow.transcripts.save(transcription, transcript)
        uow.commit()
    with database.unit_of_work() as uow:
        found, its_transcript = uow.transcriptions.with_transcript(transcription.id)
        assert (found.id, found.parameters, its_transcript) == (transcription.id, transcription.parameters, transcript)
        with pytest.raises(NotFound):
            uow.transcriptions.with_transcript(uuid4())


def test_a_transcript_can_be_written_anew(database: Database, transcription: Transcription) -> None:
    first = Transcript.of([a_passage(1.0, "hello")])
    second = replace(first, language="de")
    with database.unit_of_work() as uow:
        uow.transcripts.save(transcription, first)
        uow.transcripts.save(transcription, second)
        assert uow.transcripts.get(transcription.id) == second


# ── Revisions ────────────────────────────────────────────────────────────────────────────────────────────


def a_transcript(*texts: str) -> Transcript:
    return Transcript.of([a_passage(start + 0.1, text) for start, text in enumerate(texts)])


def correct(
    uow: UnitOfWork, transcription: Transcription, before: Transcript, number: int, *texts: str
) -> tuple[Transcript, Revision]:
    """Make it say `texts` instead of what it said `before`."""
    after = a_transcript(*texts)
    made = Revision(
        number=number,
        made_at=NOON + timedelta(minutes=number),
        author="Änn",
        change=Change.TEXT,
        summary="At 0:00:00: “jello” became “hello”.",
        hunks=difference(before.segments, after.segments),
    )
    uow.transcripts.revise(transcription, after, made)
    return after, made


@pytest.fixture
def recorded(database: Database) -> Transcription:
    """Its transcript says: one two three four five."""
    audio = an_audio_file()
    transcription = a_transcription(audio)
    kept(database, audio, transcription)
    with database.unit_of_work() as uow:
        uow.transcripts.save(transcription, SAID)
        uow.commit()
    return transcription


SAID = a_transcript("one", "two", "three", "four", "five")


def test_what_the_engine_wrote_is_revision_0(database: Database, recorded: Transcription) -> None:
    with database.unit_of_work() as uow:
        assert uow.transcripts.revision(recorded.id) == 0
        assert uow.transcripts.current(recorded.id) == Revised(SAID, 0)
        assert uow.transcripts.revisions(recorded.id) == ()


def test_a_transcript_that_never_was_has_no_current_state(database: Database) -> None:
    with database.unit_of_work() as uow:
        assert uow.transcripts.current(uuid4()) is None


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param("one two 3 four five", id="in the middle"),
        pytest.param("1 two three four five", id="the first"),
        pytest.param("one two three four 5", id="the last"),
        pytest.param("one three four five", id="one less"),
        pytest.param("one two three four", id="the last one less"),
        pytest.param("one two and three four five", id="one more"),
        pytest.param("oh one two three four five", id="one more before all"),
        pytest.param("one two three four five six", id="one more behind all"),
        pytest.param("1 two 3 four 5", id="in several places"),
        pytest.param("", id="nothing left"),
    ],
)
def test_a_revision_is_kept_with_the_transcript_as_it_is_then(
    database: Database, recorded: Transcription, texts: str
) -> None:
    with database.unit_of_work() as uow:
        after, made = correct(uow, recorded, SAID, 1, *texts.split())
        uow.commit()
    with database.unit_of_work() as uow:
        assert uow.transcripts.current(recorded.id) == Revised(after, 1)
        assert uow.transcripts.get(recorded.id) == after
        assert uow.transcripts.revision(recorded.id) == 1
        assert uow.transcripts.revisions(recorded.id) == (made,)


def test_out_of_an_empty_transcript_comes_a_full_one(database: Database, recorded: Transcription) -> None:
    with database.unit_of_work() as uow:
        nothing, _ = correct(uow, recorded, SAID, 1)
        after, _ = correct(uow, recorded, nothing, 2, "one")
        assert uow.transcripts.current(recorded.id) == Revised(after, 2)


def test_every_state_can_be_had_again_to_the_last_digit(database: Database, recorded: Transcription) -> None:
    with database.unit_of_work() as uow:
        first, _ = correct(uow, recorded, SAID, 1, "one", "2", "three", "four", "five")
        correct(uow, recorded, first, 2, "2", "three", "five")
        uow.commit()
    with database.unit_of_work() as uow:
        current = uow.transcripts.current(recorded.id)
        assert current is not None
        revisions = uow.transcripts.revisions(recorded.id)
        assert at_revision(current, revisions, 1) == first
        assert at_revision(current, revisions, 0) == SAID


@pytest.mark.parametrize("number", [1, 3])
def test_a_revision_of_another_one_than_the_current_is_refused(
    database: Database, recorded: Transcription, number: int
) -> None:
    with database.unit_of_work() as uow:
        first, made = correct(uow, recorded, SAID, 1, "one")
        uow.commit()
    with database.unit_of_work() as uow, pytest.raises(RevisionMismatch):
        correct(uow, recorded, first, number, "two")
    with database.unit_of_work() as uow:
        assert uow.transcripts.current(recorded.id) == Revised(first, 1)
        assert uow.transcripts.revisions(recorded.id) == (made,)


def test_a_transcript_that_is_not_there_cannot_be_revised(database: Database) -> None:
    audio = an_audio_file()
    transcription = a_transcription(audio)
    kept(database, audio, transcription)
    with database.unit_of_work() as uow, pytest.raises(RevisionMismatch):
        correct(uow, transcription, a_transcript(), 1, "one")


def test_revisions_can_be_had_from_one_on(database: Database, recorded: Transcription) -> None:
    with database.unit_of_work() as uow:
        first, _ = correct(uow, recorded, SAID, 1, "one")
        _, made = correct(uow, recorded, first, 2, "two")
        assert uow.transcripts.revisions(recorded.id, after=1) == (made,)
        assert uow.transcripts.revisions(recorded.id, after=2) == ()


def test_the_history_is_paged_newest_first(database: Database, recorded: Transcription) -> None:
    with database.unit_of_work() as uow:
        before, notes = SAID, []
        for number in (1, 2, 3):
            before, made = correct(uow, recorded, before, number, str(number))
            notes.append((made.number, made.made_at, made.author, made.change, made.summary))
        first = uow.transcripts.history(recorded.id, limit=2)
        second = uow.transcripts.history(recorded.id, limit=2, cursor=first.next_cursor)
    assert [
        (note.number, note.made_at, note.author, note.change, note.summary) for note in first.items + second.items
    ] == notes[::-1]
    assert second.next_cursor is None


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "\u00fc"])
def test_a_cursor_of_a_history_that_was_made_up_is_refused(
    database: Database, recorded: Transcription, cursor: str
) -> None:
    with database.unit_of_work() as uow, pytest.raises(InvalidRequest) as refusal:
        uow.transcripts.history(recorded.id, limit=2, cursor=cursor)
    assert refusal.value.failure.code == "invalid_cursor"


def test_a_new_transcript_takes_the_place_of_all_revisions(database: Database, recorded: Transcription) -> None:
    anew = a_transcript("anew")
    with database.unit_of_work() as uow:
        correct(uow, recorded, SAID, 1, "one")
        uow.transcripts.save(recorded, anew)
        assert uow.transcripts.current(recorded.id) == Revised(anew, 0)
        assert uow.transcripts.revisions(recorded.id) == ()


# ── Circuits ─────────────────────────────────────────────────────────────────────────────────────────────

POLICY = CircuitPolicy(failures=1, open_seconds=30, longest_open_seconds=600, probe_seconds=60)
DOWN = Failure(code="engine_failed", category=Category.SERVER, message="503", provider_status=503)


def test_the_circuit_of_an_engine_that_nothing_is_known_of_is_closed(database: Database) -> None:
    with database.unit_of_work() as uow:
        assert told(uow.circuits.get("openai")) == told(Circuit(engine="openai"))
        assert uow.circuits.get("openai", for_update=True).is_at_rest


def test_a_circuit_is_kept_with_its_events(database: Database) -> None:
    with database.unit_of_work() as uow:
        circuit = uow.circuits.get("openai", for_update=True)
        circuit.fail(DOWN, NOON, POLICY)
        circuit.disable(NOON, "too dear")
        uow.circuits.save(circuit)
        uow.commit()
    with database.unit_of_work() as uow:
        for found in (uow.circuits.get("openai"), uow.circuits.get("openai", for_update=True)):
            assert told(found) == told(circuit)
        assert [event.type for event in uow.events.of("openai")] == ["engine.circuit_opened", "engine.disabled"]
        assert uow.circuits.get("whisper").is_at_rest


def test_a_circuit_that_was_not_looked_up_before_can_be_saved(database: Database) -> None:
    circuit = Circuit(engine="openai")
    circuit.succeed(NOON)
    with database.unit_of_work() as uow:
        uow.circuits.save(circuit)
        uow.commit()
    with database.unit_of_work() as uow:
        assert uow.circuits.get("openai").last_success_at == NOON


def test_a_change_of_a_circuit_that_is_not_committed_is_not_kept(database: Database) -> None:
    with database.unit_of_work() as uow:
        circuit = uow.circuits.get("openai", for_update=True)
        circuit.disable(NOON)
        uow.circuits.save(circuit)
    with database.unit_of_work() as uow:
        assert not uow.circuits.get("openai").disabled
        assert uow.events.of("openai") == ()


# ── Idempotency keys ─────────────────────────────────────────────────────────────────────────────────────

KEY = IdempotencyKey(owner="ann", route="upload", key="k-1", request="digest")


def keep_key(database: Database, key: IdempotencyKey, at: datetime = NOON) -> UUID:
    made_id = uuid4()
    with database.unit_of_work() as uow:
        uow.idempotency.keep(key, made_id, at)
        uow.commit()
    return made_id


def found_for(database: Database, key: IdempotencyKey, since: datetime = NOON) -> UUID | None:
    with database.unit_of_work() as uow:
        return uow.idempotency.find(key, since=since)


def test_what_was_made_for_a_key_is_found_again(database: Database) -> None:
    assert found_for(database, KEY) is None
    made_id = keep_key(database, KEY)
    assert found_for(database, KEY) == made_id


@pytest.mark.parametrize("other", [{"owner": "ben"}, {"route": "submit"}, {"key": "k-2"}])
def test_a_key_is_its_owners_for_one_route(database: Database, other: dict[str, str]) -> None:
    keep_key(database, KEY)
    assert found_for(database, replace(KEY, **other)) is None


def test_a_key_that_was_used_for_another_request_is_refused(database: Database) -> None:
    keep_key(database, KEY)
    with pytest.raises(InvalidRequest) as refusal:
        found_for(database, replace(KEY, request="other"))
    assert refusal.value.failure.code == "idempotency_key_reused"


def test_a_key_that_is_too_old_can_be_used_anew_for_anything(database: Database) -> None:
    keep_key(database, KEY)
    later = NOON + timedelta(seconds=1)
    other = replace(KEY, request="other")
    assert found_for(database, other, since=later) is None
    made_id = keep_key(database, other, later)
    assert found_for(database, other, since=later) == made_id


def test_old_keys_are_forgotten_and_counted(database: Database) -> None:
    keep_key(database, KEY)
    keep_key(database, replace(KEY, key="k-2"))
    young = replace(KEY, key="k-3")
    made_id = keep_key(database, young, NOON + timedelta(seconds=1))
    with database.unit_of_work() as uow:
        assert uow.idempotency.forget_before(NOON + timedelta(seconds=1)) == 2
        uow.commit()
    assert found_for(database, KEY) is None
    assert found_for(database, young) == made_id


# ── Events ───────────────────────────────────────────────────────────────────────────────────────────────


def test_events_of_one_subject_come_oldest_first(database: Database) -> None:
    subject = uuid4()
    events = [
        AudioFileUploaded(
            subject=str(subject),
            occurred_at=NOON,
            size_bytes=number,
            sha256="ab" * 32,
            duration_seconds=None,
        )
        for number in range(3)
    ]
    with database.unit_of_work() as uow:
        for event in (*events, replace(events[0], subject=str(uuid4()))):
            uow.events.append(event)
        uow.commit()
    with database.unit_of_work() as uow:
        assert uow.events.of(subject) == tuple(events)


def test_the_events_of_an_engine_are_found_by_its_name(database: Database) -> None:
    event = EngineEnabled(subject="whisper", occurred_at=NOON)
    with database.unit_of_work() as uow:
        uow.events.append(event)
        uow.events.append(replace(event, subject="openai"))
        uow.commit()
    with database.unit_of_work() as uow:
        assert uow.events.of("whisper") == (event,)


def test_the_latest_event_of_a_kind_is_found_among_all_about_a_subject(database: Database) -> None:
    first = CanaryRecognised(
        subject="whisper",
        occurred_at=NOON,
        passed=False,
        word_accuracy=0.5,
        processing_seconds=1.5,
        failure=Failure(code="engine_timed_out", category=Category.TIMEOUT, message="It took too long."),
    )
    second = replace(first, passed=True, failure=None)
    others = (replace(first, subject="openai"), EngineEnabled(subject="whisper", occurred_at=NOON))
    with database.unit_of_work() as uow:
        for event in (first, second, *others):
            uow.events.append(event)
        uow.commit()
    with database.unit_of_work() as uow:
        assert uow.events.latest(CanaryRecognised, "whisper") == second
        assert uow.events.latest(CanaryRecognised, "openai") == others[0]
        assert uow.events.latest(CanaryRecognised, "pocketsphinx") is None


def test_a_checkpoint_is_seen_by_others_and_the_next_unit_waits_for_the_disk_again(database: Database) -> None:
    audio = an_audio_file()
    with database.unit_of_work() as uow:
        uow.audio.add(audio)
        uow.checkpoint()
    with database.unit_of_work() as uow:
        assert uow.audio.get(audio.id) == audio
        connection = getattr(uow, "_connection", None)
        if connection is not None:
            default = connection.execute(text("SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'"))
            assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == default.scalar_one()
