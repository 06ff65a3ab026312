"""What is to be done, who does it, and news of it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from hansard.application.ports.notifications import Notification
from hansard.domain.audio import StoredObject
from hansard.domain.transcription import Status, Transcription


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What is left to remove of something deleted. `stored` is None where only transcriptions were deleted."""

    audio_id: UUID
    stored: StoredObject | None
    transcription_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The queue as it is now. `oldest_seconds` is how long the first of the waiting jobs has waited."""

    jobs: int
    jobs_of_owner: int
    audio_seconds: float
    oldest_seconds: float
    running: int
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """A worker that is alive. `models` are in its memory; `transcription_id` is in its hands."""

    name: str
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime
    models: tuple[str, ...]
    transcription_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTurn:
    """A webhook's turn to be sent what is due to it, at `at` or, by default, at once.

    One that is failing takes its turn on a lane apart, so that it keeps nobody else waiting.
    """

    webhook_id: UUID
    at: datetime | None = None
    is_failing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """What has to be done again and again: by one worker of all in each period, or by one on each machine.

    What `run` raises is logged, and it is run again when its time comes. The API does it as well where it
    `needs_no_worker`: that is for what has to be done most of all when none is alive.
    """

    name: str
    every_seconds: float
    run: Callable[[], object]
    on_each_machine: bool = False
    needs_no_worker: bool = False


class JobQueue(Protocol):
    def defer_transcription(self, transcription: Transcription, *, audio_seconds: float | None) -> None:
        """Have a worker take it; the job exists only if the unit of work commits. `audio_seconds` None: not known."""
        ...

    def withdraw(self, transcription_id: UUID) -> None:
        """Take its job out again, if no worker has it yet."""
        ...

    def has_job(self, transcription_id: UUID) -> bool:
        """Whether its job waits or is being done."""
        ...

    def jobs(self) -> frozenset[UUID]:
        """The transcriptions that have a job, waiting or being done."""
        ...

    def has_more_urgent(self, transcription_id: UUID, *, interactive_only: bool = False) -> bool:
        """Whether a job waits that should have been taken before this one, which is being done.

        `interactive_only`: counting none but those that somebody waits for.
        """
        ...

    def defer_erasure(self, erasure: Erasure) -> None:
        """Have what is left of something deleted removed, until that succeeds."""
        ...

    def defer_notification(self, notification: Notification) -> None:
        """Have a recipient told, a bounded number of times if that fails."""
        ...

    def defer_webhook_turns(self, turns: Sequence[WebhookTurn]) -> None:
        """Have each webhook take a turn; one that waits for its turn already has it at the earlier of the two times.

        For units of work without events: with them, others who commit might wait for us, and we for them.
        """
        ...

    def waiting(self, owner: str) -> Waiting: ...

    def workers(self) -> tuple[WorkerState, ...]: ...


class Watch(Protocol):
    """One waiter's view of one transcription."""

    async def change(self, *, within_seconds: float | None = None) -> Status | None:
        """Return when it was changed since this was last called, or since the watch began: with its status then.

        None: whoever waits should look for himself. News may get lost, so that comes within so many seconds at the
        latest; within a few, unless they are given.
        """
        ...


class Changes(Protocol):
    """News of transcriptions for those who wait for them, who are many and wait long: hence asyncio, without threads.

    All of it is used on the event loop that runs `listen`.
    """

    async def listen(self) -> None:
        """Hear the news until this is cancelled. A database that is away is waited for."""
        ...

    def watch(self, transcription_id: UUID) -> AbstractContextManager[Watch]:
        """News of the moments before counts, too: of what has just been asked for, nothing is missed."""
        ...


@dataclass(frozen=True, slots=True)
class PipelineTrace:
    """What the pipeline engine keeps of one run about a transcription."""

    run_id: str
    transcription_id: UUID


class PipelineRunner(Protocol):
    """Runs the steps of `application.transcribe` in order. The outcome is on the transcription, not returned."""

    def run(self, transcription_id: UUID, run: int) -> None: ...

    def forget(self, transcription_id: UUID) -> int:
        """Remove every trace of the runs about this transcription; how many there were. Thread-safe."""
        ...

    def traces_before(self, moment: datetime, *, limit: int | None = None) -> tuple[PipelineTrace, ...]:
        """The runs that were begun before that moment, oldest first. Thread-safe."""
        ...

    def remove(self, traces: Sequence[PipelineTrace]) -> None:
        """Remove these runs. Thread-safe."""
        ...
