"""Recordings made for tests: whole ones, odd ones, and ones that are broken in every way we know."""

import io
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np

DATA_DIRECTORY = Path(__file__).parent / "data"


def clip(name: str) -> bytes:
    """A file of `tests/data`."""
    return (DATA_DIRECTORY / name).read_bytes()


def pcm_of(name: str) -> bytes:
    """The samples of a 16 kHz mono s16le WAV file of `tests/data`."""
    return clip(name)[44:]


def silence(seconds: float) -> bytes:
    """16 kHz mono s16le, like everything below that is called `pcm`."""
    return bytes(2 * round(seconds * 16_000))


def tone(seconds: float, hertz: float = 440.0, amplitude: float = 0.5) -> bytes:
    times = np.arange(round(seconds * 16_000)) / 16_000
    return (amplitude * 32767 * np.sin(2 * np.pi * hertz * times)).astype("<i2").tobytes()


def white_noise(seconds: float, amplitude: float = 0.1) -> bytes:
    samples = np.random.default_rng(1).normal(0, amplitude, round(seconds * 16_000))
    return (samples.clip(-1, 1) * 32767).astype("<i2").tobytes()


def wav(
    pcm: bytes,
    *,
    sample_rate_hz: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    is_float: bool = False,
    data_bytes: int | None = None,
) -> bytes:
    """A WAV file around samples; `data_bytes` makes its header lie about how many there are."""
    frame_bytes = channels * bits // 8
    size = len(pcm) if data_bytes is None else data_bytes
    form = struct.pack(
        "<HHIIHH", 3 if is_float else 1, channels, sample_rate_hz, sample_rate_hz * frame_bytes, frame_bytes, bits
    )
    riff_size = min(36 + size, 0xFFFFFFFF)
    return (
        b"RIFF" + struct.pack("<I", riff_size) + b"WAVEfmt \x10\0\0\0" + form + b"data" + struct.pack("<I", size) + pcm
    )


def float_wav(samples: "np.ndarray[Any, Any]") -> bytes:
    """16 kHz mono of 32-bit floats, which may be NaN or infinite."""
    return wav(samples.astype("<f4").tobytes(), bits=32, is_float=True)


def encoded(
    pcm: bytes,
    *,
    container: str,
    codec: str,
    sample_rate_hz: int = 16_000,
    layout: str = "mono",
    sample_format: str = "s16",
    starts_seconds: Iterable[float] = (0.0,),
) -> bytes:
    """`pcm` in another container. With several `starts_seconds`, it is repeated at these times."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=sample_rate_hz, layout=layout)
        for start_seconds in starts_seconds:
            frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = 16_000
            converter = av.AudioResampler(sample_format, layout, sample_rate_hz, frame_size=1024)
            position = round(start_seconds * sample_rate_hz)
            for part in [*converter.resample(frame), *converter.resample(None)]:
                part.pts = position
                position += part.samples
                output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


def encrypted_mp4() -> bytes:
    """Common Encryption (ISO 23001-7), as of films and music from a shop."""
    return remuxed_mp4(
        clip("call_me_back.m4a"),
        encryption_scheme="cenc-aes-ctr",
        encryption_key="76a6c65c5ea762046bd749a2e632ccbb",
        encryption_kid="a7e61c373e219033c21091fa607bf3b8",
    )


def streamable_mp4() -> bytes:
    """In fragments, so that its index comes before its sound."""
    return remuxed_mp4(clip("call_me_back.m4a"), movflags="frag_keyframe+empty_moov")


def remuxed_mp4(mp4: bytes, **options: str) -> bytes:
    file = io.BytesIO()
    with av.open(io.BytesIO(mp4)) as source, av.open(file, "w", "mp4", options=options) as output:
        stream = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    return file.getvalue()


def playlist(url: str) -> bytes:
    """HLS, which players follow to wherever it points."""
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n".encode()


def concat_script(file_name: str) -> bytes:
    """FFmpeg's own script format, which joins files by name."""
    return f"ffconcat version 1.0\nfile '{file_name}'\n".encode()


def session_description(port: int) -> bytes:
    """SDP, which makes a player listen on, or send to, the network."""
    return f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n".encode()


def truncated(data: bytes, part: float = 0.6) -> bytes:
    return data[: round(len(data) * part)]


def _png() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as output:
        stream: Any = output.add_stream("png", rate=1)
        stream.width = stream.height = 16
        stream.pix_fmt = "rgb24"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        output.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


def broken_files() -> Mapping[str, tuple[bytes, str]]:
    """Each file that is seen to be unusable without decoding it whole, with the `code` of its `InvalidAudio`."""
    five = clip("five.wav")
    return {
        "nothing.wav": (b"", "empty_file"),
        "notes.mp3": ("Grüße an alle, und bis morgen!\n".encode() * 100, "not_audio"),
        "page.html": (b"<!doctype html><title>404</title>", "not_audio"),
        "picture.mp3": (_png(), "not_audio"),
        "document.wav": (b"%PDF-1.7\n" + bytes(range(256)) * 10, "not_audio"),
        "archive.wav": (b"PK\x03\x04" + bytes(range(256)) * 10, "not_audio"),
        "headerless.raw": (pcm_of("five.wav"), "not_audio"),
        "zeros.mp3": (bytes(100_000), "not_audio"),
        "unknown_codec.wav": (five[:20] + b"\x34\x12" + five[22:], "unsupported_codec"),
        "video.mp4": (clip("video_without_sound.mp4"), "no_audio_stream"),
        "film.m4a": (encrypted_mp4(), "encrypted_audio"),
        "shop.m4p": (clip("call_me_back.m4a").replace(b"mp4a", b"drms", 1), "encrypted_audio"),
        "cut_in_header.wav": (five[:20], "damaged_audio"),
        "cut_before_index.m4a": (truncated(clip("call_me_back.m4a")), "damaged_audio"),
        "header_only.wav": (five[:44], "truncated_audio"),
        "no_samples.wav": (wav(b""), "nothing_decodable"),
        "cut_stream.mp4": (truncated(streamable_mp4()), "truncated_audio"),
        "cut.wav": (truncated(five), "truncated_audio"),
        "lying.wav": (wav(silence(2), data_bytes=3_000_000), "truncated_audio"),
    }


def files_broken_at_their_end() -> Mapping[str, tuple[bytes, str]]:
    """Each file that only decoding shows to be unusable, with the `code` of its `InvalidAudio`."""
    return {
        "cut.flac": (truncated(clip("two_voices.flac")), "truncated_audio"),
        "cut.mp3": (truncated(clip("call_me_back.mp3")), "truncated_audio"),
        "not_numbers.wav": (float_wav(np.full(32_000, np.nan)), "not_a_number"),
        "infinite.wav": (float_wav(np.full(32_000, np.inf)), "not_a_number"),
    }
