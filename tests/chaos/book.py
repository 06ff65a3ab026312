"""What clients were promised, and what they did with it: the book that the service is held to in the end."""

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.orders import Order


@dataclass
class Promise:
    """A transcription that a client was told is kept. `cancelled` and `deleted` are promises, too: as last answered."""

    id: str
    audio_id: str
    order: Order
    cancel_asked: bool = False
    cancelled: bool = False
    deleted: bool = False
    audio_deleted: bool = False


@dataclass
class Book:
    """`lies` are answers that could be seen to be wrong when they were given."""

    promises: list[Promise] = field(default_factory=list)
    lies: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    """What clients did."""
    answers: Counter[str] = field(default_factory=Counter)
    """What they got for it."""
