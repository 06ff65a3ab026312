"""The transcript as rows: for spreadsheets (.csv), for programs that split at tabs (.tsv), and who spoke when (.rttm).

Sources: RFC 4180; IANA, text/tab-separated-values; NIST, "RT-09 evaluation plan", appendix A (RTTM), 2009; OWASP,
"CSV Injection".
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from hansard.domain.errors import InvalidRequest
from hansard.domain.transcript import Segment, Transcript
from hansard.formats.document import Document

COLUMNS = ("start_seconds", "end_seconds", "speaker", "text")

_LOOKS_LIKE_FORMULA = re.compile("'*[=+\\-@＝＋－＠]")
"""What spreadsheets compute, the full-width signs included; and what would look like our own mark before it."""

_PAUSE_WITHIN_TURN_SECONDS = 0.3
"""A shorter one does not end a turn, as NIST has it."""


def write_csv(document: Document) -> str:
    """A row for each segment with text, under `COLUMNS`; lines end in CRLF. A speaker nobody knows is an empty cell.

    What is said may begin with a minus or an equals sign, and a speaker may be called anything; spreadsheets take
    that for a formula. Such a cell begins with an apostrophe here, which makes it text to all of them. Who wants the
    words untouched takes one apostrophe away wherever `'+[=+-@＝＋－＠]` matches the beginning, or reads the JSON.
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(document.transcript))
    return file.getvalue()


def write_tsv(document: Document) -> str:
    """The same between tabs, in lines that end in LF, without quotes: text has no tabs and no line breaks.

    The apostrophe is here as well: spreadsheets open these files as readily.
    """
    rows = [COLUMNS, *_rows(document.transcript)]
    return "".join("\t".join(row) + "\n" for row in rows)


def write_rttm(document: Document) -> str:
    """A line for each turn of a speaker: `SPEAKER file channel start duration <NA> <NA> name <NA> <NA>`.

    Speech whose speaker nobody knows is NOSCORE: it is said that somebody speaks there, and nobody is named. The
    recording's name and the speakers' have underscores for white space, which separates the fields. Raises
    `InvalidRequest` for a transcript that names no speaker at all.
    """
    if not names_speakers(document.transcript):
        raise InvalidRequest(
            "The transcript does not tell who speaks.",
            code="no_speakers",
            help="Transcribe the recording again, with `diarize`.",
        )
    return "".join(f"{_rttm_line(_token(document.stem), turn)}\n" for turn in _turns(document.transcript))


def names_speakers(transcript: Transcript) -> bool:
    return any(stretch.speaker for stretch in _stretches(transcript))


def _rows(transcript: Transcript) -> Iterator[tuple[str, str, str, str]]:
    for segment in transcript.segments:
        if text := " ".join(segment.text.split()):
            speaker = " ".join((segment.speaker or "").split())
            times = f"{segment.start_seconds:.3f}", f"{segment.end_seconds:.3f}"
            yield *times, _as_text(speaker), _as_text(text)


def _as_text(cell: str) -> str:
    return f"'{cell}" if _LOOKS_LIKE_FORMULA.match(cell) else cell


# ── RTTM ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Turn:
    start_seconds: float
    end_seconds: float
    speaker: str | None


def _turns(transcript: Transcript) -> Iterator[_Turn]:
    """In order of start; stretches of one speaker with no more than a short pause between them are one turn."""
    ended: list[_Turn] = []
    latest: dict[str | None, _Turn] = {}
    for stretch in sorted(_stretches(transcript), key=lambda stretch: stretch.start_seconds):
        turn = latest.get(stretch.speaker)
        if turn and stretch.start_seconds - turn.end_seconds <= _PAUSE_WITHIN_TURN_SECONDS:
            turn.end_seconds = max(turn.end_seconds, stretch.end_seconds)
        else:
            latest[stretch.speaker] = stretch
            ended.append(stretch)
    return iter(ended)


def _stretches(transcript: Transcript) -> Iterator[_Turn]:
    for segment in transcript.segments:
        if not segment.text.strip():
            continue
        if _speakers_within(segment):
            for word in segment.words:
                yield _Turn(word.start_seconds, word.end_seconds, word.speaker or segment.speaker)
        else:
            yield _Turn(segment.start_seconds, segment.end_seconds, segment.speaker)


def _speakers_within(segment: Segment) -> bool:
    return any(word.speaker and word.speaker != segment.speaker for word in segment.words)


def _rttm_line(recording: str, turn: _Turn) -> str:
    seconds = f"{turn.start_seconds:.3f} {max(0.0, turn.end_seconds - turn.start_seconds):.3f}"
    if turn.speaker is None:
        return f"NOSCORE {recording} 1 {seconds} <NA> <NA> <NA> <NA> <NA>"
    return f"SPEAKER {recording} 1 {seconds} <NA> <NA> {_token(turn.speaker)} <NA> <NA>"


def _token(name: str) -> str:
    return "_".join(name.split()) or "<NA>"
