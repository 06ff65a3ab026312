"""Whether the audit trail is what was written."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from hansard.application.ports.records import UnitOfWork
from hansard.domain.audit import Head, Verdict, verified
from hansard.timing.decorators import time_it


@dataclass(frozen=True, slots=True)
class VerifyAudit:
    """Reads all of it, as it stands when this is called; memory does not grow with it."""

    unit_of_work: Callable[[], UnitOfWork]

    @time_it
    def __call__(self, kept: Head | None = None) -> Verdict:
        with self.unit_of_work() as uow, closing(uow.events.walk()) as entries:
            return verified(entries, kept=kept)
