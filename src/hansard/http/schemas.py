"""What goes over the wire as JSON, apart from the domain, so that either can change without the other.

Requests refuse fields they don't know by name: a feature that is not there must not seem to have been used.
"""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self, cast
from uuid import UUID

from fastapi import UploadFile
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator
from pydantic.fields import FieldInfo

from hansard.application.ports.records import TranscriptionFilter
from hansard.domain.circuit import CircuitState
from hansard.domain.errors import Category
from hansard.domain.transcription import AUTO, AttemptOutcome, Channels, Parameters, Status, Task
from hansard.formats import FORMATS, LIMITS, Options

EXAMPLE_AUDIO_ID = "5f0c9a52-6d0e-4c67-9d9c-0d5b3c1f7a10"
EXAMPLE_ID = "8d6f3c1e-2a4b-4f6e-9b7d-1c2e3f4a5b6c"

LANGUAGE_CODE = re.compile("[a-z]{2,3}(-[A-Za-z0-9]+)*")
"""The shape of BCP 47; whether an engine knows the language, it says itself."""

LONGEST_PROMPT = 2000
LONGEST_URL = 8000
MOST_METADATA_KEYS = 20
MOST_SPEAKERS = 50


# ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────


def _storable(text: str) -> str:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not contain NUL characters or lone surrogates")
    return text


def _language_code(text: str) -> str:
    if not LANGUAGE_CODE.fullmatch(text):
        raise ValueError("must be a language code such as en or pt-BR")
    return text


def _from_json(value: object) -> object:
    """A form has no objects: there, metadata comes as a JSON string."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError("must be a JSON object of strings") from error


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_in_utc)]
PlainText = Annotated[str, AfterValidator(_storable)]
LanguageCode = Annotated[
    str,
    AfterValidator(_language_code),
    Field(max_length=35, json_schema_extra={"pattern": f"^{LANGUAGE_CODE.pattern}$"}),
]
Metadata = Annotated[
    dict[
        Annotated[PlainText, Field(min_length=1, max_length=64)],
        Annotated[PlainText, Field(max_length=500)],
    ],
    BeforeValidator(_from_json, json_schema_input_type=dict[str, str]),
]

MetadataLabel = Annotated[PlainText, Field(max_length=565, pattern="^[^:]{1,64}:")]
"""A label to look for, as `key:value`."""


def labels(given: list[MetadataLabel]) -> dict[str, str]:
    return dict(label.split(":", 1) for label in given)


class TranscriptionWish(BaseModel):
    """How a recording is to be transcribed. Everything is optional."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"language": "en", "prompt": "Minutes of the harbour committee."}]},
    )

    engine: Annotated[PlainText, Field(min_length=1, max_length=64)] = Field(
        default=AUTO, description="An engine's name from `GET /engines`; `auto` takes the best that can do the job."
    )
    fallback: bool | None = Field(
        default=None,
        description="Whether another engine may take over from one that fails. Default: yes with `auto`, no where an "
        "engine is named.",
    )
    model: Annotated[PlainText, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="A model of that engine. Default: the engine's own."
    )
    language: LanguageCode | None = Field(
        default=None, description="ISO 639-1 code of the language spoken, such as `en`. Default: detected."
    )
    prompt: Annotated[PlainText, Field(max_length=LONGEST_PROMPT)] | None = Field(
        default=None, description="Names and context that help the engine spell."
    )
    hotwords: Annotated[PlainText, Field(max_length=LONGEST_PROMPT)] | None = Field(
        default=None, description="Words and names to listen for, with commas between."
    )
    task: Task = Field(default=Task.TRANSCRIBE, description="`translate` writes in English what is said.")
    temperature: float | None = Field(
        default=None, ge=0, le=1, description="How freely the engine chooses among words. Default: the engine's own."
    )
    diarize: bool = Field(default=False, description="Tell who speaks when.")
    min_speakers: int | None = Field(
        default=None, ge=1, le=MOST_SPEAKERS, description="With `diarize`: at least so many speak."
    )
    max_speakers: int | None = Field(
        default=None, ge=1, le=MOST_SPEAKERS, description="With `diarize`: at most so many speak."
    )
    channels: Channels = Field(
        default=Channels.MIXED,
        description="`separate` hears each channel for itself, as a speaker: for a call with one party on each.",
    )
    priority: int = Field(default=0, ge=-100, le=100, description="A credit of time in the queue: 36 s a point.")
    metadata: Metadata = Field(
        default_factory=dict,
        max_length=MOST_METADATA_KEYS,
        description="Your own labels, given back with the transcription. In a form: a JSON object as a string.",
        examples=[{"case": "2026-114"}],
    )

    @model_validator(mode="after")
    def _bound_speakers(self) -> Self:
        bounds = [bound for bound in (self.min_speakers, self.max_speakers) if bound is not None]
        if bounds and not self.diarize:
            raise ValueError("`min_speakers` and `max_speakers` need `diarize`")
        if bounds != sorted(bounds):
            raise ValueError("`min_speakers` must not be above `max_speakers`")
        if self.diarize and self.channels is Channels.SEPARATE:
            raise ValueError("with `channels: separate` each channel is a speaker: leave `diarize` out")
        return self

    def parameters(self) -> Parameters:
        return Parameters(
            engine=self.engine,
            fallback=self.fallback,
            model=self.model,
            language=self.language,
            prompt=self.prompt,
            hotwords=self.hotwords,
            task=self.task,
            temperature=self.temperature,
            diarize=self.diarize,
            min_speakers=self.min_speakers,
            max_speakers=self.max_speakers,
            channels=self.channels,
            priority=self.priority,
            metadata=self.metadata,
        )


class TranscriptionRequest(TranscriptionWish):
    """What is asked of a new transcription. Everything is optional."""

    coalesce: bool = Field(
        default=False,
        description="Answer with a transcription of the same bytes and the same parameters that is queued or running, "
        "if there is one, rather than make another.",
    )


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


class TranscriptionUrl(TranscriptionRequest, AudioUrl):
    """Where a recording is to be fetched from, and what is asked of its transcription."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={})


class TranscriptionForm(TranscriptionRequest, AudioForm):
    """A recording, and what is asked of its transcription."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={})

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty_fields(cls, form: object) -> object:
        """A browser sends the fields that nobody filled in, too."""
        if not isinstance(form, dict):
            return form
        return {name: value for name, value in cast(dict[str, Any], form).items() if value != ""}


class PageQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=200, description="Items on a page.")
    cursor: Annotated[PlainText, Field(max_length=500)] | None = Field(
        default=None, description="`next_cursor` of the page before. Default: the first page."
    )


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


def _within(rule: str) -> FieldInfo:
    least, most = LIMITS[rule]
    return cast(FieldInfo, Field(ge=least, le=most))


class ExportQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: str = Field(
        default="txt", description="The kind of file.", json_schema_extra={"enum": list[JsonValue](FORMATS)}
    )
    partial: bool = Field(
        default=False, description="Also when the transcription failed or was cancelled: what had been recognised."
    )
    revision: int | None = Field(
        default=None, ge=0, description="As it was at this revision; 0 is what the engine wrote. Default: as it is."
    )
    times: bool | None = Field(default=None, description="`txt` (off), `md`, `docx` (on): when each paragraph begins.")
    speakers: bool | None = Field(
        default=None, description="`txt`, `md`, `docx`, `srt`, `vtt` (on): who speaks, where that is known."
    )
    words: bool | None = Field(
        default=None, description="`vtt` (off): a time stamp before each word, for players that light it up (karaoke)."
    )
    fit: bool | None = Field(
        default=None,
        description="`srt`, `vtt` (on): cut the text into cues that can be read, by the rules below; off, each segment "
        "is a cue.",
    )
    max_line_characters: Annotated[int, _within("max_line_characters")] | None = Field(
        default=None,
        description="`srt`, `vtt`: characters on a line. A longer word is not broken; a speaker's name counts. "
        "Default: 42; 16 in Chinese and Korean, 13 in Japanese, 35 in Thai.",
    )
    max_lines: Annotated[int, _within("max_lines")] | None = Field(
        default=None, description="`srt`, `vtt`: lines of a cue. Default: 2."
    )
    max_characters_per_second: Annotated[float, _within("max_characters_per_second")] | None = Field(
        default=None,
        description="`srt`, `vtt`: the reading speed. A cue stays for that long, if the next one leaves room. "
        "Default: 17; 12 in Korean, 9 in Chinese, 4 in Japanese.",
    )
    min_cue_seconds: Annotated[float, _within("min_cue_seconds")] | None = Field(
        default=None, description="`srt`, `vtt`: how long a cue stays at least, if there is room. Default: 5/6."
    )
    max_cue_seconds: Annotated[float, _within("max_cue_seconds")] | None = Field(
        default=None, description="`srt`, `vtt`: how long a cue stays at most. Default: 7."
    )
    min_gap_seconds: Annotated[float, _within("min_gap_seconds")] | None = Field(
        default=None, description="`srt`, `vtt`: between two cues, unless people talk at once. Default: 1/12."
    )

    def options(self) -> Options:
        return Options(**self.model_dump(exclude={"format", "partial", "revision"}))


class EngineDisabling(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "Over budget until Monday."}]})

    reason: Annotated[PlainText, Field(max_length=500)] | None = Field(
        default=None, description="Why, for whoever asks later: it is shown with the engine."
    )


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────


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


class RecognisedWord(BaseModel):
    text: str
    start_seconds: float
    end_seconds: float
    probability: float | None
    speaker: str | None


class SegmentScores(BaseModel):
    """What Whisper says of how it came to a segment's text; null where a model does not tell."""

    average_log_probability: float | None = Field(description="Of a token, to base e.", examples=[-0.21])
    compression_ratio: float | None = Field(description="Of gzip on the text: above 2.4 it repeats itself.")
    no_speech_probability: float | None
    temperature: float | None = Field(description="The one at which the text was chosen.")


class RecognisedSegment(BaseModel):
    start_seconds: float
    end_seconds: float
    text: str
    confidence: float | None
    language: str | None
    language_probability: float | None = Field(description="Null where the language was given, or nobody can tell.")
    speaker: str | None
    engine: str | None
    scores: SegmentScores | None = Field(description="Null where the engine gives none.")
    words: list[RecognisedWord] = Field(description="With times; empty where the engine gives none.")


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
    recognised_seconds: float = Field(description="Seconds of audio that this attempt recognised.")
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


class TranscriptSentence(BaseModel):
    """A sentence by the engine's punctuation; where it writes none, a phrase between pauses."""

    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None
    confidence: float | None = Field(description="0 … 1: the mean of its words, or of its segments; null if unknown.")
    words: list[RecognisedWord] = Field(description="With times; empty where the engine gives none.")


class TranscriptParagraph(BaseModel):
    """What one person says between two long pauses, or a readable part of it."""

    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None
    sentences: list[TranscriptSentence]


class Sentences(BaseModel):
    transcription_id: UUID = Field(examples=[EXAMPLE_ID])
    status: Status
    partial: bool = Field(description="True when there are sentences of a transcription that is not completed.")
    language: str | None
    sentences: list[TranscriptSentence] = Field(description="In the order of the text; each word is in one of them.")


class Paragraphs(BaseModel):
    transcription_id: UUID = Field(examples=[EXAMPLE_ID])
    status: Status
    partial: bool = Field(description="True when there are paragraphs of a transcription that is not completed.")
    language: str | None
    paragraphs: list[TranscriptParagraph] = Field(description="In the order of the text.")


class EngineCircuit(BaseModel):
    """The breaker that keeps jobs away from an engine that fails, for all processes together."""

    state: CircuitState = Field(
        description="`open`: it is left alone until `retry_at`. `half_open`: it is being tried again."
    )
    failures: int = Field(description="In a row.")
    retry_at: datetime | None = Field(description="When it may next be tried; null while the circuit is closed.")
    disabled: bool = Field(description="Taken out of use by an operator, until it is enabled again.")
    disabled_reason: str | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    last_failure: TranscriptionError | None = Field(description="The last one that counted against the engine.")


class Engine(BaseModel):
    name: str = Field(examples=["whisper"])
    state: Literal["ready", "preparing", "unavailable"]
    detail: str = Field(description="Why, or how far.", examples=["model small (int8, cpu)"])
    help: str | None = Field(description="What to do about it.")
    chain_position: int | None = Field(
        description="Its place in what `auto` tries, from 1; null where `auto` does not try it."
    )
    degraded_reason: str | None = Field(description="Why its transcripts are second best; null for full quality.")
    circuit: EngineCircuit


class Engines(BaseModel):
    items: list[Engine]
