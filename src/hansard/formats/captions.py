"""Captions for players: SubRip (.srt) and WebVTT (.vtt), a cue for each segment that has text.

Both are read line by line, so text must not look like syntax: a blank line would end its cue, and an arrow
would pass for a time line. Sources: W3C "WebVTT: The Web Video Text Tracks Format", 2019; SubRip has no
standard, players follow what the program of that name wrote.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from hansard.domain.transcript import Segment, Transcript

SHORTEST_CUE_MS = 1
"""A cue must end after it starts, or players drop it; engines now and then give a word no time at all."""


@dataclass(frozen=True, slots=True)
class _Cue:
    """Times are whole milliseconds, so that rounding is done once and 59.9996 s becomes 1:00.000."""

    start_ms: int
    end_ms: int
    text: str
    speaker: str


def write_srt(transcript: Transcript) -> str:
    """SubRip: numbered cues; a known speaker stands before the text."""
    return "".join(
        f"{number}\n{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}\n{_srt_text(cue)}\n\n"
        for number, cue in enumerate(_cues(transcript), start=1)
    )


def write_vtt(transcript: Transcript) -> str:
    """WebVTT: a known speaker becomes a voice tag."""
    cues = "".join(
        f"\n{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')}\n{_vtt_text(cue)}\n" for cue in _cues(transcript)
    )
    return f"WEBVTT\n{cues}"


def _cues(transcript: Transcript) -> Iterator[_Cue]:
    """In order of start, as WebVTT demands; people who talk at once overlap, as they did."""
    for segment in sorted(transcript.segments, key=_start_ms):
        if text := " ".join(segment.text.split()):
            start_ms = _start_ms(segment)
            end_ms = max(round(segment.end_seconds * 1000), start_ms + SHORTEST_CUE_MS)
            yield _Cue(start_ms, end_ms, text, " ".join((segment.speaker or "").split()))


def _start_ms(segment: Segment) -> int:
    return round(segment.start_seconds * 1000)


def _time(milliseconds: int, decimal_mark: str) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{decimal_mark}{milliseconds:03}"


def _srt_text(cue: _Cue) -> str:
    text = f"{cue.speaker}: {cue.text}" if cue.speaker else cue.text
    return text.replace("-->", "→")


def _vtt_text(cue: _Cue) -> str:
    return f"<v {_escaped(cue.speaker)}>{_escaped(cue.text)}" if cue.speaker else _escaped(cue.text)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
