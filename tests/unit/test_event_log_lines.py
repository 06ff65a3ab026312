from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from loguru import logger

from hansard.application.ports.retention import NOTHING, Amount
from hansard.application.retention import Pruned
from hansard.domain.errors import Category, EngineOutOfUse, Failure, StorageError
from hansard.domain.events import (
    AlertFired,
    AlertResolved,
    AudioFileDeleted,
    AudioFileErased,
    AudioFileUploaded,
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
    TranscriptionFailed,
    TranscriptionInterrupted,
    TranscriptionQueued,
    WebhookDisabled,
)
from hansard.domain.transcription import Attempt, AttemptOutcome
from hansard.observability.alerts import log_pruned, log_unmeasured
from hansard.observability.attempts import log_attempt
from hansard.observability.events import log_event

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ID = "0193ab12-5f6e-4c3d-8b2a-1c0d9e8f7a6b"
OUTAGE = Failure(
    code="engine_failed",
    category=Category.SERVER,
    message="OpenAI answered 500.",
    retryable=True,
    engine="openai",
    provider_status=500,
    provider_request_id="req_7",
)


@dataclass
class Log:
    records: list[Any] = field(default_factory=list)

    def line(self) -> tuple[str, str, dict[str, Any]]:
        """Level, message and fields of the one line there is."""
        (record,) = self.records
        return record["level"].name, record["message"], record["extra"]


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log()
    handler = logger.add(lambda message: log.records.append(message.record), level="TRACE", format="{message}")
    yield log
    logger.remove(handler)


def fell_back(failure: Failure) -> EngineFellBack:
    return EngineFellBack(
        subject=ID, occurred_at=NOON, audio_id=UUID(ID), engine="openai", next_engine="whisper", failure=failure
    )


def interrupted(reason: str) -> TranscriptionInterrupted:
    return TranscriptionInterrupted(subject=ID, occurred_at=NOON, audio_id=UUID(ID), run=2, reason=reason)


def test_an_opened_circuit_is_an_error_that_says_why_and_until_when(log: Log) -> None:
    log_event(
        EngineCircuitOpened(
            subject="openai", occurred_at=NOON, failures=5, retry_at=NOON + timedelta(seconds=30), failure=OUTAGE
        )
    )

    level, message, fields = log.line()
    assert level == "ERROR"
    assert message == "The engine is left alone for now, its circuit is open: OpenAI answered 500."
    assert fields == {
        "engine": "openai",
        "failures": 5,
        "retry_at": "2026-01-01T12:00:30+00:00",
        "code": "engine_failed",
        "category": "server",
        "provider_status": 500,
        "provider_request_id": "req_7",
    }


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_closed_circuit_says_whether_an_operator_did_it(log: Log, by_hand: bool) -> None:
    log_event(EngineCircuitClosed(subject="openai", occurred_at=NOON, by_hand=by_hand))

    level, message, fields = log.line()
    assert (level, fields) == ("INFO", {"engine": "openai", "by_hand": by_hand})
    assert "in use again" in message


def test_an_engine_taken_out_of_use_is_a_warning_with_the_reason(log: Log) -> None:
    log_event(EngineDisabled(subject="openai", occurred_at=NOON, reason="too dear"))

    level, _, fields = log.line()
    assert (level, fields) == ("WARNING", {"engine": "openai", "reason": "too dear"})


def test_an_engine_put_back_into_use_is_told(log: Log) -> None:
    log_event(EngineEnabled(subject="openai", occurred_at=NOON))

    assert log.line()[0] == "INFO"
    assert log.line()[2] == {"engine": "openai"}


@pytest.mark.parametrize(
    ("passed", "failure", "level", "message"),
    [
        (True, None, "DEBUG", "The engine recognised the canary."),
        (False, None, "WARNING", "The engine heard other words than the canary's."),
        (False, OUTAGE, "WARNING", "The engine failed at the canary: OpenAI answered 500."),
    ],
)
def test_a_canary_is_a_warning_unless_it_was_recognised(
    log: Log, passed: bool, failure: Failure | None, level: str, message: str
) -> None:
    log_event(
        CanaryRecognised(
            subject="openai",
            occurred_at=NOON,
            passed=passed,
            word_accuracy=0.5,
            processing_seconds=1.5,
            failure=failure,
        )
    )

    assert log.line()[:2] == (level, message)
    assert log.line()[2].items() >= {"engine": "openai", "word_accuracy": 0.5, "processing_seconds": 1.5}.items()


def test_falling_back_says_from_what_to_what_and_why(log: Log) -> None:
    log_event(fell_back(OUTAGE))

    level, message, fields = log.line()
    assert level == "WARNING"
    assert message == "Another engine takes over: OpenAI answered 500."
    assert fields.items() >= {"transcription_id": ID, "engine": "openai", "next_engine": "whisper"}.items()
    assert fields["category"] == "server"


@pytest.mark.parametrize("category", [Category.AUTHENTICATION, Category.CONFIGURATION])
def test_falling_back_from_an_engine_set_up_wrongly_is_an_error(log: Log, category: Category) -> None:
    log_event(fell_back(replace(OUTAGE, category=category)))

    assert log.line()[0] == "ERROR"


def test_falling_back_from_an_engine_that_an_operator_disabled_is_none(log: Log) -> None:
    disabled = EngineOutOfUse("It was taken out of use.", engine="openai").failure

    log_event(fell_back(disabled))

    assert disabled.category is Category.CONFIGURATION
    assert log.line()[0] == "WARNING"


@pytest.mark.parametrize(
    ("reason", "level"),
    [
        (Interruption.WORKER_LOST, "WARNING"),
        (Interruption.JOB_LOST, "WARNING"),
        (Interruption.BROKEN_OFF, "WARNING"),
        (Interruption.WORKER_STOPPED, "INFO"),
        (Interruption.GAVE_WAY, "INFO"),
    ],
)
def test_an_interruption_is_as_bad_as_its_reason(log: Log, reason: Interruption, level: str) -> None:
    log_event(interrupted(reason.value))

    assert log.line()[0] == level
    assert log.line()[2] == {"transcription_id": ID, "run": 2, "reason": reason.value}


def test_each_reason_of_an_interruption_has_a_sentence_of_its_own(log: Log) -> None:
    for reason in ("unheard of", *Interruption):
        log_event(interrupted(reason))

    assert len({record["message"] for record in log.records}) == len(Interruption) + 1


def test_a_correction_is_told_without_a_word_of_it(log: Log) -> None:
    log_event(
        TranscriptEdited(subject=ID, occurred_at=NOON, audio_id=UUID(ID), revision=2, change="text", author="Ann")
    )

    (record,) = log.records
    assert record["message"] == "The transcript was corrected."
    assert record["extra"] == {"transcription_id": ID, "revision": 2, "change": "text"}


def test_what_is_deleted_is_told_with_its_receipt(log: Log) -> None:
    log_event(AudioFileDeleted(subject=ID, occurred_at=NOON, sha256="ab", size_bytes=7, transcriptions=2))
    log_event(TranscriptionDeleted(subject=ID, occurred_at=NOON, audio_id=UUID(ID), status="completed"))
    log_event(AudioFileErased(subject=ID, occurred_at=NOON, bytes_removed=False, pipeline_runs=3))

    assert [record["level"].name for record in log.records] == ["INFO", "INFO", "INFO"]
    assert [record["extra"] for record in log.records] == [
        {"audio_id": ID, "size_bytes": 7, "transcriptions": 2},
        {"transcription_id": ID, "status": "completed"},
        {"audio_id": ID, "bytes_removed": False, "pipeline_runs": 3},
    ]


@pytest.mark.parametrize(
    "event",
    [
        AudioFileUploaded(subject=ID, occurred_at=NOON, size_bytes=7, sha256="ab", duration_seconds=1.0),
        TranscriptionQueued(subject=ID, occurred_at=NOON, audio_id=UUID(ID), engine="auto"),
        TranscriptionFailed(subject=ID, occurred_at=NOON, audio_id=UUID(ID), failure=OUTAGE),
    ],
)
def test_what_another_line_tells_is_not_told_again(log: Log, event: Event) -> None:
    log_event(event)

    assert not log.records


# ── Attempts ─────────────────────────────────────────────────────────────────────────────────────────────

BEGUN = Attempt(number=2, engine="openai", model="whisper-1", started_at=NOON)


def test_an_attempt_that_begins_is_told(log: Log) -> None:
    log_attempt(BEGUN, None)

    assert log.line() == ("INFO", "The engine begins.", {"attempt": 2, "engine": "openai", "model": "whisper-1"})


def test_an_attempt_that_succeeded_says_how_much_it_recognised(log: Log) -> None:
    log_attempt(replace(BEGUN, outcome=AttemptOutcome.SUCCEEDED, recognised_seconds=12.5), None)

    level, message, fields = log.line()
    assert (level, message, fields["recognised_seconds"]) == ("INFO", "The engine is done.", 12.5)


@pytest.mark.parametrize(
    ("retry_in_seconds", "sentence"),
    [(None, "The engine failed: "), (3.5, "The engine failed, and is tried again: ")],
)
def test_a_failed_attempt_is_a_warning_that_says_what_comes(
    log: Log, retry_in_seconds: float | None, sentence: str
) -> None:
    log_attempt(replace(BEGUN, outcome=AttemptOutcome.FAILED, failure=OUTAGE), retry_in_seconds)

    level, message, fields = log.line()
    assert (level, message) == ("WARNING", sentence + OUTAGE.message)
    assert fields.get("retry_in_seconds") == retry_in_seconds
    assert (fields["code"], fields["provider_request_id"]) == ("engine_failed", "req_7")


def test_an_alert_that_fires_is_an_error_with_what_to_do(log: Log) -> None:
    log_event(
        AlertFired(
            subject="disk@one",
            occurred_at=NOON,
            severity="critical",
            value=1.0,
            threshold=5.0,
            message="1.0 GB are free.",
            help="Make room.",
        )
    )

    level, message, fields = log.line()
    assert (level, message) == ("ERROR", "An alert fires: 1.0 GB are free.")
    assert fields == {
        "alert": "disk@one",
        "severity": "critical",
        "value": 1.0,
        "threshold": 5.0,
        "help": "Make room.",
        "code": "alert_fired",
        "category": "server",
    }


def test_an_alert_that_is_over_says_how_long_it_was(log: Log) -> None:
    log_event(
        AlertResolved(
            subject="disk@one", occurred_at=NOON, severity="critical", value=9.0, threshold=5.0, firing_seconds=60.0
        )
    )

    level, message, fields = log.line()
    assert (level, message, fields["firing_seconds"]) == ("INFO", "An alert is over.", 60.0)


def test_events_that_were_removed_leave_a_line(log: Log) -> None:
    log_event(EventsPruned(subject="events", occurred_at=NOON, through_position=9, through_hash="ab", count=9))

    level, _, fields = log.line()
    assert (level, fields) == ("INFO", {"count": 9, "through_position": 9})


def test_what_was_pruned_has_a_line_a_kind_and_what_was_not_an_error(log: Log) -> None:
    month = timedelta(days=30)
    log_pruned(
        (
            Pruned(name="events", keep_for=None, amount=NOTHING),
            Pruned(name="checkpoints", keep_for=month, amount=Amount(3, 300)),
            Pruned(name="pipeline runs", keep_for=month, amount=NOTHING, error=StorageError("It is away.")),
        )
    )

    done, failed = log.records
    assert (done["level"].name, done["extra"]["kind"], done["extra"]["count"]) == ("INFO", "checkpoints", 3)
    assert failed["level"].name == "ERROR"
    assert "It is away." in failed["message"]


def test_an_alert_that_cannot_be_judged_is_an_error(log: Log) -> None:
    log_unmeasured("disk@one", StorageError("The disk is gone."))

    level, message, fields = log.line()
    assert (level, fields["alert"]) == ("ERROR", "disk@one")
    assert message.endswith("The disk is gone.")


def test_a_webhook_that_is_disabled_is_a_warning_with_the_reason(log: Log) -> None:
    log_event(WebhookDisabled(subject="w1", occurred_at=NOON, reason="dead", failing_since=NOON))

    level, _, fields = log.line()
    assert level == "WARNING"
    assert fields == {"webhook_id": "w1", "reason": "dead", "failing_since": NOON.isoformat(timespec="seconds")}
