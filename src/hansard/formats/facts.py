"""What a page tells of a transcript besides its words, in words for people."""

from collections.abc import Iterator

from hansard.domain.languages import LANGUAGE_NAMES
from hansard.domain.paragraphs import Paragraph, paragraphs
from hansard.domain.timecode import timecode
from hansard.formats.document import Document


def facts(document: Document) -> Iterator[tuple[str, str]]:
    """What is known, as names and values."""
    transcript = document.transcript
    if document.transcribed_at:
        yield "Transcribed", f"{document.transcribed_at:%Y-%m-%d}"
    if document.audio_seconds is not None:
        yield "Length", _clock(document.audio_seconds)
    if transcript.language:
        name = LANGUAGE_NAMES.get(transcript.language, transcript.language).title()
        sure = transcript.language_probability
        yield "Language", name if sure is None else f"{name} (detected, {sure:.0%} sure)"
    if document.translated:
        yield "Translated", "into English"
    if document.engine:
        yield "Engine", ", ".join(filter(None, (document.engine, document.model)))
    if document.corrections:
        yield "Corrected by people", "once" if document.corrections == 1 else f"{document.corrections} times"


def cautions(document: Document) -> Iterator[str]:
    """What the transcript lacks, in sentences."""
    if document.partial:
        yield "This is not the whole recording: its transcription ended early."
    for reason in document.degraded_reasons:
        yield f"This is a second-best record: {reason}"
    if document.gaps:
        gaps = ", ".join(f"{_clock(gap.start_seconds)} to {_clock(gap.end_seconds)}" for gap in document.gaps)
        yield f"Speech without text: {gaps}"


def spoken(document: Document) -> Iterator[tuple[str, str, str]]:
    """Each paragraph's time, speaker (empty where nobody knows) and text."""
    for paragraph in paragraphs(document.transcript):
        if text := " ".join(paragraph.text.split()):
            yield _clock(paragraph.start_seconds), _speaker(paragraph), text


def _clock(seconds: float) -> str:
    return timecode(seconds, hour_digits=2)


def _speaker(paragraph: Paragraph) -> str:
    return " ".join((paragraph.speaker or "").split())
