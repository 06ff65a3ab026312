"""Putting a record together from passages."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.domain.speech import Span
from hansard.domain.transcript import RecognisedPassage, Segment, Transcript, Word


def segment(text: str, start: float = 0.0, end: float = 1.0, **more) -> Segment:
    return Segment(start_seconds=start, end_seconds=end, text=text, **more)


def passage(
    *segments: Segment, start: float | None = None, end: float | None = None, decoding: int = 0
) -> RecognisedPassage:
    span = Span(segments[0].start_seconds if start is None else start, segments[-1].end_seconds if end is None else end)
    return RecognisedPassage(span=span, engine="fake", model="fake-1", segments=segments, decoding=decoding)


def timed(text: str, *starts: float) -> Segment:
    """A segment whose words last half a second each."""
    words = tuple(Word(word, start, start + 0.5) for word, start in zip(text.split(), starts, strict=True))
    return segment(text, words[0].start_seconds, words[-1].end_seconds, words=words)


def again(*segments: Segment, decoding: int = 1) -> RecognisedPassage:
    """What was heard when a gap was decoded again."""
    return passage(*segments, decoding=decoding)


def test_a_shifted_segment_takes_its_words_along() -> None:
    heard = segment("hi", 1, 2, words=(Word("hi", 1.0, 1.5, 0.9),), confidence=0.8, speaker="A")
    assert heard.shifted(10) == segment("hi", 11, 12, words=(Word("hi", 11.0, 11.5, 0.9),), confidence=0.8, speaker="A")


@given(st.permutations(range(6)))
def test_passages_come_in_order_of_time_however_they_were_finished(order: list[int]) -> None:
    finished = [passage(segment(f"word{at}", at, at + 1)) for at in order]
    assert Transcript.of(finished).text == "word0 word1 word2 word3 word4 word5"


def test_what_was_heard_again_comes_in_between_in_order_of_time() -> None:
    whole = passage(segment("one", 0, 1), segment("four", 6, 7), start=0, end=10)
    assert Transcript.of([whole, again(segment("two", 2, 3), segment("three", 3, 4))]).text == "one two three four"


def test_segments_that_begin_together_keep_their_order() -> None:
    assert Transcript.of([passage(segment("a", 0, 2), segment("b", 0, 1), segment("c", 0, 3))]).text == "a b c"


def test_a_segment_is_cut_where_words_were_heard_again_amid_its_own() -> None:
    whole = passage(timed("Well, then: good-bye.", 0, 1, 8), start=0, end=10)
    record = Transcript.of([whole, again(segment("see you", 3, 4))])
    assert record.segments == (
        timed("Well, then:", 0, 1),
        segment("see you", 3, 4),
        timed("good-bye.", 8),
    )


def test_a_segment_is_cut_as_often_as_needed() -> None:
    whole = passage(timed("one three five", 0, 4, 8))
    record = Transcript.of([whole, again(segment("four", 6, 7)), again(segment("two", 2, 3), decoding=2)])
    assert record.text == "one two three four five"


def test_a_segment_is_whole_where_nothing_was_heard_again() -> None:
    segments = timed("one three", 0, 4), segment("two", 2, 3)
    assert Transcript.of([passage(*segments, start=0, end=5)]).segments == segments


@pytest.mark.parametrize(
    "whole",
    [
        pytest.param(segment("one three", 0, 5), id="it has no words"),
        pytest.param(replace(timed("one three", 0, 4), text="1 3"), id="its words are written otherwise"),
        pytest.param(replace(timed("one three", 3, 4), start_seconds=0.0), id="all of its words come later"),
    ],
)
def test_a_segment_that_cannot_be_cut_stays_whole(whole: Segment) -> None:
    heard_again = segment("two", 2, 3)
    record = Transcript.of([passage(whole), again(heard_again)])
    assert record.segments == (whole, heard_again)


@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=20, unique_by=lambda drawn: drawn[0]))
def test_segments_are_in_order_of_time_and_no_word_is_lost(moments: list[tuple[int, bool]]) -> None:
    first = sorted(moment for moment, heard_again in moments if not heard_again)
    passages = [again(segment(f"again{moment}", moment, moment + 1)) for moment, missed in moments if missed]
    if first:
        passages.append(passage(timed(" ".join(f"first{moment}" for moment in first), *first)))
    record = Transcript.of(passages)
    assert sorted(record.text.split()) == sorted(f"{'again' if missed else 'first'}{at}" for at, missed in moments)
    assert all(a.start_seconds <= b.start_seconds for a, b in pairwise(record.segments))


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


def test_speakers_of_a_passage_that_was_heard_again_as_a_whole_are_not_taken_for_the_same() -> None:
    record = Transcript.of([passage(segment("hi", speaker="A")), again(segment("hi there", speaker="A"))])
    assert [heard.speaker for heard in record.segments] == ["1A", "2A"]
