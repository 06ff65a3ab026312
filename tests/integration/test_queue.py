"""The queue on a real database: what becomes of a job, whatever happens to it."""

import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from hansard.application.ports.work import Chore, Erasure, WorkerState
from hansard.application.run import GaveWay
from hansard.domain.errors import HansardError, NotFound, StorageError
from hansard.persistence import database
from hansard.queue.rank import ASSUMED_SECONDS
from hansard.queue.tasks import MAX_ATTEMPTS, MAX_OUTAGES, QUIET_ERASURE_ATTEMPTS
from tests.queue_work import (
    WORKERS_CONNECTIONS,
    Work,
    deleted,
    execute,
    jobs,
    submitted,
    unit_of_work,
)


@pytest.fixture
def work(engine: Engine, postgres: str) -> Work:
    return Work(postgres)


def raising(error: Exception) -> Callable[[object], None]:
    def fail(_: object) -> None:
        raise error

    return fail


# ── Which job, and when ──────────────────────────────────────────────────────────────────────────────────


def test_a_job_is_done_once_with_its_ids_at_hand_and_leaves_nothing_behind(engine: Engine, work: Work) -> None:
    transcription_id = submitted(engine)
    work.until(lambda: jobs(engine) == [])
    assert work.done == [transcription_id]
    (job,) = work.contexts
    assert (job.name, job.about) == ("transcribe", {"transcription_id": str(transcription_id)})
    assert job.carried == {"request_id": "req-1"}


def test_a_job_of_higher_priority_goes_first(engine: Engine, work: Work) -> None:
    patient, urgent = submitted(engine), submitted(engine, priority=10)
    work.until(lambda: jobs(engine) == [])
    assert work.done == [urgent, patient]


def test_a_short_recording_goes_before_a_long_one(engine: Engine, work: Work) -> None:
    long, short = submitted(engine, audio_seconds=36_000), submitted(engine, audio_seconds=3)
    work.until(lambda: jobs(engine) == [])
    assert work.done == [short, long]


def test_a_caller_who_asked_for_much_does_not_stand_before_another(engine: Engine, work: Work) -> None:
    first, *rest = [submitted(engine, owner="ann") for _ in range(3)]
    others = submitted(engine, owner="bob")
    work.until(lambda: jobs(engine) == [])
    assert work.done == [first, others, *rest]


def test_an_urgent_job_does_not_queue_behind_its_owners_less_urgent_ones(engine: Engine, work: Work) -> None:
    patient = [submitted(engine, audio_seconds=3600) for _ in range(3)]
    urgent = submitted(engine, audio_seconds=3600, priority=1)
    work.until(lambda: jobs(engine) == [])
    assert work.done == [urgent, *patient]


def test_a_job_that_comes_while_the_worker_waits_is_taken(engine: Engine, work: Work) -> None:
    asked: list[UUID] = []

    def enough() -> bool:
        if not asked:
            asked.append(submitted(engine))
        return work.done == asked

    work.until(enough)
    assert work.done == asked


def test_the_next_job_is_taken_when_the_last_has_ended_not_when_the_worker_looks_next(
    engine: Engine, work: Work
) -> None:
    for _ in range(3):
        submitted(engine)
    work.heartbeat_seconds = 60.0
    work.until(lambda: jobs(engine) == [])
    assert len(work.done) == 3


# ── Giving way ───────────────────────────────────────────────────────────────────────────────────────────


def is_more_urgent_work_waiting(engine: Engine, transcription_id: UUID) -> bool:
    with unit_of_work(engine) as uow:
        return uow.jobs.has_more_urgent(transcription_id)


def being_done(engine: Engine, **asked: float) -> UUID:
    transcription_id = submitted(engine, audio_seconds=asked.get("audio_seconds", 3600))
    execute(engine, f"UPDATE procrastinate_jobs SET status = 'doing' WHERE lock = '{transcription_id}'")
    return transcription_id


LONG_AGO = """UPDATE procrastinate_jobs SET args = args || '{"deferred_at": "2026-01-01T12:00:00Z"}'"""


def test_a_shorter_job_that_finds_no_idle_worker_is_more_urgent(engine: Engine) -> None:
    at_work = being_done(engine)
    submitted(engine, audio_seconds=3)
    execute(engine, LONG_AGO)
    assert is_more_urgent_work_waiting(engine, at_work)


def test_of_what_nobody_waits_for_a_job_does_not_make_way_at_once(engine: Engine) -> None:
    at_work = being_done(engine)
    submitted(engine, audio_seconds=3)
    execute(engine, LONG_AGO)
    with unit_of_work(engine) as uow:
        assert not uow.jobs.has_more_urgent(at_work, interactive_only=True)


def test_for_what_somebody_waits_for_a_job_makes_way_at_once(engine: Engine) -> None:
    at_work = being_done(engine)
    submitted(engine, audio_seconds=7200, interactive=True)
    execute(engine, LONG_AGO)
    with unit_of_work(engine) as uow:
        assert uow.jobs.has_more_urgent(at_work, interactive_only=True)


def test_what_somebody_waits_for_goes_before_its_owner_s_other_jobs(engine: Engine, work: Work) -> None:
    patient = [submitted(engine, audio_seconds=3) for _ in range(3)]
    awaited = submitted(engine, audio_seconds=600, interactive=True)
    work.until(lambda: jobs(engine) == [])
    assert work.done == [awaited, *patient]


def test_a_job_that_has_only_just_come_may_find_an_idle_worker(engine: Engine) -> None:
    at_work = being_done(engine)
    submitted(engine, audio_seconds=3)
    assert not is_more_urgent_work_waiting(engine, at_work)


def test_a_job_that_is_due_later_can_wait(engine: Engine) -> None:
    at_work = being_done(engine)
    submitted(engine, audio_seconds=7200)
    execute(engine, LONG_AGO)
    assert not is_more_urgent_work_waiting(engine, at_work)


def test_a_job_that_is_to_be_tried_again_later_is_not_urgent_now(engine: Engine) -> None:
    at_work = being_done(engine)
    submitted(engine, audio_seconds=3)
    execute(engine, "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 minute' WHERE status = 'todo'")
    assert not is_more_urgent_work_waiting(engine, at_work)


def test_a_job_whose_transcription_is_in_a_workers_hands_cannot_be_taken_however_urgent(engine: Engine) -> None:
    at_work, cancelled = being_done(engine), being_done(engine)
    again = submitted(engine, audio_seconds=3)
    execute(engine, f"UPDATE procrastinate_jobs SET lock = '{cancelled}' WHERE lock = '{again}'")
    execute(engine, LONG_AGO)
    assert not is_more_urgent_work_waiting(engine, at_work)


def test_a_job_that_gives_way_goes_on_after_the_more_urgent_one_and_no_attempt_is_counted(
    engine: Engine, work: Work
) -> None:
    long = submitted(engine, audio_seconds=3600)
    short: list[UUID] = []

    def give_way(_: UUID) -> None:
        if not short:
            short.append(submitted(engine, audio_seconds=3))
            raise GaveWay("More urgent work waits.")
        assert [job.attempts for job in jobs(engine)] == [0] * len(jobs(engine))

    work.on_job = give_way
    work.until(lambda: jobs(engine) == [])
    assert work.done == [*short, long]


# ── Failing ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_that_raises_is_tried_again_later(engine: Engine, work: Work) -> None:
    submitted(engine)
    work.on_job = raising(ZeroDivisionError())
    work.until(lambda: jobs(engine)[0].attempts == 1)
    assert jobs(engine) == [("todo", 1, False)]
    work.on_job = lambda _: None
    execute(engine, "UPDATE procrastinate_jobs SET scheduled_at = now()")
    work.until(lambda: jobs(engine) == [])
    assert len(work.done) == 1


def test_a_job_that_raised_too_often_is_given_up_with_a_reason(engine: Engine, work: Work) -> None:
    transcription_id = submitted(engine)
    execute(engine, f"UPDATE procrastinate_jobs SET attempts = {MAX_ATTEMPTS - 1}")
    work.on_job = raising(ZeroDivisionError())
    work.until(lambda: jobs(engine) == [])
    ((given_up, reason, error),) = work.given_up
    assert given_up == transcription_id
    assert str(MAX_ATTEMPTS) in reason
    assert error is None


@pytest.mark.parametrize(
    ("attempts", "error"),
    [
        (MAX_OUTAGES - 1, StorageError("the disk is full", code="disk_full")),
        (MAX_ATTEMPTS - 1, HansardError("something else", code="something_else")),
    ],
)
def test_what_is_given_up_tells_the_error_of_the_last_attempt(
    engine: Engine, work: Work, attempts: int, error: HansardError
) -> None:
    submitted(engine)
    execute(engine, f"UPDATE procrastinate_jobs SET attempts = {attempts}")
    work.on_job = raising(error)
    work.until(lambda: jobs(engine) == [])
    assert [last for _, _, last in work.given_up] == [error]


def test_an_outage_of_storage_is_borne_longer_than_a_bug(engine: Engine, work: Work) -> None:
    submitted(engine)
    execute(engine, f"UPDATE procrastinate_jobs SET attempts = {MAX_ATTEMPTS}")
    work.on_job = raising(StorageError("away"))
    work.until(lambda: jobs(engine)[0].attempts == MAX_ATTEMPTS + 1)
    assert work.given_up == []


def test_a_job_that_cannot_even_be_given_up_is_tried_again(engine: Engine, work: Work) -> None:
    submitted(engine)
    execute(engine, f"UPDATE procrastinate_jobs SET attempts = {MAX_ATTEMPTS - 1}")
    work.on_job, work.on_giving_up = raising(ZeroDivisionError()), raising(StorageError("away"))
    work.until(lambda: jobs(engine)[0].attempts == MAX_ATTEMPTS)
    assert jobs(engine) == [("todo", MAX_ATTEMPTS, False)]


def test_the_job_of_a_transcription_that_was_deleted_is_dropped(engine: Engine, work: Work) -> None:
    submitted(engine)
    work.on_job = raising(NotFound("deleted"))
    work.until(lambda: jobs(engine) == [])
    assert work.given_up == []


def test_a_job_in_a_workers_hands_is_not_withdrawn(engine: Engine, work: Work) -> None:
    transcription_id = submitted(engine)

    def withdraw(_: UUID) -> None:
        with unit_of_work(engine) as uow:
            uow.jobs.withdraw(transcription_id)
            assert uow.jobs.has_job(transcription_id)
            uow.commit()

    work.on_job = withdraw
    work.until(lambda: jobs(engine) == [])
    assert work.done == [transcription_id]


# ── Connections that are cut, workers that are taken for dead ────────────────────────────────────────────


def cut(engine: Engine) -> None:
    execute(engine, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {WORKERS_CONNECTIONS}")


def test_a_lost_connection_does_not_disturb_the_job_at_work(engine: Engine, work: Work) -> None:
    submitted(engine)
    work.on_job = lambda _: cut(engine)
    work.until(lambda: jobs(engine) == [])
    assert len(work.done) == 1


def test_a_worker_that_waits_for_work_outlives_its_connections(engine: Engine, work: Work) -> None:
    asked: list[UUID] = []

    def enough() -> bool:
        if not asked:
            cut(engine)
            asked.append(submitted(engine))
        return work.done == asked

    work.until(enough)
    assert work.done == asked


def test_a_worker_that_is_to_stop_before_it_has_connected_stops(work: Work) -> None:
    work.until(lambda: True)


def test_a_job_whose_own_connections_are_cut_as_well_is_done_in_the_end(
    engine: Engine, work: Work, postgres: str
) -> None:
    transcription_id = submitted(engine)
    own = database.connect(postgres, application_name="hansard worker")
    runs: list[int] = []

    def lose_everything_once(_: UUID) -> None:
        runs.append(1)
        with unit_of_work(own) as uow:
            uow.transcriptions.get(transcription_id, for_update=True)
            if len(runs) == 1:
                cut(engine)
                uow.transcriptions.get(transcription_id)

    work.on_job = lose_everything_once
    work.until(lambda: [job.attempts for job in jobs(engine)] == [1])
    execute(engine, "UPDATE procrastinate_jobs SET scheduled_at = now()")
    work.until(lambda: jobs(engine) == [])
    own.dispose()
    assert work.done == [transcription_id]


def test_a_worker_whose_job_went_to_another_does_not_end_it(engine: Engine, work: Work) -> None:
    submitted(engine)

    def lose_it(_: UUID) -> None:
        execute(engine, "UPDATE procrastinate_jobs SET worker_id = (SELECT procrastinate_register_worker_v1())")

    work.on_job = lose_it
    work.until(lambda: bool(work.done))
    assert jobs(engine) == [("doing", 0, True)]


# ── Erasures, in a lane of their own ─────────────────────────────────────────────────────────────────────


def test_what_was_deleted_is_erased_as_it_was_asked_for(engine: Engine, work: Work) -> None:
    asked = deleted(engine)
    only_transcriptions = Erasure(audio_id=uuid4(), stored=None, transcription_ids=())
    with unit_of_work(engine) as uow:
        uow.jobs.defer_erasure(only_transcriptions)
        uow.commit()
    work.until(lambda: jobs(engine) == [])
    assert sorted(work.erased, key=str) == sorted([asked, only_transcriptions], key=str)


def test_an_erasure_does_not_wait_for_the_transcription_at_work(engine: Engine, work: Work) -> None:
    submitted(engine)
    erased = threading.Event()

    def delete_something(_: UUID) -> None:
        deleted(engine)
        assert erased.wait(20)

    work.on_job = delete_something
    work.on_erasure = lambda _: erased.set()
    work.until(lambda: jobs(engine) == [])
    assert len(work.done) == 1


def test_a_transcription_does_not_wait_for_erasures_that_take_long(engine: Engine, work: Work) -> None:
    for _ in range(5):
        deleted(engine)
    submitted(engine)
    transcribed = threading.Event()
    work.on_job = lambda _: transcribed.set()

    def erase(_: Erasure) -> None:
        assert transcribed.wait(20)

    work.on_erasure = erase
    work.until(lambda: jobs(engine) == [])
    assert len(work.erased) == 5


@pytest.mark.parametrize("attempts", [0, QUIET_ERASURE_ATTEMPTS, 1000])
def test_an_erasure_is_tried_again_until_it_succeeds(engine: Engine, work: Work, attempts: int) -> None:
    deleted(engine)
    execute(engine, f"UPDATE procrastinate_jobs SET attempts = {attempts}")
    work.on_erasure = raising(StorageError("the object store is away"))
    work.until(lambda: jobs(engine)[0].attempts == attempts + 1)
    assert jobs(engine) == [("todo", attempts + 1, False)]


# ── Chores ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Diary:
    entries: list[str] = field(default_factory=list)

    def chore(self, **more: bool) -> Chore:
        return Chore(name="sweep", every_seconds=3600, run=lambda: self.entries.append("swept"), **more)


def test_a_chore_is_done_when_its_time_has_come(engine: Engine, work: Work) -> None:
    diary = Diary()
    work.chores = [diary.chore()]
    work.until(lambda: bool(diary.entries))
    execute(engine, "UPDATE queue_chores SET began_at = began_at - interval '1 hour'")
    work.until(lambda: len(diary.entries) == 2)


def test_a_chore_that_another_worker_has_begun_is_left_alone(engine: Engine, work: Work) -> None:
    diary, other = Diary(), Diary()
    work.chores = [diary.chore(), Chore(name="other", every_seconds=3600, run=lambda: other.entries.append("done"))]
    execute(engine, "INSERT INTO queue_chores VALUES ('sweep', now())")
    work.until(lambda: bool(other.entries))
    assert diary.entries == []


def test_of_many_workers_one_does_a_chore(engine: Engine, work: Work) -> None:
    diary = Diary()
    work.chores = [diary.chore()]
    together = 4
    seen: set[int] = set()

    def all_have_looked() -> bool:
        with unit_of_work(engine) as uow:
            seen.update(range(len(uow.jobs.workers())))
        return len(seen) == together and bool(diary.entries)

    with ThreadPoolExecutor(together) as pool:
        for ended in [pool.submit(work.until, all_have_looked) for _ in range(together)]:
            ended.result()
    assert diary.entries == ["swept"]


def test_a_chore_of_each_machine_is_done_on_each(engine: Engine, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    diary = Diary()
    work.chores = [diary.chore(on_each_machine=True)]
    for number, host in enumerate(["here", "there"], start=1):
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        work.until(lambda number=number: len(diary.entries) == number)


def test_a_chore_that_fails_ends_neither_the_worker_nor_other_chores(engine: Engine, work: Work) -> None:
    diary = Diary()
    work.chores = [Chore(name="broken", every_seconds=3600, run=lambda: 1 // 0), diary.chore()]
    submitted(engine)
    work.until(lambda: bool(diary.entries) and jobs(engine) == [])
    assert len(work.done) == 1


# ── Who works, and what waits ────────────────────────────────────────────────────────────────────────────


def test_a_worker_tells_of_itself_and_of_what_it_does(engine: Engine, work: Work) -> None:
    transcription_id = submitted(engine)
    told: list[WorkerState] = []

    def ask(_: UUID) -> None:
        with unit_of_work(engine) as uow:
            told.extend(uow.jobs.workers())

    work.on_job, work.models = ask, ("small",)
    work.until(lambda: bool(work.done))
    (state,) = told
    assert (state.name, state.host, state.pid) == ("worker", socket.gethostname(), os.getpid())
    assert (state.models, state.transcription_id) == (("small",), transcription_id)
    assert state.started_at <= state.seen_at


def test_the_models_in_memory_are_told_anew_with_each_heartbeat(engine: Engine, work: Work) -> None:
    def enough() -> bool:
        work.models = ("large",)
        with unit_of_work(engine) as uow:
            return [worker.models for worker in uow.jobs.workers()] == [("large",)]

    work.until(enough)


def test_a_worker_that_was_struck_off_while_it_was_frozen_is_back_on_the_list(engine: Engine, work: Work) -> None:
    struck_off: list[bool] = []

    def enough() -> bool:
        with unit_of_work(engine) as uow:
            is_listed = bool(uow.jobs.workers())
        if is_listed and not struck_off:
            execute(engine, "DELETE FROM procrastinate_workers")
            struck_off.append(True)
            return False
        return is_listed and bool(struck_off)

    work.until(enough)


def test_a_worker_that_has_stopped_is_not_told_of(engine: Engine, work: Work) -> None:
    def is_at_work() -> bool:
        with unit_of_work(engine) as uow:
            return bool(uow.jobs.workers())

    work.until(is_at_work)
    assert not is_at_work()


def test_a_worker_that_died_is_not_told_of(engine: Engine) -> None:
    execute(engine, "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now()), (now() - interval '1 hour')")
    execute(
        engine,
        "INSERT INTO queue_workers SELECT id, 'worker.' || id, 'here', id, now(), '{}' FROM procrastinate_workers",
    )
    with unit_of_work(engine) as uow:
        assert [worker.name for worker in uow.jobs.workers()] == ["worker.1"]


def test_what_waits_and_what_is_done_are_counted_apart_with_the_living_workers(engine: Engine) -> None:
    being_done(engine)
    submitted(engine, audio_seconds=None)
    submitted(engine, audio_seconds=30)
    deleted(engine)
    execute(engine, "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now()), (now() - interval '1 hour')")
    with unit_of_work(engine) as uow:
        waiting = uow.jobs.waiting("ann")
    assert (waiting.jobs, waiting.running, waiting.workers) == (2, 1, 1)
    assert waiting.audio_seconds == ASSUMED_SECONDS + 30


def test_the_oldest_job_has_waited_since_it_was_last_put_into_the_queue(engine: Engine) -> None:
    submitted(engine)
    execute(engine, LONG_AGO)
    with unit_of_work(engine) as uow:
        assert uow.jobs.waiting("ann").oldest_seconds > 24 * 3600
    execute(engine, "UPDATE procrastinate_jobs SET scheduled_at = now() - interval '90 seconds'")
    with unit_of_work(engine) as uow:
        assert 90 <= uow.jobs.waiting("ann").oldest_seconds < 24 * 3600
    execute(engine, "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '90 seconds'")
    with unit_of_work(engine) as uow:
        assert uow.jobs.waiting("ann").oldest_seconds == 0


def test_a_job_of_an_older_hansard_which_told_less_of_itself_is_done_and_counted(engine: Engine, work: Work) -> None:
    transcription_id = submitted(engine)
    execute(engine, "UPDATE procrastinate_jobs SET args = args - '{owner,priority,audio_seconds,deferred_at}'::text[]")
    with unit_of_work(engine) as uow:
        assert uow.jobs.waiting("ann").audio_seconds == ASSUMED_SECONDS
    work.until(lambda: jobs(engine) == [])
    assert work.done == [transcription_id]
