"""What every `SpeechDetector` does, held against the fake and against Silero."""

from itertools import pairwise

import pytest

from hansard.application.ports.audio import SpeechDetector
from hansard.audio.voice_activity import SileroDetector, SileroModel
from hansard.domain.speech import Speech
from tests.audio_files import pcm_of, silence
from tests.fakes import FakeSpeechDetector

MODEL = SileroModel()
SPOKEN = pcm_of("five.wav")[: 2 * 24_000]
"""A second and a half of “one two three four five”."""
RECORDING = silence(2) + SPOKEN + silence(2.5) + SPOKEN + silence(2)
SPOKEN_FROM = (2.0, 6.0)


@pytest.fixture(params=["fake", "silero"])
def detector(request) -> SpeechDetector:
    return FakeSpeechDetector() if request.param == "fake" else SileroDetector(MODEL)


def heard(detector: SpeechDetector, pcm: bytes, *, block_bytes: int = 32_000) -> Speech:
    for start in range(0, len(pcm), block_bytes):
        detector.feed(pcm[start : start + block_bytes])
    return detector.finish()


def test_nothing_at_all_holds_no_speech(detector: SpeechDetector):
    assert detector.finish() == Speech(audio_seconds=0.0, regions=())


def test_silence_holds_no_speech(detector: SpeechDetector):
    assert heard(detector, silence(3.25)) == Speech(audio_seconds=3.25, regions=())


def test_the_length_of_the_recording_is_measured(detector: SpeechDetector):
    assert heard(detector, RECORDING).audio_seconds == len(RECORDING) / 32_000


def test_speech_is_found_where_it_is(detector: SpeechDetector):
    speech = heard(detector, RECORDING)

    for start in SPOKEN_FROM:
        middle = start + 0.75
        assert any(region.start_seconds <= middle < region.end_seconds for region in speech.regions)


def test_silence_between_speech_is_left_out(detector: SpeechDetector):
    speech = heard(detector, RECORDING)

    for silent_at in (0.5, 4.9, 8.9):
        assert not any(region.start_seconds <= silent_at < region.end_seconds for region in speech.regions)


def test_regions_are_in_order_and_within_the_recording(detector: SpeechDetector):
    speech = heard(detector, SPOKEN * 4)

    assert speech.regions[0].start_seconds >= 0
    assert all(before.end_seconds <= after.start_seconds for before, after in pairwise(speech.regions))
    assert speech.regions[-1].end_seconds <= speech.audio_seconds


@pytest.mark.parametrize("block_bytes", [333, 1024, 1_000_000])
def test_blocks_of_any_size_are_heard_alike(detector: SpeechDetector, block_bytes: int):
    reference = FakeSpeechDetector() if isinstance(detector, FakeSpeechDetector) else SileroDetector(MODEL)

    speech, expected = heard(detector, RECORDING, block_bytes=block_bytes), heard(reference, RECORDING)

    assert speech == expected
