"""Audio files, transcriptions and circuits to rows and back, field by field."""

from datetime import UTC, datetime

from hansard.domain.audio import AudioFile, AudioProperties, StoredObject
from hansard.domain.circuit import Circuit, CircuitState
from hansard.domain.coverage import Coverage
from hansard.domain.transcription import (
    Attempt,
    AttemptKind,
    AttemptOutcome,
    Channels,
    Parameters,
    Result,
    Status,
    Task,
    Transcription,
)
from hansard.persistence.transcript_mapping import segment_from_json, segment_to_json, spans_from_json, spans_to_json
from hansard.persistence.values import (
    Json,
    Row,
    failure_from_json,
    failure_to_json,
    moment_from_json,
    moment_or_none,
    moment_to_json,
    number_or_none,
    storable,
    storable_or_none,
)


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


def transcription_to_row(transcription: Transcription) -> Row:
    return {
        "id": transcription.id,
        "audio_id": transcription.audio_id,
        "status": transcription.status.value,
        "parameters": parameters_to_json(transcription.parameters),
        "created_at": transcription.created_at,
        "owner": transcription.owner,
        "request_id": storable_or_none(transcription.request_id),
        "run": transcription.run,
        "crashes": transcription.crashes,
        "progress": transcription.progress,
        "activity": storable_or_none(transcription.activity),
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
        "model": storable_or_none(parameters.model),
        "language": storable_or_none(parameters.language),
        "prompt": storable_or_none(parameters.prompt),
        "hotwords": storable_or_none(parameters.hotwords),
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
        "provider_request_id": storable_or_none(attempt.provider_request_id),
        "failure": None if attempt.failure is None else failure_to_json(attempt.failure),
        "kind": attempt.kind.value,
        "at_work_seconds": attempt.at_work_seconds,
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
        kind=AttemptKind(data.get("kind", AttemptKind.RECORDING)),
        at_work_seconds=data.get("at_work_seconds"),
    )


def _result_to_json(result: Result) -> Json:
    return {
        "engine": storable(result.engine),
        "model": storable(result.model),
        "language": storable_or_none(result.language),
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
        "gaps": spans_to_json(coverage.gaps),
        "dropped": [segment_to_json(segment) for segment in coverage.dropped],
    }


def _coverage_from_json(data: Json) -> Coverage:
    return Coverage(
        speech_seconds=data["speech_seconds"],
        transcribed_seconds=data["transcribed_seconds"],
        gaps=spans_from_json(data["gaps"]),
        dropped=tuple(segment_from_json(segment) for segment in data["dropped"]),
    )


def circuit_to_row(circuit: Circuit) -> Row:
    return {
        "engine": circuit.engine,
        "state": circuit.state.value,
        "failures": circuit.failures,
        "openings": circuit.openings,
        "retry_at": circuit.retry_at,
        "disabled": circuit.disabled,
        "disabled_reason": storable_or_none(circuit.disabled_reason),
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
