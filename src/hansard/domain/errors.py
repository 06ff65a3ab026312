"""Every way the service can say no, so that a failure is always told with its cause and its cure.

    HansardError
    ├── NotFound                    the id names nothing
    │   └── UploadGone              an upload that had been begun, and is no more
    ├── Conflict                    the state does not allow it
    │   ├── IllegalMove             a status change that `transcription.MOVES` lacks
    │   ├── Superseded              another run owns the transcription now, or it was cancelled
    │   ├── OffsetMismatch          an upload goes on elsewhere than at its offset
    │   ├── UploadInUse             another request is sending the same upload
    │   └── RevisionMismatch        somebody else edited the transcript first
    ├── InvalidRequest              a parameter cannot be honoured
    │   ├── TooLarge                more bytes than are allowed here
    │   ├── UrlRefused              what a URL leads to is not fetched, or is not there
    │   └── ChecksumMismatch        the bytes that came are not those that were sent
    ├── InvalidAudio                the file cannot be transcribed, by any engine
    ├── QueueFull                   more work waits than is taken on here; worth another try, later
    │   └── OwnerQueueFull          one owner's work, while others still have room
    ├── UploadsBusy                 as many recordings are coming in as are taken at once; worth another try, soon
    ├── DownloadFailed              the server that a URL names did not hand the file out; worth another try
    │   └── DownloadTimedOut        it took too long over it; worth another try
    ├── DeliveryFailed              a webhook's endpoint did not take an event; worth another try
    │   ├── DeliveryTimedOut        it took too long over it; worth another try
    │   └── EndpointWrong           its URL leads nowhere; worth another try, once that is seen to
    │       └── EndpointGone        it says that it is gone for good
    ├── NotificationFailed          a recipient of notifications could not be told; worth another try
    ├── UnknownRecipient            the settings do not name that recipient of notifications any more
    ├── TooManySessions             as many live sessions run as are taken on here; worth another try, later
    ├── ConfigurationError          the operator must change a setting
    ├── StorageError                the object store or the database did not answer; worth another try
    │   ├── AnalyticsUnavailable    the analytics database did not answer, which harms nothing else
    │   ├── DiskScarce              there is no room for what is to come in; worth another try, later
    │   └── StorageDenied           it does not let us in; worth another try, once the operator has seen to it
    ├── RecordingLost               the store lacks bytes that it had taken
    ├── DiarizationFailed           nobody can tell who spoke; the text is not touched by that
    └── EngineError                 an engine could not do its work
        ├── EngineRejected          it refused this audio or parameter; another try changes nothing
        ├── EngineUnavailable       it is not set up here: no key, no model, no network
        │   └── EngineOutOfUse      an operator disabled it
        ├── EngineNotAuthenticated  the provider refused our credentials
        ├── EngineRateLimited       the provider asks us to slow down; worth another try
        ├── EngineTimedOut          no answer in time; worth another try
        ├── EngineFailed            the provider broke; worth another try
        ├── EngineCrashed           the engine's process died under it; worth another try
        ├── EnginePaused            its circuit is open: it failed too often of late; worth another try, later
        └── EngineStopped           its answer is not wanted any more

Adapters raise these `from` the library's own exception. Each carries a stable `code` for programs, a
`message` for people and a `help` that says what to do next. `docs/errors.md` lists them all.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar


class Category(StrEnum):
    """Whose move it is after a failure."""

    CLIENT = "client"
    SERVER = "server"
    RATE_LIMIT = "rate_limit"
    TIMEOUT = "timeout"
    AUTHENTICATION = "authentication"
    CONFIGURATION = "configuration"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failure as a fact: what is stored with a transcription and shown as its `error`."""

    code: str
    category: Category
    message: str
    retryable: bool = False
    engine: str | None = None
    provider_status: int | None = None
    provider_request_id: str | None = None
    help: str | None = None


class HansardError(Exception):
    """The root. `code`, `category` and `retryable` have a default for each class."""

    code: ClassVar[str] = "internal_error"
    category: ClassVar[Category] = Category.INTERNAL
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, code: str | None = None, help: str | None = None) -> None:
        # Many messages end in the words of a library or a provider, and those seldom end a sentence.
        message = message if message.endswith((".", "!", "?")) else f"{message}."
        super().__init__(message)
        self.failure = Failure(
            code=code or type(self).code,
            category=type(self).category,
            message=message,
            retryable=type(self).retryable,
            help=help,
        )


class NotFound(HansardError):
    code = "not_found"
    category = Category.CLIENT


class UploadGone(NotFound):
    code = "upload_gone"


class Conflict(HansardError):
    code = "conflict"
    category = Category.CLIENT


class IllegalMove(Conflict):
    code = "illegal_move"


class Superseded(Conflict):
    code = "superseded"


class OffsetMismatch(Conflict):
    code = "offset_mismatch"


class UploadInUse(Conflict):
    code = "upload_in_use"
    retryable = True


class RevisionMismatch(Conflict):
    code = "revision_mismatch"


class InvalidRequest(HansardError):
    code = "invalid_request"
    category = Category.CLIENT


class TooLarge(InvalidRequest):
    code = "too_large"


class UrlRefused(InvalidRequest):
    code = "url_refused"


class ChecksumMismatch(InvalidRequest):
    code = "checksum_mismatch"


class InvalidAudio(HansardError):
    code = "invalid_audio"
    category = Category.CLIENT


class QueueFull(HansardError):
    """`retry_after_seconds` is when there should be room; `backlog_seconds` is the work that waits."""

    code = "queue_full"
    category = Category.SERVER
    retryable = True

    def __init__(
        self, message: str, *, backlog_seconds: float, retry_after_seconds: float, help: str | None = None
    ) -> None:
        super().__init__(message, help=help)
        self.backlog_seconds = backlog_seconds
        self.retry_after_seconds = retry_after_seconds


class OwnerQueueFull(QueueFull):
    """The same, for one owner: others still have room."""

    code = "owner_queue_full"
    category = Category.RATE_LIMIT


class UploadsBusy(HansardError):
    code = "uploads_busy"
    category = Category.SERVER
    retryable = True


class DownloadFailed(HansardError):
    code = "url_failed"
    category = Category.SERVER
    retryable = True


class DownloadTimedOut(DownloadFailed):
    code = "url_timed_out"
    category = Category.TIMEOUT


class DeliveryFailed(HansardError):
    code = "webhook_failed"
    category = Category.SERVER
    retryable = True


class DeliveryTimedOut(DeliveryFailed):
    code = "webhook_timed_out"
    category = Category.TIMEOUT


class EndpointWrong(DeliveryFailed):
    code = "webhook_refused"
    category = Category.CONFIGURATION


class EndpointGone(EndpointWrong):
    code = "webhook_gone"
    retryable = False


class NotificationFailed(HansardError):
    code = "notification_failed"
    category = Category.SERVER
    retryable = True


class UnknownRecipient(HansardError):
    code = "unknown_recipient"
    category = Category.CONFIGURATION


class TooManySessions(HansardError):
    code = "too_many_sessions"
    category = Category.SERVER
    retryable = True


class ConfigurationError(HansardError):
    code = "configuration_error"
    category = Category.CONFIGURATION


class StorageError(HansardError):
    code = "storage_unavailable"
    category = Category.SERVER
    retryable = True


class AnalyticsUnavailable(StorageError):
    code = "analytics_unavailable"


class DiskScarce(StorageError):
    code = "disk_scarce"


class StorageDenied(StorageError):
    code = "storage_denied"
    category = Category.CONFIGURATION


class RecordingLost(HansardError):
    code = "recording_lost"


class DiarizationFailed(HansardError):
    code = "diarization_failed"


class EngineError(HansardError):
    """What an engine raises. `retry_after_seconds` is the provider's own wish, where it has one."""

    code = "engine_error"

    def __init__(
        self,
        message: str,
        *,
        engine: str,
        code: str | None = None,
        help: str | None = None,
        provider_status: int | None = None,
        provider_request_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, code=code, help=help)
        self.retry_after_seconds = retry_after_seconds
        self.failure = replace(
            self.failure,
            engine=engine,
            provider_status=provider_status,
            provider_request_id=provider_request_id,
        )


class EngineRejected(EngineError):
    code = "engine_rejected"
    category = Category.CLIENT


class EngineUnavailable(EngineError):
    code = "engine_unavailable"
    category = Category.CONFIGURATION


class EngineOutOfUse(EngineUnavailable):
    code = "engine_disabled"


class EngineNotAuthenticated(EngineError):
    code = "engine_not_authenticated"
    category = Category.AUTHENTICATION


class EngineRateLimited(EngineError):
    code = "engine_rate_limited"
    category = Category.RATE_LIMIT
    retryable = True


class EngineTimedOut(EngineError):
    code = "engine_timed_out"
    category = Category.TIMEOUT
    retryable = True


class EngineFailed(EngineError):
    code = "engine_failed"
    category = Category.SERVER
    retryable = True


class EngineCrashed(EngineError):
    code = "engine_crashed"
    category = Category.INTERNAL
    retryable = True


class EnginePaused(EngineError):
    code = "circuit_open"
    category = Category.SERVER
    retryable = True


class EngineStopped(EngineError):
    code = "engine_stopped"
    category = Category.CANCELLED
