"""Bytes in the store that no recording has: whoever stored them was killed before their row was committed.

They go only when a person says so. After a database was restored from an older backup, or where two services keep their
recordings in one place, what somebody needs looks just the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from hansard.application.erase import remove_unused_bytes
from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.storage import AudioStore
from hansard.domain.audio import StoredObject

GRACE = timedelta(days=1)
"""Bytes are stored before their row: what is younger may be on its way in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphans:
    """Raises `StorageError`."""

    unit_of_work: Callable[[], UnitOfWork]
    store: AudioStore
    clock: Clock

    def find(self) -> Iterator[StoredObject]:
        """All objects of the store are looked at, one after the other."""
        for stored in self.store.stored(before=self.clock() - GRACE):
            with self.unit_of_work() as uow:
                is_used = uow.audio.uses_bytes(stored)
            if not is_used:
                yield stored

    def remove(self, stored: StoredObject) -> bool:
        """Whether it was removed: a recording may have come to have it since."""
        with self.unit_of_work() as uow:
            return remove_unused_bytes(uow, self.store, stored)
