"""What every `AudioDecoder` does, held against the fake and against PyAV."""

import io
from dataclasses import dataclass
from typing import BinaryIO

import pytest

from hansard.application.ports import AudioDecoder
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


def test_an_empty_file_is_invalid_audio(case: Case):
    with pytest.raises(InvalidAudio) as raised:
        case.decoder.probe(io.BytesIO(b""))

    assert raised.value.failure.code == "empty_file"
