"""What is told of a transcription: in a list, and by itself with its words."""

from hansard.domain.coverage import Coverage
from hansard.domain.errors import Failure
from hansard.domain.transcript import Segment
from hansard.domain.transcription import Attempt, Parameters, Transcription
from hansard.http.mapping.audio import audio_url
from hansard.http.mapping.transcripts import segment_json
from hansard.http.schemas.transcriptions import (
    DroppedSegment,
    Gap,
    RequestedParameters,
    TranscriptionAttempt,
    TranscriptionCoverage,
    TranscriptionDetail,
    TranscriptionError,
    TranscriptionSummary,
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
        language_probability=result.language_probability if result else None,
        duration_seconds=result.audio_seconds if result else None,
        real_time_factor=result.real_time_factor if result else None,
        degraded=bool(result and result.degraded_reasons),
        degraded_reasons=list(result.degraded_reasons) if result else [],
        warnings=list(transcription.warnings),
        crashes=transcription.crashes,
        error=error_json(transcription.failure),
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
    transcription: Transcription, *, text: str | None, segments: tuple[Segment, ...], revision: int | None = None
) -> TranscriptionDetail:
    """`text` and `revision` None: it is not completed, and `segments` are what there is."""
    result = transcription.result
    return TranscriptionDetail(
        **dict(summary_json(transcription)),
        text=text,
        revision=revision,
        partial=text is None and bool(segments),
        segments=[segment_json(segment) for segment in segments],
        speakers=list(dict.fromkeys(segment.speaker for segment in segments if segment.speaker)),
        coverage=_coverage_json(result.coverage) if result else None,
    )


def error_json(failure: Failure | None) -> TranscriptionError | None:
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


def _parameters_json(parameters: Parameters) -> RequestedParameters:
    return RequestedParameters(
        engine=parameters.engine,
        fallback=parameters.fallback,
        model=parameters.model,
        language=parameters.language,
        prompt=parameters.prompt,
        hotwords=parameters.hotwords,
        task=parameters.task,
        temperature=parameters.temperature,
        diarize=parameters.diarize,
        min_speakers=parameters.min_speakers,
        max_speakers=parameters.max_speakers,
        channels=parameters.channels,
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
        kind=attempt.kind,
        recognised_seconds=attempt.recognised_seconds,
        processing_seconds=attempt.processing_seconds,
        input_tokens=attempt.input_tokens,
        output_tokens=attempt.output_tokens,
        provider_request_id=attempt.provider_request_id,
        error=error_json(attempt.failure),
    )


def _coverage_json(coverage: Coverage) -> TranscriptionCoverage:
    return TranscriptionCoverage(
        speech_seconds=coverage.speech_seconds,
        transcribed_seconds=coverage.transcribed_seconds,
        ratio=coverage.ratio,
        gaps=[Gap(start_seconds=gap.start_seconds, end_seconds=gap.end_seconds) for gap in coverage.gaps],
        dropped=[
            DroppedSegment(
                start_seconds=segment.start_seconds,
                end_seconds=segment.end_seconds,
                text=segment.text,
                engine=segment.engine,
            )
            for segment in coverage.dropped
        ],
    )
