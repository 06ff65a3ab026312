"""Take a recording in piece by piece, over connections that break off, and make of it exactly one audio file.

An upload becomes the audio file of the same id. Whether it has done so already, the event log says, which nothing
removes: so an upload that a killed process left behind whole is made an audio file by whoever sees it next, once, and
not again after that audio file was deleted.
"""

import hashlib
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from hansard.application.ports.clock import Clock
from hansard.application.ports.records import TranscriptionFilter, UnitOfWork
from hansard.application.ports.storage import HeldUpload, PartialUpload, PartialUploads
from hansard.application.room import DiskRoom
from hansard.application.submit_upload import SubmitUpload
from hansard.application.upload import Upload
from hansard.domain.audio import DEFAULT_OWNER, AudioFile
from hansard.domain.errors import (
    ChecksumMismatch,
    HansardError,
    NotFound,
    OffsetMismatch,
    TooLarge,
    UploadGone,
    UploadInUse,
)
from hansard.domain.events import AudioFileUploaded
from hansard.domain.transcription import Parameters
from hansard.timing.decorators import monitor_performance, time_it

KEPT_EVERY_BYTES = 8 * 1024 * 1024
"""At most so much has to be sent again after a crash."""

CHECKSUMS = ("sha1", "sha256")

MOST_TRANSCRIPTIONS = 200
"""Of one audio file, among which the first is looked for that was asked for with the upload."""


@dataclass(frozen=True, slots=True)
class Received:
    """What became of an upload that is whole. `transcription_id` is None where none was asked for."""

    audio: AudioFile
    transcription_id: UUID | None


@dataclass(frozen=True, slots=True)
class Swept:
    """Uploads that became audio files, and those that nobody had gone on with."""

    settled: tuple[UUID, ...]
    removed: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Checksum:
    """Of the bytes that one request sends. `algorithm` is one of `CHECKSUMS`."""

    algorithm: str
    digest: bytes


class Piece:
    """The bytes of one request, on their way to the end of an upload."""

    def __init__(self, held: HeldUpload, checksum: Checksum | None, expiry: Callable[[], datetime]) -> None:
        self._held = held
        self._expiry = expiry
        self._checksum = checksum
        self._digest = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
        self._end_bytes = held.upload.offset_bytes

    @property
    def upload(self) -> PartialUpload:
        """As it is kept."""
        return self._held.upload

    def add(self, block: bytes) -> None:
        """Raises `TooLarge` for more than the upload was to have; what came before stays."""
        self.require_room(len(block))
        self._held.append(block)
        self._end_bytes += len(block)
        if self._digest:
            self._digest.update(block)
        elif self._end_bytes - self.upload.offset_bytes >= KEPT_EVERY_BYTES:
            self._keep()

    def require_room(self, size_bytes: int) -> None:
        """Raises `TooLarge` where so many bytes more are too many."""
        if self._end_bytes + size_bytes > self.upload.length_bytes:
            raise TooLarge(
                f"These are more than the {self.upload.length_bytes:,} bytes that the upload was to have.",
                help="Begin another upload, with the right Upload-Length.",
            )

    def finish(self) -> None:
        """Count all that came. Raises `ChecksumMismatch`; then none of it counts."""
        if self._digest and self._checksum and self._digest.digest() != self._checksum.digest:
            raise ChecksumMismatch(
                "The bytes that came are not those that the checksum is of.",
                help="They were damaged on the way, and are not kept: send them again.",
            )
        self._keep()

    def break_off(self) -> None:
        """Count what came before the connection broke, unless nobody can check it any more."""
        if self._digest is None:
            self._keep()

    def _keep(self) -> None:
        self._held.keep(expires_at=self._expiry())


@dataclass(frozen=True, slots=True, kw_only=True)
class Receive:
    """`lifetime` is how long an upload waits to be gone on with."""

    unit_of_work: Callable[[], UnitOfWork]
    uploads: PartialUploads
    upload: Upload
    submit_upload: SubmitUpload
    room: DiskRoom
    max_upload_bytes: int
    lifetime: timedelta
    clock: Clock

    @time_it
    def begin(
        self,
        *,
        length_bytes: int,
        file_name: str,
        metadata: str,
        parameters: Parameters | None = None,
        owner: str = DEFAULT_OWNER,
        request_id: str | None = None,
    ) -> PartialUpload:
        """With `parameters`, a transcription is asked for as soon as the recording is whole.

        Raises `TooLarge`, `DiskScarce`, and what `Submit` raises: before hours of audio are sent for nothing.
        """
        if length_bytes > self.max_upload_bytes:
            raise TooLarge(
                f"The recording is larger than the {self.max_upload_bytes:,} bytes allowed here.",
                help="Send a smaller file, compressed audio for instance, or raise HANSARD_MAX_UPLOAD_BYTES.",
            )
        if parameters:
            self.submit_upload.submit.check(parameters)
            self.submit_upload.submit.require_room(owner)
        self.room.require(length_bytes + self._promised_bytes())
        upload = PartialUpload(
            id=uuid4(),
            owner=owner,
            file_name=file_name,
            metadata=metadata,
            length_bytes=length_bytes,
            offset_bytes=0,
            parameters=parameters,
            request_id=request_id,
            expires_at=self.clock() + self.lifetime,
        )
        self.uploads.add(upload)
        return upload

    @contextmanager
    @monitor_performance
    def piece(self, upload_id: UUID, *, offset_bytes: int, checksum: Checksum | None = None) -> Generator[Piece]:
        """Whoever is in here is alone with the upload. Leaving it counts what was added.

        Raises `NotFound`, `UploadGone`, `UploadInUse`, `OffsetMismatch` where the upload is at another offset, and
        `ChecksumMismatch` at the end.
        """
        with self.uploads.hold(upload_id) as held:
            self._require_alive(held.upload)
            require_offset(offset_bytes, held.upload.offset_bytes)
            piece = Piece(held, checksum, self._expiry)
            try:
                yield piece
            except BaseException:
                piece.break_off()
                raise
            piece.finish()

    def look(self, upload_id: UUID) -> PartialUpload | Received:
        """How an upload stands; one that is whole is settled.

        Raises `NotFound`, `UploadGone`, and what `settle` does.
        """
        try:
            upload = self.uploads.get(upload_id)
        except NotFound:
            received = self._made_of(upload_id)
            if received is None:
                raise
            return received
        if upload.is_whole:
            return self.settle(upload_id)
        self._require_alive(upload)
        return upload

    @monitor_performance
    def settle(self, upload_id: UUID) -> Received:
        """Make the audio file of an upload that is whole, and ask for its transcription, unless that was done.

        Raises what `Upload` and `Submit` raise. Then the upload stays until it expires: what was wrong can be set
        right, and whoever did not hear of it can ask again.
        """
        with self.uploads.hold(upload_id) as held:
            if not self._was_settled(upload_id):
                self._take_in(held)
            held.remove()
        received = self._made_of(upload_id)
        if received is None:
            raise NotFound(f"There is no upload {upload_id}.")
        return received

    def abandon(self, upload_id: UUID) -> None:
        """Raises `NotFound`, also for one that has become an audio file, and `UploadInUse`."""
        with self.uploads.hold(upload_id) as held:
            held.remove()

    @time_it
    def sweep(self) -> Swept:
        """Settle what is whole, remove what expired. To be called now and then, on each machine."""
        settled = tuple(each for each in self.uploads.ids() if self._settles(each))
        removed = tuple(each for each in self.uploads.ids() if self._expires(each))
        return Swept(settled=settled, removed=removed)

    def _settles(self, upload_id: UUID) -> bool:
        try:
            whole = self.uploads.get(upload_id).is_whole
            if whole:
                self.settle(upload_id)
        except HansardError:
            # Whoever asks for the upload is told why, until it expires.
            return False
        return whole

    def _expires(self, upload_id: UUID) -> bool:
        try:
            with self.uploads.hold(upload_id) as held:
                expired = self._is_expired(held.upload)
                if expired:
                    held.remove()
        except (NotFound, UploadInUse):
            return False
        return expired

    def _take_in(self, held: HeldUpload) -> None:
        upload = held.upload
        with held.open() as source:
            if upload.parameters is None:
                self.upload(source, file_name=upload.file_name, owner=upload.owner, audio_id=upload.id)
            else:
                self.submit_upload(
                    source,
                    file_name=upload.file_name,
                    parameters=upload.parameters,
                    owner=upload.owner,
                    request_id=upload.request_id,
                    audio_id=upload.id,
                )

    def _was_settled(self, upload_id: UUID) -> bool:
        with self.unit_of_work() as uow:
            return any(isinstance(event, AudioFileUploaded) for event in uow.events.of(upload_id))

    def _made_of(self, upload_id: UUID) -> Received | None:
        """None where nothing was made of it yet. Raises `UploadGone` where that was deleted."""
        if not self._was_settled(upload_id):
            return None
        with self.unit_of_work() as uow:
            try:
                audio = uow.audio.get(upload_id)
            except NotFound as error:
                raise UploadGone(
                    f"The upload {upload_id} had become a recording, which was deleted.",
                    help="POST /uploads begins another.",
                ) from error
            of_upload = TranscriptionFilter(audio_id=upload_id)
            transcriptions = uow.transcriptions.page(of_upload, limit=MOST_TRANSCRIPTIONS).items
        return Received(audio, transcriptions[-1].id if transcriptions else None)

    def _promised_bytes(self) -> int:
        """Of the uploads under way: what is still to come."""
        promised_bytes = 0
        for upload_id in self.uploads.ids():
            with suppress(NotFound):
                upload = self.uploads.get(upload_id)
                promised_bytes += upload.length_bytes - upload.offset_bytes
        return promised_bytes

    def _require_alive(self, upload: PartialUpload) -> None:
        if self._is_expired(upload):
            raise UploadGone(
                f"The upload {upload.id} was not gone on with in time, and has expired.",
                help="POST /uploads begins another; Upload-Expires tells how long it waits.",
            )

    def _is_expired(self, upload: PartialUpload) -> bool:
        return upload.expires_at <= self.clock()

    def _expiry(self) -> datetime:
        return self.clock() + self.lifetime


def require_offset(given_bytes: int, at_bytes: int) -> None:
    if given_bytes != at_bytes:
        raise OffsetMismatch(
            f"The upload is at byte {at_bytes:,}, not at {given_bytes:,}.",
            help="HEAD tells where it is: go on from there.",
        )
