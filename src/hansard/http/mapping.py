"""From the domain to what goes over the wire: explicit, field by field."""

from collections.abc import Sequence
from uuid import UUID

from hansard.application.engine_chain import position
from hansard.application.ports.engines import SpeechEngine
from hansard.domain.audio import AudioFile
from hansard.domain.circuit import Circuit
from hansard.domain.coverage import Coverage
from hansard.domain.errors import Failure
from hansard.domain.paragraphs import paragraphs
from hansard.domain.sentences import Sentence, sentences
from hansard.domain.transcript import DecodingScores, Segment, Transcript, Word
from hansard.domain.transcription import Attempt, Parameters, Status, Transcription
from hansard.http.schemas import (
    Audio,
    DroppedSegment,
    Engine,
    EngineCircuit,
    Gap,
    Paragraphs,
    RecognisedSegment,
    RecognisedWord,
    RequestedParameters,
    SegmentScores,
    Sentences,
    TranscriptionAttempt,
    TranscriptionCoverage,
    TranscriptionDetail,
    TranscriptionError,
    TranscriptionSummary,
    TranscriptParagraph,
    TranscriptSentence,
)

TRANSCRIPTION_ID_HEADER = "X-Hansard-Transcription-Id"
"""Says which transcription it is, where the body is another protocol's."""


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
        language_probability=result.language_probability if result else None,
        duration_seconds=result.audio_seconds if result else None,
        real_time_factor=result.real_time_factor if result else None,
        degraded=bool(result and result.degraded_reasons),
        degraded_reasons=list(result.degraded_reasons) if result else [],
        warnings=list(transcription.warnings),
        crashes=transcription.crashes,
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


def sentences_json(transcription: Transcription, transcript: Transcript) -> Sentences:
    said = sentences(transcript)
    return Sentences(
        transcription_id=transcription.id,
        status=transcription.status,
        partial=transcription.status is not Status.COMPLETED and bool(said),
        language=transcript.language,
        sentences=[_sentence_json(sentence) for sentence in said],
    )


def paragraphs_json(transcription: Transcription, transcript: Transcript) -> Paragraphs:
    said = paragraphs(transcript)
    return Paragraphs(
        transcription_id=transcription.id,
        status=transcription.status,
        partial=transcription.status is not Status.COMPLETED and bool(said),
        language=transcript.language,
        paragraphs=[
            TranscriptParagraph(
                start_seconds=paragraph.start_seconds,
                end_seconds=paragraph.end_seconds,
                text=paragraph.text,
                speaker=paragraph.speaker,
                sentences=[_sentence_json(sentence) for sentence in paragraph.sentences],
            )
            for paragraph in said
        ],
    )


def engine_json(engine: SpeechEngine, circuit: Circuit, *, chain: Sequence[str]) -> Engine:
    """`chain` is what `auto` tries, best first."""
    status = engine.status()
    return Engine(
        name=engine.name,
        state=status.state.value,
        detail=status.detail,
        help=status.help,
        chain_position=position(engine.name, chain),
        degraded_reason=engine.degraded_reason,
        circuit=_circuit_json(circuit),
    )


def _circuit_json(circuit: Circuit) -> EngineCircuit:
    return EngineCircuit(
        state=circuit.state,
        failures=circuit.failures,
        retry_at=circuit.retry_at,
        disabled=circuit.disabled,
        disabled_reason=circuit.disabled_reason,
        last_success_at=circuit.last_success_at,
        last_failure_at=circuit.last_failure_at,
        last_failure=_error_json(circuit.last_failure),
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
        recognised_seconds=attempt.recognised_seconds,
        provider_request_id=attempt.provider_request_id,
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


def segment_json(segment: Segment) -> RecognisedSegment:
    return RecognisedSegment(
        start_seconds=segment.start_seconds,
        end_seconds=segment.end_seconds,
        text=segment.text,
        confidence=segment.confidence,
        language=segment.language,
        language_probability=segment.language_probability,
        speaker=segment.speaker,
        engine=segment.engine,
        scores=_scores_json(segment.scores),
        words=[_word_json(word) for word in segment.words],
    )


def _scores_json(scores: DecodingScores | None) -> SegmentScores | None:
    if scores is None:
        return None
    return SegmentScores(
        average_log_probability=scores.average_log_probability,
        compression_ratio=scores.compression_ratio,
        no_speech_probability=scores.no_speech_probability,
        temperature=scores.temperature,
    )


def _sentence_json(sentence: Sentence) -> TranscriptSentence:
    return TranscriptSentence(
        start_seconds=sentence.start_seconds,
        end_seconds=sentence.end_seconds,
        text=sentence.text,
        speaker=sentence.speaker,
        confidence=sentence.confidence,
        words=[_word_json(word) for word in sentence.words],
    )


def _word_json(word: Word) -> RecognisedWord:
    return RecognisedWord(
        text=word.text,
        start_seconds=word.start_seconds,
        end_seconds=word.end_seconds,
        probability=word.probability,
        speaker=word.speaker,
    )
