"""What every `StreamDecoder` and every `SpeechProbabilities` does, held against the fakes and the real ones."""

from collections.abc import Callable

import pytest

from hansard.application.ports.audio import SpeechProbabilities, StreamDecoder
from hansard.audio.live_decoder import stream_decoder
from hansard.audio.voice_activity import SileroModel, SileroProbabilities
from hansard.domain.live import Encoding
from tests.audio_files import pcm_of, silence
from tests.fakes import FakeProbabilities, FakeStreamDecoder

MODEL = SileroModel()
SPOKEN = pcm_of("five.wav")[: 2 * 24_000]
RECORDING = silence(2) + SPOKEN + silence(2)


@pytest.fixture(params=["fake", "samples"])
def decoder(request: pytest.FixtureRequest) -> StreamDecoder:
    return FakeStreamDecoder() if request.param == "fake" else stream_decoder(Encoding.PCM16, 16_000)


@pytest.fixture(params=["fake", "silero"])
def voice(request: pytest.FixtureRequest) -> Callable[[], SpeechProbabilities]:
    return FakeProbabilities if request.param == "fake" else lambda: SileroProbabilities(MODEL)


def heard(voice: SpeechProbabilities, pcm: bytes, *, block_bytes: int = 3_200) -> list[float]:
    return [
        probability
        for start in range(0, len(pcm), block_bytes)
        for probability in voice.feed(pcm[start : start + block_bytes])
    ]


def test_chunks_of_16_khz_samples_come_out_as_they_are(decoder: StreamDecoder) -> None:
    chunks = [decoder.feed(SPOKEN[start : start + 1_000]) for start in range(0, len(SPOKEN), 1_000)]
    assert b"".join([*chunks, decoder.finish()]) == SPOKEN


def test_a_decoder_that_was_fed_nothing_has_nothing(decoder: StreamDecoder) -> None:
    assert decoder.feed(b"") + decoder.finish() == b""


def test_there_is_a_probability_for_each_whole_window(voice: Callable[[], SpeechProbabilities]) -> None:
    listener = voice()
    window_bytes = round(listener.window_seconds * 32_000)
    assert len(heard(listener, silence(2))) == len(silence(2)) // window_bytes


def test_speech_is_likelier_where_it_is(voice: Callable[[], SpeechProbabilities]) -> None:
    listener = voice()
    found = heard(listener, RECORDING)

    def at(seconds: float) -> float:
        return found[int(seconds / listener.window_seconds)]

    assert min(at(2.5), at(3.0)) > 0.5
    assert max(at(1.0), at(4.8)) < 0.2


@pytest.mark.parametrize("block_bytes", [334, 100_000])
def test_it_does_not_matter_how_the_stream_is_cut(voice: Callable[[], SpeechProbabilities], block_bytes: int) -> None:
    cut = heard(voice(), RECORDING, block_bytes=block_bytes)
    assert cut == pytest.approx(heard(voice(), RECORDING), abs=1e-4)
