"""A run in the hands of one process: what is put off goes with the next commit, or not at all."""

from uuid import UUID

import pytest

from hansard.application.ports.records import UnitOfWork
from hansard.application.run import Run, Runs, internal_failure
from hansard.domain.errors import StorageError, Superseded
from hansard.domain.speech import Span, Speech
from hansard.domain.transcript import RecognisedPassage
from hansard.domain.transcription import Status, Transcription
from tests.fakes import FakeUnitOfWork
from tests.workshop import Workshop, speech

HEARD = Speech(1.0, (Span(0, 1),))
PASSAGE = RecognisedPassage(span=Span(0, 1), engine="mock", model="mock", segments=())


def nothing(_uow: UnitOfWork, _transcription: Transcription) -> None:
    pass


class Taken:
    """A transcription that a worker has just taken."""

    def __init__(self) -> None:
        self.shop = Workshop()
        self.id = self.shop.submitted(speech(1)).id
        self.runs = Runs(self.shop.database.unit_of_work, self.shop.clock)
        with self.shop.database.unit_of_work() as uow:
            transcription = uow.transcriptions.get(self.id, for_update=True)
            self.run = self.runs.begin(uow, transcription)
            uow.transcriptions.save(transcription)
            uow.commit()

    @property
    def speech(self) -> Speech | None:
        with self.shop.database.unit_of_work() as uow:
            return uow.transcripts.speech(self.id)

    @property
    def passages(self) -> tuple[RecognisedPassage, ...]:
        with self.shop.database.unit_of_work() as uow:
            return uow.transcripts.passages(self.id)

    def elsewhere(self) -> Run:
        """The same run, in another process."""
        return Runs(self.shop.database.unit_of_work, self.shop.clock).of(self.id, self.run.number)


def test_what_is_put_off_is_known_to_the_run_at_once_and_written_with_the_next_change() -> None:
    taken = Taken()
    taken.run.add_speech(HEARD)
    assert (taken.run.record.speech, taken.speech) == (HEARD, None)
    taken.run.report("recognising")
    assert taken.speech == HEARD


def test_it_is_written_once() -> None:
    taken, written = Taken(), list[UUID]()
    taken.run.put_off(lambda _, transcription: written.append(transcription.id))
    taken.run.report("recognising")
    taken.run.report("recognising still")
    assert written == [taken.id]


def test_what_a_commit_undid_is_written_with_the_next() -> None:
    taken = Taken()
    taken.run.add_speech(HEARD)
    with pytest.raises(StorageError), taken.run.change():
        raise StorageError("The database does not answer.")
    assert taken.speech is None
    taken.run.report("recognising")
    assert taken.speech == HEARD


def test_what_a_commit_undid_of_the_transcription_itself_is_forgotten() -> None:
    def fail(_: UnitOfWork, transcription: Transcription) -> None:
        transcription.warn("This will not be written.")
        raise StorageError("The database does not answer.")

    taken = Taken()
    with pytest.raises(StorageError), taken.run.change() as opened:
        fail(*opened)
    taken.run.warn("This will.")
    assert taken.shop.transcription(taken.id).warnings == ("This will.",)


def test_a_passage_that_is_put_off_is_known_at_once_and_written_with_the_next_change() -> None:
    taken = Taken()
    taken.run.put_off(nothing, passage=PASSAGE)
    assert (taken.run.record.passages, taken.passages) == ((PASSAGE,), ())
    taken.run.report("recognising")
    assert taken.passages == (PASSAGE,)


def test_it_is_not_written_where_the_transcript_takes_its_place() -> None:
    taken = Taken()
    taken.run.put_off(nothing, passage=PASSAGE)
    with taken.run.change(saves_transcript=True):
        pass
    taken.run.report("done")
    assert taken.passages == ()


def test_it_is_written_after_all_where_the_transcript_could_not_be_saved() -> None:
    taken = Taken()
    taken.run.put_off(nothing, passage=PASSAGE)
    with pytest.raises(StorageError), taken.run.change(saves_transcript=True):
        raise StorageError("The database does not answer.")
    taken.run.report("trying again")
    assert taken.passages == (PASSAGE,)


def test_a_run_knows_how_it_ended_once_that_is_committed() -> None:
    taken = Taken()
    with taken.run.change() as (_, transcription):
        transcription.fail(internal_failure("It broke."), taken.shop.clock())
        assert taken.run.ended is None
    assert taken.run.ended is transcription


def test_news_of_it_is_told_once_it_is_committed() -> None:
    taken, told = Taken(), list[Speech | None]()

    def note(uow: UnitOfWork, transcription: Transcription):
        uow.transcripts.save_speech(transcription.id, HEARD)
        return lambda: told.append(taken.speech)

    taken.run.put_off(note)
    assert told == []
    taken.run.report("recognising")
    assert told == [HEARD]


def test_a_step_in_another_process_puts_nothing_off() -> None:
    taken = Taken()
    taken.elsewhere().add_speech(HEARD)
    assert taken.speech == HEARD


def test_a_run_that_lost_its_transcription_writes_nothing_of_what_it_put_off() -> None:
    taken = Taken()
    taken.run.add_speech(HEARD)
    taken.shop.cancel(taken.id)
    with pytest.raises(Superseded):
        taken.run.report("recognising")
    assert taken.speech is None


def test_a_step_of_an_older_run_does_not_get_the_one_in_hand() -> None:
    taken = Taken()
    assert taken.runs.of(taken.id, taken.run.number) is taken.run
    with pytest.raises(Superseded):
        taken.runs.of(taken.id, taken.run.number - 1).report("recognising")


def test_a_run_that_was_let_go_is_in_hand_no_more() -> None:
    taken = Taken()
    transcription = taken.shop.transcription(taken.id)
    assert transcription.status is Status.RUNNING
    assert taken.runs.has(transcription)
    taken.runs.let_go(taken.id)
    assert not taken.runs.has(transcription)


def test_a_job_of_one_passage_takes_three_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    shop, commits = Workshop(), list[None]()
    submitted = shop.submitted(speech(1))
    commit = FakeUnitOfWork.commit

    def counted(uow: FakeUnitOfWork) -> None:
        commits.append(None)
        commit(uow)

    monkeypatch.setattr(FakeUnitOfWork, "commit", counted)
    assert shop.transcribe(submitted.id).status is Status.COMPLETED
    assert len(commits) == 3  # it is taken, an attempt begins, the record is closed
