"""The text itself: in segments as it was recognised, in sentences and in paragraphs."""

from uuid import UUID

from pydantic import BaseModel, Field

from hansard.domain.transcription import Status
from hansard.http.schemas.fields import EXAMPLE_ID


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
