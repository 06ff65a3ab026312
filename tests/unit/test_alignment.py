"""When the words of a corrected text are said."""

import pytest

from hansard.domain.alignment import Draft, aligned
from hansard.domain.transcript import Segment, Word

JON = [("Jon", 0.0, 0.3), ("Smyth", 0.3, 1.0), ("said", 1.0, 1.3), ("hi,", 1.3, 1.5), ("there", 1.8, 2.0)]
WEATHER = [("今日", 0.0, 0.5), ("は", 0.5, 0.6), ("いい", 0.6, 1.0), ("天気", 1.0, 1.5), ("ですね。", 1.5, 2.1)]


def heard(words: list[tuple[str, float, float]], space: str = " ", **more) -> Segment:
    timed = tuple(Word(text, start, end, 0.9) for text, start, end in words)
    text = more.pop("text", space.join(word.text for word in timed))
    return Segment(start_seconds=words[0][1], end_seconds=words[-1][2], text=text, words=timed, **more)


def written(segment: Segment, text: str) -> list[Word]:
    draft = Draft(segment.start_seconds, segment.end_seconds, text, segment.speaker)
    (found,) = aligned([segment], [draft], timed=True)
    return list(found.words)


def times(words: list[Word]) -> list[tuple[str, float, float]]:
    return [(word.text, round(word.start_seconds, 3), round(word.end_seconds, 3)) for word in words]


def test_a_text_that_nobody_changed_has_the_words_it_had() -> None:
    segment = heard(JON)
    assert tuple(written(segment, segment.text)) == segment.words


def test_words_spelled_otherwise_keep_their_times_and_lose_their_probability() -> None:
    words = written(heard(JON), "John Smith said hi, there")
    assert times(words)[:2] == [("John", 0.0, 0.3), ("Smith", 0.3, 1.0)]
    assert [word.probability for word in words] == [None, None, 0.9, 0.9, 0.9]


def test_case_and_punctuation_are_spelling() -> None:
    words = written(heard(JON), "jon Smyth said: Hi there.")
    assert times(words) == [
        ("jon", 0.0, 0.3),
        ("Smyth", 0.3, 1.0),
        ("said:", 1.0, 1.3),
        ("Hi", 1.3, 1.5),
        ("there.", 1.8, 2.0),
    ]


def test_what_is_taken_out_leaves_the_others_where_they_are() -> None:
    segment = heard(JON)
    assert tuple(written(segment, "said there")) == (segment.words[2], segment.words[4])


def test_words_in_place_of_others_share_their_time_by_letters() -> None:
    words = written(heard(JON), "Jon Smyth goodbye now there")
    assert times(words)[2:4] == [("goodbye", 1.0, 1.36), ("now", 1.36, 1.5)]


def test_as_many_words_of_the_same_length_stand_exactly_where_the_others_stood() -> None:
    assert times(written(heard(JON), "Abc Smyth said hi, there"))[0] == ("Abc", 0.0, 0.3)


def test_a_new_word_has_the_gap_between_its_neighbours() -> None:
    assert times(written(heard(JON), "Jon Smyth said hi, you there"))[3:] == [
        ("hi,", 1.3, 1.5),
        ("you", 1.5, 1.8),
        ("there", 1.8, 2.0),
    ]


def test_without_a_gap_it_shares_the_time_of_the_slower_neighbour() -> None:
    words = written(heard(JON), "Jon Smyth then said hi, there")
    assert times(words)[:4] == [("Jon", 0.0, 0.3), ("Smyth", 0.3, 0.689), ("then", 0.689, 1.0), ("said", 1.0, 1.3)]
    assert words[1].probability == 0.9


@pytest.mark.parametrize("text", ["well Jon Smyth said hi, there", "Jon Smyth said hi, there again"])
def test_a_new_word_at_an_end_stays_inside_the_segment(text: str) -> None:
    words = written(heard(JON), text)
    assert (words[0].start_seconds, words[-1].end_seconds) == (0.0, 2.0)


def test_words_that_became_one_have_the_time_of_both() -> None:
    assert times(written(heard(JON), "JonSmyth said hi, there"))[0] == ("JonSmyth", 0.0, 1.0)


def test_of_two_words_that_are_alike_the_one_as_it_was_heard_is_meant() -> None:
    segment = heard([("Hello,", 0.0, 0.5), ("hello", 0.5, 1.0), ("world", 1.0, 1.5)])
    assert tuple(written(segment, "hello world")) == segment.words[1:]


def test_a_text_that_is_new_altogether_shares_all_of_the_time() -> None:
    words = written(heard(JON), "nonsense")
    assert times(words) == [("nonsense", 0.0, 2.0)]


def test_no_text_has_no_words() -> None:
    assert written(heard(JON), "") == []


def test_words_that_the_engine_cut_inside_stay_so() -> None:
    segment = heard([("costs", 0.0, 0.3), ("10", 0.3, 0.6), (",000", 0.6, 1.0)], text="costs 10,000")
    assert tuple(written(segment, "It costs 10,000"))[2:] == segment.words[1:]


def test_words_that_the_engine_cut_inside_are_one_when_that_is_corrected() -> None:
    segment = heard([("costs", 0.0, 0.3), ("10", 0.3, 0.6), (",000", 0.6, 1.0)], text="costs 10,000")
    assert times(written(segment, "costs 10.000"))[1:] == [("10.000", 0.3, 1.0)]


def test_bare_words_take_their_punctuation_from_the_text() -> None:
    segment = heard([("so", 0.0, 0.5), ("be", 0.5, 1.0), ("it", 1.0, 1.5)], text="“so be it.”")
    assert [word.text for word in written(segment, segment.text)] == ["“so", "be", "it.”"]


def test_words_that_are_not_in_the_text_still_tell_the_times() -> None:
    segment = heard([("twenty", 0.0, 1.0), ("people", 1.0, 2.0)], text="20 people")
    assert times(written(segment, "20 people")) == [("20", 0.0, 1.0), ("people", 1.0, 2.0)]


# ── Scripts without spaces ───────────────────────────────────────────────────────────────────────────────


def test_without_spaces_a_character_may_change_inside_a_word() -> None:
    segment = heard(WEATHER, space="")
    words = written(segment, "昨日はいい天気ですね。")
    assert times(words)[:2] == [("昨", 0.0, 0.25), ("日", 0.25, 0.5)]
    assert tuple(words[2:]) == segment.words[1:]


def test_without_spaces_characters_come_in_between() -> None:
    segment = heard(WEATHER, space="")
    words = written(segment, "今日はとてもいい天気ですね。")
    assert "".join(word.text for word in words) == "今日はとてもいい天気ですね。"
    assert tuple(words[:2]) == segment.words[:2]
    assert tuple(words[-2:]) == segment.words[-2:]


def test_thai_marks_stay_with_their_letter() -> None:
    segment = heard([("สวัสดี", 0.0, 1.0)])
    assert "".join(word.text for word in written(segment, "สวัสดีครับ")) == "สวัสดีครับ"


# ── Several segments ─────────────────────────────────────────────────────────────────────────────────────


def test_a_word_that_moves_to_the_next_segment_takes_its_times_along() -> None:
    first, second = heard(JON[:3]), heard(JON[3:])
    drafts = [Draft(0.0, 1.0, "Jon Smyth", None), Draft(1.0, 2.0, "said hi, there", None)]
    one, other = aligned([first, second], drafts, timed=True)
    assert (one.words, other.words) == (first.words[:2], (first.words[2], *second.words))
    assert (one.source, other.source) == (0, 1)


def test_a_segment_that_is_moved_away_from_its_words_shares_its_new_time_among_them() -> None:
    (found,) = aligned([heard(JON[:2])], [Draft(5.0, 6.6, "Jon Smyth", None)], timed=True)
    assert times(list(found.words)) == [("Jon", 5.0, 5.6), ("Smyth", 5.6, 6.6)]


def test_what_nobody_heard_is_from_nowhere_and_shares_its_time() -> None:
    (found,) = aligned([], [Draft(5.0, 6.0, "oh yes", None)], timed=True)
    assert found.source is None
    assert times(list(found.words)) == [("oh", 5.0, 5.4), ("yes", 5.4, 6.0)]


def test_untimed_text_stays_untimed() -> None:
    segment = Segment(start_seconds=0.0, end_seconds=1.0, text="no times")
    (found,) = aligned([segment], [Draft(0.0, 1.0, "no words", None)], timed=False)
    assert (found.words, found.source) == ((), 0)


@pytest.mark.parametrize(("label", "speakers"), [("1", ["1", "2", "1"]), ("3", ["3", "3", "3"])])
def test_words_keep_their_speakers_until_the_segment_is_somebody_elses(label: str, speakers: list[str]) -> None:
    words = (Word("we", 0.0, 1.0, speaker="1"), Word("do", 1.0, 2.0, speaker="2"))
    segment = Segment(start_seconds=0.0, end_seconds=3.0, text="we do", words=words, speaker="1")
    (found,) = aligned([segment], [Draft(0.0, 3.0, "we do now", label)], timed=True)
    assert [word.speaker for word in found.words] == speakers
