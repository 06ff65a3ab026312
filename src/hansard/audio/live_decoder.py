"""Streams into what engines hear, as they come in: raw samples, and Opus in the containers that browsers record.

FFmpeg asks for bytes and cannot be handed them, so it reads from a pipe, in a thread of its own. Whoever feeds a chunk
waits until FFmpeg asks for more: what is given back is all that the chunk holds, and the same stream decodes alike
however it is cut.
"""
# PyAV's types name numpy's loosely.
# pyright: reportUnknownMemberType=false

import threading
from collections.abc import Iterator
from typing import cast

import av
import numpy as np
from av.error import FFmpegError

from hansard.application.ports.audio import StreamDecoder
from hansard.audio import faults
from hansard.audio.decoder import decode_stream
from hansard.domain.audio import SAMPLE_RATE_HZ
from hansard.domain.errors import HansardError, InvalidAudio
from hansard.domain.live import Encoding

CONTAINERS = "ogg,matroska"
"""The FFmpeg demuxers let in; WebM is Matroska."""

_BEGINNINGS = (b"OggS", b"\x1aE\xdf\xa3")
"""Of those. FFmpeg would look for a beginning in megabytes, and a client wait as long to hear that there is none."""

BLOCK_SAMPLES = 512
"""A window of voice activity detection."""


def stream_decoder(encoding: Encoding, sample_rate_hz: int) -> StreamDecoder:
    if encoding is Encoding.OPUS:
        return ContainerStream()
    return RawSamples() if sample_rate_hz == SAMPLE_RATE_HZ else ResampledSamples(sample_rate_hz)


class RawSamples:
    """Implements `StreamDecoder` for what needs no decoding."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, chunk: bytes) -> bytes:
        pcm = self._pending + chunk
        whole = len(pcm) // 2 * 2
        self._pending = pcm[whole:]
        return pcm[:whole]

    def finish(self) -> bytes:
        return b""


class ResampledSamples:
    """Implements `StreamDecoder` for samples at another rate."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._sample_rate_hz = sample_rate_hz
        self._whole_samples = RawSamples()
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)

    def feed(self, chunk: bytes) -> bytes:
        pcm = self._whole_samples.feed(chunk)
        if not pcm:
            return b""
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = self._sample_rate_hz
        return self._resampled(frame)

    def finish(self) -> bytes:
        return self._resampled(None)

    def _resampled(self, frame: av.AudioFrame | None) -> bytes:
        try:
            frames = self._resampler.resample(frame)
        except (FFmpegError, ValueError) as error:
            raise InvalidAudio(
                f"The samples could not be brought from {self._sample_rate_hz} Hz to {SAMPLE_RATE_HZ} Hz: {error}",
                help="Send samples of 16 bits, little-endian, mono, at the rate that was said.",
            ) from error
        return b"".join(cast("np.ndarray", each.to_ndarray()).astype("<i2").tobytes() for each in frames)


class ContainerStream:
    """Implements `StreamDecoder` for Ogg and WebM. Its thread ends with `finish`, or with the process."""

    def __init__(self) -> None:
        self._pipe = _Pipe()
        self._decoded: list[bytes] = []
        self._failure: HansardError | None = None
        self._beginning = b""
        self._thread: threading.Thread | None = None

    def feed(self, chunk: bytes) -> bytes:
        if self._thread is None:
            chunk = self._beginning = self._beginning + chunk
            if not any(chunk.startswith(each[: len(chunk)]) for each in _BEGINNINGS):
                raise InvalidAudio(
                    "What comes in is neither an Ogg nor a WebM stream.",
                    code="not_audio",
                    help="Send all of a recording, from its beginning, as browsers' MediaRecorder gives it. Samples "
                    "without a container go with encoding=pcm16.",
                )
            if len(chunk) < len(_BEGINNINGS[0]):
                return b""
            self._thread = threading.Thread(target=self._decode, name="live-decoder", daemon=True)
            self._thread.start()
        self._pipe.write(chunk)
        return self._taken()

    def finish(self) -> bytes:
        self._pipe.end()
        if self._thread is None:
            return b""
        self._thread.join()
        return self._taken()

    def _taken(self) -> bytes:
        if self._failure is not None:
            raise self._failure
        # The thread is waiting for more, or has ended: nobody else touches the list.
        decoded, self._decoded = b"".join(self._decoded), []
        return decoded

    def _decode(self) -> None:
        try:
            for block in self._blocks():
                self._decoded.append(block)
        except HansardError as error:
            self._failure = error
        finally:
            self._pipe.abandon()

    def _blocks(self) -> Iterator[bytes]:
        heard = False
        for block in decode_stream(self._pipe, formats=CONTAINERS, block_samples=BLOCK_SAMPLES):
            heard = True
            yield block
        if not heard:
            raise faults.nothing_decodable()
        if not self._pipe.has_ended:
            raise InvalidAudio(
                "What comes in now cannot be decoded any more.",
                code="stream_broken",
                help="Begin a new session, and in it a new recording: its first chunk has the headers. What was sent "
                "before is kept, and transcribed.",
            )


class _Pipe:
    """Between whoever feeds and FFmpeg, which has no `seek` here, and so no way to look ahead."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bytes = bytearray()
        self._reader_waits = False
        self._reader_left = False
        self.has_ended = False
        self.head = b""

    def write(self, chunk: bytes) -> None:
        """Returns when the reader wants more than this, or nothing any more."""
        with self._changed:
            if self._reader_left or not chunk:
                return
            self._bytes += chunk
            self._reader_waits = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._reader_waits or self._reader_left)

    def end(self) -> None:
        with self._changed:
            self.has_ended = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """The reader wants nothing any more."""
        with self._changed:
            self._reader_left = True
            self._changed.notify_all()

    def read(self, size: int, /) -> bytes:
        with self._changed:
            if not self._bytes and not self.has_ended:
                self._reader_waits = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._bytes or self.has_ended)
            taken = bytes(self._bytes[:size])
            del self._bytes[:size]
            self.head = self.head or taken[: faults.HEAD_BYTES]
            return taken
