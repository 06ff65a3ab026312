"""The options of `hansard transcribe`, in the words of its help, and what they stand for."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer.models import OptionInfo

from hansard.domain.errors import InvalidRequest
from hansard.domain.transcription import Channels, Parameters, Task

if TYPE_CHECKING:
    from hansard.formats import Options


class Format(StrEnum):
    """The keys of `hansard.formats.FORMATS`; Typer wants to know them when this is imported."""

    TXT = "txt"
    SRT = "srt"
    VTT = "vtt"
    JSON = "json"
    CSV = "csv"
    TSV = "tsv"
    MD = "md"
    RTTM = "rttm"
    DOCX = "docx"
    ZIP = "zip"


_ASKED, _WRITTEN = "What is asked of the engine", "How it is written"


def _asked(help: str, *names: str) -> OptionInfo:
    return cast(OptionInfo, typer.Option(*names, help=help, show_default=False, rich_help_panel=_ASKED))


def _written(help: str) -> OptionInfo:
    return cast(OptionInfo, typer.Option(help=help, show_default=False, rich_help_panel=_WRITTEN))


Formats = Annotated[
    list[Format] | None, typer.Option("--format", help="Kind of transcript; may be given again. Default: txt.",
                                      show_default=False)
]  # fmt: skip
Engine = Annotated[str, typer.Option(help="One that `hansard engines` lists.", rich_help_panel=_ASKED)]
Fallback = Annotated[bool | None, _asked("Whether another engine may take over. Default: with auto.")]
Model = Annotated[str | None, _asked("A model of that engine.")]
Language = Annotated[str | None, _asked("Spoken in the recording, such as `en`. Default: detected.")]
Prompt = Annotated[str | None, _asked("Names and context that help the engine spell.")]
Hotwords = Annotated[str | None, _asked("Words and names to listen for, with commas between.")]
TaskOption = Annotated[Task | None, _asked("`translate` writes in English what is said.", "--task")]
Temperature = Annotated[float | None, _asked("How freely the engine chooses among words, 0 to 1.")]
Diarize = Annotated[bool, _asked("Tell who speaks when.", "--diarize")]
MinSpeakers = Annotated[int | None, _asked("With --diarize: at least so many speak.")]
MaxSpeakers = Annotated[int | None, _asked("With --diarize: at most so many speak.")]
ChannelsOption = Annotated[Channels | None, _asked("`separate`: each channel is a speaker.", "--channels")]

Times = Annotated[bool | None, _written("txt, md, docx: when each paragraph begins.")]
Speakers = Annotated[bool | None, _written("txt, md, docx, srt, vtt: who speaks.")]
Words = Annotated[bool | None, _written("vtt: each word's time (karaoke).")]
Fit = Annotated[bool | None, _written("srt, vtt: cut into cues that can be read, or a cue a segment.")]
MaxLineCharacters = Annotated[int | None, _written("srt, vtt: characters on a line.")]
MaxLines = Annotated[int | None, _written("srt, vtt: lines of a cue.")]
MaxCharactersPerSecond = Annotated[float | None, _written("srt, vtt: reading speed.")]
MinCueSeconds = Annotated[float | None, _written("srt, vtt: a cue stays at least so long, if there is room.")]
MaxCueSeconds = Annotated[float | None, _written("srt, vtt: a cue stays at most so long.")]
MinGapSeconds = Annotated[float | None, _written("srt, vtt: between two cues.")]


def parameters_of(asked: Mapping[str, object]) -> Parameters:
    """What None leaves to the service. Raises `InvalidRequest` for what the API would refuse, in its words."""
    from pydantic import ValidationError

    from hansard.http.schemas.transcription_requests import TranscriptionWish

    given = {name: value for name, value in asked.items() if value is not None}
    try:
        return TranscriptionWish.model_validate(given).parameters()
    except ValidationError as error:
        found = [
            (".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, ")) for each in error.errors()
        ]
        raise InvalidRequest(
            " ".join(f"{field}: {message}." if field else f"{message}." for field, message in found)
        ) from error


def manners_of(formats: tuple[str, ...], written: Mapping[str, Any]) -> "Mapping[str, Options]":
    """How each of the formats is to be written.

    Raises `InvalidRequest` for an option that none of them has a use for, and for values that make no sense.
    """
    from hansard.formats import FORMATS, Options, check

    options = Options(**written)
    used = frozenset[str]().union(*(FORMATS[kind].options for kind in formats))
    if options.given - used:
        check(formats[0], options.only(options.given - used))
    manners = {kind: options.only(FORMATS[kind].options) for kind in formats}
    for kind, manner in manners.items():
        check(kind, manner)
    return manners
