"""Streams decoded as they come in: the same samples as those of the whole file, however it is cut."""

import io
import threading

import numpy as np
import pytest

from hansard.application.ports.audio import StreamDecoder
from hansard.audio.decoder import PyAvDecoder
from hansard.audio.live_decoder import ContainerStream, ResampledSamples, stream_decoder
from hansard.domain.errors import InvalidAudio
from hansard.domain.live import Encoding
from tests.audio_files import concat_script, encoded, pcm_of, playlist, tone

FIVE = pcm_of("five.wav")


def opus(container: str) -> bytes:
    return encoded(FIVE, container=container, codec="libopus", sample_rate_hz=48_000)


def decoded(decoder: StreamDecoder, data: bytes, chunk_bytes: int) -> bytes:
    blocks = [decoder.feed(data[start : start + chunk_bytes]) for start in range(0, len(data), chunk_bytes)]
    return b"".join([*blocks, decoder.finish()])


@pytest.mark.parametrize("container", ["ogg", "webm"])
@pytest.mark.parametrize("chunk_bytes", [97, 4_000, 1_000_000])
def test_a_container_decodes_to_what_the_whole_file_does(container: str, chunk_bytes: int) -> None:
    data = opus(container)
    expected = b"".join(PyAvDecoder().decode(io.BytesIO(data)))
    assert decoded(ContainerStream(), data, chunk_bytes) == expected


def test_what_is_said_is_there_before_the_stream_ends() -> None:
    data, decoder = opus("webm"), ContainerStream()
    half = len(decoder.feed(data[: len(data) // 2]))
    decoder.finish()
    assert half > 0.3 * len(FIVE)


def test_samples_at_the_engines_rate_pass_as_they_are() -> None:
    assert decoded(stream_decoder(Encoding.PCM16, 16_000), FIVE, 333) == FIVE


@pytest.mark.parametrize("sample_rate_hz", [8_000, 24_000, 44_100, 48_000])
def test_samples_at_another_rate_keep_their_time_and_tone(sample_rate_hz: int) -> None:
    times = np.arange(sample_rate_hz * 2) / sample_rate_hz
    samples = (0.5 * 32_767 * np.sin(2 * np.pi * 440 * times)).astype("<i2").tobytes()
    resampled = np.frombuffer(decoded(ResampledSamples(sample_rate_hz), samples, 1_001), "<i2").astype(float)
    expected = np.frombuffer(tone(2.0), "<i2").astype(float)
    assert abs(len(resampled) - len(expected)) <= 16
    middle = slice(8_000, 24_000)
    assert np.corrcoef(resampled[middle], expected[middle])[0, 1] > 0.99


@pytest.mark.parametrize("data", [b"not audio at all, " * 500, playlist("http://127.0.0.1:1/"), concat_script("x.wav")])
def test_what_is_no_recording_is_refused(data: bytes) -> None:
    decoder = ContainerStream()
    with pytest.raises(InvalidAudio):
        decoded(decoder, data, 1_000)


@pytest.mark.parametrize("data", [FIVE, b"OggX", b"\x1aE\xdf\xff"])
def test_a_stream_that_begins_like_no_container_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(InvalidAudio) as refused:
        ContainerStream().feed(data)
    assert refused.value.failure.code == "not_audio"


def test_half_a_beginning_is_waited_for() -> None:
    assert ContainerStream().feed(b"\x1aE\xdf") == b""


def test_a_recording_in_another_container_is_refused() -> None:
    with pytest.raises(InvalidAudio):
        decoded(ContainerStream(), encoded(FIVE, container="mp3", codec="libmp3lame"), 4_000)


def test_a_stream_that_breaks_off_gives_what_there_is() -> None:
    data = opus("webm")
    assert len(decoded(ContainerStream(), data[: len(data) // 2], 1_000)) > 0.3 * len(FIVE)


def test_a_stream_of_nothing_is_over_at_once() -> None:
    assert ContainerStream().finish() == b""


def test_a_decoder_that_is_done_leaves_no_thread_behind() -> None:
    decoder = ContainerStream()
    decoder.feed(opus("ogg"))
    decoder.finish()
    assert not [thread for thread in threading.enumerate() if thread.name == "live-decoder"]
