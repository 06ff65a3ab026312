"""Many recordings into a directory: some at a time, each for itself, and resumable.

A transcript is written beside its place and then moved there, so that a file that is there is whole. What was done is
in the `Journal`; asked again, what is there is skipped, what is on its way is waited for, and what failed or was
cancelled goes on from the last passage that was recognised. Nothing is uploaded or recognised twice.
"""

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from hansard.cli.bars import progress_bars
from hansard.cli.journal import Journal, digest, work_of
from hansard.cli.recordings import require_recording
from hansard.domain.errors import HansardError, InvalidAudio, InvalidRequest
from hansard.domain.transcription import Parameters, Status

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from hansard.cli.transcriptions import Standing, Transcriptions
    from hansard.formats import Options

LOOK_EVERY_SECONDS = 0.5

WAIT_SECONDS = 5.0
"""Before something is asked again of a service that is full, or does not answer."""

MOST_WAITS = 60
"""In a row, for a service that answered before and does so no more: five minutes, in which it may be restarted."""

LONGEST_TABLE = 40
"""Rows. Of a longer list only what failed is shown."""

_FULL = frozenset({"queue_full", "owner_queue_full"})
_ENDS_THE_BATCH = frozenset({"server_unreachable", "not_hansard", "worker_ended"})


class Outcome(StrEnum):
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Report:
    file: Path
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Order:
    """A recording, and where its transcript goes in each format."""

    file: Path
    targets: Mapping[str, Path]


@dataclass
class _Job:
    order: Order
    work: str
    missing: Sequence[str]
    """The formats that are still to be written."""
    transcription_id: UUID
    bar: "TaskID"


@dataclass
class Batch:
    """`manners` says, by format, how to write it. `reports` grows as recordings are finished with."""

    transcriptions: "Transcriptions"
    journal: Journal
    console: "Console"
    parameters: Parameters
    manners: Mapping[str, "Options"]
    overwrite: bool = False
    at_once: int = 8
    sleep: Callable[[float], None] = time.sleep
    reports: list[Report] = field(default_factory=list[Report])
    _waiting: deque[Order] = field(default_factory=deque[Order])
    _at_work: list[_Job] = field(default_factory=list[_Job])
    _was_reached: bool = False

    @property
    def failed(self) -> bool:
        return any(report.outcome is Outcome.FAILED for report in self.reports)

    def run(self, orders: Sequence[Order]) -> None:
        """Raises `HansardError` where nobody does the work any more; what is reported by then stays done."""
        self._waiting.extend(orders)
        waits = 0
        with progress_bars(self.console) as progress:
            overall = progress.add_task("", total=len(orders), activity="")
            while self._waiting or self._at_work:
                try:
                    pause_seconds = self._step(progress)
                    waits, self._was_reached = 0, True
                except HansardError as error:
                    waits += 1
                    unreachable = error.failure.code == "server_unreachable"
                    if not (unreachable and self._was_reached) or waits > MOST_WAITS:
                        raise
                    pause_seconds = WAIT_SECONDS
                done = f"{len(self.reports)} of {len(orders)} recordings"
                progress.update(overall, completed=len(self.reports), activity=done, refresh=True)
                if self._waiting or self._at_work:
                    self.sleep(pause_seconds)

    def cancel(self) -> None:
        """Stop what is at work. What it has recognised is kept for the next call."""
        for job in self._at_work:
            self.transcriptions.cancel(job.transcription_id)

    def summarise(self) -> None:
        """A table on a terminal; elsewhere each recording had its line already. Then the sums, and how to go on."""
        if self.console.is_terminal:
            self._print_table()
        counts = Counter(report.outcome for report in self.reports)
        left = len(self._waiting) + len(self._at_work)
        sums = [f"{counts[outcome]} {outcome}" for outcome in Outcome] + ([f"{left} not finished"] if left else [])
        self._tell(", ".join(sums) + ".")
        if left or counts[Outcome.FAILED]:
            self._tell("The same command goes on from here: what is done is not done again.")

    # ── One look at all that goes on ─────────────────────────────────────────────────────────────────────

    def _step(self, progress: "Progress") -> float:
        """Take in what there is room for, look at what is at work. Returns how long to wait for the next."""
        is_full = False
        while self._waiting and len(self._at_work) < self.at_once and not is_full:
            is_full = not self._begin(self._waiting[0], progress)
            if not is_full:
                self._waiting.popleft()
        for job in list(self._at_work):
            self._look(job, progress)
        return WAIT_SECONDS if is_full and not self._at_work else LOOK_EVERY_SECONDS

    def _begin(self, order: Order, progress: "Progress") -> bool:
        """False: there is no room for it now. What is wrong with a recording is its own affair."""
        bar = progress.add_task(order.file.name, total=1.0, activity="taking in")
        progress.refresh()
        try:
            job = self._job(order, bar)
        except HansardError as error:
            progress.remove_task(bar)
            if error.failure.code in _FULL:
                return False
            if error.failure.code in _ENDS_THE_BATCH:
                raise
            self._report_failure(order, error)
            return True
        if job is None:
            progress.remove_task(bar)
            self._report(order, Outcome.SKIPPED, "it was done before")
        else:
            self._at_work.append(job)
        return True

    def _job(self, order: Order, bar: "TaskID") -> _Job | None:
        """None where all of it is there already."""
        require_recording(order.file)
        try:
            work = work_of(self.transcriptions.place, order.file, self.parameters)
        except OSError as error:
            raise InvalidAudio(f"It cannot be read: {error.strerror}.", code="unreadable_file") from error
        missing = [
            kind
            for kind, target in order.targets.items()
            if self.overwrite or not self.journal.has_written(work, target, self._manner(kind))
        ]
        if not missing:
            return None
        if not self.overwrite:
            _require_free([order.targets[kind] for kind in missing])
        transcription_id = self._resumed(work) or self._submitted(order.file, work)
        return _Job(order, work, missing, transcription_id, bar)

    def _resumed(self, work: str) -> UUID | None:
        """What an earlier call asked for, asked again for where it ended early; None where there is nothing (left)."""
        transcription_id = self.journal.transcription(work)
        standing = self._standing(transcription_id) if transcription_id else None
        if transcription_id is None or standing is None:
            return None
        if standing.status in {Status.FAILED, Status.CANCELLED}:
            self.transcriptions.retry(transcription_id)
        return transcription_id

    def _submitted(self, file: Path, work: str) -> UUID:
        try:
            # The key is for a call that was killed between the answer and the journal.
            key = self.journal.idempotency_key(work)
            transcription_id = self.transcriptions.submit(file, self.parameters, idempotency_key=key)
        except HansardError as error:
            if error.failure.code != "idempotency_key_spent":
                raise
            # What it had made was deleted, and is wanted again.
            transcription_id = self.transcriptions.submit(file, self.parameters)
        self.journal.note_transcription(work, transcription_id, recording=file.name)
        return transcription_id

    def _standing(self, transcription_id: UUID) -> "Standing | None":
        """None where it was deleted."""
        try:
            return self.transcriptions.standing(transcription_id)
        except HansardError as error:
            if error.failure.code == "not_found":
                return None
            raise

    def _look(self, job: _Job, progress: "Progress") -> None:
        standing = self._standing(job.transcription_id)
        if standing is not None and not standing.status.is_final:
            activity = standing.activity or standing.status
            progress.update(job.bar, completed=standing.progress, activity=activity, refresh=True)
            return
        try:
            self._settle(job, standing)
        except HansardError as error:
            if error.failure.code in _ENDS_THE_BATCH:
                raise
            self._report_failure(job.order, error)
        self._at_work.remove(job)
        progress.remove_task(job.bar)

    def _settle(self, job: _Job, standing: "Standing | None") -> None:
        if standing is None:
            raise HansardError("Its transcription was deleted.", code="not_found")
        if standing.status is not Status.COMPLETED:
            failure = standing.failure
            message, remedy = (failure.message, failure.help) if failure else ("It ended without a reason.", None)
            raise HansardError(message, code=failure.code if failure else None, help=remedy)
        refused: list[HansardError] = []
        for kind in job.missing:
            try:
                content = self.transcriptions.export(job.transcription_id, kind, self.manners[kind])
            except HansardError as error:
                if error.failure.code in _ENDS_THE_BATCH:
                    raise
                refused.append(error)
                continue
            write_whole(job.order.targets[kind], content)
            self.journal.note_written(job.work, job.order.targets[kind], self._manner(kind))
        if refused:
            raise refused[0]
        written = ", ".join(str(job.order.targets[kind]) for kind in job.missing)
        second_best = "".join(f"; second best: {reason}" for reason in standing.degraded_reasons)
        self._report(job.order, Outcome.DONE, f"{written}{second_best}")

    def _manner(self, format: str) -> str:
        return digest([format, asdict(self.manners[format])])

    # ── What the person sees, on the standard error stream ───────────────────────────────────────────────

    def _report_failure(self, order: Order, error: HansardError) -> None:
        self._report(order, Outcome.FAILED, f"{error.failure.message} {error.failure.help or ''}".rstrip())

    def _report(self, order: Order, outcome: Outcome, detail: str) -> None:
        self.reports.append(Report(order.file, outcome, detail))
        if not self.console.is_terminal:
            self._tell(f"{order.file}: {outcome}: {detail}")

    def _print_table(self) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table("Recording", "Outcome", "", box=None, pad_edge=False)
        colours = {Outcome.DONE: "green", Outcome.SKIPPED: "dim", Outcome.FAILED: "red"}
        for report in self.reports:
            if len(self.reports) <= LONGEST_TABLE or report.outcome is Outcome.FAILED:
                outcome = Text(report.outcome, colours[report.outcome])
                table.add_row(Text(str(report.file)), outcome, Text(report.detail))
        if table.row_count:
            self.console.print(table)

    def _tell(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


def write_whole(target: Path, content: bytes) -> None:
    """All of it, or nothing. Raises `InvalidRequest`."""
    unfinished = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    except OSError as error:
        raise InvalidRequest(f"{target} cannot be written: {error.strerror}.", code="output_not_written") from error


def _require_free(targets: Sequence[Path]) -> None:
    """Raises `InvalidRequest` rather than write over what somebody may have written there, or corrected."""
    for target in targets:
        if target.exists():
            raise InvalidRequest(
                f"{target} is there already, and is not what is asked for now.",
                code="output_exists",
                help="--overwrite writes it anew; --out with another directory keeps both.",
            )
