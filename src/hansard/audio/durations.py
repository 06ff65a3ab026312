"""How long a file says it is, and whether its word is worth anything.

A truncated recording decodes without an error; only the promise in its headers gives it away. But many formats
promise nothing, and then FFmpeg estimates from the bit rate. An estimate must neither be shown as a fact nor used
to call a whole file truncated.
"""

import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import BinaryIO

from av import AudioStream
from av.container import InputContainer

TRUNCATION_TOLERANCE = 0.01
"""A hundredth of the promise may be missing: single damaged packets are skipped, not fatal."""

TRUNCATION_TOLERANCE_SECONDS = 0.5
"""… and half a second: encoder delay and padding, and the packet in which a recorder was stopped."""

_EXACT = {"wav", "w64", "aiff", "au", "caf", "flac", "ape", "tta", "wv", "tak"}
"""Containers whose headers hold an index or the number of samples. MP3 joins them where it has a Xing header."""

_ESTIMATED = {"aac", "ac3", "amr", "dts", "eac3", "loas", "mlp", "truehd"}
"""Containers without a word about their length."""

_UNKNOWN_WAV_SIZES = (range(1), range(0x7FFFF000, 0x80000001), range(0xFFFFF000, 0x100000000))
"""What programs write for a data size they can't know yet, streaming: 0, about 2 GiB (sox) or about 4 GiB (ffmpeg)."""

MAX_WAV_CHUNKS = 1_000
"""Where to stop looking for the samples: a hostile file can consist of empty chunks."""

_XING_MARKS = (b"Xing", b"Info", b"VBRI")


@dataclass(frozen=True, slots=True)
class Durations:
    """`stated_seconds` is what to show, `promised_seconds` what the file must keep; None where it says nothing.

    `present_seconds` is how much of the promise lies within the file, where its index tells without decoding.
    """

    stated_seconds: float | None
    promised_seconds: float | None
    present_seconds: float | None = None


def read_durations(container: InputContainer, stream: AudioStream, source: BinaryIO, size_bytes: int) -> Durations:
    """Moves the position of `source`: call it before decoding, or on another stream of the same bytes."""
    kind = container_kind(container)
    stated = _stated_seconds(container, stream)
    if kind in _ESTIMATED or (kind == "mp3" and not _has_xing_header(source)):
        return Durations(stated_seconds=None, promised_seconds=None)
    if kind == "wav":
        return _wav_durations(source, size_bytes) or Durations(stated, None)
    if kind == "mp4":
        return Durations(stated, stated, _indexed_seconds(stream, size_bytes))
    # Matroska states the duration of the longest stream, which another stream than ours may be.
    exact = kind in _EXACT or kind == "mp3" or (kind == "matroska" and len(container.streams) == 1)
    return Durations(stated, stated if exact else None)


def container_kind(container: InputContainer) -> str:
    """The format's family: FFmpeg lists `mov,mp4,m4a,3gp,3g2,mj2` and `matroska,webm`."""
    family = container.format.name.split(",")[0]
    return "mp4" if family == "mov" else family


def falls_short(found_seconds: float, promised_seconds: float) -> bool:
    """Whether more is missing than the tolerance allows."""
    tolerance_seconds = max(TRUNCATION_TOLERANCE_SECONDS, promised_seconds * TRUNCATION_TOLERANCE)
    return promised_seconds - found_seconds > tolerance_seconds


def _stated_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration is not None else None


def _indexed_seconds(stream: AudioStream, size_bytes: int) -> float | None:
    """How far the index can be followed before it points past the end of the file; None where it never does."""
    entries, time_base = stream.index_entries, stream.time_base
    within = bisect_right(range(len(entries)), size_bytes, key=lambda i: entries[i].pos + entries[i].size)
    if within == len(entries) or time_base is None:
        return None
    return max(0.0, float(entries[within].timestamp * time_base))


def _wav_durations(source: BinaryIO, size_bytes: int) -> Durations | None:
    """From the `fmt ` and `data` chunks themselves: FFmpeg quietly corrects a data size that exceeds the file."""
    source.seek(12)
    byte_rate = 0
    for _ in range(MAX_WAV_CHUNKS):
        if len(header := source.read(8)) < 8:
            break
        name, size = struct.unpack("<4sI", header)
        start = source.tell()
        if name == b"fmt ":
            byte_rate = struct.unpack_from("<I", source.read(16).ljust(16, b"\0"), 8)[0]
        elif name == b"data":
            if not byte_rate or any(size in sizes for sizes in _UNKNOWN_WAV_SIZES):
                return None
            promised, present = size / byte_rate, max(0, size_bytes - start) / byte_rate
            return Durations(min(promised, present), promised, present)
        source.seek(start + size + size % 2)
    return None


def _has_xing_header(source: BinaryIO) -> bool:
    """Whether the first MP3 frame, after an ID3v2 tag, counts the frames of the file."""
    source.seek(0)
    tag = source.read(10)
    if tag.startswith(b"ID3") and len(tag) == 10:
        # ID3v2 §3.1: the size is four bytes of seven bits, without the header's own ten bytes.
        source.seek(10 + sum((byte & 0x7F) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True)))
    else:
        source.seek(0)
    frame = source.read(2048)
    return any(mark in frame for mark in _XING_MARKS)
