"""What is kept for a while only, and how it goes: little by little, so that nobody has to wait for it.

Nothing here is a recording or a transcript: those stay until somebody deletes them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.retention import NOTHING, Amount
from hansard.application.ports.work import PipelineRunner, PipelineTrace
from hansard.domain.errors import NotFound
from hansard.timing.decorators import time_it

ENTRIES_AT_ONCE = 5000
FEWEST_ENTRIES = 100
"""Fewer stay for now: each removal leaves an entry that tells of it, which has to go in its turn."""

TRANSCRIPTIONS_AT_ONCE = 100
DELIVERIES_AT_ONCE = 1000
RUNS_AT_ONCE = 50
"""As many as go in well under a second: so long, at most, does anybody wait for a lock."""


class Holding(Protocol):
    """Things of one kind that are kept for a while."""

    def measure(self, before: datetime) -> Amount:
        """How many are older than that."""
        ...

    def remove_some(self, before: datetime) -> Amount:
        """Remove some of these, in a commit of its own. `NOTHING`: none is left."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """`keep_for` None: for ever."""

    name: str
    keep_for: timedelta | None
    holding: Holding


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What went, or would go, of one kind. `error` is what broke it off."""

    name: str
    keep_for: timedelta | None
    amount: Amount
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """To be called now and then, by any number at a time. What one kind stumbles at does not keep the others.

    At one call, each kind is worked at for `seconds_each` at the most: what is left then goes the next time.
    """

    kept: Sequence[Kept]
    seconds_each: float
    clock: Clock

    @time_it
    def __call__(self) -> tuple[Pruned, ...]:
        return tuple(self._all(each, self._remove) for each in self.kept)

    def preview(self) -> tuple[Pruned, ...]:
        """What would go now, and nothing goes."""
        return tuple(self._all(each, lambda holding, before, _: holding.measure(before)) for each in self.kept)

    def _all(self, kept: Kept, work: Callable[[Holding, datetime, list[Amount]], Amount]) -> Pruned:
        gone: list[Amount] = []
        error = None
        if kept.keep_for is not None:
            try:
                gone.append(work(kept.holding, self.clock() - kept.keep_for, gone))
            except Exception as raised:  # noqa: BLE001 - told with the rest
                error = raised
        return Pruned(name=kept.name, keep_for=kept.keep_for, amount=sum(gone, NOTHING), error=error)

    def _remove(self, holding: Holding, before: datetime, gone: list[Amount]) -> Amount:
        until = self.clock() + timedelta(seconds=self.seconds_each)
        while (some := holding.remove_some(before)).count and self.clock() < until:
            gone.append(some)
        return some


# ── The kinds that are in the operational database, or beside it ─────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class OldEvents:
    """The beginning of the audit trail, but nothing that is still to be read.

    `unread` tell the first position that somebody has not read and must not miss; None: there is none. While one of
    them cannot be asked, nothing goes.
    """

    unit_of_work: Callable[[], UnitOfWork]
    unread: Sequence[Callable[[], int | None]]
    clock: Clock

    def measure(self, before: datetime) -> Amount:
        through = self._read_by_all()
        with self.unit_of_work() as uow:
            oldest = uow.events.oldest(before, through=through)
        return NOTHING if oldest is None or oldest.amount.count < FEWEST_ENTRIES else oldest.amount

    def remove_some(self, before: datetime) -> Amount:
        through = self._read_by_all()
        with self.unit_of_work() as uow:
            oldest = uow.events.oldest(before, through=through, limit=ENTRIES_AT_ONCE)
            if oldest is None or oldest.amount.count < FEWEST_ENTRIES:
                return NOTHING
            uow.events.remove_through(oldest.position, self.clock())
            uow.commit()
        return oldest.amount

    def _read_by_all(self) -> int | None:
        firsts = [first for unread in self.unread if (first := unread()) is not None]
        return min(firsts) - 1 if firsts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OldCheckpoints:
    """What was found out on the way to a transcript, of transcriptions that ended."""

    unit_of_work: Callable[[], UnitOfWork]

    def measure(self, before: datetime) -> Amount:
        with self.unit_of_work() as uow:
            return uow.checkpoints.of_ended_before(before)

    def remove_some(self, before: datetime) -> Amount:
        with self.unit_of_work() as uow:
            removed = uow.checkpoints.remove_of_ended_before(before, limit=TRANSCRIPTIONS_AT_ONCE)
            uow.commit()
        return removed


@dataclass(frozen=True, slots=True, kw_only=True)
class OldDeliveries:
    """What was sent to webhooks, and what was answered. What is still to be sent stays."""

    unit_of_work: Callable[[], UnitOfWork]

    def first_unread(self) -> int | None:
        with self.unit_of_work() as uow:
            return uow.deliveries.first_event_pending()

    def measure(self, before: datetime) -> Amount:
        with self.unit_of_work() as uow:
            return uow.deliveries.over_before(before)

    def remove_some(self, before: datetime) -> Amount:
        with self.unit_of_work() as uow:
            removed = uow.deliveries.remove_over_before(before, limit=DELIVERIES_AT_ONCE)
            uow.commit()
        return removed


@dataclass(frozen=True, slots=True, kw_only=True)
class OldPipelineRuns:
    """What the pipeline engine keeps of its runs."""

    unit_of_work: Callable[[], UnitOfWork]
    runner: PipelineRunner

    def measure(self, before: datetime) -> Amount:
        return Amount(len(self.runner.traces_before(before)), None)

    def remove_some(self, before: datetime) -> Amount:
        traces = self.runner.traces_before(before, limit=RUNS_AT_ONCE)
        if not traces:
            return NOTHING
        # First, so that no record ever names a run that is gone.
        for trace in traces:
            self._unlink(trace)
        self.runner.remove(traces)
        return Amount(len(traces), None)

    def _unlink(self, trace: PipelineTrace) -> None:
        with self.unit_of_work() as uow:
            try:
                transcription = uow.transcriptions.get(trace.transcription_id, for_update=True)
            except NotFound:
                return
            if transcription.pipeline_run_id == trace.run_id:
                transcription.forget_pipeline_run(trace.run_id)
                uow.transcriptions.save(transcription)
                uow.commit()
