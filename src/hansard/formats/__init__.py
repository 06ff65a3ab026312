"""Writes a transcript as a file: pure functions from a `Transcript` to text, one for each format people ask for.

`FORMATS` is the list that the command line and the HTTP routes offer, by file extension.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hansard.domain.errors import InvalidRequest
from hansard.domain.transcript import Transcript
from hansard.formats.captions import write_srt, write_vtt
from hansard.formats.documents import write_json, write_txt


@dataclass(frozen=True, slots=True)
class Format:
    """`media_type` is what to serve it as; the text is to be encoded as UTF-8."""

    media_type: str
    write: Callable[[Transcript], str]


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "txt": Format("text/plain", write_txt),
        "srt": Format("application/x-subrip", write_srt),
        "vtt": Format("text/vtt", write_vtt),
        "json": Format("application/json", write_json),
    }
)


def write(transcript: Transcript, format: str) -> str:
    """The transcript as a file of that format, ending in a newline. Raises `InvalidRequest` for an unknown one."""
    if format not in FORMATS:
        raise InvalidRequest(
            f"There is no format called {format!r}.", code="unknown_format", help=f"Use one of: {', '.join(FORMATS)}."
        )
    return FORMATS[format].write(transcript)
