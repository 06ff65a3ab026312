"""What every search index does: the fake that routes are tested on, and PostgreSQL."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from hansard.application.ports.records import PHRASE_REACH, SearchHit, SearchQuery, UnitOfWork
from hansard.domain.errors import InvalidRequest
from hansard.domain.transcript import Segment, Transcript
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from tests.fakes import FakeDatabase
from tests.search_library import NOON, a_segment, find, keep, times

Database = Callable[[], UnitOfWork]


@pytest.fixture(params=["fake", "postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    if request.param == "fake":
        return FakeDatabase().unit_of_work
    engine: Engine = request.getfixturevalue("engine")
    return lambda: SqlUnitOfWork(engine, TranscriptionJobs)


# ── Words ────────────────────────────────────────────────────────────────────────────────────────────────

MINUTES = (
    "The harbour committee met at noon.",
    "Nobody of the committee had seen the new harbour.",
    "A harbourmaster was there, who sang.",
    "The Who sang.",
)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("harbour", [0, 1]),
        ("HARBOUR", [0, 1]),
        ("harbour committee", [0, 1]),
        ('"harbour committee"', [0]),
        ('"committee harbour"', []),
        ("committee -noon", [1]),
        ('committee -"new harbour"', [0]),
        ("noon OR sang", [0, 2, 3]),
        ("harbour noon OR harbourmaster", [0, 2]),
        ("harb*", [0, 1, 2]),
        ('"the harb*"', [0]),
        ("the who", [3]),
        ('"the who"', [3]),
        ("the", [0, 1, 3]),
        ("or", []),
        ("zebra", []),
        ('"harbour committee', [0]),
        ("“harbour committee”", [0]),
        ("harbour, committee!", [0, 1]),
        ("noon OR", [0]),
        ("OR noon", [0]),
        ("noon OR -harbour", [0]),
        ("--noon harbour", [1]),
        ("noon (", [0]),
        ("noon & | ! <-> : *", [0]),
        ("noon \\", [0]),
        ("noon '", [0]),
    ],
)
def test_words_are_found_as_in_a_web_search(database: Database, words: str, found: list[int]) -> None:
    keep(database, *MINUTES)
    assert times(find(database, words)) == found


@pytest.mark.parametrize("words", ["", " ", '"', '""', "-", "*", "-noon", "OR", "- OR -", "!?", "\0", "\ud800", "🎉"])
def test_where_there_is_no_word_to_look_for_it_is_said(database: Database, words: str) -> None:
    keep(database, *MINUTES)
    with pytest.raises(InvalidRequest) as refusal:
        find(database, words)
    assert refusal.value.failure.code == "empty_query"


def test_too_many_words_are_refused(database: Database) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        find(database, "noon " * 65)
    assert refusal.value.failure.code == "query_too_long"


def test_a_hit_tells_what_was_said_where_and_when(database: Database) -> None:
    segment = a_segment(3, "At noon, by the harbour.", speaker="Ann")
    made = keep(database, segment)
    (hit,) = find(database, "harbour")
    assert (hit.transcription_id, hit.audio_id, hit.file_name) == (made.id, made.audio_id, "minutes.mp3")
    assert (hit.created_at, hit.segment) == (NOON, segment)


def test_each_place_is_given_with_the_time_of_its_word(database: Database) -> None:
    keep(database, a_segment(3, "At noon, by the harbour: noon."))
    (hit,) = find(database, 'noon "by the harbour"')
    assert [(hit.segment.text[match.start : match.end], match.seconds) for match in hit.matches] == [
        ("noon", 3.1),
        ("by the harbour", 3.2),
        ("noon", 3.5),
    ]


def test_where_words_have_no_times_it_is_that_of_the_segment(database: Database) -> None:
    keep(database, Segment(start_seconds=3, end_seconds=4, text="At noon.", language="en"))
    (hit,) = find(database, "noon")
    assert [match.seconds for match in hit.matches] == [3.0]


# ── Phrases that go on in the next segment ───────────────────────────────────────────────────────────────

SPEECH = ("We meet at", "noon.", "Then the harbour", "", "committee meets, and the", "next of the harbour committee's")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ('"at noon"', [0]),
        ('"meet at noon then the harbour committee"', [0]),
        ('"harbour committee"', [2, 5]),
        ('"the harbour comm*"', [2, 5]),
        ('"noon then"', [1]),
        ('"the next"', [4]),
        ('"noon harbour"', []),
        ('"at then"', []),
        ("at noon", []),
        ("noon", [1]),
        ("noo*", [1]),
        ('the -"harbour committee"', [4]),
        ('"noon then" OR "the next"', [1, 4]),
        ('"noon then" meet', []),
    ],
)
def test_a_phrase_is_found_in_the_segment_in_which_it_begins(database: Database, words: str, found: list[int]) -> None:
    keep(database, *SPEECH)
    assert times(find(database, words)) == found


def test_of_a_phrase_that_goes_on_it_is_marked_what_is_in_the_segment(database: Database) -> None:
    keep(database, "In the harbour,", "the committee's harbour.")
    (hit,) = find(database, '"the harbour the committee" in')
    assert [(hit.segment.text[match.start : match.end], match.seconds) for match in hit.matches] == [
        ("In", 0.0),
        ("the harbour", 0.1),
    ]


def test_where_a_segment_ends_as_a_phrase_begins_it_need_not_go_on(database: Database) -> None:
    keep(database, "the harbour, the", "midnight")
    (hit,) = find(database, '"the harbour" OR "the noon"')
    assert [hit.segment.text[match.start : match.end] for match in hit.matches] == ["the harbour"]


def test_in_scripts_without_spaces_a_phrase_may_be_cut_anywhere(database: Database) -> None:
    keep(database, "東京大", "学で会", "議")
    for words in ("東京大学", '"東京大学で会"', "京大学で"):
        assert times(find(database, words)) == [0], words
    assert times(find(database, "学で会議")) == [1]
    assert find(database, "東京大会") == []


@pytest.mark.parametrize(("beyond", "found"), [(PHRASE_REACH, [0]), (PHRASE_REACH + 1, [])])
def test_how_far_a_phrase_may_go_on(database: Database, beyond: int, found: list[int]) -> None:
    following = [f"word{number}" for number in range(beyond)]
    keep(database, "We begin", " ".join(following[:5]), " ".join(following[5:]))
    assert times(find(database, f'"begin {" ".join(following)}"')) == found


def test_a_phrase_of_one_speaker_may_go_on_with_another(database: Database) -> None:
    keep(database, a_segment(0, "we meet", speaker="Ann"), a_segment(1, "at noon", speaker="Ben"))
    assert times(find(database, '"meet at noon"', speaker="Ann")) == [0]
    assert find(database, '"meet at noon"', speaker="Ben") == []


# ── Filters ──────────────────────────────────────────────────────────────────────────────────────────────


def test_only_what_one_speaker_said(database: Database) -> None:
    keep(database, a_segment(0, "noon", speaker="Ann"), a_segment(1, "noon", speaker="Ben"), a_segment(2, "noon"))
    assert times(find(database, "noon", speaker="Ben")) == [1]


def test_only_what_is_said_in_one_language(database: Database) -> None:
    keep(database, a_segment(0, "noon"), a_segment(1, "noon", language="de"))
    assert times(find(database, "noon", language="de")) == [1]


def test_only_recordings_with_that_in_their_name(database: Database) -> None:
    keep(database, a_segment(0, "noon"), file_name="Harbour Board.mp3")
    keep(database, a_segment(1, "noon"), file_name="minutes.mp3")
    assert times(find(database, "noon", file_name="harbour b")) == [0]


def test_only_what_was_asked_for_in_a_span_of_time_its_end_left_out(database: Database) -> None:
    for minute in range(4):
        keep(database, a_segment(minute, "noon"), minute=minute)
    since, until = NOON + timedelta(minutes=1), NOON + timedelta(minutes=3)
    assert times(find(database, "noon", since=since, until=until)) == [2, 1]


def test_only_what_carries_all_labels(database: Database) -> None:
    keep(database, a_segment(0, "noon"), metadata={"case": "7", "court": "high"})
    keep(database, a_segment(1, "noon"), metadata={"case": "7"})
    keep(database, a_segment(2, "noon"))
    assert times(find(database, "noon", metadata={"case": "7", "court": "high"})) == [0]
    assert sorted(times(find(database, "noon", metadata={"case": "7"}))) == [0, 1]


def test_what_belongs_to_others_is_not_found(database: Database) -> None:
    keep(database, a_segment(0, "noon"), owner="ben")
    assert find(database, "noon") == []
    assert times(find(database, "noon", owner="ben")) == [0]


# ── Pages ────────────────────────────────────────────────────────────────────────────────────────────────


def pages(database: Database, words: str, limit: int) -> list[SearchHit]:
    hits: list[SearchHit] = []
    cursor = None
    while True:
        with database() as uow:
            page = uow.search.find(SearchQuery(words=words), owner="ann", limit=limit, cursor=cursor)
        hits += page.items
        cursor = page.next_cursor
        if cursor is None:
            return hits


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
def test_the_newest_comes_first_and_within_one_what_was_said_first(database: Database, limit: int) -> None:
    for minute in (0, 2, 1):
        keep(database, a_segment(5, f"noon {minute}"), a_segment(9, f"noon again {minute}"), minute=minute)
    said = [hit.segment.text for hit in pages(database, "noon", limit)]
    assert said == ["noon 2", "noon again 2", "noon 1", "noon again 1", "noon 0", "noon again 0"]


def test_what_begins_at_the_same_time_is_paged_without_loss_or_repetition(database: Database) -> None:
    keep(database, *(a_segment(5, f"noon {number}") for number in range(5)))
    keep(database, *(a_segment(5, f"noon {number}") for number in range(5, 9)))
    said = [hit.segment.text for hit in pages(database, "noon", 2)]
    assert sorted(said) == [f"noon {number}" for number in range(9)]


@pytest.mark.parametrize("cursor", ["", "nonsense", "bm9uc2Vuc2U=", "\u00fc", "AAAA" * 100])
def test_a_cursor_that_was_made_up_is_refused(database: Database, cursor: str) -> None:
    with database() as uow, pytest.raises(InvalidRequest) as refusal:
        uow.search.find(SearchQuery(words="noon"), owner="ann", limit=1, cursor=cursor)
    assert refusal.value.failure.code == "invalid_cursor"


# ── What can be found changes ────────────────────────────────────────────────────────────────────────────


def test_what_is_written_anew_is_found_as_it_is_now(database: Database) -> None:
    made = keep(database, "noon")
    with database() as uow:
        uow.transcripts.save(made, Transcript(language="en", segments=(a_segment(0, "midnight"),)))
        uow.commit()
    assert find(database, "noon") == []
    assert times(find(database, "midnight")) == [0]


def test_what_was_deleted_is_not_found(database: Database) -> None:
    made = keep(database, "noon")
    with database() as uow:
        uow.transcriptions.delete(made)
        uow.commit()
    assert find(database, "noon") == []


def test_what_was_not_committed_is_not_found(database: Database) -> None:
    made = keep(database, "noon")
    with database() as uow:
        uow.transcripts.save(made, Transcript(language="en", segments=(a_segment(0, "midnight"),)))
    assert find(database, "midnight") == []
