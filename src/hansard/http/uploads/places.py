"""How many recordings may come in at once, over whichever way: memory, disk and threads are for all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.to_thread

from hansard.domain.errors import UploadsBusy

T = TypeVar("T")


class UploadPlaces:
    """Of one process. Only its event loop takes places and leaves them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        # Threads of their own: a slow download must not keep those waiting that answer requests.
        self._threads = anyio.CapacityLimiter(most)

    def take(self) -> "Place":
        """Raises `UploadsBusy` where there is none left."""
        if self._taken >= self._most:
            raise UploadsBusy(
                f"{self._most} recordings are coming in at this moment, which are as many as are taken at once.",
                help="Send it again after Retry-After; or raise HANSARD_MAX_CONCURRENT_UPLOADS.",
            )
        self._taken += 1
        return Place(self)

    async def during(self, work: Callable[[], T]) -> T:
        """Do it in a thread, in a place. Raises `UploadsBusy`."""
        place = self.take()
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._threads)
        finally:
            place.leave()

    def give_back(self) -> None:
        self._taken -= 1


@dataclass(slots=True)
class Place:
    """Can be left more than once."""

    _places: UploadPlaces
    _is_left: bool = False

    def leave(self) -> None:
        if not self._is_left:
            self._is_left = True
            self._places.give_back()
