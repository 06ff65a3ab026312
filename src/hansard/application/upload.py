"""Take a recording in: its bytes into the object store, its row and its event into the database."""

import mimetypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO
from uuid import uuid4

from hansard.application.ports import AudioDecoder, AudioStore, Clock, UnitOfWork
from hansard.domain.audio import AudioFile
from hansard.domain.events import AudioFileUploaded

UNKNOWN_MEDIA_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Upload:
    """Raises `InvalidAudio` when the file can be seen to be unusable; then nothing is kept."""

    unit_of_work: Callable[[], UnitOfWork]
    store: AudioStore
    decoder: AudioDecoder
    clock: Clock

    def __call__(self, source: BinaryIO, *, file_name: str) -> AudioFile:
        properties = self.decoder.probe(source)
        source.seek(0)
        audio = AudioFile(
            id=uuid4(),
            file_name=file_name,
            media_type=mimetypes.guess_type(file_name)[0] or UNKNOWN_MEDIA_TYPE,
            stored=self.store.put(source),
            properties=properties,
            uploaded_at=self.clock(),
        )
        with self.unit_of_work() as uow:
            uow.audio.add(audio)
            uow.events.append(
                AudioFileUploaded(
                    subject_id=audio.id,
                    occurred_at=audio.uploaded_at,
                    file_name=audio.file_name,
                    size_bytes=audio.stored.size_bytes,
                    sha256=audio.stored.sha256,
                    duration_seconds=audio.properties.duration_seconds,
                )
            )
            uow.commit()
        return audio
