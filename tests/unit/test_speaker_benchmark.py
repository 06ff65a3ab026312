"""What `make bench-speakers` judges by, without a recording or a network."""

import numpy as np
import pytest

from benchmarks.conversations import MOST_PIECES, end_to_end, mixtures
from benchmarks.held_out import Errors, Judged, chosen_elsewhere, total
from hansard.domain.speech import Span

SECOND = np.full(16_000, 1000, "<i2").tobytes()
VOICES = {name: [SECOND] * 6 for name in "abcdefgh"}


def judged(*voices: str, **wrong_seconds: float) -> Judged[str]:
    return Judged(frozenset(voices), {setting: Errors(wrong, 10.0) for setting, wrong in wrong_seconds.items()})


def test_the_setting_is_chosen_on_the_other_recordings():
    one = judged("ann", low=0, high=9)
    assert chosen_elsewhere(one, [one, judged("ben", low=2, high=1), judged("cas", low=2, high=1)]) == "high"


def test_a_recording_that_shares_a_voice_has_no_say():
    one = judged("ann", low=1, high=1)
    same_voice, other = judged("ann", "ben", low=0, high=9), judged("cas", low=1, high=0)
    assert chosen_elsewhere(one, [one, same_voice, other]) == "high"


def test_of_settings_that_are_as_good_the_middle_one_is_chosen():
    one = judged("ann", low=0, middle=0, high=0)
    assert chosen_elsewhere(one, [one, judged("ben", low=1, middle=1, high=1)]) == "middle"


def test_there_is_nothing_to_choose_by_where_every_other_recording_shares_a_voice():
    one = judged("ann", low=0)
    with pytest.raises(ValueError, match="voice"):
        chosen_elsewhere(one, [one, judged("ann", "ben", low=0)])


def test_a_total_is_weighted_by_how_much_is_said():
    short, long = Judged(frozenset("a"), {"low": Errors(5, 5)}), Judged(frozenset("b"), {"low": Errors(0, 15)})
    assert total([short, long], "low").rate == 0.25


def test_a_recording_in_which_nobody_speaks_has_no_errors():
    assert Errors().rate == 0


def test_a_mixture_says_where_each_piece_is_and_whose():
    pcm, turns = end_to_end([("ann", SECOND), ("ben", SECOND * 2)], [0.5, 0.25])
    assert turns == [(Span(0, 1), "ann"), (Span(1.5, 3.5), "ben")]
    assert len(pcm) == 3.75 * 32_000
    assert not any(pcm[32_000:48_000])


def test_all_voices_of_a_mixture_are_equally_loud():
    loud = np.full(16_000, 20_000, "<i2").tobytes()
    pcm, _ = end_to_end([("ann", SECOND), ("ben", loud)], [0, 0])
    assert pcm[:32_000] == pcm[32_000:]


def test_no_voice_is_in_both_halves_of_the_mixtures():
    said = {"a": set[str](), "b": set[str]()}
    for name, _, _, turns in mixtures(VOICES, 6):
        said[name[0]].update(voice for _, voice in turns)
    assert not said["a"] & said["b"]


def test_a_mixture_has_no_more_of_a_voice_than_was_said():
    for _, _, _, turns in mixtures(VOICES, 4):
        voices = [voice for _, voice in turns]
        assert all(voices.count(voice) <= MOST_PIECES for voice in voices)


def test_the_same_voices_make_the_same_mixtures():
    assert list(mixtures(VOICES, 3)) == list(mixtures(dict(reversed(VOICES.items())), 3))


def test_half_of_the_mixtures_are_as_on_the_telephone():
    kinds = [kind for _, kind, _, _ in mixtures(VOICES, 4)]
    assert kinds == ["mixtures"] * 2 + ["mixtures, telephone"] * 2 + ["mixtures"] * 2 + ["mixtures, telephone"] * 2


def test_without_two_voices_there_is_no_mixture():
    assert list(mixtures({"ann": [SECOND]}, 4)) == []
