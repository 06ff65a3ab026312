"""How much work waits, and whether there is room for more."""

from dataclasses import asdict, dataclass

from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.work import Waiting
from hansard.domain.errors import OwnerQueueFull, QueueFull

UNKNOWN_REAL_TIME_FACTOR = 0.2
"""As long as nothing was transcribed here. PocketSphinx, the slowest of the chain, takes 0.185 of a recording's length
on one core; Whisper's small models and OpenAI take less."""

SHORTEST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 3600.0
"""Bounds for what a client is told: the estimate is rough, and nobody should be sent away for a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog(Waiting):
    """The queue, and `seconds`: how long the workers need for what waits, going by how fast they were of late."""

    seconds: float

    @classmethod
    def of(cls, waiting: Waiting, real_time_factor: float | None) -> "Backlog":
        """Without a worker, as if there were one."""
        factor = UNKNOWN_REAL_TIME_FACTOR if real_time_factor is None else real_time_factor
        return cls(**asdict(waiting), seconds=waiting.audio_seconds * factor / max(1, waiting.workers))

    def retry_after_seconds(self, jobs: int) -> float:
        """How long it should take until `jobs` of those that wait have been taken."""
        seconds = self.seconds * jobs / max(1, self.jobs)
        return min(max(seconds, SHORTEST_RETRY_SECONDS), LONGEST_RETRY_SECONDS)


def measure_backlog(uow: UnitOfWork, owner: str) -> Backlog:
    return Backlog.of(uow.jobs.waiting(owner), uow.transcriptions.recent_real_time_factor())


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePolicy:
    """The most jobs that may wait, in all and of one owner.

    Looked at without a lock: of many that come at the same moment, a few more get in.
    """

    most_waiting: int
    most_waiting_of_owner: int

    def require_room(self, uow: UnitOfWork, owner: str) -> None:
        """Raises `QueueFull`, or `OwnerQueueFull` where others still have room."""
        waiting = uow.jobs.waiting(owner)
        too_many = waiting.jobs + 1 - self.most_waiting
        too_many_of_owner = waiting.jobs_of_owner + 1 - self.most_waiting_of_owner
        if too_many <= 0 and too_many_of_owner <= 0:
            return
        backlog = Backlog.of(waiting, uow.transcriptions.recent_real_time_factor())
        if too_many > 0:
            raise _full(QueueFull, f"{waiting.jobs} transcriptions wait", backlog, too_many)
        raise _full(OwnerQueueFull, f"{waiting.jobs_of_owner} of your transcriptions wait", backlog, too_many_of_owner)


def _full(kind: type[QueueFull], what_waits: str, backlog: Backlog, too_many: int) -> QueueFull:
    retry_after_seconds = backlog.retry_after_seconds(too_many)
    return kind(
        f"The queue is full: {what_waits}, and the workers need about {backlog.seconds:.0f} s for all that waits.",
        backlog_seconds=backlog.seconds,
        retry_after_seconds=retry_after_seconds,
        help=f"Nothing was kept. Ask again in {retry_after_seconds:.0f} s.",
    )
