"""What every unit of work does, with its repositories: the fake that the use cases are tested on, and PostgreSQL."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from hansard.application.ports import UnitOfWork
from hansard.domain.audio import AudioFile, AudioProperties, StoredObject
from hansard.domain.errors import InvalidRequest, NotFound
from hansard.domain.events import AudioFileUploaded
from hansard.domain.speech import Span, Speech
from hansard.domain.transcript import RecognisedPassage, Segment, Transcript, Word
from hansard.domain.transcription import Parameters, Result, Status, Transcription
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


def an_audio_file(*, minute: int = 0) -> AudioFile:
    return AudioFile(
        id=uuid4(),
        file_name="Sitzung Nº 3 – 録音.mp3",
        media_type="audio/mpeg",
        stored=StoredObject(sha256="ab" * 32, size_bytes=5_000_000_000),
        properties=AudioProperties(
            container="mp3", codec="mp3", channels=2, sample_rate_hz=44_100, duration_seconds=61.5
        ),
        uploaded_at=NOON + timedelta(minutes=minute),
    )


def a_transcription(audio: AudioFile, *, minute: int = 0) -> Transcription:
    return Transcription.queue(
        audio_id=audio.id,
        parameters=Parameters(engine="whisper", language="en", priority=3, metadata={"case": "7"}),
        at=NOON + timedelta(minutes=minute),
        request_id="req-1",
    )


def a_passage(start_seconds: float, text: str) -> RecognisedPassage:
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
    return RecognisedPassage(span=span, engine="fake", model="fake-1", segments=(segment,))


def kept(database: Database, audio: AudioFile, *transcriptions: Transcription) -> None:
    with database.unit_of_work() as uow:
        uow.audio.add(audio)
        for transcription in transcriptions:
            uow.transcriptions.add(transcription)
        uow.commit()


def told(transcription: Transcription) -> dict[str, object]:
    """All that is kept of a transcription, to compare by."""
    return {name: value for name, value in vars(transcription).items() if name != "_events"}


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
        uow.jobs.defer_transcription(transcription)
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
        uow.jobs.defer_transcription(transcription)
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


# ── Transcriptions ───────────────────────────────────────────────────────────────────────────────────────


def test_a_transcription_that_never_was_is_not_found(database: Database) -> None:
    with database.unit_of_work() as uow, pytest.raises(NotFound):
        uow.transcriptions.get(uuid4(), for_update=True)


def test_a_whole_life_is_kept_with_its_events_in_order(database: Database) -> None:
    audio = an_audio_file()
    transcription = a_transcription(audio)
    kept(database, audio, transcription)
    result = Result(
        engine="fake",
        model="fake-1",
        language="en",
        audio_seconds=61.5,
        speech_seconds=40.25,
        word_count=99,
        processing_seconds=7.5,
        degraded_reasons=("second best",),
    )
    with database.unit_of_work() as uow:
        found = uow.transcriptions.get(transcription.id, for_update=True)
        found.start(NOON)
        found.begin_attempt(engine="fake", model="fake-1", at=NOON)
        found.advance_attempt(61.5)
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
            "transcription.completed",
        ]


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
        first = uow.transcriptions.page(limit=2, status=Status.QUEUED, audio_id=talk.id)
        second = uow.transcriptions.page(limit=2, cursor=first.next_cursor, status=Status.QUEUED, audio_id=talk.id)
        of_the_talk = uow.transcriptions.page(limit=9, audio_id=talk.id)
        all_cancelled = uow.transcriptions.page(limit=9, status=Status.CANCELLED)
    assert [found.id for found in (*first.items, *second.items)] == [made.id for made in wanted[::-1]]
    assert second.next_cursor is None
    assert len(of_the_talk.items) == 4
    assert [found.id for found in all_cancelled.items] == [cancelled.id]


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


def test_the_transcript_takes_the_place_of_the_passages(database: Database, transcription: Transcription) -> None:
    passage = a_passage(1.0, "hello")
    transcript = Transcript.of([passage])
    with database.unit_of_work() as uow:
        assert uow.transcripts.get(transcription.id) is None
        uow.transcripts.add_passage(transcription.id, passage)
        uow.transcripts.save(transcription.id, transcript)
        uow.commit()
    with database.unit_of_work() as uow:
        assert uow.transcripts.get(transcription.id) == transcript
        assert uow.transcripts.passages(transcription.id) == ()


def test_a_transcript_can_be_written_anew(database: Database, transcription: Transcription) -> None:
    first = Transcript.of([a_passage(1.0, "hello")])
    second = replace(first, language="de")
    with database.unit_of_work() as uow:
        uow.transcripts.save(transcription.id, first)
        uow.transcripts.save(transcription.id, second)
        assert uow.transcripts.get(transcription.id) == second


# ── Events ───────────────────────────────────────────────────────────────────────────────────────────────


def test_events_of_one_subject_come_oldest_first(database: Database) -> None:
    subject = uuid4()
    events = [
        AudioFileUploaded(
            subject_id=subject,
            occurred_at=NOON,
            file_name=f"{number}.wav",
            size_bytes=number,
            sha256="ab" * 32,
            duration_seconds=None,
        )
        for number in range(3)
    ]
    with database.unit_of_work() as uow:
        for event in (*events, replace(events[0], subject_id=uuid4())):
            uow.events.append(event)
        uow.commit()
    with database.unit_of_work() as uow:
        assert uow.events.of(subject) == tuple(events)
