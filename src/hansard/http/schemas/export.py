"""What a transcript is to be like as a file."""

from typing import Annotated, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.fields import FieldInfo

from hansard.formats import FORMATS, LIMITS, Options


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
