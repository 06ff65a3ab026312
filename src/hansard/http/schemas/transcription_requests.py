"""How a recording is to be transcribed, by whichever way it comes in."""

from typing import Annotated, Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hansard.domain.transcription import AUTO, Channels, Parameters, Task
from hansard.http.schemas.audio import AudioForm, AudioUrl
from hansard.http.schemas.fields import LONGEST_PROMPT, MOST_METADATA_KEYS, LanguageCode, Metadata, PlainText

MOST_SPEAKERS = 50


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
