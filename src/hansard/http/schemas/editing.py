"""What goes over the wire when people correct a transcript."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from hansard.domain.alignment import Draft
from hansard.domain.editing import normalised
from hansard.domain.revision import Change
from hansard.http.schemas.fields import PlainText
from hansard.http.schemas.transcripts import RecognisedSegment

LONGEST_TEXT = 100_000
"""In characters: an engine without times gives all of a passage, which may be half an hour, as one segment."""
LONGEST_SPEAKER = 100
LONGEST_AUTHOR = 200
MOST_SEGMENTS = 100_000


def _not_blank(text: str) -> str:
    if not normalised(text):
        raise ValueError("must have a character that can be seen")
    return text


Text = Annotated[PlainText, Field(max_length=LONGEST_TEXT)]
Speaker = Annotated[PlainText, Field(max_length=LONGEST_SPEAKER)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


# ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────


class Signature(BaseModel):
    """Who makes a change. It is kept with the revision."""

    model_config = ConfigDict(extra="forbid")

    author: Annotated[PlainText, Field(max_length=LONGEST_AUTHOR), AfterValidator(_not_blank)] | None = Field(
        default=None, description="As you want to be named in the history.", examples=["Ann"]
    )


class SegmentAmendment(Signature):
    """What is left out, or null, stays as it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"text": "Good morning, Mr Speaker."}]})

    text: Text | None = Field(default=None, description="What is really said. An empty text takes the segment out.")
    speaker: Speaker | None = Field(
        default=None, description="Who really speaks. An empty label leaves the segment without a speaker."
    )

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.text is None and self.speaker is None:
            raise ValueError("needs `text` or `speaker`")
        return self


class SegmentSplit(Signature):
    """Where to split: one of the two."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"word": 4}]})

    word: int | None = Field(default=None, ge=1, description="Before this one of its `words`, counted from 0.")
    character: int | None = Field(
        default=None, ge=1, description="Before this character (Unicode code point) of its `text`, counted from 0."
    )

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if (self.word is None) == (self.character is None):
            raise ValueError("needs either `word` or `character`")
        return self


class SpeakerRenaming(Signature):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Ann"}]})

    name: Annotated[Speaker, AfterValidator(_not_blank)] = Field(
        description="The new label. That of another speaker makes the two one."
    )


class WrittenSegment(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"start_seconds": 0.0, "end_seconds": 1.8, "text": "Good morning.", "speaker": "Ann"}]
        },
    )

    start_seconds: Seconds
    end_seconds: Seconds
    text: Text = Field(description="An empty text leaves the segment out.")
    speaker: Speaker | None = None

    def draft(self) -> Draft:
        return Draft(self.start_seconds, self.end_seconds, self.text, self.speaker)


class WrittenTranscript(Signature):
    """All of a transcript: what is not in it is taken out."""

    segments: list[WrittenSegment] = Field(max_length=MOST_SEGMENTS, description="In order of their start.")


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────


class SegmentsChange(BaseModel):
    """At the place `at`, counted in segments before the edit, `removed` of them gave way to `segments`."""

    at: int
    removed: int
    segments: list[RecognisedSegment]


class EditedTranscript(BaseModel):
    """What an edit changed, to be done to a copy as well, from the last change to the first."""

    revision: int = Field(description="The current one now. It is the one before where nothing changed.", examples=[4])
    changes: list[SegmentsChange] = Field(description="In order, and apart from each other; empty: nothing changed.")


class TranscriptRevision(BaseModel):
    number: int = Field(examples=[4])
    made_at: datetime
    author: str | None = Field(description="As the editor named himself.", examples=["Ann"])
    change: Change
    summary: str = Field(
        description="What was done, for people.", examples=["At 0:12:03: “Jon Smyth” became “John Smith”."]
    )


class TranscriptRevisions(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    items: list[TranscriptRevision]
    next_cursor: str | None


class TranscriptAtRevision(BaseModel):
    number: int
    language: str | None
    text: str
    segments: list[RecognisedSegment] = Field(description="In order of time.")
