"""The recording that was handed in, as it was handed in."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

DEFAULT_OWNER = "default"
"""Whose everything is, as long as there are no keys to tell callers apart."""

SAMPLE_RATE_HZ = 16_000
"""What every engine hears: 16 kHz mono, the rate Whisper, PocketSphinx and Silero were trained at."""

BYTES_PER_SECOND = SAMPLE_RATE_HZ * 2
"""Prepared audio is 16-bit signed little-endian PCM ("s16le")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioProperties:
    """What the file's own headers say. `duration_seconds` is None where they don't."""

    container: str
    codec: str
    channels: int
    sample_rate_hz: int
    duration_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """Bytes in the object store, addressed by their SHA-256 (64 hex digits)."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFile:
    """An uploaded file. Two uploads of the same bytes are two audio files and one stored object."""

    id: UUID
    file_name: str
    media_type: str
    stored: StoredObject
    properties: AudioProperties
    uploaded_at: datetime
    owner: str = DEFAULT_OWNER
