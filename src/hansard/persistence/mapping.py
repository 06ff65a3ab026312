"""Rows to domain objects and back, field by field.

PostgreSQL's text holds neither NUL nor half a surrogate pair, and its JSON no NaN. Engines and file names bring all
three, and a transcript must not be lost to them: characters that can't be kept are dropped or replaced, and a number
that is none is kept as unknown.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hansard.domain.audio import AudioFile, AudioProperties, StoredObject
from hansard.domain.circuit import Circuit, CircuitState
from hansard.domain.coverage import Coverage
from hansard.domain.diarization import Turn
from hansard.domain.errors import Category, Failure
from hansard.domain.revision import Change, Hunk, Revision, RevisionNote
from hansard.domain.speech import Span, Speech
from hansard.domain.transcript import DecodingScores, RecognisedPassage, Segment, Transcript, Word
from hansard.domain.transcription import (
    Attempt,
    AttemptOutcome,
    Channels,
    Parameters,
    Result,
    Status,
    Task,
    Transcription,
)

Row = Mapping[Any, Any]
"""Column names and values, as SQLAlchemy takes and gives them."""

Json = dict[str, Any]


# ── Audio ────────────────────────────────────────────────────────────────────────────────────────────────


def audio_to_row(audio: AudioFile) -> Row:
    return {
        "id": audio.id,
        "file_name": storable(audio.file_name),
        "media_type": storable(audio.media_type),
        "sha256": audio.stored.sha256,
        "size_bytes": audio.stored.size_bytes,
        "container": storable(audio.properties.container),
        "codec": storable(audio.properties.codec),
        "channels": audio.properties.channels,
        "sample_rate_hz": audio.properties.sample_rate_hz,
        "duration_seconds": number_or_none(audio.properties.duration_seconds),
        "uploaded_at": audio.uploaded_at,
        "owner": audio.owner,
    }


def audio_from_row(row: Row) -> AudioFile:
    return AudioFile(
        id=row["id"],
        file_name=row["file_name"],
        media_type=row["media_type"],
        stored=StoredObject(sha256=row["sha256"], size_bytes=row["size_bytes"]),
        properties=AudioProperties(
            container=row["container"],
            codec=row["codec"],
            channels=row["channels"],
            sample_rate_hz=row["sample_rate_hz"],
            duration_seconds=row["duration_seconds"],
        ),
        uploaded_at=row["uploaded_at"].astimezone(UTC),
        owner=row["owner"],
    )


# ── Transcriptions ───────────────────────────────────────────────────────────────────────────────────────


def transcription_to_row(transcription: Transcription) -> Row:
    return {
        "id": transcription.id,
        "audio_id": transcription.audio_id,
        "status": transcription.status.value,
        "parameters": parameters_to_json(transcription.parameters),
        "created_at": transcription.created_at,
        "owner": transcription.owner,
        "request_id": _storable_or_none(transcription.request_id),
        "run": transcription.run,
        "crashes": transcription.crashes,
        "progress": transcription.progress,
        "activity": _storable_or_none(transcription.activity),
        "pipeline_run_id": transcription.pipeline_run_id,
        "started_at": transcription.started_at,
        "ended_at": transcription.ended_at,
        "attempts": [_attempt_to_json(attempt) for attempt in transcription.attempts],
        "warnings": [storable(warning) for warning in transcription.warnings],
        "failure": None if transcription.failure is None else failure_to_json(transcription.failure),
        "result": None if transcription.result is None else _result_to_json(transcription.result),
    }


def transcription_from_row(row: Row) -> Transcription:
    return Transcription(
        id=row["id"],
        audio_id=row["audio_id"],
        status=Status(row["status"]),
        parameters=_parameters_from_json(row["parameters"]),
        created_at=row["created_at"].astimezone(UTC),
        owner=row["owner"],
        request_id=row["request_id"],
        run=row["run"],
        crashes=row["crashes"],
        progress=row["progress"],
        activity=row["activity"],
        pipeline_run_id=row["pipeline_run_id"],
        started_at=moment_or_none(row["started_at"]),
        ended_at=moment_or_none(row["ended_at"]),
        attempts=tuple(_attempt_from_json(attempt) for attempt in row["attempts"]),
        warnings=tuple(row["warnings"]),
        failure=None if row["failure"] is None else failure_from_json(row["failure"]),
        result=None if row["result"] is None else _result_from_json(row["result"]),
    )


def parameters_to_json(parameters: Parameters) -> Json:
    return {
        "engine": storable(parameters.engine),
        "fallback": parameters.fallback,
        "model": _storable_or_none(parameters.model),
        "language": _storable_or_none(parameters.language),
        "prompt": _storable_or_none(parameters.prompt),
        "hotwords": _storable_or_none(parameters.hotwords),
        "task": parameters.task.value,
        "temperature": parameters.temperature,
        "diarize": parameters.diarize,
        "min_speakers": parameters.min_speakers,
        "max_speakers": parameters.max_speakers,
        "channels": parameters.channels.value,
        "interactive": parameters.interactive,
        "priority": parameters.priority,
        "metadata": {storable(key): storable(value) for key, value in parameters.metadata.items()},
    }


def _parameters_from_json(data: Json) -> Parameters:
    return Parameters(
        engine=data["engine"],
        fallback=data["fallback"],
        model=data["model"],
        language=data["language"],
        prompt=data["prompt"],
        hotwords=data["hotwords"],
        task=Task(data["task"]),
        temperature=data["temperature"],
        diarize=data["diarize"],
        min_speakers=data["min_speakers"],
        max_speakers=data["max_speakers"],
        channels=Channels(data["channels"]),
        interactive=data["interactive"],
        priority=data["priority"],
        metadata=data["metadata"],
    )


def _attempt_to_json(attempt: Attempt) -> Json:
    return {
        "number": attempt.number,
        "engine": storable(attempt.engine),
        "model": storable(attempt.model),
        "started_at": attempt.started_at.isoformat(),
        "ended_at": moment_to_json(attempt.ended_at),
        "outcome": attempt.outcome.value,
        "recognised_seconds": attempt.recognised_seconds,
        "input_tokens": attempt.input_tokens,
        "output_tokens": attempt.output_tokens,
        "provider_request_id": _storable_or_none(attempt.provider_request_id),
        "failure": None if attempt.failure is None else failure_to_json(attempt.failure),
    }


def _attempt_from_json(data: Json) -> Attempt:
    return Attempt(
        number=data["number"],
        engine=data["engine"],
        model=data["model"],
        started_at=datetime.fromisoformat(data["started_at"]),
        ended_at=moment_from_json(data["ended_at"]),
        outcome=AttemptOutcome(data["outcome"]),
        recognised_seconds=data["recognised_seconds"],
        input_tokens=data.get("input_tokens", 0),
        output_tokens=data.get("output_tokens", 0),
        provider_request_id=data["provider_request_id"],
        failure=None if data["failure"] is None else failure_from_json(data["failure"]),
    )


def failure_to_json(failure: Failure) -> Json:
    return {
        "code": failure.code,
        "category": failure.category.value,
        "message": storable(failure.message),
        "retryable": failure.retryable,
        "engine": _storable_or_none(failure.engine),
        "provider_status": failure.provider_status,
        "provider_request_id": _storable_or_none(failure.provider_request_id),
        "help": _storable_or_none(failure.help),
    }


def failure_from_json(data: Json) -> Failure:
    return Failure(
        code=data["code"],
        category=Category(data["category"]),
        message=data["message"],
        retryable=data["retryable"],
        engine=data["engine"],
        provider_status=data["provider_status"],
        provider_request_id=data["provider_request_id"],
        help=data["help"],
    )


def _result_to_json(result: Result) -> Json:
    return {
        "engine": storable(result.engine),
        "model": storable(result.model),
        "language": _storable_or_none(result.language),
        "language_probability": number_or_none(result.language_probability),
        "audio_seconds": result.audio_seconds,
        "speech_seconds": result.speech_seconds,
        "word_count": result.word_count,
        "processing_seconds": result.processing_seconds,
        "coverage": _coverage_to_json(result.coverage),
        "degraded_reasons": [storable(reason) for reason in result.degraded_reasons],
    }


def _result_from_json(data: Json) -> Result:
    return Result(
        engine=data["engine"],
        model=data["model"],
        language=data["language"],
        language_probability=data["language_probability"],
        audio_seconds=data["audio_seconds"],
        speech_seconds=data["speech_seconds"],
        word_count=data["word_count"],
        processing_seconds=data["processing_seconds"],
        coverage=_coverage_from_json(data["coverage"]),
        degraded_reasons=tuple(data["degraded_reasons"]),
    )


def _coverage_to_json(coverage: Coverage) -> Json:
    return {
        "speech_seconds": coverage.speech_seconds,
        "transcribed_seconds": coverage.transcribed_seconds,
        "gaps": _spans_to_json(coverage.gaps),
        "dropped": [segment_to_json(segment) for segment in coverage.dropped],
    }


def _coverage_from_json(data: Json) -> Coverage:
    return Coverage(
        speech_seconds=data["speech_seconds"],
        transcribed_seconds=data["transcribed_seconds"],
        gaps=_spans_from_json(data["gaps"]),
        dropped=tuple(segment_from_json(segment) for segment in data["dropped"]),
    )


# ── Speech and words ─────────────────────────────────────────────────────────────────────────────────────


def speech_to_row(transcription_id: UUID, speech: Speech) -> Row:
    return {
        "transcription_id": transcription_id,
        "audio_seconds": speech.audio_seconds,
        "regions": _spans_to_json(speech.regions),
        "channels": speech.channels,
    }


def speech_from_row(row: Row) -> Speech:
    return Speech(
        audio_seconds=row["audio_seconds"], regions=_spans_from_json(row["regions"]), channels=row["channels"]
    )


def _spans_to_json(spans: tuple[Span, ...]) -> list[list[float]]:
    return [[span.start_seconds, span.end_seconds] for span in spans]


def _spans_from_json(data: list[list[float]]) -> tuple[Span, ...]:
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
        "language": _storable_or_none(transcript.language),
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
        "author": _storable_or_none(revision.author),
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
        "language": _storable_or_none(segment.language),
        "language_probability": number_or_none(segment.language_probability),
        "speaker": _storable_or_none(segment.speaker),
        "engine": _storable_or_none(segment.engine),
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


# ── Circuits ─────────────────────────────────────────────────────────────────────────────────────────────


def circuit_to_row(circuit: Circuit) -> Row:
    return {
        "engine": circuit.engine,
        "state": circuit.state.value,
        "failures": circuit.failures,
        "openings": circuit.openings,
        "retry_at": circuit.retry_at,
        "disabled": circuit.disabled,
        "disabled_reason": _storable_or_none(circuit.disabled_reason),
        "last_success_at": circuit.last_success_at,
        "last_failure_at": circuit.last_failure_at,
        "last_failure": None if circuit.last_failure is None else failure_to_json(circuit.last_failure),
    }


def circuit_from_row(row: Row) -> Circuit:
    return Circuit(
        engine=row["engine"],
        state=CircuitState(row["state"]),
        failures=row["failures"],
        openings=row["openings"],
        retry_at=moment_or_none(row["retry_at"]),
        disabled=row["disabled"],
        disabled_reason=row["disabled_reason"],
        last_success_at=moment_or_none(row["last_success_at"]),
        last_failure_at=moment_or_none(row["last_failure_at"]),
        last_failure=None if row["last_failure"] is None else failure_from_json(row["last_failure"]),
    )


# ── What PostgreSQL can keep ─────────────────────────────────────────────────────────────────────────────


def storable(text: str) -> str:
    """`text` without NUL, and with U+FFFD for each half of a surrogate pair that lacks the other."""
    if text.isascii():
        return text.replace("\0", "")
    return text.replace("\0", "").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _storable_or_none(text: str | None) -> str | None:
    return None if text is None else storable(text)


def moment_or_none(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def moment_to_json(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def moment_from_json(moment: Any) -> datetime | None:  # noqa: ANN401 - JSON is what it is
    return None if moment is None else datetime.fromisoformat(moment)


def number_or_none(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
