"""One worker's hold on one transcription, for as long as nobody cancels it or takes it over."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from hansard.application.ports import Clock, UnitOfWork
from hansard.domain.errors import Category, Failure, HansardError, StorageError, Superseded
from hansard.domain.transcription import Transcription


@dataclass(frozen=True, slots=True)
class Run:
    """Everything a step writes goes through `change`, so a run that lost its transcription can write nothing."""

    transcription_id: UUID
    number: int
    unit_of_work: Callable[[], UnitOfWork]
    clock: Clock

    @contextmanager
    def change(self) -> Generator[tuple[UnitOfWork, Transcription]]:
        """One short transaction on the transcription. Raises `Superseded` when this run does not own it any more."""
        with self.unit_of_work() as uow:
            transcription = uow.transcriptions.get(self.transcription_id, for_update=True)
            transcription.require_run(self.number)
            yield uow, transcription
            uow.transcriptions.save(transcription)
            uow.commit()

    def report(self, activity: str, progress: float | None = None) -> None:
        with self.change() as (_, transcription):
            transcription.report(activity, progress)

    @contextmanager
    def failures_recorded(self) -> Generator[None]:
        """A step records its own failure: a pipeline engine does not carry exceptions faithfully.

        Storage that is away for a moment is no outcome: the run breaks off, and the queue brings the job again.
        """
        try:
            yield
        except (Superseded, StorageError):
            raise
        except HansardError as error:
            self._fail(error.failure)
            raise
        except Exception as error:
            self._fail(internal_failure(f"An unexpected error stopped the transcription: {type(error).__name__}."))
            raise

    def _fail(self, failure: Failure) -> None:
        with self.change() as (_, transcription):
            transcription.fail(failure, self.clock())


def internal_failure(message: str) -> Failure:
    return Failure(
        code="internal_error",
        category=Category.INTERNAL,
        message=message,
        retryable=True,
        help="The service's log has the details, under this transcription's id.",
    )
