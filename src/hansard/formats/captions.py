"""Captions for players: SubRip (.srt) and WebVTT (.vtt).

Both are read line by line, so text must not look like syntax: a blank line would end its cue, and an arrow
would pass for a time line. Sources: W3C "WebVTT: The Web Video Text Tracks Format", 2019; SubRip has no
standard, players follow what the program of that name wrote.
"""

from hansard.domain.errors import InvalidRequest
from hansard.domain.transcript import Transcript
from hansard.formats.cues import Cue, Line, fitted, whole_segments
from hansard.formats.document import Document
from hansard.formats.options import CaptionRules, Options


def write_srt(document: Document, options: Options) -> str:
    """SubRip: numbered cues; a known speaker stands before the text."""
    cues = _cues(document.transcript, options, labels=options.speakers is not False)
    return "".join(
        f"{number}\n{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}\n{_srt_text(cue)}\n\n"
        for number, cue in enumerate(cues, start=1)
    )


def write_vtt(document: Document, options: Options) -> str:
    """WebVTT: a known speaker becomes a voice tag. Raises `InvalidRequest` for `words` where no word has a time."""
    if options.words:
        _require_word_times(document.transcript)
    cues = "".join(
        f"\n{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')}\n{_vtt_text(cue, options)}\n"
        for cue in _cues(document.transcript, options, labels=False)
    )
    return f"WEBVTT\n{cues}"


def _cues(transcript: Transcript, options: Options, *, labels: bool) -> list[Cue]:
    if options.fit is False:
        return whole_segments(transcript, labels=labels)
    return fitted(transcript, CaptionRules.of(options, transcript.text), labels=labels)


def _time(milliseconds: int, decimal_mark: str) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{decimal_mark}{milliseconds:03}"


def _srt_text(cue: Cue) -> str:
    return "\n".join(line.text for line in cue.lines).replace("-->", "→")


# ── WebVTT ───────────────────────────────────────────────────────────────────────────────────────────────


def _vtt_text(cue: Cue, options: Options) -> str:
    lines = _marked(cue) if options.words else [_escaped(line.text) for line in cue.lines]
    voice = f"<v {_escaped(cue.speaker)}>" if cue.speaker and options.speakers is not False else ""
    return voice + "\n".join(lines)


def _marked(cue: Cue) -> list[str]:
    """Each word that has a time begins with it. The standard wants them later than the cue, and one another."""
    last_ms = cue.start_ms
    lines: list[str] = []
    for line in cue.lines:
        text, last_ms = _marked_line(line, last_ms, cue.end_ms)
        lines.append(text)
    return lines


def _marked_line(line: Line, last_ms: int, end_ms: int) -> tuple[str, int]:
    text = ""
    for unit in line.units:
        text += " " if unit.spaced and text else ""
        for atom in unit.atoms:
            if atom.timed and last_ms < atom.start_ms < end_ms:
                last_ms = atom.start_ms
                text += f"<{_time(atom.start_ms, '.')}>"
            text += _escaped(atom.text)
    return text, last_ms


def _require_word_times(transcript: Transcript) -> None:
    """Raises `InvalidRequest`: times that nobody measured are not made up."""
    has_times = any(word.end_seconds > word.start_seconds for segment in transcript.segments for word in segment.words)
    if transcript.text.strip() and not has_times:
        raise InvalidRequest(
            "The transcript has no times of words, so `words` cannot be marked.",
            code="no_word_times",
            help="Leave `words` out, or transcribe the recording with an engine that times words, such as whisper.",
        )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
