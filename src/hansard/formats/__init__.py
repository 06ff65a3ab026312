"""Writes a transcript as a file: pure functions from a `Document` to bytes, one for each format people ask for.

`FORMATS` is the list that the command line and the HTTP routes offer, by file extension. Text is UTF-8.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hansard.domain.errors import InvalidRequest
from hansard.formats.archive import archive
from hansard.formats.captions import write_srt, write_vtt
from hansard.formats.document import Document
from hansard.formats.machine import write_json
from hansard.formats.options import CAPTION_OPTIONS, LIMITS, Options, check_limits
from hansard.formats.prose import write_md, write_txt
from hansard.formats.tables import names_speakers, write_csv, write_rttm, write_tsv
from hansard.formats.word_document import write_docx
from hansard.timing.decorators import time_it

__all__ = ["DEFAULTS", "FORMATS", "LIMITS", "Document", "Format", "Options", "check", "write"]

DEFAULTS = Options()
_PROSE_OPTIONS = frozenset({"times", "speakers"})


@dataclass(frozen=True, slots=True)
class Format:
    """`media_type` is what to serve it as; `options` are the fields of `Options` that it has a use for."""

    media_type: str
    write: Callable[[Document, Options], bytes]
    options: frozenset[str] = frozenset()
    is_text: bool = True


def _text(media_type: str, write: Callable[[Document, Options], str], options: frozenset[str]) -> Format:
    return Format(media_type, lambda document, chosen: write(document, chosen).encode(), options)


def _fixed(media_type: str, write: Callable[[Document], str]) -> Format:
    """A format that leaves no choice."""
    return Format(media_type, lambda document, _: write(document).encode())


_WORDPROCESSING = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_SINGLE: Mapping[str, Format] = MappingProxyType(
    {
        "txt": _text("text/plain", write_txt, _PROSE_OPTIONS),
        "srt": _text("application/x-subrip", write_srt, CAPTION_OPTIONS | {"speakers"}),
        "vtt": _text("text/vtt", write_vtt, CAPTION_OPTIONS | {"speakers", "words"}),
        "json": _fixed("application/json", write_json),
        "csv": _fixed("text/csv", write_csv),
        "tsv": _fixed("text/tab-separated-values", write_tsv),
        "md": _text("text/markdown", write_md, _PROSE_OPTIONS),
        "rttm": _fixed("text/x-rttm", write_rttm),
        "docx": Format(_WORDPROCESSING, write_docx, _PROSE_OPTIONS, is_text=False),
    }
)


def _write_zip(document: Document, options: Options) -> bytes:
    """Every other format; without who spoke when, where nobody knows. Each takes the options that it has a use for."""
    tells_speakers = names_speakers(document.transcript)
    return archive(
        {
            f"{document.stem}.{name}": each.write(document, options.only(each.options))
            for name, each in _SINGLE.items()
            if name != "rttm" or tells_speakers
        }
    )


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        **_SINGLE,
        "zip": Format(
            "application/zip",
            _write_zip,
            CAPTION_OPTIONS | _PROSE_OPTIONS | {"words"},
            is_text=False,
        ),
    }
)


@time_it
def write(document: Document, format: str, options: Options = DEFAULTS) -> bytes:
    """The transcript as a file of that format; text ends in a newline. Raises `InvalidRequest` as `check` does, and
    where the transcript lacks what the format is about: times of words, speakers.
    """
    check(format, options)
    return FORMATS[format].write(document, options)


def check(format: str, options: Options = DEFAULTS) -> None:
    """Raises `InvalidRequest` for an unknown format, and for options that it has no use for or that make no sense."""
    if format not in FORMATS:
        raise InvalidRequest(
            f"There is no format called {format!r}.", code="unknown_format", help=f"Use one of: {', '.join(FORMATS)}."
        )
    if useless := sorted(options.given - FORMATS[format].options):
        names = " and ".join(f"`{name}`" for name in useless)
        users = [name for name, each in FORMATS.items() if set(useless) <= each.options]
        raise InvalidRequest(
            f"The format {format} has no use for {names}.",
            code="option_not_applicable",
            help=f"Leave it out, or ask for one of: {', '.join(users)}.",
        )
    check_limits(options)
