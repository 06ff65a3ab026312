"""What a worker does with an id, and that the record tells the outcome whatever the pipeline engine raises."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from hansard.application.run import GaveWay
from hansard.application.transcribe import BrokenOff, Steps
from hansard.domain.errors import HansardError, NotFound, StorageError
from hansard.domain.events import Interruption, TranscriptionInterrupted
from hansard.domain.transcription import Parameters, Status
from hansard.pipelines.in_process import InProcessRunner
from tests.fakes import FakeUnitOfWork
from tests.workshop import Workshop, speech


class Runner:
    """Runs `work` in place of a pipeline, and counts."""

    def __init__(self, work: Callable[[UUID, int], None]) -> None:
        self.work = work
        self.runs: list[int] = []
        self.forgotten: list[UUID] = []

    def forget(self, transcription_id: UUID) -> int:
        self.forgotten.append(transcription_id)
        return len(self.runs)

    def run(self, transcription_id: UUID, run: int) -> None:
        self.runs.append(run)
        self.work(transcription_id, run)


class BareRunner:
    """Runs the steps as ZenML does: whatever goes wrong surfaces as a bare `RuntimeError`."""

    def __init__(self, steps: Steps) -> None:
        self.steps = InProcessRunner(steps)

    def forget(self, transcription_id: UUID) -> int:
        return 0

    def run(self, transcription_id: UUID, run: int) -> None:
        try:
            self.steps.run(transcription_id, run)
        except HansardError:
            raise RuntimeError from None


def nothing(transcription_id: UUID, run: int) -> None:
    pass


def with_runner(work: Callable[[UUID, int], None]) -> tuple[Workshop, Runner]:
    runner = Runner(work)
    return Workshop(make_runner=lambda steps: runner), runner


def test_a_file_goes_in_and_a_true_record_comes_out() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(3))
    assert shop.transcribe(transcription.id).status is Status.COMPLETED
    assert shop.database.transcripts[transcription.id].text == "word1 word2 word3"


def test_the_events_tell_the_whole_story() -> None:
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.transcribe(transcription.id)
    story = [event.type for event in shop.database.events if event.subject == str(transcription.id)]
    assert story == [
        "transcription.queued",
        "transcription.started",
        "transcription.attempted",
        "transcription.completed",
    ]


def test_a_steps_own_failure_is_not_overwritten_by_the_pipelines() -> None:
    shop = Workshop(make_runner=BareRunner)
    transcription = shop.submitted(bytes(len(speech(1))))
    failed = shop.transcribe(transcription.id)
    assert failed.status is Status.FAILED
    assert failed.failure is not None
    assert failed.failure.code == "no_speech"


def test_a_cancellation_in_mid_run_stays_a_cancellation() -> None:
    shop = Workshop(make_runner=BareRunner)
    transcription = shop.submitted(speech(2))
    shop.engine.on_passage = lambda number: shop.cancel(transcription.id)
    assert shop.transcribe(transcription.id).status is Status.CANCELLED


def test_a_run_without_an_outcome_goes_back_to_the_queue() -> None:
    shop, _ = with_runner(nothing)
    submitted = shop.submitted(speech(1))
    with pytest.raises(BrokenOff):
        shop.transcribe(submitted.id)
    assert shop.transcription(submitted.id).status is Status.QUEUED


def test_why_a_pipeline_broke_is_not_lost() -> None:
    def broken(transcription_id: UUID, run: int) -> None:
        raise RuntimeError("the store is locked")

    shop, _ = with_runner(broken)
    with pytest.raises(BrokenOff) as raised:
        shop.transcribe(shop.submitted(speech(1)).id)
    assert str(raised.value.__cause__) == "the store is locked"


def test_storage_that_is_away_for_a_moment_fails_nothing() -> None:
    shop = Workshop()
    submitted = shop.submitted(speech(1))

    def away(number: int) -> None:
        shop.engine.on_passage = lambda number: None
        raise StorageError("The database does not answer.")

    shop.engine.on_passage = away
    with pytest.raises(BrokenOff):
        shop.transcribe(submitted.id)
    assert shop.transcribe(submitted.id).status is Status.COMPLETED


def test_a_job_that_was_tried_too_often_is_a_failure_of_ours() -> None:
    shop = Workshop()
    submitted = shop.submitted(speech(1))
    shop.transcribe.give_up(submitted.id, "It was tried 5 times.")
    failure = shop.transcription(submitted.id).failure
    assert failure is not None
    assert (failure.category, failure.message) == ("internal", "It was tried 5 times.")


def test_giving_up_does_not_touch_what_has_ended() -> None:
    shop = Workshop()
    submitted = shop.submitted(speech(1))
    shop.transcribe(submitted.id)
    shop.transcribe.give_up(submitted.id, "It was tried 5 times.")
    assert shop.transcription(submitted.id).status is Status.COMPLETED


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_what_has_ended_is_not_run_again(end: str) -> None:
    pcm = bytes(len(speech(1))) if end == "failed" else speech(1)
    shop = Workshop()
    transcription = shop.submitted(pcm)
    shop.cancel(transcription.id) if end == "cancelled" else shop.transcribe(transcription.id)
    runner = Runner(nothing)
    shop.make_runner = lambda steps: runner
    assert shop.transcribe(transcription.id).status == end
    assert runner.runs == []


def test_a_job_delivered_twice_gives_the_transcription_to_the_second_worker() -> None:
    def second_worker(transcription_id: UUID, run: int) -> None:
        if run == 1:
            shop.transcribe(transcription_id)

    shop, runner = with_runner(second_worker)
    shop.transcribe(shop.submitted(speech(1)).id)
    assert runner.runs == [1, 2]


def test_a_lost_run_leaves_the_new_owners_work_alone() -> None:
    def lose(transcription_id: UUID, run: int) -> None:
        with shop.database.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id)
            transcription.start(shop.clock())
            uow.transcriptions.save(transcription)
            uow.commit()
        raise RuntimeError

    shop, _ = with_runner(lose)
    left = shop.transcribe(shop.submitted(speech(1)).id)
    assert (left.status, left.run) == (Status.RUNNING, 2)


def test_decoded_audio_is_dropped_at_the_end() -> None:
    shop = Workshop()
    shop.transcribe(shop.submitted(speech(1)).id)
    assert shop.prepared.pcm == {}


def test_decoded_audio_is_kept_while_another_worker_has_it() -> None:
    def lose(transcription_id: UUID, run: int) -> None:
        shop.prepared.write(transcription_id, [speech(1)])
        with shop.database.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id)
            transcription.start(shop.clock())
            uow.transcriptions.save(transcription)
            uow.commit()

    shop, _ = with_runner(lose)
    transcription = shop.transcribe(shop.submitted(speech(1)).id)
    assert shop.prepared.exists(transcription.id)


def test_a_killed_worker_leaves_the_transcription_for_the_next() -> None:
    def killed(transcription_id: UUID, run: int) -> None:
        raise KeyboardInterrupt

    shop, _ = with_runner(killed)
    transcription = shop.submitted(speech(2))
    with pytest.raises(KeyboardInterrupt):
        shop.transcribe(transcription.id)
    assert shop.transcription(transcription.id).status is Status.RUNNING
    shop.make_runner = InProcessRunner
    assert shop.transcribe(transcription.id).status is Status.COMPLETED


def test_what_never_was_is_not_found() -> None:
    with pytest.raises(NotFound):
        Workshop().transcribe(uuid4())


# ── Workers that die ─────────────────────────────────────────────────────────────────────────────────────


def die(transcription_id: UUID, run: int) -> None:
    raise KeyboardInterrupt


def killed(shop: Workshop, transcription_id: UUID, times: int) -> None:
    for _ in range(times):
        with pytest.raises(KeyboardInterrupt):
            shop.transcribe(transcription_id)


def test_a_recording_that_kills_its_workers_is_tried_so_often_and_then_failed() -> None:
    shop, runner = with_runner(die)
    submitted = shop.submitted(speech(1))
    killed(shop, submitted.id, times=3)
    failed = shop.transcribe(submitted.id)
    assert (failed.status, len(runner.runs)) == (Status.FAILED, 3)
    assert failed.failure is not None
    assert (failed.failure.code, failed.failure.category) == ("worker_crashed", "internal")


def test_getting_somewhere_starts_the_count_of_crashes_anew() -> None:
    shop = Workshop()
    submitted = shop.submitted(speech(9))

    def die_at_every_second_passage(number: int) -> None:
        if number % 2 == 0:
            shop.engine.heard.append(b"")
            raise KeyboardInterrupt

    shop.engine.on_passage = die_at_every_second_passage
    killed(shop, submitted.id, times=8)
    assert shop.transcribe(submitted.id).status is Status.COMPLETED


def test_a_run_that_was_only_cut_off_from_the_database_is_no_crash() -> None:
    shop, _ = with_runner(nothing)
    submitted = shop.submitted(speech(1))
    transcribe = shop.transcribe
    with shop.database.unit_of_work() as uow:
        transcription = uow.transcriptions.get(submitted.id)
        transcribe.runs.begin(uow, transcription)
        uow.transcriptions.save(transcription)
        uow.commit()
    with pytest.raises(BrokenOff):
        transcribe(submitted.id)
    assert shop.transcription(submitted.id).crashes == 0


def test_a_job_that_is_given_up_fails_with_the_error_of_the_last_time() -> None:
    shop = Workshop()
    submitted = shop.submitted(speech(1))
    error = StorageError("The object store does not answer.", help="Look at it.")
    shop.transcribe.give_up(submitted.id, "It was tried 9 times.", error)
    assert shop.transcription(submitted.id).failure == error.failure


# ── Interruptions ────────────────────────────────────────────────────────────────────────────────────────


def interrupted(shop: Workshop) -> list[str]:
    return [event.reason for event in shop.database.events if isinstance(event, TranscriptionInterrupted)]


def test_a_worker_that_is_stopped_puts_its_transcription_back() -> None:
    def stop(transcription_id: UUID, run: int) -> None:
        transcribe.interrupt(transcription_id, Interruption.WORKER_STOPPED)

    shop, _ = with_runner(stop)
    transcribe = shop.transcribe
    submitted = shop.submitted(speech(1))
    with pytest.raises(GaveWay):
        transcribe(submitted.id)
    left = shop.transcription(submitted.id)
    assert (left.status, left.crashes, interrupted(shop)) == (Status.QUEUED, 0, ["worker_stopped"])


def test_a_worker_that_lost_its_transcription_does_not_put_it_back() -> None:
    shop, _ = with_runner(die)
    submitted = shop.submitted(speech(1))
    frozen = shop.transcribe
    with pytest.raises(KeyboardInterrupt):
        frozen(submitted.id)
    killed(shop, submitted.id, times=1)
    frozen.interrupt(submitted.id, Interruption.WORKER_STOPPED)
    assert (shop.transcription(submitted.id).status, interrupted(shop)) == (Status.RUNNING, ["worker_lost"])


def test_a_long_job_gives_way_at_the_end_of_a_passage_and_goes_on_later() -> None:
    shop = Workshop()
    submitted = shop.submitted(speech(4))

    def hurry(number: int) -> None:
        shop.clock.advance(31 if number == 2 else 0)
        shop.database.more_urgent_work = number == 2

    shop.engine.on_passage = hurry
    with pytest.raises(GaveWay):
        shop.transcribe(submitted.id)
    assert len(shop.database.passages[submitted.id]) == 2
    assert (shop.transcription(submitted.id).status, interrupted(shop)) == (Status.QUEUED, ["gave_way"])
    assert shop.transcribe(submitted.id).status is Status.COMPLETED
    assert len(shop.engine.heard) == 4


def test_a_job_that_has_just_begun_does_not_give_way() -> None:
    shop = Workshop()
    shop.database.more_urgent_work = True
    assert shop.transcribe(shop.submitted(speech(4)).id).status is Status.COMPLETED


def test_a_job_that_has_just_begun_gives_way_to_what_somebody_waits_for() -> None:
    shop = Workshop()
    shop.database.interactive_work = True
    submitted = shop.submitted(speech(4))
    with pytest.raises(GaveWay):
        shop.transcribe(submitted.id)
    assert len(shop.database.passages[submitted.id]) == 1


def test_a_job_whose_speech_is_all_heard_does_not_give_way() -> None:
    shop = Workshop()
    shop.database.interactive_work = True
    assert shop.transcribe(shop.submitted(speech(1)).id).status is Status.COMPLETED


def test_while_somebody_waits_only_the_end_waits_for_the_disk() -> None:
    shop = Workshop()
    job = shop.submitted(speech(2), Parameters(interactive=True)).id
    commits: list[str] = []

    class Watched(FakeUnitOfWork):
        def commit(self) -> None:
            commits.append("commit")
            super().commit()

        def checkpoint(self) -> None:
            commits.append("checkpoint")
            FakeUnitOfWork.commit(self)

    shop.database.unit_of_work = lambda: Watched(shop.database)  # type: ignore[method-assign]
    shop.transcribe(job)
    about_the_engine = commits.index("commit")
    assert commits[-1] == "commit"
    assert set(commits[:about_the_engine]) == {"checkpoint"}


# ── Deletions ────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_deleted_in_mid_run_leaves_nothing_behind() -> None:
    shop = Workshop()
    submitted = shop.submitted(speech(3))

    def delete(number: int) -> None:
        with shop.database.unit_of_work() as uow:
            uow.audio.delete(submitted.audio_id)
            uow.commit()

    shop.engine.on_passage = delete
    with pytest.raises(NotFound):
        shop.transcribe(submitted.id)
    assert (shop.prepared.pcm, shop.database.passages, shop.database.transcripts) == ({}, {}, {})


def test_the_traces_of_what_was_deleted_in_mid_run_are_removed() -> None:
    def delete(transcription_id: UUID, run: int) -> None:
        with shop.database.unit_of_work() as uow:
            uow.transcriptions.delete(uow.transcriptions.get(transcription_id))
            uow.commit()

    shop, runner = with_runner(delete)
    submitted = shop.submitted(speech(1))
    with pytest.raises(NotFound):
        shop.transcribe(submitted.id)
    assert runner.forgotten == [submitted.id]
