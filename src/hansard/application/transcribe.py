"""Do the work: take a queued transcription through prepare, recognise, diarize and settle to its end.

`Transcribe` is what a worker calls with an id; a `PipelineRunner` calls the `Steps` in order. Each step reads what
it needs by id, works outside any transaction and writes the outcome in short ones, so a worker may be killed at any
line: the next one takes up where the last commit left off.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from hansard.application.diarize import Diarize
from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.storage import PreparedAudio
from hansard.application.ports.work import PipelineRunner
from hansard.application.prepare import Prepare
from hansard.application.recognise import Recognise
from hansard.application.run import GaveWay, Runs, commit, internal_failure
from hansard.application.settle import Settle
from hansard.domain.errors import Category, Failure, HansardError, NotFound
from hansard.domain.events import Interruption
from hansard.domain.transcription import Status, Transcription
from hansard.timing.decorators import monitor_performance


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The pipeline, whoever runs it. Each takes the transcription's id and the number of the run."""

    prepare: Prepare
    recognise: Recognise
    diarize: Diarize
    settle: Settle


class BrokenOff(HansardError):
    """A run ended without an outcome. The transcription is queued again; the job is to be repeated."""

    code = "broken_off"
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcribe:
    """Take a transcription to its end, or find that it has ended. `max_crashes` workers may die in one place of it.

    `quick_runner` is for what somebody waits for: it leaves no trace, and so has nothing to forget.
    """

    unit_of_work: Callable[[], UnitOfWork]
    runner: PipelineRunner
    quick_runner: PipelineRunner
    prepared: PreparedAudio
    max_crashes: int
    clock: Clock
    runs: Runs

    @monitor_performance
    def __call__(self, transcription_id: UUID) -> Transcription:
        """The transcription as it is afterwards. A failure is on the record, not raised.

        Raises `NotFound` when it was deleted, and leaves nothing of it behind; `GaveWay` when it went back into the
        queue; `BrokenOff` when the run came to no outcome, and `StorageError` when even that could not be written
        down. After all but the first, call it again.
        """
        try:
            transcription = self._take(transcription_id)
            if transcription.status is Status.RUNNING:
                transcription = self._run(transcription)
        except NotFound:
            self.runs.let_go(transcription_id)
            self.prepared.remove(transcription_id)
            self.runner.forget(transcription_id)
            raise
        if transcription.status.is_final:
            self.prepared.remove(transcription_id)
        return transcription

    def interrupt(self, transcription_id: UUID, reason: Interruption) -> None:
        """Put the transcription that this process is at work on back into the queue; its run ends by itself."""
        with self.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id, for_update=True)
            if self.runs.has(transcription):
                transcription.interrupt(self.clock(), reason)
                uow.transcriptions.save(transcription)
                uow.commit()

    def give_up(self, transcription_id: UUID, reason: str, error: HansardError | None = None) -> None:
        """Fail a transcription whose job was tried too often, with the `error` of the last time if it tells."""
        failure = error.failure if error is not None else internal_failure(reason)
        with self.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id, for_update=True)
            if not transcription.status.is_final:
                transcription.fail(failure, self.clock())
                uow.transcriptions.save(transcription)
                uow.commit()
        self.prepared.remove(transcription_id)

    def _take(self, transcription_id: UUID) -> Transcription:
        """The transcription as a new run of it begins, or ended when there is nothing to do."""
        with self.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id, for_update=True)
            if transcription.status.is_final:
                return transcription
            if transcription.status is Status.RUNNING:
                self._end_last_run(transcription)
            if transcription.crashes >= self.max_crashes:
                transcription.fail(_killed_its_workers(transcription.crashes), self.clock())
            else:
                self.runs.begin(uow, transcription)
            uow.transcriptions.save(transcription)
            commit(uow, transcription)
        return transcription

    def _end_last_run(self, transcription: Transcription) -> None:
        """Nobody could write down how it ended: its worker died, or was this one, cut off from the database."""
        if self.runs.has(transcription):
            transcription.interrupt(self.clock(), Interruption.BROKEN_OFF)
        else:
            transcription.lose_worker(self.clock())

    def _run(self, taken: Transcription) -> Transcription:
        """The steps record their own outcome; where there is none, the pipeline itself broke."""
        transcription_id, run = taken.id, taken.run
        runner = self.quick_runner if taken.parameters.interactive else self.runner
        broken: Exception | None = None
        try:
            runner.run(transcription_id, run)
        except Exception as error:  # noqa: BLE001 - whatever a pipeline engine raises, the record tells the outcome
            broken = error
        if (ended := self.runs.of(transcription_id, run).ended) is not None:
            self.runs.let_go(transcription_id)
            return ended
        with self.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id, for_update=True)
            if is_broken := transcription.status is Status.RUNNING and transcription.run == run:
                transcription.interrupt(self.clock(), Interruption.BROKEN_OFF)
                uow.transcriptions.save(transcription)
                uow.commit()
        self.runs.let_go(transcription_id)
        if is_broken:
            raise BrokenOff(f"Run {run} of transcription {transcription_id} ended without an outcome.") from broken
        if transcription.status is Status.QUEUED and transcription.run == run:
            raise GaveWay("It is queued again.")
        return transcription


def _killed_its_workers(times: int) -> Failure:
    return Failure(
        code="worker_crashed",
        category=Category.INTERNAL,
        message=f"The worker died {times} times at the same place of this recording, so it is not tried again.",
        help="Look in the log and the system's journal for a crash or for memory running out. POST "
        "/transcriptions/{id}/retry tries once more, with another engine or model if you name one.",
    )
