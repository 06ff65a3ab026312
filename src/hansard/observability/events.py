"""Tells the log of what happened, once it is committed: those events that no other line tells of.

Others are told where more is known. A request's line tells of uploads and of jobs asked for, the worker's of a job's
beginning and end, `log_attempt` of an engine's tries.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from loguru import logger

from hansard.application.receive import Swept
from hansard.application.reconcile import Mended
from hansard.domain.errors import Category, EngineOutOfUse, Failure
from hansard.domain.events import (
    AlertFired,
    AlertResolved,
    AudioFileDeleted,
    AudioFileErased,
    CanaryRecognised,
    EngineCircuitClosed,
    EngineCircuitOpened,
    EngineDisabled,
    EngineEnabled,
    EngineFellBack,
    Event,
    EventsPruned,
    Interruption,
    TranscriptEdited,
    TranscriptionDeleted,
    TranscriptionInterrupted,
    WebhookDisabled,
)

if TYPE_CHECKING:
    from loguru import Logger

_INTERRUPTIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        Interruption.WORKER_LOST: ("WARNING", "The worker of the transcription was lost; it is queued again."),
        Interruption.WORKER_STOPPED: ("INFO", "The worker of the transcription stops; it is queued again."),
        Interruption.BROKEN_OFF: ("WARNING", "Something that the transcription needs was away; it is queued again."),
        Interruption.GAVE_WAY: ("INFO", "The transcription lets more urgent work go first; it is queued again."),
        Interruption.JOB_LOST: ("WARNING", "The transcription had no job in the queue; it has one again."),
    }
)


def log_event(event: Event) -> None:
    """One line for each event that is told of here; nothing for the others."""
    match event:
        case EngineCircuitOpened() | EngineCircuitClosed() | EngineDisabled() | EngineEnabled() | CanaryRecognised():
            _tell_of_engine(event)
        case EngineFellBack(failure=failure):
            told = _of_transcription(event).bind(engine=event.engine, next_engine=event.next_engine, **facts(failure))
            level = "ERROR" if _needs_somebody(failure) else "WARNING"
            told.log(level, "Another engine takes over: {}", failure.message)
        case TranscriptionInterrupted(reason=reason):
            level, sentence = _INTERRUPTIONS.get(reason, ("WARNING", "The transcription was interrupted."))
            _of_transcription(event).bind(run=event.run, reason=reason).log(level, sentence)
        case TranscriptEdited(revision=revision, change=change):
            _of_transcription(event).bind(revision=revision, change=change).info("The transcript was corrected.")
        case TranscriptionDeleted(status=status):
            _of_transcription(event).bind(status=status).info("The transcription is deleted.")
        case AudioFileDeleted() | AudioFileErased():
            _tell_of_deletion(event)
        case AlertFired() | AlertResolved():
            _tell_of_alert(event)
        case EventsPruned(through_position=position, count=count):
            told = logger.bind(count=count, through_position=position)
            told.info("Old events were removed from the audit trail.")
        case WebhookDisabled():
            _tell_of_disabled_webhook(event)
        case _:
            pass


def facts(failure: Failure) -> dict[str, object]:
    """What is known of a failure beside its message, as fields."""
    fields: dict[str, object] = {
        "code": failure.code,
        "category": failure.category.value,
        "provider_status": failure.provider_status,
        "provider_request_id": failure.provider_request_id,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _tell_of_engine(
    event: EngineCircuitOpened | EngineCircuitClosed | EngineDisabled | EngineEnabled | CanaryRecognised,
) -> None:
    told = logger.bind(engine=event.subject)
    match event:
        case EngineCircuitOpened(failure=failure):
            told = told.bind(failures=event.failures, retry_at=event.retry_at.isoformat(timespec="seconds"))
            told = told.bind(**facts(failure))
            told.error("The engine is left alone for now, its circuit is open: {}", failure.message)
        case EngineCircuitClosed(by_hand=by_hand):
            told.bind(by_hand=by_hand).info("The engine is in use again, its circuit is closed.")
        case EngineDisabled(reason=reason):
            told.bind(reason=reason).warning("An operator took the engine out of use.")
        case EngineEnabled():
            told.info("An operator put the engine back into use.")
        case CanaryRecognised():
            _tell_of_canary(event)


def _tell_of_alert(alert: AlertFired | AlertResolved) -> None:
    told = logger.bind(alert=alert.subject, severity=alert.severity, value=alert.value, threshold=alert.threshold)
    if isinstance(alert, AlertFired):
        told = told.bind(help=alert.help, code="alert_fired", category=Category.SERVER.value)
        told.error("An alert fires: {}", alert.message)
    else:
        told.bind(firing_seconds=alert.firing_seconds).info("An alert is over.")


def _tell_of_deletion(event: AudioFileDeleted | AudioFileErased) -> None:
    match event:
        case AudioFileDeleted():
            told = logger.bind(audio_id=event.subject, size_bytes=event.size_bytes, transcriptions=event.transcriptions)
            told.info("The audio file is deleted; what lies outside the database is erased next.")
        case AudioFileErased():
            told = logger.bind(audio_id=event.subject, bytes_removed=event.bytes_removed)
            told.bind(pipeline_runs=event.pipeline_runs).info("Nothing of the deleted audio file is left.")


def _tell_of_disabled_webhook(event: WebhookDisabled) -> None:
    failing_since = event.failing_since and event.failing_since.isoformat(timespec="seconds")
    told = logger.bind(webhook_id=event.subject, reason=event.reason, failing_since=failing_since)
    told.warning("A webhook is disabled: nothing more is sent to it until somebody enables it.")


def _tell_of_canary(canary: CanaryRecognised) -> None:
    told = logger.bind(
        engine=canary.subject, word_accuracy=canary.word_accuracy, processing_seconds=canary.processing_seconds
    )
    if canary.failure is not None:
        told.bind(**facts(canary.failure)).warning("The engine failed at the canary: {}", canary.failure.message)
    elif not canary.passed:
        told.warning("The engine heard other words than the canary's.")
    else:
        told.debug("The engine recognised the canary.")


def _of_transcription(event: Event) -> "Logger":
    return logger.bind(transcription_id=event.subject)


def _needs_somebody(failure: Failure) -> bool:
    """A wrong key or a missing model stays so until somebody sees to it; an engine taken out of use is meant to be."""
    return failure.category in {Category.AUTHENTICATION, Category.CONFIGURATION} and failure.code != EngineOutOfUse.code


def log_mended(mended: Mended) -> None:
    """What the sweep found and put right, apart from what the events of transcriptions tell."""
    if mended.found_disagreement:
        logger.bind(
            queued=len(mended.queued), withdrawn=len(mended.withdrawn), audio_removed=len(mended.audio_removed)
        ).warning("The sweep found transcriptions that disagreed with the queue, and mended them.")


def log_swept(swept: Swept) -> None:
    """What became of uploads that nobody came back for."""
    for upload_id in swept.settled:
        logger.bind(upload_id=str(upload_id)).info("An upload that was left behind whole has become a recording.")
    for upload_id in swept.removed:
        logger.bind(upload_id=str(upload_id)).info("An upload that was not gone on with has expired, and is removed.")
