"""A transcription's life: what was asked for, what was tried, how it ended.

    queued ──► running ──► completed
      ▲  │        │ │
      │  │        │ └────► failed ─────┐
      │  └────────┼──────► cancelled ──┤
      └───────────┴────────────────────┘  (worker died; or asked for again)

State changes only through the methods of `Transcription`: each checks `MOVES` and records its event.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID, uuid4

from hansard.domain.audio import DEFAULT_OWNER
from hansard.domain.coverage import Coverage
from hansard.domain.errors import Category, Failure, IllegalMove, Superseded
from hansard.domain.events import (
    EngineAttempted,
    EngineFellBack,
    Event,
    Interruption,
    TranscriptionCancelled,
    TranscriptionCompleted,
    TranscriptionDeleted,
    TranscriptionFailed,
    TranscriptionInterrupted,
    TranscriptionProgressed,
    TranscriptionQueued,
    TranscriptionRetried,
    TranscriptionStarted,
)

AUTO = "auto"
"""The engine name that leaves the choice to the service."""


class Status(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in {Status.COMPLETED, Status.FAILED, Status.CANCELLED}


MOVES: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        Status.QUEUED: frozenset({Status.RUNNING, Status.FAILED, Status.CANCELLED}),
        Status.RUNNING: frozenset({Status.QUEUED, Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
        Status.FAILED: frozenset({Status.QUEUED}),
        Status.CANCELLED: frozenset({Status.QUEUED}),
        Status.COMPLETED: frozenset(),
    }
)


class Task(StrEnum):
    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"
    """Into English, whatever is spoken."""


class Channels(StrEnum):
    MIXED = "mixed"
    SEPARATE = "separate"
    """Each channel is heard for itself, and is a speaker: a call with one party on each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What was asked for; frozen when the job is made. None leaves a choice to the engine.

    `fallback` says whether another engine may take over from one that fails. None: yes where the choice was left to
    the service, no where an engine was named. `temperature` (0 … 1) is how freely an engine chooses among words.
    `diarize` asks who speaks when; the number of speakers may be bounded. `interactive`: somebody waits for the answer,
    so it goes before others, and is not tracked by the pipeline engine.
    """

    engine: str = AUTO
    fallback: bool | None = None
    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    hotwords: str | None = None
    task: Task = Task.TRANSCRIBE
    temperature: float | None = None
    diarize: bool = False
    min_speakers: int | None = None
    max_speakers: int | None = None
    channels: Channels = Channels.MIXED
    priority: int = 0
    interactive: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def falls_back(self) -> bool:
        return self.engine == AUTO if self.fallback is None else self.fallback


class AttemptOutcome(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABANDONED = "abandoned"
    """The worker died, or the run was cancelled, in the middle of it."""


class AttemptKind(StrEnum):
    """What an engine was at work on."""

    RECORDING = "recording"
    LIVE = "live"
    """The utterances of a live session, each as soon as it was over."""
    INTERIMS = "interims"
    """What was being said in a live session, to tell what it sounds like so far. Nothing of it is in the transcript."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of one engine, over as many passages as it managed (`recognised_seconds` of audio).

    `provider_request_id` is the provider's name for the last request that it answered. The tokens are what it counted,
    where it is paid by them. In a live session an engine mostly waits for somebody to speak: `at_work_seconds` is how
    long it did not. None: from beginning to end.
    """

    number: int
    engine: str
    model: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: AttemptOutcome = AttemptOutcome.RUNNING
    recognised_seconds: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    provider_request_id: str | None = None
    failure: Failure | None = None
    kind: AttemptKind = AttemptKind.RECORDING
    at_work_seconds: float | None = None

    @property
    def processing_seconds(self) -> float | None:
        """What it took of the engine's time; None before it has ended."""
        if self.at_work_seconds is not None or self.ended_at is None:
            return self.at_work_seconds
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The measurements of a completed transcription. `degraded_reasons` is empty for a full-quality record."""

    engine: str
    model: str
    language: str | None
    language_probability: float | None = None
    audio_seconds: float
    speech_seconds: float
    word_count: int
    processing_seconds: float
    coverage: Coverage
    degraded_reasons: tuple[str, ...] = ()

    @property
    def real_time_factor(self) -> float:
        """Processing time over audio time; below 1 is faster than real time."""
        return self.processing_seconds / self.audio_seconds if self.audio_seconds else 0.0


@dataclass(kw_only=True, eq=False)
class Transcription:
    """The aggregate. `run` numbers the times a worker took it: a worker whose number is old has lost it.

    `crashes` counts the workers that died with it since it last got anywhere. `warnings` tell what went wrong without
    harm to the record.
    """

    id: UUID
    audio_id: UUID
    parameters: Parameters
    created_at: datetime
    owner: str = DEFAULT_OWNER
    request_id: str | None = None
    status: Status = Status.QUEUED
    run: int = 0
    crashes: int = 0
    progress: float = 0.0
    activity: str | None = None
    pipeline_run_id: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    warnings: tuple[str, ...] = ()
    failure: Failure | None = None
    result: Result | None = None
    _events: list[Event] = field(default_factory=list[Event])

    @classmethod
    def queue(
        cls,
        *,
        audio_id: UUID,
        parameters: Parameters,
        at: datetime,
        owner: str = DEFAULT_OWNER,
        request_id: str | None = None,
        id: UUID | None = None,
    ) -> "Transcription":
        """`id` None: a new one."""
        made = cls(
            id=id or uuid4(),
            audio_id=audio_id,
            parameters=parameters,
            created_at=at,
            owner=owner,
            request_id=request_id,
        )
        made._record(
            TranscriptionQueued(
                subject=made._subject,
                occurred_at=at,
                audio_id=audio_id,
                engine=parameters.engine,
                owner=owner,
                interactive=parameters.interactive,
            )
        )
        return made

    def retry(self, at: datetime, parameters: Parameters | None = None) -> None:
        """Ask for it again, after it failed or was cancelled; with `parameters`, for something else."""
        if not self.status.is_final:
            raise IllegalMove(f"a transcription that is {self.status} need not be asked for again")
        self._move(Status.QUEUED)
        kept = parameters is None or parameters == self.parameters
        self.parameters = parameters or self.parameters
        self.failure, self.ended_at, self.activity, self.crashes, self.warnings = None, None, None, 0, ()
        if not kept:
            self.progress = 0.0
        self._record(
            TranscriptionRetried(
                subject=self._subject,
                occurred_at=at,
                audio_id=self.audio_id,
                engine=self.parameters.engine,
                parameters_kept=kept,
            )
        )

    def start(self, at: datetime) -> int:
        """A worker takes it. Taking a running one means that its last worker died. Returns the run's number."""
        if self.status is Status.RUNNING:
            self.lose_worker(at)
        self._move(Status.RUNNING)
        self.run += 1
        self.started_at, self.activity = at, "preparing the audio"
        self._record(
            TranscriptionStarted(
                subject=self._subject,
                occurred_at=at,
                audio_id=self.audio_id,
                run=self.run,
                waited_seconds=(at - self.created_at).total_seconds() if self.run == 1 else None,
            )
        )
        return self.run

    def lose_worker(self, at: datetime) -> None:
        """The worker died with it."""
        self.interrupt(at, Interruption.WORKER_LOST)
        self.crashes += 1

    def interrupt(self, at: datetime, reason: Interruption) -> None:
        """Back to the queue, keeping what was recognised. Only work that is being done can be interrupted."""
        self._require_running()
        self._move(Status.QUEUED)
        self._abandon_attempt(at)
        self.activity = None
        self._record(
            TranscriptionInterrupted(
                subject=self._subject, occurred_at=at, audio_id=self.audio_id, run=self.run, reason=reason.value
            )
        )

    def require_run(self, run: int) -> None:
        """Fencing: raise `Superseded` unless `run` still owns the transcription."""
        if self.status is not Status.RUNNING or self.run != run:
            raise Superseded(f"run {run} no longer owns transcription {self.id}: it is {self.status}, run {self.run}")

    def report(self, activity: str, progress: float | None = None) -> None:
        """Say what is being done now and how far it is (0 … 1). Progress never goes back."""
        self.activity = activity
        if progress is not None:
            self.progress = max(self.progress, min(progress, 1.0))

    def keep_progress(self, since: float, to: float, at: datetime) -> None:
        """What lies between is recognised and kept. Another tenth is told of, but the last, which is the end; and none
        to somebody who waits for the whole.
        """
        tenths = math.floor(round(to * 10, 6))
        if math.floor(round(since * 10, 6)) < tenths < 10 and not self.parameters.interactive:
            self._record(
                TranscriptionProgressed(
                    subject=self._subject, occurred_at=at, audio_id=self.audio_id, progress=tenths / 10
                )
            )

    def warn(self, warning: str) -> None:
        """Note what went wrong without harm to the record; once."""
        if warning not in self.warnings:
            self.warnings = (*self.warnings, warning)

    def begin_attempt(self, *, engine: str, model: str, at: datetime) -> None:
        """One attempt at a time: one that is still running is abandoned."""
        self._require_running()
        self._abandon_attempt(at)
        attempt = Attempt(number=len(self.attempts) + 1, engine=engine, model=model, started_at=at)
        self.attempts = (*self.attempts, attempt)

    def advance_attempt(
        self, seconds: float, *, provider_request_id: str | None = None, input_tokens: int = 0, output_tokens: int = 0
    ) -> None:
        """The running attempt has recognised `seconds` more of the audio: whatever killed workers is behind us."""
        running = self._running_attempt()
        self.crashes = 0
        self._amend_attempt(
            replace(
                running,
                recognised_seconds=running.recognised_seconds + seconds,
                input_tokens=running.input_tokens + input_tokens,
                output_tokens=running.output_tokens + output_tokens,
                provider_request_id=provider_request_id or running.provider_request_id,
            )
        )

    def end_attempt(self, at: datetime, failure: Failure | None = None) -> None:
        self._close_attempt(at, AttemptOutcome.FAILED if failure else AttemptOutcome.SUCCEEDED, failure)

    def take_in(self, attempts: Iterable[Attempt], at: datetime) -> None:
        """They were made, and came to their ends, before it was asked for: while it was spoken, in a live session."""
        for number, attempt in enumerate(attempts, start=len(self.attempts) + 1):
            self.attempts = (*self.attempts, replace(attempt, number=number))
            self._record_attempt(at)

    def fall_back(self, at: datetime, *, engine: str, next_engine: str, failure: Failure) -> None:
        """`engine` cannot go on; `next_engine` is about to take over what is left."""
        self._require_running()
        self._record(
            EngineFellBack(
                subject=self._subject,
                occurred_at=at,
                audio_id=self.audio_id,
                engine=engine,
                next_engine=next_engine,
                failure=failure,
            )
        )

    def complete(self, result: Result, at: datetime) -> None:
        self._end(Status.COMPLETED, at)
        self.result, self.progress = result, 1.0
        self._record(
            TranscriptionCompleted(
                subject=self._subject,
                occurred_at=at,
                audio_id=self.audio_id,
                engine=result.engine,
                model=result.model,
                language=result.language,
                audio_seconds=result.audio_seconds,
                word_count=result.word_count,
                degraded=bool(result.degraded_reasons),
                processing_seconds=result.processing_seconds,
                coverage=result.coverage.ratio,
            )
        )

    def fail(self, failure: Failure, at: datetime) -> None:
        self._end(Status.FAILED, at)
        self.failure = failure
        self._record(
            TranscriptionFailed(subject=self._subject, occurred_at=at, audio_id=self.audio_id, failure=failure)
        )

    def cancel(self, at: datetime) -> None:
        self._end(Status.CANCELLED, at)
        self.failure = Failure(
            code="cancelled", category=Category.CANCELLED, message="The transcription was cancelled on request."
        )
        self._record(TranscriptionCancelled(subject=self._subject, occurred_at=at, audio_id=self.audio_id))

    def delete(self, at: datetime) -> None:
        """The last fact about it; whoever deletes it stops it first."""
        self._record(
            TranscriptionDeleted(
                subject=self._subject, occurred_at=at, audio_id=self.audio_id, status=self.status.value
            )
        )

    def forget_pipeline_run(self, run_id: str) -> None:
        """The pipeline engine does not keep that run any more."""
        if self.pipeline_run_id == run_id:
            self.pipeline_run_id = None

    def pull_events(self) -> tuple[Event, ...]:
        """The events since the last call; the repository writes them in the commit that saves the change."""
        events, self._events = tuple(self._events), []
        return events

    @property
    def _subject(self) -> str:
        return str(self.id)

    def _end(self, status: Status, at: datetime) -> None:
        self._move(status)
        self._abandon_attempt(at)
        self.ended_at, self.activity = at, None

    def _require_running(self) -> None:
        if self.status is not Status.RUNNING:
            raise IllegalMove(f"nobody is working on a transcription that is {self.status}")

    def _running_attempt(self) -> Attempt:
        if not self.attempts or self.attempts[-1].outcome is not AttemptOutcome.RUNNING:
            raise IllegalMove("no attempt is running")
        return self.attempts[-1]

    def _abandon_attempt(self, at: datetime) -> None:
        if self.attempts and self.attempts[-1].outcome is AttemptOutcome.RUNNING:
            self._close_attempt(at, AttemptOutcome.ABANDONED)

    def _close_attempt(self, at: datetime, outcome: AttemptOutcome, failure: Failure | None = None) -> None:
        request_id = failure.provider_request_id if failure else None
        running = self._running_attempt()
        ended = replace(
            running,
            ended_at=at,
            outcome=outcome,
            failure=failure,
            provider_request_id=request_id or running.provider_request_id,
        )
        self._amend_attempt(ended)
        self._record_attempt(at)

    def _record_attempt(self, at: datetime) -> None:
        """Of the last one."""
        ended = self.attempts[-1]
        self._record(
            EngineAttempted(
                subject=self._subject,
                occurred_at=at,
                audio_id=self.audio_id,
                number=ended.number,
                engine=ended.engine,
                model=ended.model,
                outcome=ended.outcome.value,
                recognised_seconds=ended.recognised_seconds,
                processing_seconds=ended.processing_seconds or 0.0,
                provider_request_id=ended.provider_request_id,
                failure=ended.failure,
                input_tokens=ended.input_tokens,
                output_tokens=ended.output_tokens,
                kind=ended.kind.value,
            )
        )

    def _amend_attempt(self, attempt: Attempt) -> None:
        self.attempts = (*self.attempts[:-1], attempt)

    def _move(self, status: Status) -> None:
        if status not in MOVES[self.status]:
            raise IllegalMove(f"a transcription that is {self.status} cannot become {status}")
        self.status = status

    def _record(self, event: Event) -> None:
        self._events.append(event)
