"""Speech, words and their revisions to rows and back, field by field."""

from datetime import UTC
from typing import Any
from uuid import UUID

from hansard.domain.diarization import Turn
from hansard.domain.revision import Change, Hunk, Revision, RevisionNote
from hansard.domain.speech import Span, Speech
from hansard.domain.transcript import DecodingScores, RecognisedPassage, Segment, Transcript, Word
from hansard.persistence.values import Json, Row, number_or_none, storable, storable_or_none


def speech_to_row(transcription_id: UUID, speech: Speech) -> Row:
    return {
        "transcription_id": transcription_id,
        "audio_seconds": speech.audio_seconds,
        "regions": spans_to_json(speech.regions),
        "channels": speech.channels,
    }


def speech_from_row(row: Row) -> Speech:
    return Speech(audio_seconds=row["audio_seconds"], regions=spans_from_json(row["regions"]), channels=row["channels"])


def spans_to_json(spans: tuple[Span, ...]) -> list[list[float]]:
    return [[span.start_seconds, span.end_seconds] for span in spans]


def spans_from_json(data: list[list[float]]) -> tuple[Span, ...]:
    return tuple(Span(*span) for span in data)


def passage_to_row(transcription_id: UUID, passage: RecognisedPassage) -> Row:
    return {
        "transcription_id": transcription_id,
        "decoding": passage.decoding,
        "start_seconds": passage.span.start_seconds,
        "end_seconds": passage.span.end_seconds,
        "engine": storable(passage.engine),
        "model": storable(passage.model),
        "segments": [segment_to_json(segment) for segment in passage.segments],
    }


def passage_from_row(row: Row) -> RecognisedPassage:
    return RecognisedPassage(
        span=Span(row["start_seconds"], row["end_seconds"]),
        engine=row["engine"],
        model=row["model"],
        segments=tuple(segment_from_json(segment) for segment in row["segments"]),
        decoding=row["decoding"],
    )


def turns_to_row(transcription_id: UUID, turns: tuple[Turn, ...]) -> Row:
    return {
        "transcription_id": transcription_id,
        "turns": [[turn.span.start_seconds, turn.span.end_seconds, storable(turn.speaker)] for turn in turns],
    }


def turns_from_row(row: Row) -> tuple[Turn, ...]:
    return tuple(Turn(Span(start, end), speaker) for start, end, speaker in row["turns"])


def transcript_to_row(transcription_id: UUID, transcript: Transcript, revision: int) -> Row:
    return {
        "transcription_id": transcription_id,
        "language": storable_or_none(transcript.language),
        "language_probability": number_or_none(transcript.language_probability),
        "text": storable(transcript.text),
        "segments": [segment_to_json(segment) for segment in transcript.segments],
        "revision": revision,
    }


def transcript_from_row(row: Row) -> Transcript:
    return Transcript(
        language=row["language"],
        language_probability=row["language_probability"],
        segments=tuple(segment_from_json(segment) for segment in row["segments"]),
    )


def revision_to_row(transcription_id: UUID, revision: Revision) -> Row:
    return {
        "transcription_id": transcription_id,
        "number": revision.number,
        "made_at": revision.made_at,
        "author": storable_or_none(revision.author),
        "change": revision.change.value,
        "summary": storable(revision.summary),
        "hunks": [_hunk_to_json(hunk) for hunk in revision.hunks],
    }


def revision_from_row(row: Row) -> Revision:
    return Revision(
        number=row["number"],
        made_at=row["made_at"].astimezone(UTC),
        author=row["author"],
        change=Change(row["change"]),
        summary=row["summary"],
        hunks=tuple(_hunk_from_json(hunk) for hunk in row["hunks"]),
    )


def revision_note_from_row(row: Row) -> RevisionNote:
    return RevisionNote(
        number=row["number"],
        made_at=row["made_at"].astimezone(UTC),
        author=row["author"],
        change=Change(row["change"]),
        summary=row["summary"],
    )


def _hunk_to_json(hunk: Hunk) -> Json:
    return {
        "at": hunk.at,
        "removed": [segment_to_json(segment) for segment in hunk.removed],
        "inserted": [segment_to_json(segment) for segment in hunk.inserted],
    }


def _hunk_from_json(data: Json) -> Hunk:
    return Hunk(
        at=data["at"],
        removed=tuple(segment_from_json(segment) for segment in data["removed"]),
        inserted=tuple(segment_from_json(segment) for segment in data["inserted"]),
    )


def segment_to_json(segment: Segment) -> Json:
    return {
        "start_seconds": segment.start_seconds,
        "end_seconds": segment.end_seconds,
        "text": storable(segment.text),
        "words": [_word_to_json(word) for word in segment.words],
        "confidence": number_or_none(segment.confidence),
        "language": storable_or_none(segment.language),
        "language_probability": number_or_none(segment.language_probability),
        "speaker": storable_or_none(segment.speaker),
        "engine": storable_or_none(segment.engine),
        "scores": None if segment.scores is None else _scores_to_json(segment.scores),
    }


def segment_from_json(data: Json) -> Segment:
    return Segment(
        start_seconds=data["start_seconds"],
        end_seconds=data["end_seconds"],
        text=data["text"],
        words=tuple(Word(*word) for word in data["words"]),
        confidence=data["confidence"],
        language=data["language"],
        language_probability=data.get("language_probability"),
        speaker=data["speaker"],
        engine=data["engine"],
        scores=None if data.get("scores") is None else DecodingScores(**data["scores"]),
    )


def _scores_to_json(scores: DecodingScores) -> Json:
    return {
        "average_log_probability": number_or_none(scores.average_log_probability),
        "compression_ratio": number_or_none(scores.compression_ratio),
        "no_speech_probability": number_or_none(scores.no_speech_probability),
        "temperature": number_or_none(scores.temperature),
    }


def _word_to_json(word: Word) -> list[Any]:
    """A list, in the order of `Word`'s fields: an hour of speech has 9,000 words, and names would double its size."""
    fields = [storable(word.text), word.start_seconds, word.end_seconds, number_or_none(word.probability)]
    return fields if word.speaker is None else [*fields, storable(word.speaker)]
