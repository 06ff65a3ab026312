"""What several do at the same moment on one real database: nothing is lost, made twice or left behind."""

import io
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Barrier, Event, Thread
from typing import Any, BinaryIO, cast
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from hansard.application.edit import Edited, transcript_at
from hansard.application.ports.work import Erasure
from hansard.application.reconcile import Mended
from hansard.application.run import Runs
from hansard.domain import editing
from hansard.domain.audio import AudioFile, StoredObject
from hansard.domain.circuit import Admission
from hansard.domain.errors import (
    Category,
    EnginePaused,
    Failure,
    InvalidRequest,
    NotFound,
    RevisionMismatch,
    Superseded,
)
from hansard.domain.events import AudioFileErased
from hansard.domain.transcription import Parameters, Status, Transcription
from hansard.persistence import tables
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from tests.fakes import FakeAudioStore, FakeDatabase
from tests.workshop import Workshop, speech

PATIENCE_SECONDS = 20.0
PCM = speech(5)
TERMINAL = {"transcription.completed", "transcription.failed", "transcription.cancelled"}


@dataclass
class RealDatabase:
    """In place of the workshop's `FakeDatabase`."""

    engine: Engine

    def unit_of_work(self) -> SqlUnitOfWork:
        return SqlUnitOfWork(self.engine, TranscriptionJobs)

    def count(self, table: str) -> int:
        with self.engine.connect() as connection:
            return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()


@pytest.fixture
def database(engine: Engine) -> RealDatabase:
    return RealDatabase(engine)


def a_shop(database: RealDatabase, **parts: Any) -> Workshop:
    return Workshop(database=cast(FakeDatabase, database), **parts)


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up_at, "it never came to that"
        time.sleep(0.005)


def somebody_waits(database: RealDatabase) -> bool:
    """For a lock that another transaction holds."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with database.engine.connect() as connection:
        return connection.execute(query).scalar_one() > 0


def together(*calls: Callable[[], Any]) -> list[Any]:
    """What each returns, or the error that it raises; all begin at the same moment."""
    barrier = Barrier(len(calls))

    def begin(call: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(begin, calls))


def erasure_of(audio: AudioFile, *transcriptions: Transcription) -> Erasure:
    ids = tuple(transcription.id for transcription in transcriptions)
    return Erasure(audio_id=audio.id, stored=audio.stored, transcription_ids=ids)


def ends(database: RealDatabase, transcription_id: UUID) -> list[str]:
    with database.unit_of_work() as uow:
        return [event.type for event in uow.events.of(transcription_id) if event.type in TERMINAL]


# ── A deletion and a job ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("passage", [0, 1, 2, 3, 4, 5])
def test_a_deletion_that_races_a_job_leaves_nothing_behind(database: RealDatabase, passage: int) -> None:
    """The job is not held up: what it does in the meantime is up to the threads."""
    shop = a_shop(database)
    audio = shop.uploaded(PCM)
    transcription = shop.submit(audio.id, Parameters())
    reached = Event()
    shop.engine.on_passage = lambda number: reached.set() if number == passage else None
    if not passage:
        reached.set()

    def delete() -> None:
        reached.wait()
        shop.delete_audio(audio.id)

    outcome, deleted = together(lambda: shop.transcribe(transcription.id), delete)
    shop.erase(erasure_of(audio, transcription))

    assert deleted is None
    assert isinstance(outcome, NotFound | Transcription)
    for table in ("audio_files", "transcriptions", "speech", "passages", "transcripts"):
        assert database.count(table) == 0, table
    assert (shop.store.objects, shop.prepared.pcm) == ({}, {})
    assert len(ends(database, transcription.id)) == 1


def test_who_cancels_while_a_run_writes_waits_for_it_and_has_the_last_word(database: RealDatabase) -> None:
    shop = a_shop(database)
    transcription_id = shop.submit(shop.uploaded(PCM).id, Parameters()).id
    runs = Runs(database.unit_of_work, shop.clock)
    with database.unit_of_work() as uow:
        transcription = uow.transcriptions.get(transcription_id, for_update=True)
        run = runs.begin(uow, transcription)
        uow.transcriptions.save(transcription)
        uow.commit()
    with ThreadPoolExecutor() as threads:
        with run.change() as (_, transcription):
            cancelled = threads.submit(shop.cancel, transcription_id)
            until(lambda: somebody_waits(database))
            transcription.warn("It was written first.")
        cancelled.result()
    with pytest.raises(Superseded):
        run.report("recognising")
    with database.unit_of_work() as uow:
        found = uow.transcriptions.get(transcription_id)
    assert (found.status, found.warnings) == (Status.CANCELLED, ("It was written first.",))


def test_who_asks_for_a_transcription_while_its_recording_is_being_deleted_finds_none(database: RealDatabase) -> None:
    shop = a_shop(database)
    audio = shop.uploaded(PCM)
    with ThreadPoolExecutor(1) as thread:
        with database.unit_of_work() as uow:
            uow.audio.get(audio.id, for_update=True)
            asking = thread.submit(shop.submit, audio.id, Parameters())
            until(lambda: somebody_waits(database))
            uow.audio.delete(audio.id)
            uow.commit()
        with pytest.raises(NotFound):
            asking.result(PATIENCE_SECONDS)
    assert database.count("transcriptions") == 0


def test_who_deletes_a_recording_while_a_transcription_is_being_asked_for_deletes_that_too(
    database: RealDatabase,
) -> None:
    shop = a_shop(database)
    audio = shop.uploaded(PCM)
    with ThreadPoolExecutor(1) as thread:
        with database.unit_of_work() as uow:
            locked = uow.audio.get(audio.id, for_update=True)
            deleting = thread.submit(shop.delete_audio, audio.id)
            until(lambda: somebody_waits(database))
            made = shop.submit.add(uow, locked, Parameters(), owner="ann", request_id=None)
            uow.commit()
        deleting.result(PATIENCE_SECONDS)
    assert database.count("transcriptions") == 0
    assert ends(database, made.id) == ["transcription.cancelled"]


def test_a_retry_and_a_deletion_at_the_same_moment_leave_nothing_behind(database: RealDatabase) -> None:
    shop = a_shop(database)
    for _ in range(5):
        transcription = shop.submit(shop.uploaded(PCM).id, Parameters())
        shop.cancel(transcription.id)
        _, deleted = together(
            lambda each=transcription: shop.retry(each.id), lambda each=transcription: shop.delete_audio(each.audio_id)
        )
        assert deleted is None
    assert database.count("transcriptions") == 0
    assert database.count("procrastinate_jobs WHERE queue_name = 'transcriptions'") == 0


# ── An upload and an erasure of the same bytes ───────────────────────────────────────────────────────────


def test_who_holds_bytes_is_waited_for_by_those_who_want_the_same_and_by_no_others(database: RealDatabase) -> None:
    ours, others = StoredObject(sha256="ab" * 32, size_bytes=1), StoredObject(sha256="cd" * 32, size_bytes=1)
    held: list[str] = []

    def hold() -> None:
        with database.unit_of_work() as uow:
            uow.audio.hold_bytes(ours)
            held.append("second")

    with database.unit_of_work() as first:
        first.audio.hold_bytes(ours)
        first.audio.hold_bytes(ours)
        with database.unit_of_work() as elsewhere:
            elsewhere.audio.hold_bytes(others)
        thread = Thread(target=hold)
        thread.start()
        until(lambda: somebody_waits(database))
        held.append("first")
    thread.join(PATIENCE_SECONDS)
    assert held == ["first", "second"]


class SlowStore(FakeAudioStore):
    """`after_put` happens between storing and whatever comes next."""

    after_put: Callable[[], None] = staticmethod(lambda: None)

    def put(self, source: BinaryIO) -> StoredObject:
        stored = super().put(source)
        self.after_put()
        return stored


def test_bytes_that_are_erased_while_they_are_taken_in_again_are_stored_again(database: RealDatabase) -> None:
    store = SlowStore()
    shop = a_shop(database, store=store)
    first = shop.uploaded(PCM)
    shop.delete_audio(first.id)

    def erase_once() -> None:
        store.after_put = lambda: None
        shop.erase(erasure_of(first))

    store.after_put = erase_once
    second = shop.uploaded(PCM)
    assert second.stored.sha256 in store.objects
    with database.unit_of_work() as uow:
        assert uow.audio.get(second.id) == second


def test_an_erasure_waits_for_whoever_takes_the_same_bytes_in_and_then_leaves_them_alone(
    database: RealDatabase,
) -> None:
    shop = a_shop(database)
    first = shop.uploaded(PCM)
    shop.delete_audio(first.id)
    erasing: list[Future[None]] = []

    with ThreadPoolExecutor(1) as thread:

        def keep(uow: Any, audio: AudioFile) -> AudioFile:
            erasing.append(thread.submit(shop.erase, erasure_of(first)))
            until(lambda: somebody_waits(database))
            kept = shop.upload.add(uow, audio)
            uow.commit()
            return kept

        second = shop.upload.take_in(io.BytesIO(PCM), keep, file_name="talk.wav", owner="ann")
        erasing[0].result(PATIENCE_SECONDS)
    assert second.stored.sha256 in shop.store.objects


def test_whatever_the_order_a_recording_that_is_there_has_its_bytes(database: RealDatabase) -> None:
    shop = a_shop(database)
    for _ in range(20):
        first = shop.uploaded(PCM)

        def delete(audio: AudioFile = first) -> None:
            shop.delete_audio(audio.id)
            shop.erase(erasure_of(audio))

        second, _ = together(lambda: shop.uploaded(PCM), delete)
        assert second.stored.sha256 in shop.store.objects
        shop.delete_audio(second.id)
        shop.erase(erasure_of(second))
        assert shop.store.objects == {}


def test_an_erasure_that_two_workers_do_at_once_is_told_once(database: RealDatabase) -> None:
    shop = a_shop(database)
    audio = shop.uploaded(PCM)
    shop.delete_audio(audio.id)
    assert together(*[lambda: shop.erase(erasure_of(audio))] * 4) == [None] * 4
    with database.unit_of_work() as uow:
        assert [type(event) for event in uow.events.of(audio.id)].count(AudioFileErased) == 1


# ── The same request, several times at once ──────────────────────────────────────────────────────────────


def test_a_request_that_comes_several_times_at_once_with_one_key_is_done_once(database: RealDatabase) -> None:
    shop = a_shop(database)

    def send() -> AudioFile:
        return shop.upload(io.BytesIO(PCM), file_name="talk.wav", idempotency_key="k")

    answers = together(*[send] * 4)
    assert len({answer.id for answer in answers}) == 1
    assert database.count("audio_files") == 1


def test_of_different_requests_at_once_with_one_key_one_is_done_and_the_others_are_refused(
    database: RealDatabase,
) -> None:
    shop = a_shop(database)

    def send(seconds: int) -> AudioFile:
        return shop.upload(io.BytesIO(speech(seconds)), file_name="talk.wav", idempotency_key="k")

    answers = together(*[lambda seconds=seconds: send(seconds) for seconds in (1, 2, 3, 4)])
    (made,) = [answer for answer in answers if isinstance(answer, AudioFile)]
    assert sum(isinstance(answer, InvalidRequest) for answer in answers) == 3
    assert list(shop.store.objects) == [made.stored.sha256]


def test_identical_requests_at_once_share_one_transcription(database: RealDatabase) -> None:
    shop = a_shop(database)

    def send() -> Transcription:
        return shop.submit_upload(io.BytesIO(PCM), file_name="talk.wav", parameters=Parameters(), coalesce=True)

    answers = together(*[send] * 4)
    assert len({answer.id for answer in answers}) == 1
    assert (database.count("audio_files"), database.count("transcriptions")) == (1, 1)


def test_identical_requests_for_different_uploads_of_the_same_bytes_share_one_too(database: RealDatabase) -> None:
    shop = a_shop(database)
    files = [shop.uploaded(PCM) for _ in range(4)]
    answers = together(*[lambda each=each: shop.submit(each.id, Parameters(), coalesce=True) for each in files])
    assert len({answer.id for answer in answers}) == 1


# ── Circuits and the sweep ───────────────────────────────────────────────────────────────────────────────


def test_of_many_who_want_to_try_an_engine_that_was_down_one_does(database: RealDatabase) -> None:
    shop = a_shop(database)
    down = Failure(code="engine_failed", category=Category.SERVER, message="503")
    together(*[lambda: shop.breaker.failed("openai", down)] * 5)
    shop.clock.advance(30)
    answers = together(*[lambda: shop.breaker.admit("openai")] * 6)
    assert answers.count(Admission.PROBE) == 1
    assert sum(isinstance(answer, EnginePaused) for answer in answers) == 5


def test_failures_that_several_see_at_once_are_all_counted(database: RealDatabase) -> None:
    shop = a_shop(database)
    down = Failure(code="engine_failed", category=Category.SERVER, message="503")
    together(*[lambda: shop.breaker.failed("openai", down)] * 4)
    with database.unit_of_work() as uow:
        assert uow.circuits.get("openai").failures == 4


def test_several_sweeps_at_once_mend_each_thing_once(database: RealDatabase) -> None:
    shop = a_shop(database)
    lost = [shop.submit(shop.uploaded(PCM).id, Parameters()).id for _ in range(3)]
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM procrastinate_jobs"))
    sweeps: list[Mended] = together(*[shop.reconcile] * 4)
    assert sorted(each for sweep in sweeps for each in sweep.queued) == sorted(lost)
    assert database.count("procrastinate_jobs") == 3


def test_a_sweep_finds_nothing_to_mend_in_what_is_just_being_asked_for(database: RealDatabase) -> None:
    shop = a_shop(database)
    audio = shop.uploaded(PCM)

    def ask() -> None:
        for _ in range(10):
            shop.cancel(shop.submit(audio.id, Parameters()).id)

    def sweep() -> list[Mended]:
        return [shop.reconcile() for _ in range(10)]

    asked, sweeps = together(ask, sweep)
    assert asked is None
    assert not any(each.found_disagreement for each in sweeps)


# ── Editors ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("positions", [(0, 0, 0, 0), (0, 1, 2, 3)], ids=["one segment", "different segments"])
def test_of_several_editors_at_once_one_wins_and_the_others_are_told(
    database: RealDatabase, positions: tuple[int, ...]
) -> None:
    shop = a_shop(database)
    record = shop.transcribe(shop.submitted(PCM).id).id
    calls = [
        partial(shop.edit_transcript, record, partial(editing.amend, position=at, text=f"by {editor}"), expected={0})
        for editor, at in enumerate(positions)
    ]
    answers = together(*calls)
    (won,) = [answer for answer in answers if isinstance(answer, Edited)]
    assert sum(isinstance(answer, RevisionMismatch) for answer in answers) == 3
    with database.unit_of_work() as uow:
        current = uow.transcripts.current(record)
        (revision,) = uow.transcripts.revisions(record)
    assert current is not None
    assert current.number == won.revision == revision.number == 1
    assert revision.hunks == won.hunks
    assert current.transcript.segments[won.hunks[0].at] in won.hunks[0].inserted


def test_editors_who_take_whatever_is_there_all_have_their_turn(database: RealDatabase) -> None:
    shop = a_shop(database)
    record = shop.transcribe(shop.submitted(PCM).id).id
    edits = [partial(editing.amend, position=at, text=f"segment {at}") for at in range(4)]
    together(*[partial(shop.edit_transcript, record, edit, expected=None) for edit in edits])
    with database.unit_of_work() as uow:
        current = uow.transcripts.current(record)
        assert current is not None
        assert [revision.number for revision in uow.transcripts.revisions(record)] == [1, 2, 3, 4]
        first = transcript_at(uow, record, 0)
    assert current.transcript.text == "segment 0 segment 1 segment 2 segment 3 word5"
    assert first.text == "word1 word2 word3 word4 word5"


def test_the_rows_of_what_was_deleted_are_all_gone(database: RealDatabase) -> None:
    """A table that is added later, and forgotten in deletions, is found here."""
    shop = a_shop(database)
    transcription = shop.submit(shop.uploaded(PCM).id, Parameters())
    shop.transcribe(transcription.id)
    shop.edit_transcript(transcription.id, partial(editing.merge, position=0), expected=None)
    shop.delete_audio(transcription.audio_id)
    kept = {"events", "circuits", "idempotency_keys"}
    left = {name: database.count(name) for name in tables.metadata.tables if name not in kept}
    assert left == dict.fromkeys(left, 0)
