"""The facts of the service, in the past tense. Each is written in the same commit as the change it tells of.

Consumers rely on `type` and on the fields: add fields, with a value for older events, don't change them. No event
carries audio, words or the name of a file: it stays on record when what it tells of is deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar
from uuid import UUID

from hansard.domain.errors import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`subject` is what the event is about: the id of an audio file or a transcription, or an engine's name."""

    type: ClassVar[str]

    subject: str
    occurred_at: datetime


# ── Audio files ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFileUploaded(Event):
    """A recording was taken in. `duration_seconds` is what its headers tell; null where they don't."""

    type = "audio.uploaded"

    size_bytes: int
    sha256: str
    duration_seconds: float | None
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFileDeleted(Event):
    """The receipt: its row and those of its `transcriptions` are gone; what lies elsewhere is being erased."""

    type = "audio.deleted"

    sha256: str
    size_bytes: int
    transcriptions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFileErased(Event):
    """Nothing of it is left. `bytes_removed` is False where another audio file has the same bytes."""

    type = "audio.erased"

    bytes_removed: bool
    pipeline_runs: int


# ── Transcriptions ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionQueued(Event):
    """Asked for, with the engine asked for. Somebody waits for an `interactive` one."""

    type = "transcription.queued"

    audio_id: UUID
    engine: str
    owner: str | None = None
    interactive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionRetried(Event):
    """Asked for again, after it had failed or was cancelled. What was recognised is kept if `parameters_kept`."""

    type = "transcription.retried"

    audio_id: UUID
    engine: str
    parameters_kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionStarted(Event):
    """A worker took it. `run` counts the times that happened."""

    type = "transcription.started"

    audio_id: UUID
    run: int
    waited_seconds: float | None = None
    """Since it was asked for; None of any run but the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionProgressed(Event):
    """Another tenth of the recording is recognised: `progress` is 0.1, 0.2 … 0.9, in steps that may be passed over."""

    type = "transcription.progressed"

    audio_id: UUID
    progress: float


class Interruption(StrEnum):
    """Why a run ended without an outcome."""

    WORKER_LOST = "worker_lost"
    WORKER_STOPPED = "worker_stopped"
    BROKEN_OFF = "broken_off"
    """Something it needs (a database, a disk) was away."""
    GAVE_WAY = "gave_way"
    """More urgent work was waiting."""
    JOB_LOST = "job_lost"
    """The queue had no job for it; the sweep made one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionInterrupted(Event):
    """Run `run` ended without an outcome. It is queued again, and what was recognised is kept."""

    type = "transcription.interrupted"

    audio_id: UUID
    run: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAttempted(Event):
    """One try of one engine has ended: `outcome` is succeeded, failed or abandoned.

    `processing_seconds` lie between its beginning and its end; of an abandoned one, the end is when that was noticed.
    `kind` is what it heard: a recording, utterances of a session that was live, or the interims of one. Those two are
    told when the session is stored, and their time is that of the engine's work alone.
    """

    type = "transcription.attempted"

    audio_id: UUID
    number: int
    engine: str
    model: str
    outcome: str
    recognised_seconds: float
    processing_seconds: float
    provider_request_id: str | None
    failure: Failure | None
    input_tokens: int = 0
    output_tokens: int = 0
    """What the provider counted, where it is paid by tokens."""
    kind: str = "recording"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFellBack(Event):
    """`engine` could not go on, and `next_engine` takes over what is left."""

    type = "transcription.engine_fell_back"

    audio_id: UUID
    engine: str
    next_engine: str
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionCompleted(Event):
    """The record is closed, by `engine`; `degraded` says that it is a second-best one, for reasons that it tells."""

    type = "transcription.completed"

    audio_id: UUID
    engine: str
    model: str
    language: str | None
    audio_seconds: float
    word_count: int
    degraded: bool
    processing_seconds: float | None = None
    """Spent on recognising, over all attempts."""
    coverage: float | None = None
    """The part of the speech that has text, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionFailed(Event):
    """There is no transcript, and `failure` tells why."""

    type = "transcription.failed"

    audio_id: UUID
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionCancelled(Event):
    """It was called off. What was recognised is kept."""

    type = "transcription.cancelled"

    audio_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptEdited(Event):
    """A person corrected the transcript, which became `revision`; `change` names the kind of the correction."""

    type = "transcript.edited"

    audio_id: UUID
    revision: int
    change: str
    author: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionDeleted(Event):
    """The receipt: its row, its words and its checkpoints are gone; traces of its pipeline runs are being erased."""

    type = "transcription.deleted"

    audio_id: UUID
    status: str


# ── Engines ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCircuitOpened(Event):
    """It failed `failures` times in a row; it is left alone until `retry_at`, then tried once."""

    type = "engine.circuit_opened"

    failures: int
    retry_at: datetime
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCircuitClosed(Event):
    """It works again; or an operator said so (`by_hand`)."""

    type = "engine.circuit_closed"

    by_hand: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineDisabled(Event):
    """An operator took it out of use."""

    type = "engine.disabled"

    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEnabled(Event):
    """An operator put it back into use."""

    type = "engine.enabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRecognised(Event):
    """The engine was given a phrase that is known: `word_accuracy` is the part that it got right, from 0 to 1."""

    type = "engine.canary"

    passed: bool
    word_accuracy: float
    processing_seconds: float
    failure: Failure | None


# ── Alerts ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFired(Event):
    """A rule's condition holds. The subject is the rule's name, with `@` and a machine behind it for what each machine
    has of its own; `message` says what is wrong, and `help` what to do.
    """

    type = "alert.fired"

    severity: str
    value: float
    threshold: float
    message: str
    help: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertResolved(Event):
    """It does not hold any more. `value` is None where there is nothing left to measure."""

    type = "alert.resolved"

    severity: str
    value: float | None
    threshold: float
    firing_seconds: float


# ── Webhooks ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRegistered(Event):
    """From now on, events of the `event_types` are sent to it. The subject is the webhook's id."""

    type = "webhook.registered"

    event_types: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChanged(Event):
    """`changed` names what: url, event_types, filter, enabled, secret …"""

    type = "webhook.changed"

    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDisabled(Event):
    """Nothing is sent to it any more, until somebody enables it: `reason` is `gone` (it answered 410) or `dead`."""

    type = "webhook.disabled"

    reason: str
    failing_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDeleted(Event):
    """Nothing is sent to it any more, and what was is forgotten."""

    type = "webhook.deleted"


# ── The record itself ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsPruned(Event):
    """Old entries were removed from the audit trail, as the settings say: those up to `through_position`, whose hash
    was `through_hash`. With it the trail can still be verified from there on. The subject is `events`.
    """

    type = "events.pruned"

    through_position: int
    through_hash: str
    count: int


EVENT_TYPES: Mapping[str, type[Event]] = MappingProxyType(
    {
        kind.type: kind
        for kind in tuple(globals().values())
        if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
    }
)
"""All of the above, in their order."""


def names_types(wanted: str) -> bool:
    """Whether it is a type, or with `.*` at its end the beginning of some."""
    beginning = wanted.removesuffix("*")
    if beginning == wanted:
        return wanted in EVENT_TYPES
    return beginning.endswith(".") and any(known.startswith(beginning) for known in EVENT_TYPES)
