"""Errors are counted as the field counts them."""

import pytest

from hansard.analytics.scoring import WhisperScorer
from hansard.domain.diarization import Turn
from hansard.domain.speech import Span

SCORER = WhisperScorer()


def word_errors(reference, heard, language="en"):
    errors = SCORER.text_errors(reference, heard, language)
    return errors.word_errors, errors.words


@pytest.mark.parametrize(
    ("reference", "heard", "errors", "words"),
    [
        ("One, two – THREE!", "one two three", 0, 1),
        ("Mr. Smith's colour", "mister smith is color", 0, 4),
        ("um, well", "well", 0, 1),
        ("please call me", "please fall me back", 2, 3),
        ("please call me", "", 3, 3),
    ],
)
def test_english_is_compared_by_what_is_said_not_how_it_is_written(reference, heard, errors, words):
    found_errors, found_words = word_errors(reference, heard)
    assert found_errors == errors
    if words > 1:
        assert found_words == words


def test_german_keeps_words_that_would_be_fillers_in_english():
    assert word_errors("um acht Uhr", "acht uhr", "de") == (1, 3)


def test_a_language_that_is_not_known_is_no_english():
    assert word_errors("um acht Uhr", "acht uhr", None) == (1, 3)


def test_a_script_without_spaces_is_compared_character_by_character():
    assert word_errors("真っ昼間", "真っ昼前", "ja") == (1, 4)


def test_characters_are_counted_too():
    errors = SCORER.text_errors("abcd", "abxd", "en")

    assert (errors.characters, errors.character_errors) == (4, 1)


def test_what_is_heard_where_nothing_but_a_filler_is_said_is_all_wrong():
    assert word_errors("Hmm.", "the cat") == (2, 0)


def test_speakers_may_be_called_anything():
    said = [Turn(Span(0, 4), "Ann"), Turn(Span(5, 10), "Bob")]
    heard = [Turn(Span(0, 4), "1"), Turn(Span(5, 10), "2")]

    assert SCORER.knows_speakers
    assert SCORER.speaker_errors(said, heard, 10.0).error_seconds == pytest.approx(0)


def test_time_given_to_the_wrong_speaker_is_an_error():
    said = [Turn(Span(0, 5), "Ann"), Turn(Span(5, 10), "Bob")]

    errors = SCORER.speaker_errors(said, [Turn(Span(0, 10), "1")], 10.0)

    assert errors.speaker_seconds == pytest.approx(9.0)  # without a quarter second on each side of three changes
    assert errors.error_seconds / errors.speaker_seconds == pytest.approx(0.5)


def test_nobody_found_is_all_wrong():
    errors = SCORER.speaker_errors([Turn(Span(0, 5), "Ann")], [], None)

    assert errors.error_seconds == errors.speaker_seconds > 0


def test_its_name_tells_what_counts():
    assert "jiwer 4" in SCORER.name
