"""What is told of a recording."""

from uuid import UUID

from hansard.domain.audio import AudioFile
from hansard.http.schemas.audio import Audio


def audio_url(audio_id: UUID) -> str:
    return f"/audio/{audio_id}/download"


def audio_json(audio: AudioFile) -> Audio:
    properties = audio.properties
    return Audio(
        id=audio.id,
        audio_url=audio_url(audio.id),
        file_name=audio.file_name,
        media_type=audio.media_type,
        size_bytes=audio.stored.size_bytes,
        sha256=audio.stored.sha256,
        duration_seconds=properties.duration_seconds,
        container=properties.container,
        codec=properties.codec,
        channels=properties.channels,
        sample_rate_hz=properties.sample_rate_hz,
        uploaded_at=audio.uploaded_at,
    )
