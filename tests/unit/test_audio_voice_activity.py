"""How Silero's probabilities become regions, and that Silero itself hears what it should."""

from pathlib import Path

import numpy as np
import pytest

from hansard.audio.voice_activity import (
    LONGEST_REGION_SECONDS,
    PADDING_SECONDS,
    SileroDetector,
    SileroModel,
)
from hansard.domain.errors import ConfigurationError
from hansard.domain.speech import Speech
from tests.audio_files import clip, pcm_of, silence, tone, white_noise

WINDOW_SECONDS = 0.032


class LoudnessModel(SileroModel):
    """Takes the loudest sample of a window for its probability, so that a test can say what is heard when."""

    def probabilities(self, windows, state):
        return np.abs(windows[:, 64:]).max(axis=1), *state


def heard(*stretches: tuple[float, float]) -> Speech:
    """What is made of (seconds, probability), one after the other."""
    detector = SileroDetector(LoudnessModel())
    for seconds, probability in stretches:
        windows = round(seconds / WINDOW_SECONDS)
        detector.feed(np.full(512 * windows, probability * 32_767).astype("<i2").tobytes())
    return detector.finish()


def regions(speech: Speech) -> list[tuple[float, float]]:
    return [(round(region.start_seconds, 3), round(region.end_seconds, 3)) for region in speech.regions]


def test_speech_is_padded_on_both_sides():
    assert regions(heard((3.2, 0), (3.2, 0.9), (3.2, 0))) == [(2.8, 6.8)]


def test_padding_stays_within_the_recording():
    assert regions(heard((3.2, 0.9))) == [(0, 3.2)]


def test_padding_of_neighbours_meets_in_the_middle_of_their_pause():
    assert regions(heard((1.6, 0.9), (0.32, 0), (1.6, 0.9))) == [(0, 1.76), (1.76, 3.52)]


def test_a_dip_shorter_than_a_tenth_of_a_second_ends_nothing():
    assert regions(heard((1.6, 0.9), (0.064, 0), (1.6, 0.9))) == [(0, 3.264)]


def test_speech_goes_on_at_a_probability_at_which_it_would_not_begin():
    assert regions(heard((1.6, 0.3))) == []
    assert regions(heard((1.6, 0.9), (1.6, 0.3))) == [(0, 3.2)]


def test_a_click_is_no_speech():
    assert regions(heard((1.6, 0), (0.064, 0.9), (1.6, 0))) == []


def test_a_long_region_is_split_where_speech_is_least_likely():
    assert regions(heard((6.4, 0.9), (0.16, 0.5), (6.4, 0.9))) == [(0, 6.464), (6.464, 12.96)]


def test_no_region_is_longer_than_ten_seconds():
    speech = heard((6.4, 0), (320, 0.9), (6.4, 0), (12.8, 0.9), (6.4, 0))

    assert max(region.seconds for region in speech.regions) <= LONGEST_REGION_SECONDS
    assert speech.seconds == pytest.approx(320 + 12.8 + 4 * PADDING_SECONDS)


def test_half_a_sample_at_the_end_is_dropped():
    detector = SileroDetector(LoudnessModel())
    detector.feed(tone(1.0))
    detector.feed(b"\x7f")

    assert detector.finish().audio_seconds == 1.0


def test_a_last_partial_window_is_heard():
    detector = SileroDetector(LoudnessModel())
    detector.feed(tone(0.5))

    speech = detector.finish()

    assert speech.audio_seconds == 0.5
    assert speech.regions[-1].end_seconds == 0.5


@pytest.mark.parametrize("pcm", [white_noise(5), tone(5), b"\x00\x40" * 80_000], ids=["noise", "tone", "offset"])
def test_silero_takes_no_noise_for_speech(pcm: bytes):
    detector = SileroDetector(SileroModel())
    detector.feed(pcm)

    assert detector.finish().regions == ()


def test_silero_hears_speech_in_noise():
    speech = np.frombuffer(silence(1) + pcm_of("five.wav") + silence(1), "<i2")
    noise = np.frombuffer(white_noise(len(speech) / 16_000, amplitude=0.003), "<i2")
    detector = SileroDetector(SileroModel())
    detector.feed((speech // 2 + noise).astype("<i2").tobytes())

    found = detector.finish()

    assert found.seconds == pytest.approx(1.76, abs=0.8)
    assert found.regions[0].start_seconds > 0.5


def test_a_model_that_is_not_there_is_a_configuration_error(tmp_path: Path):
    detector = SileroDetector(SileroModel(tmp_path / "silero.onnx"))

    with pytest.raises(ConfigurationError) as raised:
        detector.feed(clip("five.wav"))

    assert raised.value.failure.help
