"""Sentences, phrases and paragraphs: by example where the rules decide, by property for what always holds."""

import sys
from dataclasses import replace
from itertools import chain, pairwise
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.domain.paragraphs import LONGEST_PARAGRAPH_WORDS, PAUSE_SECONDS, paragraphs
from hansard.domain.sentences import (
    LONGEST_PHRASE_WORDS,
    LONGEST_SENTENCE_WORDS,
    LONGEST_SILENCE_SECONDS,
    broken_at_pauses,
    sentences,
)
from hansard.domain.transcript import Segment, Transcript, Word

WORD_SECONDS = 0.3


def heard(text: str, *, start: float = 0.0, pauses: dict[int, float] | None = None, **fields) -> Segment:
    """A segment with a word for each piece between spaces; `pauses` are seconds of silence before words, by number."""
    words: list[Word] = []
    at = start
    for number, word in enumerate(text.split()):
        at += (pauses or {}).get(number, 0.0)
        words.append(Word(word, at, at + WORD_SECONDS, 0.9))
        at += WORD_SECONDS
    return Segment(start_seconds=start, end_seconds=at, text=text, words=tuple(words), **fields)


def bare(text: str, start: float = 0.0, end: float = 10.0, **fields) -> Segment:
    """A segment of an engine without word times."""
    return Segment(start_seconds=start, end_seconds=end, text=text, **fields)


def record(*segments: Segment, language: str | None = "en") -> Transcript:
    return Transcript(language=language, segments=segments)


def texts(*segments: Segment, language: str | None = "en") -> list[str]:
    return [sentence.text for sentence in sentences(record(*segments, language=language))]


# ── Where the engine writes punctuation ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("segment", [heard, bare])
@pytest.mark.parametrize(
    ("language", "expected"),
    [
        pytest.param("en", ["Order, order!", "Who said that?", "I did."], id="marks"),
        pytest.param("en", ["Mr. Smith met Dr. Who vs. Prof. X.", "Then he left."], id="titles"),
        pytest.param("en", ["J. R. Smith wrote it.", "It was I.", "Then he left."], id="initials"),
        pytest.param("en", ["The U.S. Army came to the U.S.", "Then it left."], id="acronyms"),
        pytest.param("en", ["At 5 p.m. on Friday we met at 6 p.m.", "Then we left."], id="times of day"),
        pytest.param("en", ["It was 3.14, and 2.5 more.", "No.", "No. 5 is alive."], id="numbers"),
        pytest.param("en", ["Bread, milk, etc. were sold by Smith Inc. and others."], id="abbreviations"),
        pytest.param("en", ["Well... I think so.", "And then...", "Nothing."], id="ellipses"),
        pytest.param("en", ['"Stop!" he said.', '"Go."', "(He left.)", "“Why?”", "Because."], id="quotes"),
        pytest.param("en", ["Look at example.com for more.", "Then call."], id="addresses"),
        pytest.param("en", ["What?!", "Really!!!", "Yes."], id="several marks"),
        pytest.param("de", ["Am 3. Oktober kam z.B. Frau Dr. Weiß.", "Er sagte: „Komm.“", "Gut."], id="German"),
        pytest.param("es", ["¿Qué?", "¡Hola!", "Sra. López llegó."], id="Spanish"),
        pytest.param("hi", ["यह सच है।", "कुछ नहीं खोया।"], id="danda"),
        pytest.param("ar", ["هل هذا صحيح؟", "نعم."], id="Arabic question mark"),
        pytest.param("ur", ["یہ سچ ہے۔", "کچھ نہیں کھویا۔"], id="Urdu full stop"),
        pytest.param("el", ["Τι είναι αυτό;", "Τίποτα."], id="Greek question mark"),
    ],
)
def test_sentences_end_at_the_marks_that_end_sentences(segment, language: str, expected: list[str]) -> None:
    assert texts(segment(" ".join(expected)), language=language) == expected


@pytest.mark.parametrize(
    "expected",
    [
        ["記録は正しい。", "何も失われなかった！", "本当？"],
        ["「はい。」と言った。", "それで終わり。"],
        ["円周率は3.14です。", "そう。"],
    ],
)
def test_scripts_without_spaces_have_sentences_too(expected: list[str]) -> None:
    text = "".join(expected)
    characters = tuple(Word(character, at, at + 0.5) for at, character in enumerate(text))
    assert texts(bare(text), language="ja") == expected
    assert texts(replace(bare(text), words=characters), language="ja") == expected


def test_a_closing_quote_that_is_a_word_for_itself_stays_with_its_sentence() -> None:
    words = tuple(Word(text, at, at + 1) for at, text in enumerate(["「はい", "。", "」", "次", "。"]))
    assert texts(replace(bare("「はい。」次。"), words=words), language="ja") == ["「はい。」", "次。"]


def test_a_sentence_may_run_over_segments_and_a_segment_may_hold_several() -> None:
    assert texts(heard("The record"), heard("is true. Nothing", start=2), heard("was lost.", start=4)) == [
        "The record is true.",
        "Nothing was lost.",
    ]


def test_a_pause_within_a_sentence_does_not_end_it() -> None:
    assert texts(heard("The record is, of course, true.", pauses={3: 3.0})) == ["The record is, of course, true."]


def test_a_long_silence_ends_whatever_was_being_said() -> None:
    silence = {3: LONGEST_SILENCE_SECONDS + 1}
    assert texts(heard("The record is, of course, true.", pauses=silence)) == ["The record is,", "of course, true."]


def test_an_engine_that_stops_writing_full_stops_makes_no_endless_sentence() -> None:
    endless = "so " * LONGEST_SENTENCE_WORDS + "what."
    said = sentences(record(heard(f"Well. {endless} Yes.")))
    assert (said[0].text, said[-1].text) == ("Well.", "Yes.")
    assert all(len(sentence.words) <= LONGEST_PHRASE_WORDS for sentence in said)


# ── Where it does not ────────────────────────────────────────────────────────────────────────────────────


def test_without_punctuation_phrases_end_at_pauses_and_no_full_stop_is_made_up() -> None:
    segment = heard("good morning this is the record nothing was lost", pauses={2: 1.2, 6: 1.0})
    assert texts(segment) == ["good morning", "this is the record", "nothing was lost"]


def test_a_long_phrase_is_broken_at_its_longest_pause_after_the_tenth_word() -> None:
    segment = heard(" ".join(f"word{number}" for number in range(25)), pauses={5: 0.9, 14: 0.4, 17: 0.3})
    assert [len(sentence.words) for sentence in sentences(record(segment))] == [14, 11]


def test_text_before_the_first_word_is_its_sentences() -> None:
    assert texts(replace(bare("— ¡Sí!"), words=(Word("Sí", 0, 1),)), language="es") == ["— ¡Sí!"]


def test_words_written_together_are_not_torn_apart() -> None:
    parts = ["well", "-known"] * 15
    words = tuple(Word(part, at, at + 0.5) for at, part in enumerate(parts))
    text = " ".join(["well-known"] * 15)
    said = [sentence.text for sentence in sentences(record(replace(bare(text), words=words)))]
    assert " ".join(said) == text


def test_thai_which_has_no_full_stops_is_broken_at_pauses() -> None:
    words = (Word("บันทึก", 0, 1), Word("ถูกต้อง", 1, 2), Word("ไม่มี", 4, 5), Word("อะไรหาย", 5, 6))
    assert texts(replace(bare("บันทึกถูกต้อง ไม่มีอะไรหาย"), words=words), language="th") == ["บันทึกถูกต้อง", "ไม่มีอะไรหาย"]


# ── Speakers and engines ─────────────────────────────────────────────────────────────────────────────────


def test_another_speaker_ends_sentence_and_paragraph() -> None:
    segments = heard("And then we", speaker="1"), heard("Went home.", speaker="2", start=1)
    assert [(said.speaker, said.text) for said in sentences(record(*segments))] == [
        ("1", "And then we"),
        ("2", "Went home."),
    ]
    assert [said.speaker for said in paragraphs(record(*segments))] == ["1", "2"]


def test_a_word_that_somebody_else_says_is_a_sentence_of_his() -> None:
    segment = heard("We then went yes home.", speaker="1")
    words = [replace(word, speaker="2" if word.text == "yes" else None) for word in segment.words]
    said = sentences(record(replace(segment, words=tuple(words))))
    assert [(sentence.speaker, sentence.text) for sentence in said] == [
        ("1", "We then went"),
        ("2", "yes"),
        ("1", "home."),
    ]


def test_what_another_engine_heard_begins_anew() -> None:
    segments = heard("and so on", engine="pocketsphinx"), heard("The end.", engine="whisper", start=1)
    assert texts(*segments) == ["and so on", "The end."]


# ── Times and confidence ─────────────────────────────────────────────────────────────────────────────────


def test_a_sentence_has_the_times_and_the_confidence_of_its_words() -> None:
    segment = heard("It is true. It is.", start=10)
    sure, unsure = segment.words[:3], tuple(replace(word, probability=0.5) for word in segment.words[3:])
    first, second = sentences(record(replace(segment, words=sure + unsure)))
    assert (first.start_seconds, first.end_seconds, first.confidence) == pytest.approx((10, 10.9, 0.9))
    assert (second.start_seconds, second.end_seconds, second.confidence) == pytest.approx((10.9, 11.5, 0.5))


def test_without_word_times_a_sentence_takes_its_share_of_the_segment() -> None:
    first, second = sentences(record(bare("It is so. And nothing was lost.", 10, 41, confidence=0.7)))
    assert (first.start_seconds, first.end_seconds) == (10, 20)
    assert (second.start_seconds, second.end_seconds) == (20, 41)
    assert (first.words, first.confidence) == ((), pytest.approx(0.7))


def test_words_that_all_take_no_time_give_no_times() -> None:
    words = tuple(Word(text, 0.0, 0.0) for text in ("Yes.", "No."))
    first, second = sentences(record(replace(bare("Yes. No.", 0, 8), words=words)))
    assert (first.end_seconds, second.end_seconds) == (5, 8)
    assert [word.text for word in second.words] == ["No."]


def test_words_that_are_not_in_the_text_are_dealt_out_in_order() -> None:
    words = tuple(Word(text, at, at + 1) for at, text in enumerate(["yeah", "nope", "what", "ever"]))
    first, second = sentences(record(replace(bare("Yes. No."), words=words)))
    assert (first.text, [word.text for word in first.words], first.end_seconds) == ("Yes.", ["yeah", "nope"], 2)
    assert (second.text, [word.text for word in second.words], second.start_seconds) == ("No.", ["what", "ever"], 2)


# ── Paragraphs ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_long_pause_begins_a_paragraph() -> None:
    segments = heard("It is so. It is."), heard("As to the harbour.", start=1.8 + PAUSE_SECONDS)
    assert [paragraph.text for paragraph in paragraphs(record(*segments))] == [
        "It is so. It is.",
        "As to the harbour.",
    ]


def test_a_long_paragraph_ends_after_the_sentence_with_the_longest_pause_in_its_second_half() -> None:
    sentence_of_ten = "one two three four five six seven eight nine ten."
    segment = heard(" ".join([sentence_of_ten] * 15), pauses={20: 2.0, 90: 0.5})
    assert [len(paragraph.sentences) for paragraph in paragraphs(record(segment))] == [9, 6]


def test_a_sentence_longer_than_a_paragraph_is_one() -> None:
    said = bare("言" * 4 * LONGEST_PARAGRAPH_WORDS + "。")
    assert [len(paragraph.sentences) for paragraph in paragraphs(record(said, said, language="ja"))] == [1, 1]


def test_no_words_make_no_sentences() -> None:
    assert sentences(record()) == ()
    assert paragraphs(record(bare(" "))) == ()


# ── What always holds ────────────────────────────────────────────────────────────────────────────────────

SPOKEN = st.sampled_from(
    [
        "Mr.",
        "so",
        "it",
        "is",
        "true.",
        "Yes!",
        "No?",
        '"Go."',
        "U.S.",
        "3.",
        "14",
        "well...",
        "—",
        "I",
        "。",
        "はい。",
        "»",
    ]
)


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """In order of time, without overlaps; with word times, without, with those of other words, or all the same."""
    segments: list[Segment] = []
    at = 0.0
    for _ in range(draw(st.integers(0, 6))):
        at += draw(st.sampled_from([0.0, 0.5, 3.0, 8.0]))
        spoken = draw(st.lists(SPOKEN, max_size=30))
        segment = heard(
            draw(st.sampled_from([" ", "", "  "])).join(spoken),
            start=at,
            pauses=draw(st.dictionaries(st.integers(0, 30), st.sampled_from([0.3, 1.5, 6.0]), max_size=4)),
            speaker=draw(st.sampled_from([None, "1", "2"])),
            engine=draw(st.sampled_from(["whisper", "pocketsphinx"])),
        )
        kind = draw(st.sampled_from(["as heard", "no words", "other words", "no times", "speakers in words"]))
        segments.append(_changed(segment, kind))
        at = segment.end_seconds
    return record(*segments, language=draw(st.sampled_from(["en", "de", "ja", None])))


def _changed(segment: Segment, kind: str) -> Segment:
    words: tuple[Word, ...] = segment.words
    if kind == "no words":
        words = ()
    elif kind == "other words":
        words = tuple(replace(word, text=f"{word.text}x") for word in words)
    elif kind == "no times":
        words = tuple(
            replace(word, start_seconds=segment.start_seconds, end_seconds=segment.start_seconds) for word in words
        )
    elif kind == "speakers in words":
        words = tuple(replace(word, speaker="12"[number % 5 // 3]) for number, word in enumerate(words))
    return replace(segment, words=words)


def without_spaces(text: str) -> str:
    return "".join(text.split())


@given(transcripts())
def test_without_white_space_the_text_is_that_of_the_transcript(transcript: Transcript) -> None:
    expected = without_spaces(transcript.text)
    assert without_spaces("".join(sentence.text for sentence in sentences(transcript))) == expected
    assert without_spaces("".join(paragraph.text for paragraph in paragraphs(transcript))) == expected


@given(st.lists(st.lists(SPOKEN.filter(str.isascii), min_size=1, max_size=12), max_size=6), st.booleans())
def test_where_words_have_one_space_between_them_the_text_is_that_of_the_transcript(
    spoken: list[list[str]], timed: bool
) -> None:
    segments = [(heard if timed else bare)(" ".join(words), start=10.0 * at) for at, words in enumerate(spoken)]
    transcript = record(*(replace(segment, end_seconds=segment.start_seconds + 9) for segment in segments))
    assert " ".join(sentence.text for sentence in sentences(transcript)) == transcript.text
    assert " ".join(paragraph.text for paragraph in paragraphs(transcript)) == transcript.text


@given(transcripts())
def test_every_word_is_in_one_sentence_and_in_one_paragraph_in_order(transcript: Transcript) -> None:
    words = list(chain.from_iterable(segment.words for segment in transcript.segments))
    assert [id(word) for sentence in sentences(transcript) for word in sentence.words] == [id(word) for word in words]
    assert [id(word) for paragraph in paragraphs(transcript) for word in paragraph.words] == [
        id(word) for word in words
    ]


@given(transcripts())
def test_every_sentence_is_in_one_paragraph(transcript: Transcript) -> None:
    assert tuple(chain.from_iterable(said.sentences for said in paragraphs(transcript))) == sentences(transcript)


@given(transcripts())
def test_time_is_monotone(transcript: Transcript) -> None:
    for parts in (sentences(transcript), paragraphs(transcript)):
        assert all(part.start_seconds <= part.end_seconds for part in parts)
        assert all(a.end_seconds <= b.start_seconds + 1e-9 for a, b in pairwise(parts))


@given(transcripts())
def test_a_sentence_is_of_one_speaker_and_spans_its_words(transcript: Transcript) -> None:
    for sentence in sentences(transcript):
        assert len({word.speaker for word in sentence.words if word.speaker}) <= 1
        timed = [word for word in sentence.words if word.end_seconds > word.start_seconds]
        assert all(sentence.start_seconds <= word.start_seconds for word in timed)
        assert all(sentence.end_seconds >= word.end_seconds for word in timed)


@given(st.lists(st.tuples(st.floats(0, 9), st.integers(1, 30)), max_size=40), st.integers(1, 25))
def test_slices_follow_one_another_and_are_no_longer_than_allowed(
    things: list[tuple[float, int]], longest: int
) -> None:
    lengths = [length for _, length in things]
    slices = list(broken_at_pauses([pause for pause, _ in things], lengths, longest))
    assert list(chain.from_iterable(range(each.start, each.stop) for each in slices)) == list(range(len(things)))
    assert all(sum(lengths[each]) <= longest or each.stop - each.start == 1 for each in slices)


class _Steps:
    """Counts lines of Python that run: how much work it is, whatever the machine is doing beside."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, *_: object) -> object:
        self.count += 1
        return self._trace


@pytest.mark.parametrize("words", ["so it is true.", "so it is", "sure"])
def test_ten_times_the_words_are_ten_times_the_work(words: str) -> None:
    def work(times: int) -> int:
        transcript = record(heard(" ".join([words] * times)))
        with _Steps() as steps:
            paragraphs(transcript)
        return steps.count

    assert work(4000) < 11 * work(400)
