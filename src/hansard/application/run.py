"""One worker's hold on one transcription, for as long as nobody cancels it or takes it over.

While a run owns a transcription, nobody else writes to its row or adds to its record. So the process that does the
whole of a run reads both once, and may put off what it writes to the next commit where that follows within moments.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID

from hansard.application.ports.clock import Clock, Sleep
from hansard.application.ports.records import UnitOfWork
from hansard.domain.audio import AudioFile
from hansard.domain.errors import Category, Failure, HansardError, NotFound, StorageError, Superseded
from hansard.domain.speech import Speech
from hansard.domain.transcript import RecognisedPassage
from hansard.domain.transcription import Parameters, Status, Transcription

LOOK_EVERY_SECONDS = 1.0


class GaveWay(HansardError):
    """More urgent work waits. The transcription is queued again, and goes on from where it is."""

    code = "gave_way"


Note = Callable[[UnitOfWork, Transcription], Callable[[], object] | None]
"""Writes something down, in a transaction on the transcription; what it returns is called once that is committed. Where
it is not, the note is written again in another one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a run goes by. `passages` are in order; `crashes` and `pipeline_run_id` are those of when it was read."""

    parameters: Parameters
    audio: AudioFile
    speech: Speech | None
    passages: tuple[RecognisedPassage, ...]
    crashes: int
    pipeline_run_id: str | None

    @classmethod
    def of(cls, uow: UnitOfWork, transcription: Transcription, *, is_new: bool = False) -> "Record":
        """`is_new`: nobody has worked on it yet, so there is nothing that was found out."""
        return cls(
            parameters=transcription.parameters,
            audio=uow.audio.get(transcription.audio_id),
            speech=None if is_new else uow.transcripts.speech(transcription.id),
            passages=() if is_new else uow.transcripts.passages(transcription.id),
            crashes=transcription.crashes,
            pipeline_run_id=transcription.pipeline_run_id,
        )


@dataclass(slots=True)
class Run:
    """What a step writes goes through `change` or `put_off`, so a run that lost its transcription can write nothing.

    `in_hand`: one step of it follows the other in this process.
    """

    transcription_id: UUID
    number: int
    unit_of_work: Callable[[], UnitOfWork]
    clock: Clock
    in_hand: bool = False
    _record: Record | None = None
    _left: Transcription | None = None
    """The transcription as this run left it with its last commit, if it is in hand."""
    _put_off: list[Note] = field(default_factory=list[Note])
    _passages_put_off: list[RecognisedPassage] = field(default_factory=list[RecognisedPassage])
    ended: Transcription | None = None
    """The transcription as this run closed it."""

    @property
    def record(self) -> Record:
        """With what this run has added to it, written down or put off. Raises `Superseded`, if it must be read."""
        if self._record is None:
            with self.look() as (uow, transcription):
                self._record = Record.of(uow, transcription)
        return self._record

    @contextmanager
    def change(self, *, saves_transcript: bool = False) -> Generator[tuple[UnitOfWork, Transcription]]:
        """One short transaction on the transcription, after what was put off. Raises `Superseded` when this run does
        not own it any more. What `saves_transcript` makes passages void, so those put off are not written.
        """
        with self.unit_of_work() as uow:
            transcription, self._left = self._held(uow), None
            for passage in () if saves_transcript else self._passages_put_off:
                uow.transcripts.add_passage(self.transcription_id, passage)
            written = [note(uow, transcription) for note in self._put_off]
            yield uow, transcription
            uow.transcriptions.save(transcription)
            commit(uow, transcription)
        self._left = transcription if self.in_hand else None
        self.ended = transcription if transcription.status.is_final else None
        self._put_off.clear()
        self._passages_put_off.clear()
        for then in written:
            if then is not None:
                then()

    def put_off(self, note: Note, *, passage: RecognisedPassage | None = None) -> None:
        """Have it written in the next change, which must follow within moments: until then, a crash loses it. And a
        passage that was recognised, with it.
        """
        self._put_off.append(note)
        if passage is not None:
            self._passages_put_off.append(passage)
            self.has_added(passage)
        if not self.in_hand:
            with self.change():
                pass

    def add_speech(self, speech: Speech, *, warning: str | None = None) -> None:
        """Put it off: an attempt begins at once, or there is nothing to attempt."""

        def note(uow: UnitOfWork, transcription: Transcription) -> None:
            uow.transcripts.save_speech(self.transcription_id, speech)
            if warning is not None:
                transcription.warn(warning)

        self._record = replace(self.record, speech=speech)
        self.put_off(note)

    def has_added(self, passage: RecognisedPassage) -> None:
        """To be called once that is written down or put off."""
        self._record = replace(self.record, passages=tuple(sorted((*self.record.passages, passage), key=_order)))

    @contextmanager
    def look(self) -> Generator[tuple[UnitOfWork, Transcription]]:
        """A transaction to read only: nothing is locked, nothing is written. What was put off is not there yet."""
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

    def _held(self, uow: UnitOfWork) -> Transcription:
        if self._left is not None and uow.transcriptions.hold(self.transcription_id, run=self.number):
            return self._left
        return self._mine(uow, for_update=True)

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


@dataclass(frozen=True, slots=True)
class Runs:
    """Where steps get the run that they are part of, known only by its number. `_in_hand` are those of this process."""

    unit_of_work: Callable[[], UnitOfWork]
    clock: Clock
    _in_hand: dict[UUID, Run] = field(default_factory=dict[UUID, Run])

    def begin(self, uow: UnitOfWork, transcription: Transcription) -> Run:
        """A new run of it, in hand."""
        number = transcription.start(self.clock())
        # What was heard live is a passage, too, and was heard in an attempt.
        record = Record.of(uow, transcription, is_new=number == 1 and not transcription.attempts)
        run = Run(
            transcription.id, number, self.unit_of_work, self.clock, in_hand=True, _record=record, _left=transcription
        )
        self._in_hand[transcription.id] = run
        return run

    def of(self, transcription_id: UUID, number: int) -> Run:
        """A pipeline engine may have the step done in another process than the one that began the run."""
        run = self._in_hand.get(transcription_id)
        if run is not None and run.number == number:
            return run
        return Run(transcription_id, number, self.unit_of_work, self.clock)

    def has(self, transcription: Transcription) -> bool:
        """Whether its present run is in hand."""
        run = self._in_hand.get(transcription.id)
        return transcription.status is Status.RUNNING and run is not None and run.number == transcription.run

    def let_go(self, transcription_id: UUID) -> None:
        self._in_hand.pop(transcription_id, None)


def commit(uow: UnitOfWork, transcription: Transcription) -> None:
    """Somebody who waits is told of nothing before the record is closed, and need not wait for the disk until then:
    what is on the disk then has all that went before with it.
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


def _order(passage: RecognisedPassage) -> tuple[float, float, int]:
    return passage.span.start_seconds, passage.span.end_seconds, passage.decoding
