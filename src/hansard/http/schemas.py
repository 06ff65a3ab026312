"""What goes over the wire as JSON, apart from the domain, so that either can change without the other.

Requests refuse fields they don't know by name: a feature that is not there must not seem to have been used.
"""

import json
from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar
from uuid import UUID

from fastapi import UploadFile
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from hansard.domain.audio import AudioFile
from hansard.domain.errors import Category, Failure
from hansard.domain.transcript import Segment, Word
from hansard.domain.transcription import AUTO, Attempt, AttemptOutcome, Parameters, Status, Transcription

EXAMPLE_AUDIO_ID = "5f0c9a52-6d0e-4c67-9d9c-0d5b3c1f7a10"
EXAMPLE_ID = "8d6f3c1e-2a4b-4f6e-9b7d-1c2e3f4a5b6c"

LONGEST_PROMPT = 2000
MOST_METADATA_KEYS = 20

T = TypeVar("T")


# ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain NUL characters")
    return text


def _from_json(value: object) -> object:
    """A form has no objects: there, metadata comes as a JSON string."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError("must be a JSON object of strings") from error


PlainText = Annotated[str, AfterValidator(_without_nul)]
Metadata = Annotated[
    dict[
        Annotated[PlainText, Field(min_length=1, max_length=64)],
        Annotated[PlainText, Field(max_length=500)],
    ],
    BeforeValidator(_from_json, json_schema_input_type=dict[str, str]),
]


class TranscriptionRequest(BaseModel):
    """What is asked of a transcription. Everything is optional."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"language": "en", "prompt": "Minutes of the harbour committee."}]},
    )

    engine: Annotated[PlainText, Field(min_length=1, max_length=64)] = Field(
        AUTO, description="An engine's name from `GET /engines`; `auto` takes the best that can do the job."
    )
    model: Annotated[PlainText, Field(min_length=1, max_length=200)] | None = Field(
        None, description="A model of that engine. Default: the engine's own."
    )
    language: str | None = Field(
        None,
        pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$",
        max_length=35,
        description="ISO 639-1 code of the language spoken, such as `en`. Default: detected.",
    )
    prompt: Annotated[PlainText, Field(max_length=LONGEST_PROMPT)] | None = Field(
        None, description="Names and context that help the engine spell."
    )
    hotwords: Annotated[PlainText, Field(max_length=LONGEST_PROMPT)] | None = Field(
        None, description="Words to listen for, separated by spaces."
    )
    priority: int = Field(0, ge=-100, le=100, description="Jobs with a higher priority are taken first.")
    metadata: Metadata = Field(
        default_factory=dict,
        max_length=MOST_METADATA_KEYS,
        description="Your own labels, given back with the transcription. In a form: a JSON object as a string.",
        examples=[{"case": "2026-114"}],
    )

    def parameters(self) -> Parameters:
        return Parameters(
            engine=self.engine,
            model=self.model,
            language=self.language,
            prompt=self.prompt,
            hotwords=self.hotwords,
            priority=self.priority,
            metadata=self.metadata,
        )


class AudioForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    file: UploadFile = Field(description="The recording: any container and codec that FFmpeg reads, video included.")


class TranscriptionForm(TranscriptionRequest, AudioForm):
    """A recording, and what is asked of its transcription."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": []})


class PageQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=200, description="Items on a page.")
    cursor: Annotated[PlainText, Field(max_length=500)] | None = Field(
        None, description="`next_cursor` of the page before. Default: the first page."
    )


class TranscriptionsQuery(PageQuery):
    status: Status | None = Field(None, description="Only transcriptions in this state.")
    audio_id: UUID | None = Field(None, description="Only transcriptions of this audio file.")


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────


class PageOf(BaseModel, Generic[T]):
    """Newest first. `next_cursor` is null on the last page."""

    items: list[T]
    next_cursor: str | None


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


class RecognisedWord(BaseModel):
    text: str
    start_seconds: float
    end_seconds: float
    probability: float | None


class RecognisedSegment(BaseModel):
    start_seconds: float
    end_seconds: float
    text: str
    confidence: float | None
    language: str | None
    speaker: str | None
    engine: str | None
    words: list[RecognisedWord] = Field(description="With times; empty where the engine gives none.")


class TranscriptionError(BaseModel):
    """Why there is no transcript, whose move it is, and what to do next."""

    code: str = Field(examples=["no_speech"])
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
    recognised_seconds: float = Field(description="Seconds of audio that this attempt recognised.")
    error: TranscriptionError | None


class RequestedParameters(BaseModel):
    """What was asked for; null left the choice to the service."""

    engine: str
    model: str | None
    language: str | None
    prompt: str | None
    hotwords: str | None
    priority: int


class TranscriptionSummary(BaseModel):
    id: UUID = Field(examples=[EXAMPLE_ID])
    audio_id: UUID = Field(examples=[EXAMPLE_AUDIO_ID])
    audio_url: str = Field(
        description="Where the original bytes are.", examples=[f"/audio/{EXAMPLE_AUDIO_ID}/download"]
    )
    status: Status
    progress: float = Field(ge=0, le=1, description="The part of the speech that is recognised.", examples=[0.42])
    activity: str | None = Field(
        description="What is being done right now.", examples=["recognising with whisper"]
    )
    engine: str | None = Field(description="The engine that does, or did, the work; null before one was chosen.")
    model: str | None
    language: str | None = Field(description="The language of the transcript; null until it is completed.")
    duration_seconds: float | None = Field(
        description="The recording's measured length; null until the transcription is completed."
    )
    real_time_factor: float | None = Field(
        description="Processing time over audio time: below 1 is faster than real time.", examples=[0.12]
    )
    degraded: bool = Field(description="True when this is a second-best record.")
    degraded_reasons: list[str]
    error: TranscriptionError | None = Field(description="Set when the status is `failed` or `cancelled`.")
    attempts: list[TranscriptionAttempt]
    parameters: RequestedParameters
    metadata: dict[str, str]
    pipeline_run_id: str | None = Field(description="The ZenML run that did the work.")
    request_id: str | None = Field(description="The X-Request-ID of the request that asked for it.")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class TranscriptionDetail(TranscriptionSummary):
    text: str | None = Field(description="The transcript; null unless the status is `completed`.")
    segments: list[RecognisedSegment] = Field(
        description="In order of time. Before the transcription is completed: what has been recognised so far."
    )


class Engine(BaseModel):
    name: str = Field(examples=["whisper"])
    state: Literal["ready", "preparing", "unavailable"]
    detail: str = Field(description="Why, or how far.", examples=["model small (int8, cpu)"])
    help: str | None = Field(description="What to do about it.")
    chain_position: int | None = Field(
        description="Its place in what `auto` tries, from 1; null where `auto` does not try it."
    )
    degraded_reason: str | None = Field(description="Why its transcripts are second best; null for full quality.")


class Engines(BaseModel):
    items: list[Engine]


class Health(BaseModel):
    status: Literal["ok"] = "ok"


# ── From the domain ──────────────────────────────────────────────────────────────────────────────────────


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


def summary_json(transcription: Transcription) -> TranscriptionSummary:
    """For lists: without words, which would make them megabytes long."""
    result, parameters = transcription.result, transcription.parameters
    attempt = transcription.attempts[-1] if transcription.attempts else None
    at_work = result or attempt
    return TranscriptionSummary(
        id=transcription.id,
        audio_id=transcription.audio_id,
        audio_url=audio_url(transcription.audio_id),
        status=transcription.status,
        progress=transcription.progress,
        activity=transcription.activity,
        engine=at_work.engine if at_work else None,
        model=at_work.model if at_work else None,
        language=result.language if result else None,
        duration_seconds=result.audio_seconds if result else None,
        real_time_factor=result.real_time_factor if result else None,
        degraded=bool(result and result.degraded_reasons),
        degraded_reasons=list(result.degraded_reasons) if result else [],
        error=_error_json(transcription.failure),
        attempts=[_attempt_json(attempt) for attempt in transcription.attempts],
        parameters=_parameters_json(parameters),
        metadata=dict(parameters.metadata),
        pipeline_run_id=transcription.pipeline_run_id,
        request_id=transcription.request_id,
        created_at=transcription.created_at,
        started_at=transcription.started_at,
        ended_at=transcription.ended_at,
    )


def detail_json(
    transcription: Transcription, *, text: str | None, segments: tuple[Segment, ...]
) -> TranscriptionDetail:
    return TranscriptionDetail(
        **dict(summary_json(transcription)), text=text, segments=[_segment_json(segment) for segment in segments]
    )


def _parameters_json(parameters: Parameters) -> RequestedParameters:
    return RequestedParameters(
        engine=parameters.engine,
        model=parameters.model,
        language=parameters.language,
        prompt=parameters.prompt,
        hotwords=parameters.hotwords,
        priority=parameters.priority,
    )


def _attempt_json(attempt: Attempt) -> TranscriptionAttempt:
    return TranscriptionAttempt(
        number=attempt.number,
        engine=attempt.engine,
        model=attempt.model,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        outcome=attempt.outcome,
        recognised_seconds=attempt.recognised_seconds,
        error=_error_json(attempt.failure),
    )


def _error_json(failure: Failure | None) -> TranscriptionError | None:
    if failure is None:
        return None
    return TranscriptionError(
        code=failure.code,
        category=failure.category,
        message=failure.message,
        retryable=failure.retryable,
        engine=failure.engine,
        provider_status=failure.provider_status,
        provider_request_id=failure.provider_request_id,
        help=failure.help,
    )


def _segment_json(segment: Segment) -> RecognisedSegment:
    return RecognisedSegment(
        start_seconds=segment.start_seconds,
        end_seconds=segment.end_seconds,
        text=segment.text,
        confidence=segment.confidence,
        language=segment.language,
        speaker=segment.speaker,
        engine=segment.engine,
        words=[_word_json(word) for word in segment.words],
    )


def _word_json(word: Word) -> RecognisedWord:
    return RecognisedWord(
        text=word.text,
        start_seconds=word.start_seconds,
        end_seconds=word.end_seconds,
        probability=word.probability,
    )
