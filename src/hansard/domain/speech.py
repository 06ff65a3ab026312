"""Where the speech is, and how it is cut into passages that an engine takes in one go.

Only speech is recognised, a passage at a time, and each finished passage is kept. What is still to do is
therefore always *speech minus finished passages*, whoever asks and however the last worker died.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil

SHORTEST_SPAN_SECONDS = 0.05
"""Left-overs shorter than this hold no word: the shortest English phones take about 50 ms."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of a recording, in seconds from its start; `end_seconds` is exclusive."""

    start_seconds: float
    end_seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.start_seconds <= self.end_seconds:
            raise ValueError(f"not a span of time: {self.start_seconds} to {self.end_seconds}")

    @property
    def seconds(self) -> float:
        return self.end_seconds - self.start_seconds


@dataclass(frozen=True, slots=True)
class Speech:
    """What voice activity detection found: ordered regions that don't overlap.

    `audio_seconds` is the recording's length. With `channels` above 1, they were heard apart: laid end to end, in a
    time of their own that `domain.channels` folds back.
    """

    audio_seconds: float
    regions: tuple[Span, ...]
    channels: int = 1

    @property
    def seconds(self) -> float:
        return sum(region.seconds for region in self.regions)


@dataclass(frozen=True, slots=True)
class PassageLimits:
    """What an engine takes in one go: at most `seconds`, with no pause longer than `pause_seconds` inside."""

    seconds: float
    pause_seconds: float


def remaining(regions: Iterable[Span], done: Iterable[Span]) -> Iterator[Span]:
    """The parts of `regions` that no span of `done` covers, in order."""
    finished = sorted(done)
    starts = [span.start_seconds for span in finished]
    reached = list(accumulate((span.end_seconds for span in finished), max))
    for region in regions:
        start = region.start_seconds
        for span in finished[bisect_right(reached, start) : bisect_left(starts, region.end_seconds)]:
            if span.end_seconds <= start:
                continue
            if span.start_seconds - start >= SHORTEST_SPAN_SECONDS:
                yield Span(start, span.start_seconds)
            start = span.end_seconds
        if region.end_seconds - start >= SHORTEST_SPAN_SECONDS:
            yield Span(start, region.end_seconds)


def plan_passages(regions: Iterable[Span], limits: PassageLimits) -> Iterator[Span]:
    """Join neighbouring regions into passages within `limits`; cut a region that alone exceeds them evenly."""
    passage: Span | None = None
    for region in _cut(regions, limits.seconds):
        if passage is None:
            passage = region
        elif (
            region.end_seconds - passage.start_seconds <= limits.seconds
            and region.start_seconds - passage.end_seconds <= limits.pause_seconds
        ):
            passage = Span(passage.start_seconds, region.end_seconds)
        else:
            yield passage
            passage = region
    if passage is not None:
        yield passage


def _cut(regions: Iterable[Span], limit_seconds: float) -> Iterator[Span]:
    for region in regions:
        pieces = max(1, ceil(region.seconds / limit_seconds))
        edges = [region.start_seconds + region.seconds * i / pieces for i in range(pieces)]
        edges.append(region.end_seconds)
        for start, end in pairwise(edges):
            yield Span(start, end)
