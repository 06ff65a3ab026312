"""What is asked of a search, and what it answers, as it goes over the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from hansard.application.ports.records import PHRASE_REACH, SearchQuery
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


class SearchParameters(PageQuery):
    q: Annotated[PlainText, Field(max_length=1000)] = Field(
        description='What to look for: `harbour committee` (both words), `"harbour committee"` (one after the other, '
        "as they are written), `-harbour` (without it), `harbour OR port` (either; OR in capitals), `harb*` (what "
        "begins so). A word finds its other forms too, in the language that is spoken: `house` finds *houses*. Case "
        "does not count, nor do accents that are left out. All is looked for within one segment; but what is in "
        f"quotation marks may go on in those after it, by up to {PHRASE_REACH} words: it is found where it begins.",
        examples=['"annual report" harbour*'],
    )
    speaker: Annotated[PlainText, Field(max_length=200)] | None = Field(
        default=None, description="Only what this speaker said, by the label in the transcript."
    )
    file_name: Annotated[PlainText, Field(min_length=1, max_length=500)] | None = Field(
        default=None,
        description="Only recordings with this in their name; with `*` (anything) or `?` (one character), those of "
        "which it is the whole name. Case does not count.",
        examples=["interview*.mp3"],
    )
    since: Moment | None = Field(
        default=None, description="Only transcriptions asked for at this time or later; UTC, unless it says otherwise."
    )
    until: Moment | None = Field(default=None, description="Only transcriptions asked for before this time.")
    language: LanguageCode | None = Field(default=None, description="Only what is said in this language, such as `en`.")
    metadata: list[MetadataLabel] = Field(
        default_factory=list,
        max_length=MOST_METADATA_KEYS,
        description="Only transcriptions with this label, written `key:value`. May be given again: all must be there.",
        examples=[["case:2026-114"]],
    )

    def query(self) -> SearchQuery:
        return SearchQuery(
            words=self.q,
            speaker=self.speaker,
            language=self.language,
            file_name=self.file_name,
            since=self.since,
            until=self.until,
            metadata=labels(self.metadata),
        )


class SearchMatch(BaseModel):
    """A place in the text, in characters (Unicode code points) from `start` up to, not including, `end`."""

    start: int
    end: int
    seconds: float = Field(description="When it is said: of the word, where words have times, else of the segment.")


class SearchResult(BaseModel):
    """A segment in which all is said that was looked for."""

    transcription_id: UUID = Field(examples=[EXAMPLE_ID])
    audio_id: UUID = Field(examples=[EXAMPLE_AUDIO_ID])
    audio_url: str = Field(
        description="Where the original bytes are.", examples=[f"/audio/{EXAMPLE_AUDIO_ID}/download"]
    )
    file_name: str = Field(examples=["Zürich interview.mp3"])
    created_at: datetime = Field(description="When the transcription was asked for.")
    start_seconds: float
    end_seconds: float
    speaker: str | None
    language: str | None
    text: str
    matches: list[SearchMatch] = Field(description="Where in the text it is, in order.")


class SearchPage(BaseModel):
    """The newest transcription first, and within one in order of time. `next_cursor` is null on the last page."""

    items: list[SearchResult]
    next_cursor: str | None
