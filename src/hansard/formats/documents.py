"""The transcript to read (.txt) and to compute with (.json)."""

import json

from hansard.domain.transcript import Segment, Transcript, Word

JSON_VERSION = 1
"""Goes up when a field changes its meaning or goes away; fields may be added at any time."""


def write_txt(transcript: Transcript) -> str:
    """A line for each segment that has text, begun with the speaker where one is known."""
    return "".join(f"{_line(segment)}\n" for segment in transcript.segments if segment.text.strip())


def write_json(transcript: Transcript) -> str:
    """All that is known, in this shape; what is not known is null. Times are seconds from the start of the recording.

    {"version": 1, "language": "en", "text": "…",
     "segments": [{"start_seconds": 0.0, "end_seconds": 1.5, "text": "…", "confidence": 0.93, "speaker": null,
                   "engine": "whisper",
                   "words": [{"text": "…", "start_seconds": 0.0, "end_seconds": 0.4, "probability": 0.98}]}]}
    """
    document = {
        "version": JSON_VERSION,
        "language": transcript.language,
        "text": transcript.text,
        "segments": [_segment(segment) for segment in transcript.segments],
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _line(segment: Segment) -> str:
    text = f"{segment.speaker}: {segment.text}" if segment.speaker else segment.text
    return " ".join(text.split())


def _segment(segment: Segment) -> dict[str, object]:
    return {
        "start_seconds": _rounded(segment.start_seconds),
        "end_seconds": _rounded(segment.end_seconds),
        "text": segment.text,
        "confidence": _rounded(segment.confidence),
        "speaker": segment.speaker,
        "engine": segment.engine,
        "words": [_word(word) for word in segment.words],
    }


def _word(word: Word) -> dict[str, object]:
    return {
        "text": word.text,
        "start_seconds": _rounded(word.start_seconds),
        "end_seconds": _rounded(word.end_seconds),
        "probability": _rounded(word.probability),
    }


def _rounded(value: float | None) -> float | None:
    """To the millisecond, or the thousandth: more digits are noise of the arithmetic."""
    return None if value is None else round(value, 3)
