"""Correcting a transcript: state, revision and event together, and never on top of another one's work."""

from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest

from hansard.application.edit import Edited, transcript_at
from hansard.domain import editing
from hansard.domain.errors import Conflict, InvalidRequest, NotFound, RevisionMismatch
from hansard.domain.events import TranscriptEdited
from hansard.domain.revision import Change
from tests.workshop import Workshop, speech

HELLO = partial(editing.amend, position=0, text="hello")
WORLD = partial(editing.amend, position=1, text="world")


@pytest.fixture
def shop() -> Workshop:
    return Workshop()


@pytest.fixture
def record(shop: Workshop) -> UUID:
    """Of a completed transcription, which says word1, word2."""
    return shop.transcribe(shop.submitted(speech(2)).id).id


def text(shop: Workshop, record: UUID) -> str:
    return shop.database.transcripts[record].text


def edited_events(shop: Workshop) -> list[TranscriptEdited]:
    return [event for event in shop.database.events if isinstance(event, TranscriptEdited)]


def test_an_edit_makes_a_revision_that_tells_who_did_what_and_when(shop: Workshop, record: UUID) -> None:
    shop.clock.advance(60)
    edited = shop.edit_transcript(record, HELLO, expected={0}, author="Ann")
    assert text(shop, record) == "hello word2"
    (revision,) = shop.database.revisions[record]
    assert (revision.number, revision.made_at, revision.author) == (1, shop.clock.now, "Ann")
    assert (revision.change, revision.summary) == (Change.TEXT, "At 0:00:00: “word1” became “hello”.")
    assert edited == Edited(1, revision.hunks)


def test_it_is_told_as_an_event_without_a_word_of_the_text(shop: Workshop, record: UUID) -> None:
    shop.clock.advance(60)
    shop.edit_transcript(record, HELLO, expected={0}, author="Ann")
    assert edited_events(shop) == [
        TranscriptEdited(
            subject=str(record),
            occurred_at=shop.clock.now,
            audio_id=shop.transcription(record).audio_id,
            revision=1,
            change="text",
            author="Ann",
        )
    ]


def test_an_edit_of_an_older_revision_is_refused_and_changes_nothing(shop: Workshop, record: UUID) -> None:
    shop.edit_transcript(record, HELLO, expected={0})
    with pytest.raises(RevisionMismatch):
        shop.edit_transcript(record, WORLD, expected={0})
    assert text(shop, record) == "hello word2"
    assert len(edited_events(shop)) == 1


@pytest.mark.parametrize("expected", [{1}, {0, 1}, None])
def test_an_edit_of_the_current_revision_or_of_any_goes_through(
    shop: Workshop, record: UUID, expected: set[int] | None
) -> None:
    shop.edit_transcript(record, HELLO, expected={0})
    assert shop.edit_transcript(record, WORLD, expected=expected).revision == 2
    assert text(shop, record) == "hello world"


def test_what_changes_nothing_makes_no_revision(shop: Workshop, record: UUID) -> None:
    edited = shop.edit_transcript(record, partial(editing.amend, position=0, text=" word1 "), expected={0})
    assert edited == Edited(0, ())
    assert record not in shop.database.revisions
    assert edited_events(shop) == []


def test_even_what_changes_nothing_must_be_of_the_current_revision(shop: Workshop, record: UUID) -> None:
    with pytest.raises(RevisionMismatch):
        shop.edit_transcript(record, partial(editing.amend, position=0, text="word1"), expected={7})


def test_an_edit_that_cannot_be_made_changes_nothing(shop: Workshop, record: UUID) -> None:
    with pytest.raises(InvalidRequest):
        shop.edit_transcript(record, partial(editing.merge, position=1), expected={0})
    assert record not in shop.database.revisions


def test_measurements_stay_those_of_the_engine(shop: Workshop, record: UUID) -> None:
    before = shop.transcription(record).result
    shop.edit_transcript(record, partial(editing.amend, position=0, text="many more words"), expected={0})
    assert shop.transcription(record).result == before


def test_a_transcription_that_is_not_completed_has_nothing_to_edit(shop: Workshop) -> None:
    record = shop.submitted(speech(1)).id
    with pytest.raises(Conflict) as refusal:
        shop.edit_transcript(record, HELLO, expected=None)
    assert refusal.value.failure.code == "not_completed"


def test_a_transcription_that_is_not_there_is_not_found(shop: Workshop) -> None:
    with pytest.raises(NotFound):
        shop.edit_transcript(uuid4(), HELLO, expected=None)


# ── Back ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_the_engine_wrote_can_be_restored_and_that_be_undone(shop: Workshop, record: UUID) -> None:
    shop.edit_transcript(record, HELLO, expected={0})
    shop.edit_transcript(record, WORLD, expected={1})
    assert shop.edit_transcript.restore(record, 0, expected={2}, author="Bob").revision == 3
    assert text(shop, record) == "word1 word2"
    assert shop.database.revisions[record][-1].author == "Bob"
    shop.edit_transcript.restore(record, 2, expected={3})
    assert text(shop, record) == "hello world"


def test_a_restored_transcript_is_the_old_one_to_the_last_digit(shop: Workshop, record: UUID) -> None:
    original = shop.database.transcripts[record]
    shop.edit_transcript(record, partial(editing.merge, position=0), expected={0})
    shop.edit_transcript.restore(record, 0, expected={1})
    assert shop.database.transcripts[record] == original


def test_restoring_what_is_there_makes_no_revision(shop: Workshop, record: UUID) -> None:
    shop.edit_transcript(record, HELLO, expected={0})
    assert shop.edit_transcript.restore(record, 1, expected={1}) == Edited(1, ())


def test_restoring_needs_the_current_revision_too(shop: Workshop, record: UUID) -> None:
    shop.edit_transcript(record, HELLO, expected={0})
    with pytest.raises(RevisionMismatch):
        shop.edit_transcript.restore(record, 0, expected={0})


@pytest.mark.parametrize("number", [-1, 2])
def test_a_revision_that_was_never_made_is_not_found(shop: Workshop, record: UUID, number: int) -> None:
    shop.edit_transcript(record, HELLO, expected={0})
    with pytest.raises(NotFound) as refusal:
        shop.edit_transcript.restore(record, number, expected={1})
    assert refusal.value.failure.code == "no_such_revision"


def test_a_transcript_can_be_looked_at_as_it_was(shop: Workshop, record: UUID) -> None:
    shop.clock.now += timedelta(minutes=1)
    shop.edit_transcript(record, HELLO, expected={0})
    shop.edit_transcript(record, WORLD, expected={1})
    with shop.database.unit_of_work() as uow:
        seen = [transcript_at(uow, record, number).text for number in (0, 1, 2)]
    assert seen == ["word1 word2", "hello word2", "hello world"]
