"""Any container FFmpeg opens, video included, into 16 kHz mono, as a stream in constant memory.

Recordings come from strangers. A playlist or a script handed in as audio must not make FFmpeg open a URL or another
file, so only formats on a list are let in and every protocol is off. A damaged packet is skipped, not the end. And
a file that is not what it promises is an error that says so, not a shorter transcript.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol, cast

import av
import numpy as np
from av import AudioCodecContext, AudioFrame, AudioResampler, AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from numpy.typing import NDArray

from hansard.audio import faults
from hansard.audio.durations import Durations, container_kind, falls_short, read_durations
from hansard.domain.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ, AudioProperties
from hansard.domain.errors import HansardError, StorageError
from hansard.timing.decorators import monitor_performance

FORMATS = (
    "aac ac3 aiff amr ape asf au avi caf dsf dss dts dtshd eac3 flac flv ircam loas matroska mlp mov mp3 mpc mpc8 "
    "mpeg mpegts mxf nistsphere nut ogg oma paf pvf qcp rm shn sox tak truehd tta voc w64 wav wtv wv xwma"
)
"""The FFmpeg demuxers let in: self-contained recordings. Playlists, scripts, network and device formats stay out."""

_SMALL_READ_BYTES = 4096
"""Of a stream that is still coming in: FFmpeg waits until it has so much. Its option `nobuffer` would drop a packet."""

_OPTIONS = {"protocol_whitelist": "none", "format_whitelist": FORMATS.replace(" ", ",")}

_WAV_PROBE_BYTES = 8192
"""Enough for the header of a file with some lines of metadata, and for a frame of DTS, which CDs have in WAV files."""

MAX_CONSECUTIVE_READ_FAILURES = 100
"""A damaged stretch is read past, packet by packet; this many in a row, and there is no more to come."""

MAX_PROBED_PACKETS = 1_000
"""How far probing looks for the first sample that decodes: about 20 s of common codecs."""

GAP_SECONDS = 0.5
"""A jump of the time stamps by more is sound that is missing, and becomes silence, so that later words keep their
times. Less is the jitter of coarse clocks."""

LONGEST_GAP_SECONDS = 3600.0
"""A longer jump is a broken clock, not a gap; the time goes on where it was. Recorders of calls write nothing while all
are muted, for minutes."""

LEAST_CORRELATION = 0.95
"""Of channels that say the same. Two recordings with a party on each had less than 0.01; MP3, Ogg and FLAC of one voice
0.997 and more."""

_ENCRYPTED_TAGS = {"drms", "enca", "aavd"}
"""MP4 sample entries of protected audio: FairPlay, Common Encryption, Audible."""


class PyAvDecoder:
    """Implements `AudioDecoder`."""

    @monitor_performance
    def probe(self, source: BinaryIO) -> AudioProperties:
        """Read headers and the first samples, from the file's beginning. Raises `InvalidAudio`."""
        with _opened(source) as recording:
            _require_complete(recording.durations.present_seconds, recording.durations)
            if not any(frame.samples for frame in recording.frames(limit=MAX_PROBED_PACKETS)):
                raise faults.nothing_decodable()
            context = recording.stream.codec_context
            return AudioProperties(
                container=container_kind(recording.container),
                codec=context.codec.canonical_name,
                channels=context.channels,
                sample_rate_hz=context.sample_rate,
                duration_seconds=recording.durations.stated_seconds,
            )

    @monitor_performance
    def decode(self, source: BinaryIO, *, channel: int | None = None) -> Iterator[bytes]:
        """16 kHz mono s16le, a second at a time. What is wrong with the file as a whole is raised at its end.

        Where a stretch of the recording has fewer channels, the last of them stands for those that are missing.
        """
        with _opened(source) as recording:
            tally = _Tally()
            yield from _blocks(_pcm(recording.frames(), _Clock(recording.container), tally, channel=channel))
            if not tally.samples:
                raise faults.nothing_decodable()
            if not tally.numbers:
                raise faults.not_numbers()
            _require_complete(tally.samples / SAMPLE_RATE_HZ, recording.durations)

    @monitor_performance
    def channels_alike(self, source: BinaryIO) -> bool:
        """Whether they correlate as the two sides of one microphone's recording do, however loud each is."""
        with _opened(source) as recording:
            resampler = _Resampler(SAMPLE_RATE_HZ, mixed=False)
            likeness = _Likeness()
            for frame in recording.frames():
                for samples in resampler.resample(frame):
                    likeness.add(samples)
            return likeness.alike


class Readable(Protocol):
    """What cannot be rewound. `head` is the first of what was read."""

    @property
    def head(self) -> bytes: ...

    def read(self, size: int, /) -> bytes:
        """Waits until there is something to read; nothing means that there is no more."""
        ...


def decode_stream(source: Readable, *, formats: str, block_samples: int) -> Iterator[bytes]:
    """16 kHz mono s16le of a recording that is still coming in, as soon as it can be had, in blocks of that size.

    `formats` are the demuxers let in, with commas between. Raises `InvalidAudio`.
    """
    options = {**_OPTIONS, "format_whitelist": formats}
    try:
        container = av.open(source, "r", options=options, metadata_errors="replace", buffer_size=_SMALL_READ_BYTES)
    except (FFmpegError, ValueError, OSError) as error:
        raise faults.unreadable(source.head) from error
    with container:
        frames = _frames(container, _audio_stream(container))
        yield from _pcm(frames, _Clock(container), _Tally(), block_samples)


def _require_complete(found_seconds: float | None, durations: Durations) -> None:
    promised_seconds = durations.promised_seconds
    if found_seconds is not None and promised_seconds is not None and falls_short(found_seconds, promised_seconds):
        raise faults.truncated(promised_seconds=promised_seconds, found_seconds=found_seconds)


class _Source:
    """What FFmpeg reads from. It has no name to guess a format from, and remembers why reading failed.

    FFmpeg takes a failed read for the end of the file: without the memory, a store that went away in the middle
    would look like a shorter recording.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._failure: HansardError | None = None
        self.size_bytes = self.seek(0, 2)
        self.seek(0)

    def read(self, size: int = -1) -> bytes:
        with self._failure_remembered():
            return self._source.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        with self._failure_remembered():
            return self._source.seek(offset, whence)

    def tell(self) -> int:
        return self._source.tell()

    def raise_failure(self) -> None:
        if self._failure:
            raise self._failure

    @contextmanager
    def _failure_remembered(self) -> Generator[None]:
        try:
            yield
        except HansardError as error:
            self._failure = error
            raise
        except OSError as error:
            self._failure = StorageError(
                f"The recording could not be read: {error}",
                help="Look at the disk, or the store, that the recordings are kept on.",
            )
            raise self._failure from error


@dataclass(slots=True)
class _Recording:
    container: InputContainer
    stream: AudioStream
    source: _Source
    durations: Durations

    def frames(self, *, limit: int | None = None) -> Iterator[AudioFrame]:
        """What decodes, from the first `limit` packets."""
        yield from _frames(self.container, self.stream, limit=limit)
        self.source.raise_failure()


@contextmanager
def _opened(source: BinaryIO) -> Generator[_Recording]:
    reader = _Source(source)
    if not reader.size_bytes:
        raise faults.empty_file()
    head = reader.read(faults.HEAD_BYTES)
    reader.seek(0)
    if faults.is_protected_asf(head):
        raise faults.encrypted()
    try:
        container = av.open(reader, "r", options=_options(head), metadata_errors="replace")
    except (FFmpegError, ValueError, OSError) as error:
        reader.raise_failure()
        raise faults.unreadable(head) from error
    with container:
        stream = _audio_stream(container)
        at_first_packet = reader.tell()
        durations = read_durations(container, stream, cast("BinaryIO", reader), reader.size_bytes)
        reader.seek(at_first_packet)
        yield _Recording(container, stream, reader, durations)


def _options(head: bytes) -> dict[str, str]:
    """FFmpeg looks through megabytes of WAV for other codecs in disguise, which takes longer than to decode it."""
    is_wav = head[:4] == b"RIFF" and head[8:12] == b"WAVE"
    return {**_OPTIONS, "probesize": str(_WAV_PROBE_BYTES)} if is_wav else _OPTIONS


def _audio_stream(container: InputContainer) -> AudioStream:
    kind = container_kind(container)
    if not container.streams.audio:
        raise faults.no_audio_stream(kind)
    stream = cast("AudioStream | None", container.streams.best("audio"))
    # PyAV's types don't say so, but a stream that has no decoder has no context either.
    if stream is None or cast("AudioCodecContext | None", stream.codec_context) is None:
        raise faults.unsupported_codec(kind)
    if stream.codec_context.codec_tag in _ENCRYPTED_TAGS:
        raise faults.encrypted()
    return stream


def _frames(container: InputContainer, stream: AudioStream, *, limit: int | None = None) -> Iterator[AudioFrame]:
    failures, packets = 0, 0
    while failures < MAX_CONSECUTIVE_READ_FAILURES:
        try:
            for packet in container.demux(stream):
                failures, packets = 0, packets + 1
                yield from _decode_packet(packet)
                if packets == limit:
                    return
        except FFmpegError:
            failures += 1
        else:
            return


def _decode_packet(packet: "Packet[AudioStream]") -> list[AudioFrame]:
    if packet.has_sidedata("encryption_info"):
        raise faults.encrypted()
    try:
        return packet.decode()
    except (FFmpegError, ValueError):
        return []


@dataclass(slots=True)
class _Tally:
    """`numbers` counts the samples that were neither NaN nor infinite."""

    samples: int = 0
    numbers: int = 0


@dataclass(slots=True)
class _Likeness:
    """Sums over time, for each channel: its energy, and its product with the first."""

    energies: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    products: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))

    def add(self, samples: NDArray[np.float32]) -> None:
        clean = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float64)
        if len(clean) != len(self.energies):
            self.energies, self.products = np.zeros(len(clean)), np.zeros(len(clean))
        self.energies += (clean * clean).sum(axis=1)
        self.products += (clean * clean[0]).sum(axis=1)

    @property
    def alike(self) -> bool:
        """A channel that is silent is not like one that is not."""
        return bool(np.all(np.abs(self.products) > LEAST_CORRELATION * np.sqrt(self.energies * self.energies[0])))


def _pcm(
    frames: Iterable[AudioFrame],
    clock: "_Clock",
    tally: _Tally,
    block_samples: int = SAMPLE_RATE_HZ,
    *,
    channel: int | None = None,
) -> Iterator[bytes]:
    """16 kHz mono s16le, in pieces of any size."""
    resampler = _Channel(block_samples, channel)
    for frame in frames:
        if missing := clock.missing_samples(frame):
            yield from (_to_s16le(samples, tally) for samples in resampler.flush())
            tally.samples += missing
            yield from (bytes(2 * min(block_samples, missing - at)) for at in range(0, missing, block_samples))
        yield from (_to_s16le(samples, tally) for samples in resampler.resample(frame))
    yield from (_to_s16le(samples, tally) for samples in resampler.flush())


class _Clock:
    """Where on the recording's own time line the decoded sound has arrived."""

    def __init__(self, container: InputContainer) -> None:
        self._next_seconds = (container.start_time or 0) / 1_000_000

    def missing_samples(self, frame: AudioFrame) -> int:
        """How much silence, at 16 kHz, belongs before `frame`."""
        starts_at = self._next_seconds if frame.time is None else frame.time
        gap_seconds = starts_at - self._next_seconds
        missing = gap_seconds if GAP_SECONDS < gap_seconds <= LONGEST_GAP_SECONDS else 0.0
        # Jitter is left in the clock, so that small losses add up to a gap; a jump back or a broken clock resets it.
        if missing or not 0 <= gap_seconds <= GAP_SECONDS:
            self._next_seconds = starts_at
        self._next_seconds += frame.samples / frame.sample_rate
        return round(missing * SAMPLE_RATE_HZ)


class _Channel:
    """One row of floats at 16 kHz: all channels mixed, or the one of that number."""

    def __init__(self, block_samples: int, channel: int | None) -> None:
        self._resampler = _Resampler(block_samples, mixed=channel is None)
        self._channel = channel or 0

    def resample(self, frame: AudioFrame) -> Iterator[NDArray[np.float32]]:
        return map(self._chosen, self._resampler.resample(frame))

    def flush(self) -> Iterator[NDArray[np.float32]]:
        return map(self._chosen, self._resampler.flush())

    def _chosen(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return samples[min(self._channel, len(samples) - 1)]


class _Resampler:
    """Channels × samples, floats at 16 kHz, from frames whose format may change on the way, as in joined files."""

    def __init__(self, block_samples: int, *, mixed: bool) -> None:
        self._block_samples = block_samples
        self._mixed = mixed
        self._format: tuple[str, str, int] | None = None
        self._resampler: AudioResampler | None = None

    def resample(self, frame: AudioFrame) -> Iterator[NDArray[np.float32]]:
        frame_format = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or frame_format != self._format:
            yield from self.flush()
            self._resampler = AudioResampler(
                format="fltp",
                layout="mono" if self._mixed else frame.layout,
                rate=SAMPLE_RATE_HZ,
                # Where nobody waits, a second: the many small ones of a codec would each cost a round of numpy.
                frame_size=self._block_samples,
                # Left and right at half their weight: without this, FFmpeg lets the sum of floats exceed 1 and clip.
                options={"rematrix_maxval": "1.0"},
            )
            self._format = frame_format
        frame.pts = None
        yield from _resampled(self._resampler, frame)

    def flush(self) -> Iterator[NDArray[np.float32]]:
        if self._resampler is not None:
            yield from _resampled(self._resampler, None)
        self._resampler = None


def _resampled(resampler: AudioResampler, frame: AudioFrame | None) -> Iterator[NDArray[np.float32]]:
    try:
        frames = resampler.resample(frame)
    except (FFmpegError, ValueError):
        return
    for resampled in frames:
        yield cast("NDArray[np.float32]", resampled.to_ndarray())


def _to_s16le(samples: NDArray[np.float32], tally: _Tally) -> bytes:
    tally.samples += len(samples)
    tally.numbers += int(np.count_nonzero(np.isfinite(samples)))
    scaled = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0) * 32768.0
    return np.clip(np.rint(scaled), -32768, 32767).astype("<i2").tobytes()


def _blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Gather small pieces, and cut large ones, to about a second."""
    gathered = bytearray()
    for piece in pieces:
        gathered += piece
        while len(gathered) >= BYTES_PER_SECOND:
            yield bytes(gathered[:BYTES_PER_SECOND])
            del gathered[:BYTES_PER_SECOND]
    if gathered:
        yield bytes(gathered)
