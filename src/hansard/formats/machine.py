"""The transcript to compute with (.json): all that is known, in the shape of docs/transcript.schema.json."""

import json
from dataclasses import asdict

from hansard.domain.transcript import Segment, Word
from hansard.formats.document import Document

VERSION = 1
"""Goes up when a field changes its meaning or goes away; fields may be added at any time."""


def write_json(document: Document) -> str:
    """What is not known is null. Times are seconds from the start of the recording."""
    transcript = document.transcript
    written = {
        "version": VERSION,
        "recording": {"file_name": document.file_name, "duration_seconds": _rounded(document.audio_seconds)},
        "transcribed_at": document.transcribed_at.isoformat() if document.transcribed_at else None,
        "engine": document.engine,
        "model": document.model,
        "language": transcript.language,
        "language_probability": _rounded(transcript.language_probability),
        "translated": document.translated,
        "corrections": document.corrections,
        "partial": document.partial,
        "degraded_reasons": list(document.degraded_reasons),
        "gaps": [
            {"start_seconds": _rounded(gap.start_seconds), "end_seconds": _rounded(gap.end_seconds)}
            for gap in document.gaps
        ],
        "speakers": list(transcript.speakers),
        "text": transcript.text,
        "segments": [_segment(segment) for segment in transcript.segments],
    }
    return json.dumps(written, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _segment(segment: Segment) -> dict[str, object]:
    scores = segment.scores
    return {
        "start_seconds": _rounded(segment.start_seconds),
        "end_seconds": _rounded(segment.end_seconds),
        "text": segment.text,
        "confidence": _rounded(segment.confidence),
        "language": segment.language,
        "language_probability": _rounded(segment.language_probability),
        "speaker": segment.speaker,
        "engine": segment.engine,
        "scores": {name: _rounded(value) for name, value in asdict(scores).items()} if scores else None,
        "words": [_word(word) for word in segment.words],
    }


def _word(word: Word) -> dict[str, object]:
    return {
        "text": word.text,
        "start_seconds": _rounded(word.start_seconds),
        "end_seconds": _rounded(word.end_seconds),
        "probability": _rounded(word.probability),
        "speaker": word.speaker,
    }


def _rounded(value: float | None) -> float | None:
    """To the millisecond, or the thousandth: more digits are noise of the arithmetic."""
    return None if value is None else round(value, 3)
