"""Whether there is room on the disk for what is to come in: asked before it comes, not when it is too late."""

from collections.abc import Callable
from dataclasses import dataclass

from hansard.domain.errors import DiskScarce


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRoom:
    """`reserve_bytes` must stay free, for the database above all."""

    free_bytes: Callable[[], int]
    reserve_bytes: int

    def require(self, size_bytes: int) -> None:
        """Raises `DiskScarce` unless so many bytes more fit in."""
        if self.free_bytes() - size_bytes < self.reserve_bytes:
            raise DiskScarce(
                f"There is no room on the disk for another {size_bytes:,} bytes.",
                help="Make room in HANSARD_DATA_DIR, or try again later. GET /health tells how much is left.",
            )
