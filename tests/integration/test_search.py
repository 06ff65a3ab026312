"""Search as PostgreSQL does it: languages, stems, places in the text, edits, pages, whatever is written."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from hansard.application.ports.records import PHRASE_REACH, SearchQuery, UnitOfWork
from hansard.domain.errors import InvalidRequest
from hansard.domain.revision import Change, Revision, difference
from hansard.domain.transcript import Segment
from hansard.domain.transcription import Transcription
from hansard.persistence import search, search_index
from hansard.persistence.search import SqlSearchIndex
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from tests.fakes import FakeDatabase
from tests.search_library import NOON, a_segment, find, keep, times

Database = Callable[[], UnitOfWork]

DATABASE_IS_SHARED = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)


@pytest.fixture
def database(engine: Engine) -> Database:
    return lambda: SqlUnitOfWork(engine, TranscriptionJobs)


def marked(database: Database, words: str) -> list[str]:
    """The places that are found, in order."""
    return [hit.segment.text[match.start : match.end] for hit in find(database, words) for match in hit.matches]


# ── Languages ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("language", "said", "words", "found"),
    [
        ("en", "Two houses burned.", "house", "houses"),
        ("en", "A house burned.", "houses", "house"),
        ("de", "Zwei Häuser brannten.", "haus", "Häuser"),
        ("de", "Zwei Häuser brannten.", "HÄUSER", "Häuser"),
        ("de", "Zwei Häuser brannten.", "hauser", "Häuser"),
        ("de", "Die Straße.", "strasse", "Straße"),
        ("de-AT", "Zwei Häuser brannten.", "haus", "Häuser"),
        ("fr", "Ils continuèrent.", "continuer", "continuèrent"),
        ("fr", "L’avion de l'État.", "avion", "avion"),
        ("fr", "Un café, garçon !", "cafe garcon", "café|garçon"),
        ("ru", "Новые дома.", "дом", "дома"),
        ("ru", "Новые ДОМА.", "новые дома", "Новые|ДОМА"),
        ("el", "Καλημέρα σας.", "καλημερα", "Καλημέρα"),
        ("tr", "İstanbul'da kitaplar.", "kitap", "kitaplar"),
        ("ar", "الكتب الجديدة", "الكتب", "الكتب"),
        ("he", "ספר חדש", "ספר", "ספר"),
        ("hi", "मुझे हिन्दी आती है", "हिन्दी", "हिन्दी"),
        ("ja", "東京大学で会議があります。", "会議", "会議"),
        ("ja", "東京大学で会議があります。", "東京 会議", "東京|会議"),
        ("ja", "東京大学で会議があります。", "学", "学"),
        ("ja", "東京大学で会議があります。", '"大学で会議"', "大学で会議"),
        ("ja", "コーヒーを飲む", "ｺｰﾋｰ", "コーヒー"),
        ("zh", "我们明天在北京开会", "北京", "北京"),
        ("th", "สวัสดีครับ วันนี้อากาศดี", "อากาศ", "อากาศ"),
        ("ko", "학교에서 만나요", "학교", "학교"),
        ("ja", "AIの会議", "ai 会議", "AI|会議"),
        (None, "Two houses burned.", "houses", "houses"),
        ("xx", "Two houses burned.", "houses", "houses"),
    ],
)
def test_a_word_is_found_in_its_language(
    database: Database, language: str | None, said: str, words: str, found: str
) -> None:
    keep(database, a_segment(0, said, language=language))
    assert "|".join(marked(database, words)) == found


@pytest.mark.parametrize(
    ("language", "said", "words"),
    [
        ("de", "Running men.", "run"),
        ("en", "university", '"universal"'),
        ("en", "Two houses burned.", '"house"'),
        ("en", "A cafe.", "café"),
        ("ja", "東京大学", "京東"),
        ("ja", "東京 大学", '"京大"'),
        ("ja", "東京", "京都"),
    ],
)
def test_what_is_another_word_there_is_not_found(database: Database, language: str, said: str, words: str) -> None:
    keep(database, a_segment(0, said, language=language))
    assert find(database, words) == []


@pytest.mark.parametrize("words", ["e*", "en*", "o*", "owner*", "s*", "speaker*", "language*", "m*"])
def test_a_prefix_finds_words_only_not_what_they_are_filed_under(database: Database, words: str) -> None:
    keep(database, a_segment(0, "Two houses burned", speaker="Ann"), metadata={"case": "7"})
    assert find(database, words) == []


def test_a_prefix_finds_words_that_its_stem_would_not(database: Database) -> None:
    keep(database, "Communication matters.")
    assert marked(database, "communicati*") == ["Communication"]


def test_with_a_language_only_its_own_forms_are_looked_for(database: Database) -> None:
    keep(database, a_segment(0, "houses", language="en"), a_segment(1, "houses", language="de"))
    assert times(find(database, "house", language="en")) == [0]
    assert times(find(database, "houses", language="de-CH")) == [1]


# ── Places in the text ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "words", "found"),
    [
        ("“Houses,” she said: (houses)!", "house", ["Houses", "houses"]),
        ("Don't say you don’t know.", "don't", ["Don't", "don’t"]),
        ("John's e-mail was 3.5 MB.", 'john "e-mail" 3.5', ["John", "e-mail", "3.5"]),
        ("the who, The Who and the others", '"the who"', ["the who", "The Who"]),
        ("who who who", '"who who"', ["who who who"]),
        ("harbour, harbourmaster", "harb*", ["harbour", "harbourmaster"]),
        ("noon and midnight", "noon OR midnight", ["noon", "midnight"]),
        ("noon and midnight", "noon -evening", ["noon"]),
        ("annual general meeting", '"annual general" meeting', ["annual general", "meeting"]),
        ("u\u0308ber e\u0301t\u00e9", "über été", ["u\u0308ber", "e\u0301t\u00e9"]),
        ("👍 house 👍 house", "house", ["house", "house"]),
    ],
)
def test_places_are_exact(database: Database, said: str, words: str, found: list[str]) -> None:
    keep(database, a_segment(0, said))
    assert marked(database, words) == found


def test_a_word_that_is_said_twice_has_both_its_times(database: Database) -> None:
    keep(database, a_segment(7, "noon, I say noon"))
    (hit,) = find(database, "noon")
    assert [match.seconds for match in hit.matches] == [7.0, 7.3]


def test_words_that_are_not_in_the_text_are_no_hindrance(database: Database) -> None:
    segment = a_segment(7, "one two three")
    keep(database, replace(segment, text="one too three"))
    (hit,) = find(database, "too three")
    assert [match.seconds for match in hit.matches] == [7.0, 7.2]


# ── Filters ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("file_name", "found"),
    [
        ("BOARD", [2, 1]),
        ("board 1*", [1]),
        ("*.mp3", [2, 1]),
        ("board ?%.mp3", [1]),
        ("1%", [1]),
        ("_", [2]),
        ("rd_2", [2]),
        ("*board", []),
        ("\\", []),
    ],
)
def test_a_file_is_meant_by_a_part_of_its_name_or_by_all_of_it_with_asterisks(
    database: Database, file_name: str, found: list[int]
) -> None:
    keep(database, a_segment(1, "noon"), minute=1, file_name="Board 1%.mp3")
    keep(database, a_segment(2, "noon"), minute=2, file_name="Board_2.mp3")
    assert times(find(database, "noon", file_name=file_name)) == found


def test_speakers_are_told_apart_but_for_case(database: Database) -> None:
    keep(database, a_segment(1, "noon", speaker="Ann Lee"), a_segment(2, "noon", speaker="Ann"))
    assert times(find(database, "noon", speaker="ann lee")) == [1]


def test_labels_may_be_long_and_in_any_script(database: Database) -> None:
    label = {"裁判所" * 20: "高" * 500}
    keep(database, a_segment(1, "noon"), metadata=label)
    assert times(find(database, "noon", metadata=label)) == [1]
    assert find(database, "noon", metadata={"裁判所" * 20: "高"}) == []


# ── Pages, whichever way they are found ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("newest", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("limit", [1, 3, 4])
def test_it_makes_no_difference_how_many_are_looked_through_one_by_one(
    database: Database, engine: Engine, newest: int, limit: int
) -> None:
    for minute in range(4):
        keep(database, "noon", f"midnight {minute}", f"noon {minute}", minute=minute)
    said: list[str] = []
    cursor = None
    with engine.connect() as connection:
        for _ in range(20):
            page = SqlSearchIndex(connection, newest).find(
                SearchQuery(words="noon", file_name="minutes"), owner="ann", limit=limit, cursor=cursor
            )
            said += [hit.segment.text for hit in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert said == ["noon", "noon 3", "noon", "noon 2", "noon", "noon 1", "noon", "noon 0"]


@pytest.mark.parametrize("few", [0, 200])
def test_it_makes_no_difference_how_many_files_are_meant(
    database: Database, engine: Engine, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEW", few)
    for minute in range(4):
        keep(database, f"noon {minute}", minute=minute, file_name=f"{minute % 2}.mp3")
    with engine.connect() as connection:
        query = SearchQuery(words="noon", file_name="1.mp3")
        page = SqlSearchIndex(connection, newest=1).find(query, owner="ann", limit=9)
    assert [hit.segment.text for hit in page.items] == ["noon 3", "noon 1"]


@pytest.mark.parametrize("newest", [1, 100])
def test_what_is_added_meanwhile_does_not_shift_the_next_page(database: Database, engine: Engine, newest: int) -> None:
    for minute in range(3):
        keep(database, f"noon {minute}", minute=minute)
    with engine.connect() as connection:
        index = SqlSearchIndex(connection, newest)
        first = index.find(SearchQuery(words="noon"), owner="ann", limit=1)
        keep(database, "noon 9", minute=9)
        second = index.find(SearchQuery(words="noon"), owner="ann", limit=5, cursor=first.next_cursor)
    assert [hit.segment.text for hit in second.items] == ["noon 1", "noon 0"]


# ── Edits ────────────────────────────────────────────────────────────────────────────────────────────────


def revise(database: Database, made: Transcription, *segments: Segment) -> None:
    with database() as uow:
        current = uow.transcripts.current(made.id)
        assert current is not None
        after = replace(current.transcript, segments=segments)
        revision = Revision(
            number=current.number + 1,
            made_at=NOON,
            author=None,
            change=Change.TEXT,
            summary="",
            hunks=difference(current.transcript.segments, after.segments),
        )
        uow.transcripts.revise(made, after, revision)
        uow.commit()


def test_a_correction_is_found_and_the_mistake_is_not(database: Database) -> None:
    first, second = a_segment(0, "The harbor."), a_segment(1, "The harbor again.")
    made = keep(database, first, second)
    revise(database, made, a_segment(0, "The port."), second)
    assert times(find(database, "port")) == [0]
    assert times(find(database, "harbor")) == [1]


def test_what_is_split_merged_renamed_and_moved_is_found_as_it_is_now(database: Database) -> None:
    made = keep(database, a_segment(0, "one two"), a_segment(5, "three"), a_segment(6, "four"), a_segment(9, "five"))
    revise(
        database,
        made,
        a_segment(0, "one"),
        a_segment(2, "two"),
        a_segment(5, "three four"),
        a_segment(9, "five", speaker="Ann"),
    )
    assert times(find(database, "two")) == [2]
    assert times(find(database, "four")) == [5]
    assert times(find(database, "five", speaker="Ann")) == [9]


def test_of_several_that_begin_together_only_the_corrected_one_changes(database: Database) -> None:
    same = a_segment(5, "noon")
    made = keep(database, same, same, same)
    revise(database, made, same, a_segment(5, "midnight"), same)
    assert len(find(database, "noon")) == 2
    assert len(find(database, "midnight")) == 1


@pytest.mark.parametrize(
    ("words_each", "also"), [(PHRASE_REACH, {6.0}), (PHRASE_REACH - 1, {5.0, 6.0}), (5, {3.0, 4.0, 5.0, 6.0})]
)
def test_a_correction_writes_only_what_it_changed_and_what_leads_there(
    database: Database, engine: Engine, words_each: int, also: set[float]
) -> None:
    segments = [a_segment(number, " ".join(["noon"] * words_each)) for number in range(20)]
    made = keep(database, *segments)
    before = written(engine, made.id)
    revise(database, made, *segments[:7], a_segment(7, "midnight"), *segments[8:])
    changed = {start for start, row in written(engine, made.id).items() if row != before[start]}
    assert changed == {7.0} | also


SAID = st.lists(st.sampled_from(["one", "two", "three"]), max_size=12).map(" ".join)


@DATABASE_IS_SHARED
@given(before=st.lists(SAID, min_size=1, max_size=12), after=st.lists(SAID, min_size=1, max_size=12))
def test_after_a_correction_it_is_as_if_it_had_always_been_so(
    database: Database, engine: Engine, before: list[str], after: list[str]
) -> None:
    corrected = [a_segment(number, each) for number, each in enumerate(after)]
    made = keep(database, *before)
    revise(database, made, *corrected)
    anew = keep(database, *corrected)
    assert findable(engine, made.id) == findable(engine, anew.id)


def findable(engine: Engine, transcription_id: UUID) -> list[tuple[float, str]]:
    query = text(
        "SELECT start_seconds, lexemes::text FROM searchable_segments WHERE transcription_id = :id ORDER BY 1, number"
    )
    with engine.connect() as connection:
        return list(connection.execute(query, {"id": transcription_id}).tuples())


def written(engine: Engine, transcription_id: UUID) -> dict[float, str]:
    """The transaction that wrote each row."""
    query = text("SELECT start_seconds, xmin::text FROM searchable_segments WHERE transcription_id = :id")
    with engine.connect() as connection:
        return {row.start_seconds: row.xmin for row in connection.execute(query, {"id": transcription_id})}


def test_nothing_is_left_of_what_was_deleted(database: Database, engine: Engine) -> None:
    made = keep(database, "noon")
    with database() as uow:
        uow.audio.delete(made.audio_id)
        uow.commit()
    assert written(engine, made.id) == {}


def test_all_can_be_made_findable_anew(database: Database, engine: Engine) -> None:
    keep(database, a_segment(0, "Zwei Häuser", language="de"))
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM searchable_segments"))
        search_index.index_all(connection)
    assert marked(database, "haus") == ["Häuser"]


# ── Whatever is said, whatever is written ────────────────────────────────────────────────────────────────


@DATABASE_IS_SHARED
@given(words=st.text(st.characters(), max_size=60) | st.text("ab\"-*OR ()&|!<>:\\'東", max_size=30))
@example(words="\ufdfa")
@example(words="İ ß ﬁ ½ ŉ")
@example(words="a" * 3000)
@example(words="東" * 64)
def test_nothing_that_can_be_written_is_an_error_but_what_is_empty(database: Database, words: str) -> None:
    code = refusal_of(database, words)
    assert code in {None, "empty_query", "query_too_long"}


def refusal_of(database: Database, words: str) -> str | None:
    try:
        find(database, words)
    except InvalidRequest as refusal:
        return refusal.failure.code
    return None


@DATABASE_IS_SHARED
@given(said=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80))
@example(said="\0a\0")
@example(said="\ufdfa: '\\''")
@example(said=" ".join(f"word{number}" for number in range(12_000)))
@example(said="東" * 12_000)
@example(said="a" * 5000)
def test_whatever_is_said_can_be_kept(database: Database, said: str) -> None:
    made = keep(database, a_segment(0, said))
    with database() as uow:
        assert uow.transcripts.get(made.id) is not None


WORDS = st.sampled_from(["one", "two", "three", "東京", "東", "京", "don't", "Ünder"])
PARTS = st.builds(
    str.format,
    st.sampled_from(["{0}", "{0}*", "-{0}", "-{0}*", '"{0} {1}"', '"{0} {1}*"', '-"{0} {1}"']),
    WORDS,
    WORDS,
)


@DATABASE_IS_SHARED
@given(
    said=st.lists(st.lists(WORDS, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=5),
    words=st.lists(PARTS | st.just("OR"), min_size=1, max_size=5).map(" ".join),
)
def test_postgresql_finds_what_is_marked_and_marks_what_it_finds(
    database: Database, said: list[str], words: str
) -> None:
    fake, owner = FakeDatabase().unit_of_work, uuid4().hex
    segments = [a_segment(number, each, language=None) for number, each in enumerate(said)]
    for each in (fake, database):
        keep(each, *segments, owner=owner)
    refusal = refusal_of(fake, words)
    assert refusal_of(database, words) == refusal
    if refusal is None:
        expected = [(hit.segment, hit.matches) for hit in find(fake, words, owner=owner)]
        assert [(hit.segment, hit.matches) for hit in find(database, words, owner=owner)] == expected
        assert all(matches for _, matches in expected)
