"""Where bytes are: recordings for good, and whatever is still on its way in."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol
from uuid import UUID

from hansard.domain.audio import StoredObject
from hansard.domain.live import Hearing, LiveRequest
from hansard.domain.speech import Span
from hansard.domain.transcription import Parameters


class AudioStore(Protocol):
    """The original bytes, addressed by content. Raises `StorageError` when the store does not answer."""

    def put(self, source: BinaryIO) -> StoredObject:
        """Store all of `source` from its current position. The same bytes again store nothing new."""
        ...

    def open(self, stored: StoredObject) -> BinaryIO:
        """A seekable, read-only stream. Raises `RecordingLost`."""
        ...

    def read(self, stored: StoredObject, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to, not including, `end`, in blocks. Raises `RecordingLost` at the call."""
        ...

    def exists(self, stored: StoredObject) -> bool: ...

    def delete(self, stored: StoredObject) -> None:
        """Remove the bytes; removing what is not there is no error."""
        ...

    def stored(self, *, before: datetime) -> Iterator[StoredObject]:
        """All objects that were stored before that time, in any order."""
        ...

    def check(self) -> None:
        """Write, read and remove a few bytes. Raises `StorageError` when that cannot be done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """What a URL led to. `stream` can be rewound; `name` is what a stranger calls it, perhaps nothing."""

    stream: BinaryIO
    name: str


class RemoteFiles(Protocol):
    def fetch(self, url: str) -> AbstractContextManager[RemoteFile]:
        """All of the file, kept here until the context ends.

        Raises `UrlRefused` and `TooLarge`; `DownloadFailed` when the other server is at fault; `StorageError` when the
        file cannot be kept.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialUpload:
    """A recording that comes in piece by piece. Once it is whole, it becomes the audio file of the same id.

    `offset_bytes` of its `length_bytes` are here, safe from a power cut. `parameters` are those of the transcription
    that is wanted of it, if one is; `metadata` is what the client called it, word for word.
    """

    id: UUID
    owner: str
    file_name: str
    metadata: str
    length_bytes: int
    offset_bytes: int
    parameters: Parameters | None
    request_id: str | None
    expires_at: datetime

    @property
    def is_whole(self) -> bool:
        return self.offset_bytes == self.length_bytes


class HeldUpload(Protocol):
    """One that nobody else may touch meanwhile."""

    @property
    def upload(self) -> PartialUpload: ...

    def append(self, block: bytes) -> None:
        """Write behind what there is. It does not count before it is kept."""
        ...

    def keep(self, *, expires_at: datetime) -> None:
        """Make all that was appended safe from a power cut, and count it."""
        ...

    def open(self) -> BinaryIO:
        """What is kept, from its beginning."""
        ...

    def remove(self) -> None: ...


class PartialUploads(Protocol):
    """Uploads that are under way on this machine. They survive any process. Raises `StorageError`."""

    def add(self, upload: PartialUpload) -> None: ...

    def get(self, upload_id: UUID) -> PartialUpload:
        """As it was last kept. Raises `NotFound`."""
        ...

    def hold(self, upload_id: UUID) -> AbstractContextManager[HeldUpload]:
        """Raises `NotFound`, and `UploadInUse` while anybody, in any process, holds it.

        What was appended and not kept is forgotten.
        """
        ...

    def ids(self) -> tuple[UUID, ...]: ...


class SpooledStream(Protocol):
    """What a live session has taken in, on this machine's disk. Nobody else has it until it is released.

    Raises `StorageError` where the disk does not do its part.
    """

    @property
    def request(self) -> LiveRequest: ...

    @property
    def received_bytes(self) -> int: ...

    def append(self, chunk: bytes) -> None:
        """It survives this process from now on."""
        ...

    def sync(self) -> None:
        """What was appended survives a power cut, too."""
        ...

    def note(self, hearing: Hearing) -> None:
        """Keep what was recognised, with what that took: both or neither, whatever happens to this process."""
        ...

    def hearings(self) -> tuple[Hearing, ...]:
        """In the order in which they were noted."""
        ...

    def blocks(self) -> Iterator[bytes]:
        """All that was appended."""
        ...

    def recording(self) -> BinaryIO:
        """The same as a file that any player opens, which the caller closes."""
        ...

    def release(self) -> None:
        """Let go of it, for whoever takes it next."""
        ...

    def remove(self) -> None: ...

    def set_aside(self) -> None:
        """Keep it out of everybody's way: it cannot be made a recording."""
        ...


class LiveSpool(Protocol):
    def create(self, session_id: UUID, request: LiveRequest) -> SpooledStream: ...

    def take(self, session_id: UUID) -> SpooledStream:
        """Raises `NotFound`; `Conflict` while somebody else has it."""
        ...

    def abandoned(self, before: datetime) -> tuple[UUID, ...]:
        """Those that nobody has, and that have taken in nothing since `before`."""
        ...


class PreparedAudio(Protocol):
    """Decoded audio kept on this machine while a transcription runs: a cache, that can be made again."""

    def write(self, transcription_id: UUID, blocks: Iterable[bytes]) -> None:
        """Keep the blocks; whole or not at all."""
        ...

    def exists(self, transcription_id: UUID) -> bool: ...

    def read(self, transcription_id: UUID, span: Span) -> bytes:
        """The samples of `span`, fewer where the recording ends sooner."""
        ...

    def remove(self, transcription_id: UUID) -> None: ...

    def kept(self) -> tuple[UUID, ...]:
        """The transcriptions whose audio is kept here."""
        ...
