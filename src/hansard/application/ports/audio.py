"""Sound, made into what engines hear."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol

from hansard.domain.audio import AudioProperties
from hansard.domain.speech import Speech


class AudioDecoder(Protocol):
    """Makes any container into what engines hear. Raises `InvalidAudio` saying what is wrong with the file."""

    def probe(self, source: BinaryIO) -> AudioProperties:
        """Read the headers and decode the first samples."""
        ...

    def decode(self, source: BinaryIO, *, channel: int | None = None) -> Iterator[bytes]:
        """16 kHz mono s16le in blocks of at most a few seconds, in constant memory.

        All channels mixed, or the one of that number, from 0; every channel comes out equally long.
        """
        ...

    def channels_alike(self, source: BinaryIO) -> bool:
        """Whether all channels say the same, so that to hear them apart is to hear it again."""
        ...


class SpeechDetector(Protocol):
    """Finds speech in a stream, in constant memory; one object for one stream."""

    def feed(self, block: bytes) -> None: ...

    def finish(self) -> Speech: ...


class StreamDecoder(Protocol):
    """Makes a stream into what engines hear, as it comes in; one object for one stream. Raises `InvalidAudio`."""

    def feed(self, chunk: bytes) -> bytes:
        """The 16 kHz mono s16le that can be had by now; chunks may end anywhere."""
        ...

    def finish(self) -> bytes:
        """The rest. Also to be called where it is not wanted, to let go of what is held."""
        ...


class SpeechProbabilities(Protocol):
    """How likely somebody speaks, a window at a time; one object for one stream."""

    @property
    def window_seconds(self) -> float: ...

    def feed(self, block: bytes) -> Sequence[float]:
        """The probabilities of the windows that are whole by now."""
        ...
