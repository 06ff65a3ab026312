"""Jobs that turn a recording into text: which are looked for, how one stands and what came of it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from hansard.application.ports.records import TranscriptionFilter
from hansard.domain.errors import Category
from hansard.domain.transcription import AttemptKind, AttemptOutcome, Channels, Status, Task
from hansard.http.schemas.fields import (
    EXAMPLE_AUDIO_ID,
    EXAMPLE_ID,
    MOST_METADATA_KEYS,
    LanguageCode,
    MetadataLabel,
    Moment,
    PageQuery,
    PlainText,
    labels,
)
from hansard.http.schemas.transcripts import RecognisedSegment

TRANSCRIPTION_ID_HEADER = "X-Hansard-Transcription-Id"
"""Says which transcription it is, where the body is another protocol's."""


class TranscriptionsQuery(PageQuery):
    status: Status | None = Field(default=None, description="Only transcriptions in this state.")
    audio_id: UUID | None = Field(default=None, description="Only transcriptions of this audio file.")
    engine: Annotated[PlainText, Field(max_length=100)] | None = Field(
        default=None, description="Only transcripts that this engine wrote, such as `whisper`."
    )
    language: LanguageCode | None = Field(
        default=None, description="Only transcripts of what is said in this language, such as `en`."
    )
    since: Moment | None = Field(
        default=None, description="Only those asked for at this time or later; UTC, unless it says otherwise."
    )
    until: Moment | None = Field(default=None, description="Only those asked for before this time.")
    metadata: list[MetadataLabel] = Field(
        default_factory=list,
        max_length=MOST_METADATA_KEYS,
        description="Only those with this label, written `key:value`. May be given again: all must be there.",
    )

    def filter(self) -> TranscriptionFilter:
        return TranscriptionFilter(
            status=self.status,
            audio_id=self.audio_id,
            engine=self.engine,
            language=self.language,
            since=self.since,
            until=self.until,
            metadata=labels(self.metadata),
        )


class TranscriptionError(BaseModel):
    """Why there is no transcript, whose move it is, and what to do next."""

    code: str = Field(description="What is wrong, for programs; docs/errors.md lists them.", examples=["no_speech"])
    category: Category
    message: str
    retryable: bool
    engine: str | None
    provider_status: int | None
    provider_request_id: str | None
    help: str | None


class TranscriptionAttempt(BaseModel):
    """One try of one engine."""

    number: int
    engine: str
    model: str
    started_at: datetime
    ended_at: datetime | None
    outcome: AttemptOutcome
    kind: AttemptKind = Field(
        description="What it heard: the `recording`; utterances of a session that was `live`; or `interims`, which are "
        "what is told of an utterance before it is over."
    )
    recognised_seconds: float = Field(description="Seconds of audio that this attempt recognised.")
    processing_seconds: float | None = Field(
        description="The engine's time. In a live session, that is only while it was at work; null before the end."
    )
    input_tokens: int = Field(description="What the provider counted, where it is paid by tokens; else 0.")
    output_tokens: int
    provider_request_id: str | None = Field(description="The provider's name for the last request that it answered.")
    error: TranscriptionError | None


class RequestedParameters(BaseModel):
    """What was asked for; null left the choice to the service."""

    engine: str
    fallback: bool | None
    model: str | None
    language: str | None
    prompt: str | None
    hotwords: str | None
    task: Task
    temperature: float | None
    diarize: bool
    min_speakers: int | None
    max_speakers: int | None
    channels: Channels
    priority: int


class Gap(BaseModel):
    """A stretch of the recording that begins and ends in speech and has no text."""

    start_seconds: float
    end_seconds: float


class DroppedSegment(BaseModel):
    """Text that an engine heard where nobody speaks. It is not in the transcript."""

    start_seconds: float
    end_seconds: float
    text: str
    engine: str | None


class TranscriptionCoverage(BaseModel):
    """How much of the speech is transcribed: what voice activity detection found, held against the text."""

    speech_seconds: float
    transcribed_seconds: float
    ratio: float = Field(ge=0, le=1, description="1 where there is no speech.", examples=[0.998])
    gaps: list[Gap] = Field(description="In order of time. A shorter stretch than the service's limit is none.")
    dropped: list[DroppedSegment] = Field(description="In order of time.")


class TranscriptionSummary(BaseModel):
    id: UUID = Field(examples=[EXAMPLE_ID])
    audio_id: UUID = Field(examples=[EXAMPLE_AUDIO_ID])
    audio_url: str = Field(
        description="Where the original bytes are.", examples=[f"/audio/{EXAMPLE_AUDIO_ID}/download"]
    )
    status: Status
    progress: float = Field(ge=0, le=1, description="The part of the speech that is recognised.", examples=[0.42])
    activity: str | None = Field(description="What is being done right now.", examples=["recognising with whisper"])
    engine: str | None = Field(description="The engine that does, or did, the work; null before one was chosen.")
    model: str | None
    language: str | None = Field(description="The language of the transcript; null until it is completed.")
    language_probability: float | None = Field(
        description="How sure the engine was of the language; null where it was given.", examples=[0.98]
    )
    duration_seconds: float | None = Field(
        description="The recording's measured length; null until the transcription is completed."
    )
    real_time_factor: float | None = Field(
        description="Processing time over audio time: below 1 is faster than real time.", examples=[0.12]
    )
    degraded: bool = Field(description="True when this is a second-best record.")
    degraded_reasons: list[str]
    warnings: list[str] = Field(description="What went wrong without harm to the record.")
    crashes: int = Field(description="Workers that died with it, one after the other, since it last got anywhere.")
    error: TranscriptionError | None = Field(description="Set when the status is `failed` or `cancelled`.")
    attempts: list[TranscriptionAttempt]
    parameters: RequestedParameters
    metadata: dict[str, str]
    pipeline_run_id: str | None = Field(
        description="The ZenML run that did the work; null when it is not kept any more."
    )
    request_id: str | None = Field(description="The X-Request-ID of the request that asked for it.")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class TranscriptionPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    items: list[TranscriptionSummary]
    next_cursor: str | None


class TranscriptionDetail(TranscriptionSummary):
    text: str | None = Field(description="The transcript; null unless the status is `completed`.")
    revision: int | None = Field(
        description="How often people have edited it; 0 for what the engine wrote, null unless the status is "
        "`completed`.",
    )
    partial: bool = Field(description="True when `segments` are those of a transcription that is not completed.")
    segments: list[RecognisedSegment] = Field(
        description="In order of time. Unless the status is `completed`: what was recognised so far, or until it ended."
    )
    speakers: list[str] = Field(description="Their labels, in the order in which they first speak.")
    coverage: TranscriptionCoverage | None = Field(description="Null unless the status is `completed`.")
