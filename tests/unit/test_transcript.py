"""Putting a record together from passages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.domain.speech import Span
from hansard.domain.transcript import RecognisedPassage, Segment, Transcript, Word


def segment(text: str, start: float = 0.0, end: float = 1.0, **more) -> Segment:
    return Segment(start_seconds=start, end_seconds=end, text=text, **more)


def passage(*segments: Segment, start: float | None = None, end: float | None = None) -> RecognisedPassage:
    span = Span(segments[0].start_seconds if start is None else start, segments[-1].end_seconds if end is None else end)
    return RecognisedPassage(span=span, engine="fake", model="fake-1", segments=segments)


def test_a_shifted_segment_takes_its_words_along() -> None:
    heard = segment("hi", 1, 2, words=(Word("hi", 1.0, 1.5, 0.9),), confidence=0.8, speaker="A")
    assert heard.shifted(10) == segment("hi", 11, 12, words=(Word("hi", 11.0, 11.5, 0.9),), confidence=0.8, speaker="A")


@given(st.permutations(range(6)))
def test_passages_come_in_order_of_time_however_they_were_finished(order: list[int]) -> None:
    finished = [passage(segment(f"word{at}", at, at + 1)) for at in order]
    assert Transcript.of(finished).text == "word0 word1 word2 word3 word4 word5"


def test_the_language_is_the_one_spoken_longest() -> None:
    segments = segment("oui", 0, 1, language="fr"), segment("well", 1, 9, language="en"), segment("non", 9, 12)
    assert Transcript.of([passage(*segments)]).language == "en"


def test_a_record_whose_language_nobody_told_has_none() -> None:
    assert Transcript.of([passage(segment("hm"))]).language is None


def test_nothing_recognised_is_an_empty_text() -> None:
    assert Transcript.of([]).text == ""


@pytest.mark.parametrize(("language", "text"), [("en", "a b"), ("ja", "ab"), ("zh", "ab"), (None, "a b")])
def test_spaces_stand_between_segments_where_the_script_has_them(language: str | None, text: str) -> None:
    assert Transcript.of([passage(segment("a", language=language), segment("b", language=language))]).text == text


def test_a_segment_without_text_leaves_no_gap() -> None:
    assert Transcript.of([passage(segment("a"), segment(""), segment("b"))]).text == "a b"


def test_timed_words_are_counted_and_where_there_are_none_what_stands_between_spaces() -> None:
    timed = segment("well, well", words=(Word("well,", 0, 0.5), Word("well", 0.5, 1)))
    assert Transcript.of([passage(timed, segment("and so on"))]).word_count == 5


def test_speakers_of_one_passage_keep_their_names() -> None:
    record = Transcript.of([passage(segment("hi", speaker="A"), segment("ho", speaker="B"))])
    assert [heard.speaker for heard in record.segments] == ["A", "B"]


def test_speakers_of_several_passages_are_not_taken_for_the_same() -> None:
    record = Transcript.of(
        [
            passage(segment("see you", 20, 21, speaker="A")),
            passage(segment("hi", 0, 1, speaker="A"), segment("hm", 1, 2)),
            passage(segment("anyway", 10, 11)),
        ]
    )
    assert [heard.speaker for heard in record.segments] == ["1A", None, None, "2A"]
