"""One worker's hold on one transcription, for as long as nobody cancels it or takes it over."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from hansard.application.ports.clock import Clock, Sleep
from hansard.application.ports.records import UnitOfWork
from hansard.domain.errors import Category, Failure, HansardError, NotFound, StorageError, Superseded
from hansard.domain.transcription import Transcription

LOOK_EVERY_SECONDS = 1.0


class GaveWay(HansardError):
    """More urgent work waits. The transcription is queued again, and goes on from where it is."""

    code = "gave_way"


@dataclass(frozen=True, slots=True)
class Run:
    """What a step writes goes through `change` or `hold`, so a run that lost its transcription can write nothing."""

    transcription_id: UUID
    number: int
    unit_of_work: Callable[[], UnitOfWork]
    clock: Clock

    @contextmanager
    def change(self) -> Generator[tuple[UnitOfWork, Transcription]]:
        """One short transaction on the transcription. Raises `Superseded` when this run does not own it any more."""
        with self.hold() as (uow, transcription):
            yield uow, transcription
            uow.transcriptions.save(transcription)

    @contextmanager
    def hold(self) -> Generator[tuple[UnitOfWork, Transcription]]:
        """The same to write what goes with it, while the transcription itself stays as it is."""
        with self.unit_of_work() as uow:
            transcription = self._mine(uow, for_update=True)
            yield uow, transcription
            keep(uow, transcription)

    @contextmanager
    def look(self) -> Generator[tuple[UnitOfWork, Transcription]]:
        """The same to read only: nothing is locked, nothing is written."""
        with self.unit_of_work() as uow:
            yield uow, self._mine(uow)

    def check(self) -> None:
        """Raises `Superseded` when this run does not own the transcription any more."""
        with self.look():
            pass

    def wait(self, seconds: float, sleep: Sleep) -> None:
        """Sleep, but not through a cancellation: raises `Superseded`."""
        while seconds > 0:
            nap = min(seconds, LOOK_EVERY_SECONDS)
            sleep(nap)
            seconds -= nap
            self.check()

    def report(self, activity: str, progress: float | None = None) -> None:
        with self.change() as (_, transcription):
            transcription.report(activity, progress)

    def warn(self, warning: str) -> None:
        with self.change() as (_, transcription):
            transcription.warn(warning)

    @contextmanager
    def failures_recorded(self) -> Generator[None]:
        """A step records its own failure: a pipeline engine does not carry exceptions faithfully.

        Storage that is away for a moment is no outcome: the run breaks off, and the queue brings the job again.
        """
        try:
            yield
        except (Superseded, StorageError, GaveWay):
            raise
        except HansardError as error:
            self._fail(error.failure)
            raise
        except Exception as error:
            self._fail(internal_failure(f"An unexpected error stopped the transcription: {type(error).__name__}."))
            raise

    def _mine(self, uow: UnitOfWork, *, for_update: bool = False) -> Transcription:
        try:
            transcription = uow.transcriptions.get(self.transcription_id, for_update=for_update)
        except NotFound as error:
            raise Superseded(f"Transcription {self.transcription_id} was deleted.") from error
        transcription.require_run(self.number)
        return transcription

    def _fail(self, failure: Failure) -> None:
        with self.change() as (_, transcription):
            transcription.fail(failure, self.clock())


def keep(uow: UnitOfWork, transcription: Transcription) -> None:
    """Commit. Somebody who waits need not wait for the disk before the record is closed: until then, all that he was
    promised is that the work will be done.
    """
    if transcription.parameters.interactive and not transcription.status.is_final:
        uow.checkpoint()
    else:
        uow.commit()


def internal_failure(message: str) -> Failure:
    return Failure(
        code="internal_error",
        category=Category.INTERNAL,
        message=message,
        retryable=True,
        help="The service's log has the details, under this transcription's id.",
    )
