"""What two versions of a sequence have in common, in order, quickly enough for the words of a whole day.

Items that each version has once are anchors, as in Bram Cohen's "patience diff"; between two anchors the same is done
again. In the text a person corrected, what is left lies in small gaps, where every way of pairing can be weighed.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import pairwise

Pair = tuple[int, int]
"""A place in the version before, and the place of the same item in the version after."""

_DEEPEST = 12
"""Gaps within gaps beyond this are left alone: only sequences made up for it go so deep."""

_MOST_PAIRS = 1024
"""The largest gap, in pairs of words, in which every way of pairing is weighed."""

_LEAST_LIKENESS = 0.5
"""Two words are the same, corrected, when half of the longer one is in both, from its beginning and its end."""

_SILENT = re.compile(r"[\W_]+")


def anchored(before: Sequence[Hashable], after: Sequence[Hashable]) -> list[Pair]:
    """Pairs of equal items, in order in both versions. Takes n · log n for n items."""
    pairs: list[Pair] = []
    todo = [(range(len(before)), range(len(after)), 0)]
    while todo:
        old, new, depth = todo.pop()
        start = _same(before, old, after, new)
        pairs += zip(old[:start], new[:start], strict=True)
        old, new = old[start:], new[start:]
        end = _same(before, old[::-1], after, new[::-1])
        pairs += zip(old[len(old) - end :], new[len(new) - end :], strict=True)
        old, new = old[: len(old) - end], new[: len(new) - end]
        anchors = _in_order(_unique_pairs(before, old, after, new)) if old and new and depth < _DEEPEST else []
        if anchors:
            pairs += anchors
            todo += [(*gap, depth + 1) for gap in _between(anchors, old, new)]
    return sorted(pairs)


def matching_words(before: Sequence[str], after: Sequence[str]) -> list[Pair]:
    """Pairs of words: as they were; in between, but for case and punctuation; in small gaps, the most alike."""
    old, new = [spoken(text) for text in before], [spoken(text) for text in after]

    def likeness(i: int, j: int) -> float:
        if before[i] == after[j]:
            return 1.0
        return 0.95 if old[i] == new[j] else 0.9 * _likeness(old[i], new[j])

    pairs = anchored(before, after)
    for i, j in list(gaps(pairs, len(old), len(new))):
        if len(i) * len(j) > _MOST_PAIRS:
            within = anchored(old[i.start : i.stop], new[j.start : j.stop])
            pairs += [(i.start + a, j.start + b) for a, b in within]
    pairs.sort()
    for i, j in list(gaps(pairs, len(old), len(new))):
        if 0 < len(i) * len(j) <= _MOST_PAIRS:
            pairs += _most_alike(i, j, likeness)
    return sorted(pairs)


def same_from_the_start(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """How many items are equal, one by one, until the first that is not."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def spoken(text: str) -> str:
    """Without case and punctuation, unless it is nothing else."""
    return _SILENT.sub("", text.casefold()) or text


def gaps(pairs: Sequence[Pair], before: int, after: int) -> Iterator[tuple[range, range]]:
    """What lies unpaired between pairs, on at least one side. `before` and `after` are the versions' lengths."""
    return (gap for gap in _between(pairs, range(before), range(after)) if gap[0] or gap[1])


def _same(before: Sequence[Hashable], old: range, after: Sequence[Hashable], new: range) -> int:
    """How many items are equal, one by one, from the start of both."""
    count = 0
    for i, j in zip(old, new, strict=False):
        if before[i] != after[j]:
            break
        count += 1
    return count


def _unique_pairs(before: Sequence[Hashable], old: range, after: Sequence[Hashable], new: range) -> list[Pair]:
    """The items that both sides have exactly once, in the order of the old one."""
    in_old, in_new = Counter(before[i] for i in old), Counter(after[j] for j in new)
    places = {after[j]: j for j in new if in_new[after[j]] == 1}
    return [(i, places[before[i]]) for i in old if in_old[before[i]] == 1 and before[i] in places]


def _in_order(pairs: Sequence[Pair]) -> list[Pair]:
    """The longest part of the pairs whose new places rise too: those of items that were moved are left out."""
    ends: list[int] = []
    places: list[int] = []
    previous: list[int | None] = []
    for number, (_, place) in enumerate(pairs):
        length = bisect_left(ends, place)
        previous.append(places[length - 1] if length else None)
        if length == len(ends):
            ends.append(place)
            places.append(number)
        else:
            ends[length], places[length] = place, number
    chain: list[Pair] = []
    number = places[-1] if places else None
    while number is not None:
        chain.append(pairs[number])
        number = previous[number]
    return chain[::-1]


def _between(pairs: Sequence[Pair], old: range, new: range) -> Iterator[tuple[range, range]]:
    edges = [(old.start - 1, new.start - 1), *pairs, (old.stop, new.stop)]
    return ((range(i + 1, k), range(j + 1, m)) for (i, j), (k, m) in pairwise(edges))


def _likeness(one: str, other: str) -> float:
    """The part of the longer one that is in both, from its beginning and its end; 0 where that is too little."""
    shorter, longer = sorted((one, other), key=len)
    ahead = same_from_the_start(shorter, longer)
    behind = min(same_from_the_start(shorter[::-1], longer[::-1]), len(shorter) - ahead)
    part = (ahead + behind) / len(longer)
    return part if part >= _LEAST_LIKENESS else 0.0


def _most_alike(old: range, new: range, likeness: Callable[[int, int], float]) -> list[Pair]:
    """The pairs, in order, whose `likeness` (0: no pair at all) sums up to the most. Takes len(old) · len(new)."""
    best = [[0.0] * (len(new) + 1) for _ in range(len(old) + 1)]
    alike = [[likeness(i, j) for j in new] for i in old]
    for i in range(len(old) - 1, -1, -1):
        for j in range(len(new) - 1, -1, -1):
            paired = best[i + 1][j + 1] + alike[i][j] if alike[i][j] else 0.0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    pairs: list[Pair] = []
    i = j = 0
    while i < len(old) and j < len(new):
        if alike[i][j] and best[i][j] == best[i + 1][j + 1] + alike[i][j]:
            pairs.append((old[i], new[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs
