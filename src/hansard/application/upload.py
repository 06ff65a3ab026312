"""Take a recording in: its bytes into the object store, its row and its event into the database."""

import mimetypes
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, TypeVar
from uuid import UUID, uuid4

from hansard.application.erase import remove_unused_bytes
from hansard.application.idempotency import once, request_key
from hansard.application.ports.audio import AudioDecoder
from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.storage import AudioStore
from hansard.application.prepare import require_bearable
from hansard.domain.audio import DEFAULT_OWNER, AudioFile, StoredObject
from hansard.domain.errors import HansardError, StorageError
from hansard.domain.events import AudioFileUploaded
from hansard.timing.decorators import monitor_performance

UNKNOWN_MEDIA_TYPE = "application/octet-stream"

MOST_TRIES = 3
"""Times that the same bytes may be erased, each time between being stored and being kept."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Upload:
    """Raises `InvalidAudio` when the file can be seen to be unusable; then nothing is kept."""

    unit_of_work: Callable[[], UnitOfWork]
    store: AudioStore
    decoder: AudioDecoder
    clock: Clock
    max_audio_seconds: float

    @monitor_performance
    def __call__(
        self,
        source: BinaryIO,
        *,
        file_name: str,
        owner: str = DEFAULT_OWNER,
        idempotency_key: str | None = None,
        audio_id: UUID | None = None,
        asked: object = None,
    ) -> AudioFile:
        """Asked again with the same `idempotency_key`, for a day: the audio file that was made first.

        `asked` is what was asked for, where that is not the bytes and their name. `audio_id` is a new one by default.
        """

        def keep(uow: UnitOfWork, audio: AudioFile) -> AudioFile:
            key = request_key(
                idempotency_key, owner=owner, route="upload", asked=asked or [audio.stored.sha256, audio.file_name]
            )
            kept = once(uow, key, audio.uploaded_at, find=uow.audio.get, make=lambda: self.add(uow, audio))
            uow.commit()
            return kept

        return self.take_in(source, keep, file_name=file_name, owner=owner, audio_id=audio_id)

    def take_in(
        self,
        source: BinaryIO,
        keep: Callable[[UnitOfWork, AudioFile], T],
        *,
        file_name: str,
        owner: str,
        audio_id: UUID | None = None,
    ) -> T:
        """Store the bytes of `source`, which can be rewound, then have `keep` commit what it makes of them.

        Whoever deletes the last audio file with the same bytes erases them. That can't happen while `keep` is under
        way; what had been erased just before is stored again.
        """
        properties = self.decoder.probe(source)
        # Headers may lie, or say nothing: it is looked at again while the recording is decoded.
        require_bearable(properties.duration_seconds or 0.0, max_audio_seconds=self.max_audio_seconds)
        for _ in range(MOST_TRIES):
            source.seek(0)
            audio = AudioFile(
                id=audio_id or uuid4(),
                file_name=file_name,
                media_type=mimetypes.guess_type(file_name)[0] or UNKNOWN_MEDIA_TYPE,
                stored=self.store.put(source),
                properties=properties,
                uploaded_at=self.clock(),
                owner=owner,
            )
            with self._discarded_if_refused(audio.stored), self.unit_of_work() as uow:
                uow.audio.hold_bytes(audio.stored)
                if self.store.exists(audio.stored):
                    return keep(uow, audio)
        raise StorageError(
            "The recording's bytes were erased again and again while it was taken in.",
            code="upload_erased",
            help="Somebody deletes the same recording at the same time. Send it again.",
        )

    def add(self, uow: UnitOfWork, audio: AudioFile) -> AudioFile:
        """Its row and its event."""
        uow.audio.add(audio)
        uow.events.append(
            AudioFileUploaded(
                subject=str(audio.id),
                occurred_at=audio.uploaded_at,
                size_bytes=audio.stored.size_bytes,
                sha256=audio.stored.sha256,
                duration_seconds=audio.properties.duration_seconds,
                owner=audio.owner,
            )
        )
        return audio

    @contextmanager
    def _discarded_if_refused(self, stored: StoredObject) -> Generator[None]:
        """What nobody keeps must not stay. When the database is away, nobody can tell whether somebody does."""
        try:
            yield
        except StorageError:
            raise
        except HansardError:
            with self.unit_of_work() as uow:
                remove_unused_bytes(uow, self.store, stored)
            raise
