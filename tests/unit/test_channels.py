"""Channels that are heard apart, in one time again."""

import pytest

from hansard.domain.channels import MOST_CHANNELS, SILENCE_SECONDS, folded, folded_coverage, require_channels
from hansard.domain.coverage import Coverage
from hansard.domain.errors import InvalidAudio
from hansard.domain.speech import Span, Speech
from hansard.domain.transcript import Segment, Transcript, Word

TEN_SECONDS_TWICE = Speech(audio_seconds=10.0, regions=(), channels=2)
SECOND = 10.0 + SILENCE_SECONDS
"""Where the second channel begins."""


def said(text: str, start: float, end: float) -> Segment:
    return Segment(start_seconds=start, end_seconds=end, text=text, words=(Word(text, start, end),))


def fold(*segments: Segment, speech: Speech = TEN_SECONDS_TWICE) -> tuple[Segment, ...]:
    return folded(Transcript(language="en", segments=segments), speech).segments


def test_what_the_channels_say_is_in_order_of_time() -> None:
    made = fold(said("hello", 1, 2), said("fine", 6, 7), said("how", SECOND + 3, SECOND + 4))
    assert [(each.text, each.start_seconds, each.end_seconds) for each in made] == [
        ("hello", 1, 2),
        ("how", 3, 4),
        ("fine", 6, 7),
    ]


def test_the_speaker_is_the_number_of_the_channel() -> None:
    made = fold(said("hello", 1, 2), said("how", SECOND + 3, SECOND + 4))
    assert [(each.speaker, each.words[0].speaker) for each in made] == [("1", "1"), ("2", "2")]


def test_words_have_the_time_of_their_channel() -> None:
    (made,) = fold(said("how", SECOND + 3, SECOND + 4))
    assert (made.words[0].start_seconds, made.words[0].end_seconds) == (3, 4)


def test_times_that_reach_into_the_silence_end_with_the_recording() -> None:
    made = fold(said("late", 9.5, 10.4), said("early", SECOND - 0.3, SECOND + 0.5))
    assert [(each.text, each.start_seconds, each.end_seconds) for each in made] == [
        ("early", 0.0, 0.5),
        ("late", 9.5, 10.0),
    ]


def test_a_recording_heard_in_one_is_left_alone() -> None:
    segments = (said("hello", 1, 2),)
    assert fold(*segments, speech=Speech(10.0, ())) == segments


def test_gaps_and_dropped_text_are_in_the_recordings_time() -> None:
    coverage = Coverage(
        speech_seconds=9,
        transcribed_seconds=3,
        gaps=(Span(5, 8), Span(SECOND + 1, SECOND + 4)),
        dropped=(said("thanks", SECOND + 9, SECOND + 9.5),),
    )
    made = folded_coverage(coverage, TEN_SECONDS_TWICE)
    assert made.gaps == (Span(1, 4), Span(5, 8))
    assert [(each.start_seconds, each.speaker) for each in made.dropped] == [(9, "2")]
    assert made.ratio == coverage.ratio


@pytest.mark.parametrize(("count", "code"), [(1, "one_channel"), (MOST_CHANNELS + 1, "too_many_channels")])
def test_some_recordings_have_no_channels_to_be_heard_apart(count: int, code: str) -> None:
    with pytest.raises(InvalidAudio) as raised:
        require_channels(count)
    assert raised.value.failure.code == code
    assert raised.value.failure.help


def test_a_stereo_recording_has_channels_to_be_heard_apart() -> None:
    require_channels(2)
