"""What every `AudioDecoder` does, held against the fake and against PyAV."""

import io
from dataclasses import dataclass
from typing import BinaryIO

import pytest

from hansard.application.ports.audio import AudioDecoder
from hansard.audio.decoder import PyAvDecoder
from hansard.domain.audio import BYTES_PER_SECOND
from hansard.domain.errors import InvalidAudio
from tests.audio_files import tone, wav
from tests.fakes import FakeAudioDecoder

PCM = tone(6.5)


@dataclass(frozen=True)
class Case:
    decoder: AudioDecoder
    recording: bytes

    def source(self) -> BinaryIO:
        return io.BytesIO(self.recording)


@pytest.fixture(params=["fake", "pyav"])
def case(request) -> Case:
    return Case(FakeAudioDecoder(), PCM) if request.param == "fake" else Case(PyAvDecoder(), wav(PCM))


def test_a_recording_in_our_own_format_comes_out_sample_for_sample(case: Case):
    assert b"".join(case.decoder.decode(case.source())) == PCM


def test_blocks_are_whole_samples_of_at_most_a_few_seconds(case: Case):
    sizes = [len(block) for block in case.decoder.decode(case.source())]

    assert all(size % 2 == 0 for size in sizes)
    assert max(sizes) <= 5 * BYTES_PER_SECOND


def test_probing_tells_what_the_headers_say(case: Case):
    properties = case.decoder.probe(case.source())

    assert properties.codec == "pcm_s16le"
    assert properties.channels == 1
    assert properties.sample_rate_hz == 16_000
    assert properties.duration_seconds == 6.5


def test_probing_leaves_the_source_open(case: Case):
    source = case.source()

    case.decoder.probe(source)
    source.seek(0)

    assert source.read() == case.recording


# ── Channels heard apart ─────────────────────────────────────────────────────────────────────────────────

LEFT, RIGHT = tone(3.5, 300), tone(3.5, 500, 0.2)


def stereo(kind: str, left: bytes, right: bytes) -> Case:
    if kind == "fake":
        return Case(FakeAudioDecoder(channels=2), left + right)
    frames = b"".join(left[i : i + 2] + right[i : i + 2] for i in range(0, len(left), 2))
    return Case(PyAvDecoder(), wav(frames, channels=2))


@pytest.fixture(params=["fake", "pyav"])
def kind(request) -> str:
    return request.param


def test_each_channel_comes_out_by_itself(kind: str):
    case = stereo(kind, LEFT, RIGHT)

    assert b"".join(case.decoder.decode(case.source(), channel=0)) == LEFT
    assert b"".join(case.decoder.decode(case.source(), channel=1)) == RIGHT


def test_probing_counts_the_channels(kind: str):
    case = stereo(kind, LEFT, RIGHT)

    properties = case.decoder.probe(case.source())

    assert (properties.channels, properties.duration_seconds) == (2, 3.5)


def test_channels_that_say_the_same_are_alike(kind: str):
    case = stereo(kind, LEFT, LEFT)

    assert case.decoder.channels_alike(case.source())


def test_channels_that_say_something_else_are_not_alike(kind: str):
    case = stereo(kind, LEFT, RIGHT)

    assert not case.decoder.channels_alike(case.source())


def test_a_silent_channel_is_not_like_one_that_is_not(kind: str):
    case = stereo(kind, LEFT, bytes(len(LEFT)))

    assert not case.decoder.channels_alike(case.source())


def test_an_empty_file_is_invalid_audio(case: Case):
    with pytest.raises(InvalidAudio) as raised:
        case.decoder.probe(io.BytesIO(b""))

    assert raised.value.failure.code == "empty_file"
