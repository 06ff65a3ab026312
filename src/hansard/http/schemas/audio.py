"""Recordings: as a file or a URL when they come in, and what is told of them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field

from hansard.http.schemas.fields import EXAMPLE_AUDIO_ID, PlainText

LONGEST_URL = 8000


class AudioForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    file: UploadFile = Field(description="The recording: any container and codec that FFmpeg reads, video included.")


class AudioUrl(BaseModel):
    """Where a recording is to be fetched from."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[PlainText, Field(min_length=1, max_length=LONGEST_URL)] = Field(
        description="Of the file itself, with http or https. It must be on the public internet, or on a list that the "
        "operator keeps.",
        examples=["https://example.org/episodes/12.mp3"],
    )
    file_name: Annotated[PlainText, Field(min_length=1, max_length=1000)] | None = Field(
        default=None, description="What to call it. Default: as its server says, or as the URL ends."
    )


class Audio(BaseModel):
    id: UUID = Field(examples=[EXAMPLE_AUDIO_ID])
    audio_url: str = Field(
        description="Where the original bytes are.", examples=[f"/audio/{EXAMPLE_AUDIO_ID}/download"]
    )
    file_name: str = Field(examples=["Zürich interview.mp3"])
    media_type: str = Field(examples=["audio/mpeg"])
    size_bytes: int = Field(examples=[1_204_224])
    sha256: str
    duration_seconds: float | None = Field(
        description="What the file's headers say; null where they don't.", examples=[75.3]
    )
    container: str = Field(examples=["mp3"])
    codec: str = Field(examples=["mp3float"])
    channels: int
    sample_rate_hz: int = Field(examples=[44_100])
    uploaded_at: datetime


class AudioPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    items: list[Audio]
    next_cursor: str | None
