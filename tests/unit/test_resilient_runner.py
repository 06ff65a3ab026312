"""A job outlives ZenML: what runs again when ZenML fails, what doesn't, and who is told."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from loguru import logger

from hansard.application.transcribe import Steps
from hansard.domain.errors import StorageError, Superseded
from hansard.domain.transcription import Status
from hansard.pipelines.in_process import InProcessRunner
from hansard.pipelines.resilient import UNTRACKED, TrackedWherePossible
from hansard.pipelines.steps import MeasuredSteps
from hansard.pipelines.zenml_runner import ZenmlFailed
from tests.workshop import Workshop, speech

STEPS = ("prepare", "recognise", "settle")
AWAY = StorageError("ZenML's store cannot be used.")


@dataclass
class FakeZenml:
    """Runs the steps as `ZenmlRunner` does, and breaks before the step that `breaks_at` names, or at the `end`."""

    steps: Steps
    breaks_at: str | None = None
    away: bool = False
    runs: list[UUID] = field(default_factory=list)

    def warm_up(self) -> None:
        if self.away:
            raise AWAY

    def forget(self, transcription_id: UUID) -> int:
        self.warm_up()
        return self.runs.count(transcription_id)

    def run(self, transcription_id: UUID, run: int) -> None:
        self.runs.append(transcription_id)
        steps = MeasuredSteps(self.steps)
        try:
            for name in (*STEPS, "end"):
                if name == self.breaks_at:
                    raise OSError("no space left on device")
                if name in STEPS:
                    getattr(steps, name)(transcription_id, run)
        except Exception as error:
            if steps.failed:
                raise RuntimeError from None
            raise ZenmlFailed(steps) from error


class Desk:
    """A workshop whose jobs run in a ZenML that may break."""

    def __init__(self, breaks_at: str | None = None) -> None:
        self.shop = Workshop()
        self.zenml = FakeZenml(self.shop.steps, breaks_at)
        self.warnings: list[tuple[UUID, int, str]] = []
        self.runner = TrackedWherePossible(
            tracked=self.zenml,
            untracked=InProcessRunner(self.shop.steps),
            warn=self.warn,
            clock=self.shop.clock,
            rest_seconds=60,
        )
        self.shop.make_runner = lambda steps: self.runner

    def warn(self, transcription_id: UUID, run: int, message: str) -> None:
        self.shop.transcription(transcription_id).require_run(run)
        self.warnings.append((transcription_id, run, message))

    def transcribed(self, pcm: bytes = speech(2)) -> UUID:
        transcription_id = self.shop.submitted(pcm).id
        self.shop.transcribe(transcription_id)
        return transcription_id

    def status(self, transcription_id: UUID) -> Status:
        return self.shop.transcription(transcription_id).status


Lines = list[tuple[str, str]]
STARTED = ("INFO", "Step started.")


@pytest.fixture
def log() -> Iterator[Lines]:
    """The level and the message of what is logged."""
    lines: Lines = []
    sink = logger.add(
        lambda message: lines.append((message.record["level"].name, message.record["message"])), level="DEBUG"
    )
    yield lines
    logger.remove(sink)


def test_a_job_that_zenml_can_do_is_done_once_and_there(log: Lines) -> None:
    desk = Desk()
    assert desk.status(desk.transcribed()) is Status.COMPLETED
    assert log.count(STARTED) == len(STEPS)
    assert desk.warnings == []


@pytest.mark.parametrize("step", STEPS)
def test_a_job_is_completed_wherever_zenml_fails(step: str) -> None:
    desk = Desk(breaks_at=step)
    transcription_id = desk.transcribed()
    assert desk.status(transcription_id) is Status.COMPLETED
    assert desk.shop.database.transcripts[transcription_id].text == "word1 word2"


@pytest.mark.parametrize("step", STEPS)
def test_no_step_is_done_twice_wherever_zenml_fails(step: str, log: Lines) -> None:
    Desk(breaks_at=step).transcribed()
    assert log.count(STARTED) == len(STEPS)


def test_it_goes_on_in_the_same_run() -> None:
    desk = Desk(breaks_at="recognise")
    assert desk.shop.transcription(desk.transcribed()).run == 1


def test_the_record_is_given_one_warning() -> None:
    desk = Desk(breaks_at="recognise")
    transcription_id = desk.transcribed()
    assert desk.warnings == [(transcription_id, 1, UNTRACKED)]


def test_the_log_has_one_warning_and_no_error(log: Lines) -> None:
    Desk(breaks_at="recognise").transcribed()
    loud = [line for line in log if line[0] not in {"DEBUG", "INFO"}]
    assert loud == [("WARNING", "ZenML failed; the job goes on without it.")]


def test_a_step_that_failed_is_not_run_again(log: Lines) -> None:
    desk = Desk()
    silence = bytes(len(speech(1)))
    assert desk.status(desk.transcribed(silence)) is Status.FAILED
    assert log.count(STARTED) == 1
    assert desk.warnings == []


def test_a_cancelled_job_is_not_run_again(log: Lines) -> None:
    desk = Desk()
    transcription_id = desk.shop.submitted(speech(2)).id
    desk.shop.engine.on_passage = lambda number: desk.shop.cancel(transcription_id)
    desk.shop.transcribe(transcription_id)
    assert desk.status(transcription_id) is Status.CANCELLED
    assert log.count(STARTED) == 2


def test_a_record_that_is_closed_when_zenml_fails_is_left_alone(log: Lines) -> None:
    desk = Desk(breaks_at="end")
    assert desk.status(desk.transcribed()) is Status.COMPLETED
    assert log.count(STARTED) == len(STEPS)
    assert desk.warnings == []


def test_zenml_that_fails_when_the_job_is_done_is_a_warning_in_the_log(log: Lines) -> None:
    Desk(breaks_at="end").transcribed()
    assert ("WARNING", "ZenML failed when the job was done; the record is complete.") in log


def test_a_run_that_does_not_own_the_job_is_not_gone_on_with(log: Lines) -> None:
    desk = Desk(breaks_at="prepare")
    with pytest.raises(Superseded):
        desk.runner.run(desk.shop.submitted(speech(1)).id, 1)
    assert log == []


def test_a_run_that_does_not_own_the_job_says_nothing_about_zenml() -> None:
    desk = Desk(breaks_at="prepare")
    with pytest.raises(Superseded):
        desk.runner.run(desk.shop.submitted(speech(1)).id, 1)
    desk.zenml.breaks_at = None
    assert desk.transcribed() in desk.zenml.runs


def test_after_a_failure_zenml_is_left_alone_for_a_while() -> None:
    desk = Desk(breaks_at="prepare")
    desk.transcribed()
    desk.shop.clock.advance(59)
    later = desk.transcribed()
    assert later not in desk.zenml.runs
    assert desk.status(later) is Status.COMPLETED


def test_a_job_that_zenml_is_not_asked_for_is_warned_too() -> None:
    desk = Desk(breaks_at="prepare")
    first, second = desk.transcribed(), desk.transcribed()
    assert desk.warnings == [(first, 1, UNTRACKED), (second, 1, UNTRACKED)]


def test_zenml_is_tried_again_after_that_while(log: Lines) -> None:
    desk = Desk(breaks_at="prepare")
    desk.transcribed()
    desk.zenml.breaks_at = None
    desk.shop.clock.advance(60)
    later = desk.transcribed()
    assert later in desk.zenml.runs
    assert len(desk.warnings) == 1
    assert ("INFO", "ZenML works again.") in log


def test_zenml_that_works_again_is_not_announced_at_every_job(log: Lines) -> None:
    desk = Desk()
    desk.transcribed()
    assert ("INFO", "ZenML works again.") not in log


def test_a_worker_starts_without_zenml(log: Lines) -> None:
    desk = Desk()
    desk.zenml.away = True
    desk.runner.warm_up()
    assert log == [("WARNING", "ZenML cannot be used; jobs run without it.")]


def test_what_failed_at_the_start_is_not_waited_for_by_the_first_job() -> None:
    desk = Desk()
    desk.zenml.away = True
    desk.runner.warm_up()
    desk.transcribed()
    assert desk.zenml.runs == []


def test_forgetting_is_zenmls_to_do() -> None:
    desk = Desk()
    assert desk.runner.forget(desk.transcribed()) == 1


def test_what_cannot_be_forgotten_now_is_an_error_and_so_done_later() -> None:
    desk = Desk()
    desk.zenml.away = True
    with pytest.raises(StorageError):
        desk.runner.forget(uuid4())


def test_in_process_there_is_nothing_to_forget() -> None:
    assert InProcessRunner(Workshop().steps).forget(uuid4()) == 0


def test_an_unexpected_failure_of_a_step_is_in_the_log_with_its_traceback() -> None:
    def stumble(number: int) -> None:
        raise ZeroDivisionError

    raised: list[BaseException | None] = []
    sink = logger.add(
        lambda message: raised.append(message.record["exception"] and message.record["exception"].value), level="ERROR"
    )
    desk = Desk()
    desk.shop.engine.on_passage = stumble
    desk.transcribed()
    logger.remove(sink)
    assert [type(error) for error in raised] == [ZeroDivisionError]
