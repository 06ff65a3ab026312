"""From the domain to what goes over the wire: explicit, field by field."""

from uuid import UUID

from hansard.domain.audio import AudioFile
from hansard.domain.errors import Failure
from hansard.domain.transcript import Segment, Word
from hansard.domain.transcription import Attempt, Parameters, Transcription
from hansard.http.schemas import (
    Audio,
    RecognisedSegment,
    RecognisedWord,
    RequestedParameters,
    TranscriptionAttempt,
    TranscriptionDetail,
    TranscriptionError,
    TranscriptionSummary,
)


def audio_url(audio_id: UUID) -> str:
    return f"/audio/{audio_id}/download"


def audio_json(audio: AudioFile) -> Audio:
    properties = audio.properties
    return Audio(
        id=audio.id,
        audio_url=audio_url(audio.id),
        file_name=audio.file_name,
        media_type=audio.media_type,
        size_bytes=audio.stored.size_bytes,
        sha256=audio.stored.sha256,
        duration_seconds=properties.duration_seconds,
        container=properties.container,
        codec=properties.codec,
        channels=properties.channels,
        sample_rate_hz=properties.sample_rate_hz,
        uploaded_at=audio.uploaded_at,
    )


def summary_json(transcription: Transcription) -> TranscriptionSummary:
    """For lists: without words, which would make them megabytes long."""
    result, parameters = transcription.result, transcription.parameters
    attempt = transcription.attempts[-1] if transcription.attempts else None
    at_work = result or attempt
    return TranscriptionSummary(
        id=transcription.id,
        audio_id=transcription.audio_id,
        audio_url=audio_url(transcription.audio_id),
        status=transcription.status,
        progress=transcription.progress,
        activity=transcription.activity,
        engine=at_work.engine if at_work else None,
        model=at_work.model if at_work else None,
        language=result.language if result else None,
        duration_seconds=result.audio_seconds if result else None,
        real_time_factor=result.real_time_factor if result else None,
        degraded=bool(result and result.degraded_reasons),
        degraded_reasons=list(result.degraded_reasons) if result else [],
        error=_error_json(transcription.failure),
        attempts=[_attempt_json(attempt) for attempt in transcription.attempts],
        parameters=_parameters_json(parameters),
        metadata=dict(parameters.metadata),
        pipeline_run_id=transcription.pipeline_run_id,
        request_id=transcription.request_id,
        created_at=transcription.created_at,
        started_at=transcription.started_at,
        ended_at=transcription.ended_at,
    )


def detail_json(
    transcription: Transcription, *, text: str | None, segments: tuple[Segment, ...]
) -> TranscriptionDetail:
    return TranscriptionDetail(
        **dict(summary_json(transcription)), text=text, segments=[_segment_json(segment) for segment in segments]
    )


def _parameters_json(parameters: Parameters) -> RequestedParameters:
    return RequestedParameters(
        engine=parameters.engine,
        model=parameters.model,
        language=parameters.language,
        prompt=parameters.prompt,
        hotwords=parameters.hotwords,
        priority=parameters.priority,
    )


def _attempt_json(attempt: Attempt) -> TranscriptionAttempt:
    return TranscriptionAttempt(
        number=attempt.number,
        engine=attempt.engine,
        model=attempt.model,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        outcome=attempt.outcome,
        recognised_seconds=attempt.recognised_seconds,
        error=_error_json(attempt.failure),
    )


def _error_json(failure: Failure | None) -> TranscriptionError | None:
    if failure is None:
        return None
    return TranscriptionError(
        code=failure.code,
        category=failure.category,
        message=failure.message,
        retryable=failure.retryable,
        engine=failure.engine,
        provider_status=failure.provider_status,
        provider_request_id=failure.provider_request_id,
        help=failure.help,
    )


def _segment_json(segment: Segment) -> RecognisedSegment:
    return RecognisedSegment(
        start_seconds=segment.start_seconds,
        end_seconds=segment.end_seconds,
        text=segment.text,
        confidence=segment.confidence,
        language=segment.language,
        speaker=segment.speaker,
        engine=segment.engine,
        words=[_word_json(word) for word in segment.words],
    )


def _word_json(word: Word) -> RecognisedWord:
    return RecognisedWord(
        text=word.text,
        start_seconds=word.start_seconds,
        end_seconds=word.end_seconds,
        probability=word.probability,
    )
