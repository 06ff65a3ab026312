"""What PyAV's decoder makes of the many kinds of recordings, whole and broken."""

import io
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from hansard.audio.decoder import PyAvDecoder
from hansard.domain.errors import InvalidAudio, StorageError
from tests.audio_files import (
    broken_files,
    clip,
    concat_script,
    encoded,
    files_broken_at_their_end,
    float_wav,
    pcm_of,
    playlist,
    session_description,
    silence,
    tone,
    truncated,
    wav,
)

SPOKEN = ["call_me_back.mp3", "call_me_back.opus", "call_me_back.m4a"]


def decoded(recording: bytes) -> "np.ndarray":
    return np.frombuffer(b"".join(PyAvDecoder().decode(io.BytesIO(recording))), "<i2")


def seconds(recording: bytes) -> float:
    return len(decoded(recording)) / 16_000


def loudness(samples: "np.ndarray") -> float:
    return float(np.sqrt(np.mean(samples.astype(float) ** 2)))


# ── Whole recordings ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", SPOKEN)
def test_each_codec_is_decoded_for_its_whole_length(name: str):
    assert seconds(clip(name)) == pytest.approx(2.85, abs=0.03)


@pytest.mark.parametrize("name", SPOKEN)
def test_each_codec_states_its_length(name: str):
    assert PyAvDecoder().probe(io.BytesIO(clip(name))).duration_seconds == pytest.approx(2.85, abs=0.03)


def test_the_sound_of_a_video_is_decoded():
    samples = decoded(clip("video.mp4"))

    assert len(samples) / 16_000 == pytest.approx(1.76, abs=0.03)
    assert loudness(samples) == pytest.approx(loudness(np.frombuffer(pcm_of("five.wav"), "<i2")), rel=0.1)


def test_probing_names_container_and_codec_without_their_decoders_names():
    properties = PyAvDecoder().probe(io.BytesIO(clip("call_me_back.mp3")))

    assert (properties.container, properties.codec) == ("mp3", "mp3")


def test_stereo_is_mixed_down_and_its_channels_are_counted():
    left, right = (np.frombuffer(tone(1.0, hertz), "<i2") for hertz in (300, 500))
    recording = wav(np.stack([left, right], axis=1).tobytes(), channels=2)

    assert PyAvDecoder().probe(io.BytesIO(recording)).channels == 2
    mixed = (left.astype(int) + right.astype(int)) / 2
    assert np.abs(decoded(recording) - mixed).max() <= 1


@pytest.mark.parametrize("sample_rate_hz", [8_000, 11_025, 44_100, 96_000])
def test_other_sample_rates_become_16_khz(sample_rate_hz: int):
    recording = wav(bytes(2 * sample_rate_hz), sample_rate_hz=sample_rate_hz)

    assert seconds(recording) == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize("channels", [3, 6, 16])
def test_any_number_of_channels_becomes_one(channels: int):
    assert seconds(wav(bytes(2 * 16_000 * channels), channels=channels)) == 1.0


@pytest.mark.parametrize("unknown_size", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_a_wav_file_that_was_streamed_does_not_know_its_size(unknown_size: int):
    recording = wav(tone(2), data_bytes=unknown_size)

    assert PyAvDecoder().probe(io.BytesIO(recording)).duration_seconds == 2.0
    assert seconds(recording) == 2.0


def test_a_format_that_changes_on_the_way_is_followed():
    stereo = encoded(
        tone(2), container="mp3", codec="libmp3lame", sample_rate_hz=44_100, layout="stereo", sample_format="s16p"
    )
    mono = encoded(tone(2), container="mp3", codec="libmp3lame", sample_format="s16p")

    assert seconds(stereo + mono) == pytest.approx(4.0, abs=0.2)


def test_missing_sound_becomes_silence_so_that_later_sound_keeps_its_time():
    samples = decoded(encoded(tone(2), container="matroska", codec="pcm_s16le", starts_seconds=[0, 5]))

    assert len(samples) / 16_000 == pytest.approx(7.0, abs=0.01)
    assert loudness(samples[int(2.1 * 16_000) : int(4.9 * 16_000)]) == 0
    assert loudness(samples[int(5.1 * 16_000) :]) > 10_000


def test_a_clock_that_jumps_by_hours_is_not_believed():
    assert seconds(encoded(tone(2), container="nut", codec="pcm_s16le", starts_seconds=[0, 7200])) < 10


def test_an_estimated_length_is_not_stated():
    recording = encoded(tone(3), container="adts", codec="aac", sample_format="fltp")

    assert PyAvDecoder().probe(io.BytesIO(recording)).duration_seconds is None
    assert seconds(truncated(recording)) > 1


def test_numbers_among_nonsense_are_kept():
    samples = np.full(32_000, 0.25)
    samples[8_000:8_100] = np.nan
    samples[9_000:9_100] = np.inf

    heard = decoded(float_wav(samples))

    assert heard[0] == heard[-1] == 0.25 * 32_768
    assert not heard[8_000:8_100].any()
    assert not heard[9_000:9_100].any()


def test_samples_that_are_too_loud_are_clipped_not_wrapped():
    assert set(decoded(float_wav(np.full(16_000, 1e30)))) == {32_767}


def test_a_damaged_stretch_is_skipped():
    whole = clip("call_me_back.mp3")
    middle = len(whole) // 2
    damaged = whole[:middle] + b"\x55" * 400 + whole[middle + 400 :]

    samples, expected = decoded(damaged), decoded(whole)

    assert len(samples) > len(expected) - 0.3 * 16_000
    assert loudness(samples[-16_000:]) == pytest.approx(loudness(expected[-16_000:]), rel=0.1)


# ── Broken recordings ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", broken_files())
def test_a_file_that_is_seen_to_be_unusable_is_refused_by_probing(name: str):
    recording, code = broken_files()[name]

    with pytest.raises(InvalidAudio) as raised:
        PyAvDecoder().probe(io.BytesIO(recording))

    assert raised.value.failure.code == code
    assert raised.value.failure.help


@pytest.mark.parametrize("name", broken_files())
def test_a_file_that_is_refused_by_probing_is_not_decoded_either(name: str):
    with pytest.raises(InvalidAudio):
        decoded(broken_files()[name][0])


@pytest.mark.parametrize("name", files_broken_at_their_end())
def test_a_file_that_breaks_its_promise_is_refused_when_its_end_is_reached(name: str):
    recording, code = files_broken_at_their_end()[name]

    with pytest.raises(InvalidAudio) as raised:
        decoded(recording)

    assert raised.value.failure.code == code


def test_a_truncated_file_is_told_with_both_durations():
    with pytest.raises(InvalidAudio, match=r"promises 2\.9 s .* only 1\.7 s"):
        decoded(truncated(clip("call_me_back.mp3")))


def test_a_protected_wma_file_is_seen_by_its_headers():
    codec_list, content_encryption = (
        bytes.fromhex("4052d1861d31d011a3a400a0c90348f6"),
        bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),
    )
    recording = encoded(tone(2), container="asf", codec="pcm_s16le").replace(codec_list, content_encryption)

    with pytest.raises(InvalidAudio) as raised:
        PyAvDecoder().probe(io.BytesIO(recording))

    assert raised.value.failure.code == "encrypted_audio"


@pytest.mark.parametrize("name", SPOKEN)
def test_no_damage_makes_the_decoder_fail_otherwise_than_with_invalid_audio(name: str):
    random = np.random.default_rng(7)
    whole = clip(name)
    for _ in range(25):
        damaged = bytearray(whole)
        for position in random.integers(0, len(whole), 40):
            damaged[position] = random.integers(0, 256)
        with suppress(InvalidAudio):
            assert len(decoded(bytes(damaged))) < 60 * 16_000


def test_a_store_that_goes_away_in_the_middle_is_no_fault_of_the_recording():
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 500_000:
                raise StorageError("the store went away")
            return super().read(size)

    with pytest.raises(StorageError, match="went away"):
        list(PyAvDecoder().decode(Failing(wav(tone(60)))))


def test_a_disk_that_cannot_be_read_is_a_storage_error():
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(StorageError, match="Input/output error"):
        PyAvDecoder().probe(Failing(wav(tone(1))))


# ── Attacks ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def requests_received() -> Iterator[tuple[str, list[str]]]:
    """The URL of a server, and the paths that were asked of it."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(clip("five.wav"))

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/five.wav", received
    server.shutdown()
    thread.join()
    server.server_close()


class Named(io.BytesIO):
    """FFmpeg believes in playlists only under their usual names, and takes the name of a file object."""

    name = "talk.m3u8"


@pytest.mark.parametrize("make_source", [Named, io.BytesIO])
def test_a_playlist_makes_the_decoder_open_no_url(make_source, requests_received: tuple[str, list[str]]):
    url, received = requests_received

    for use in (PyAvDecoder().probe, lambda source: list(PyAvDecoder().decode(source))):
        with pytest.raises(InvalidAudio):
            use(make_source(playlist(url)))

    assert received == []


@pytest.mark.parametrize(
    "script",
    [lambda path: concat_script(path.name), lambda path: playlist(path.as_uri()), lambda path: playlist(str(path))],
)
def test_a_script_makes_the_decoder_open_no_other_file(script, tmp_path: Path, monkeypatch):
    # FFmpeg refuses absolute paths in scripts by itself.
    monkeypatch.chdir(tmp_path)
    # Opening a pipe for reading would wait for its writer; that nobody reads is seen by a writer that doesn't wait.
    other = tmp_path / "other.wav"
    os.mkfifo(other)
    opened = threading.Event()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            try:
                os.close(os.open(other, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:
                continue
            opened.set()
            return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with pytest.raises(InvalidAudio):
            PyAvDecoder().probe(Named(script(other)))
    finally:
        stop.set()
        watcher.join()
    assert not opened.is_set()


def test_a_session_description_makes_the_decoder_open_no_socket():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    with pytest.raises(InvalidAudio):
        PyAvDecoder().probe(io.BytesIO(session_description(port)))


def test_a_file_is_known_by_its_content_not_by_its_name(tmp_path: Path):
    (tmp_path / "talk.m3u8").write_bytes(clip("five.wav"))

    with (tmp_path / "talk.m3u8").open("rb") as source:
        assert PyAvDecoder().probe(source).container == "wav"


# ── Memory ───────────────────────────────────────────────────────────────────────────────────────────────

MEASURE = """
import resource, sys
from hansard.audio.decoder import PyAvDecoder
from hansard.audio.voice_activity import SileroDetector, SileroModel

detector = SileroDetector(SileroModel())
with open(sys.argv[1], "rb") as source:
    for number, block in enumerate(PyAvDecoder().decode(source)):
        if number % 10 == 0:
            detector.feed(block)
        if number == 60:
            early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(number, detector.finish().audio_seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - early)
"""


def test_half_an_hour_needs_no_more_memory_than_a_minute(tmp_path: Path):
    seconds = 1800
    recording = tmp_path / "long.wav"
    with recording.open("wb") as file:
        file.write(wav(b"", sample_rate_hz=44_100, data_bytes=2 * 44_100 * seconds))
        file.truncate(44 + 2 * 44_100 * seconds)

    measured = subprocess.run([sys.executable, "-c", MEASURE, recording], capture_output=True, text=True, check=True)

    blocks, heard_seconds, grown = measured.stdout.split()
    assert int(blocks) == seconds - 1
    assert float(heard_seconds) == seconds / 10
    # ru_maxrss counts KiB on Linux and bytes on macOS.
    assert int(grown) < 4 * 1024 * (1024 if sys.platform == "darwin" else 1)


def test_silence_is_no_fault():
    assert not decoded(wav(silence(1))).any()
