"""How many voices there are, and which of them each window is.

Agglomerative clustering by average linkage: the two groups that are most alike on average are joined, again and
again. A group of unit vectors is kept as their sum and number, from which its likeness to any other is exact, so that
windows of a long recording can be joined to small groups first, a stretch at a time: memory does not grow with the
square of the length.

Where the number of speakers is known, the groups that are large enough have the seats, as in pyannote.audio; but none
is cut in two of one voice for a seat that a smaller group can have, as in Kaldi, whose groups may be of any size.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_LIKENESS = 0.35
"""Average cosine below which two groups are two speakers. A compromise: meetings are told apart best from 0.25 to 0.35,
voices on the telephone from 0.4 to 0.5 (docs/benchmarks.md, “Who speaks”)."""

ONE_VOICE_LIKENESS = 0.45
"""Average cosine from which two groups are one voice for sure: of four recordings of one voice, none is taken for two
where `LEAST_LIKENESS` is below 0.5. From 0.3 to 0.5 the errors in all of 27 recordings and mixtures were the same."""

MOST_GROUPS = 2048
"""What is compared at once: a matrix of 16 MB."""

STRETCH_WINDOWS = 512
STRETCH_GROUPS = 64
"""Where there are more, each stretch of so many is joined to so many groups first."""

LEAST_SHARE = 0.02
LEAST_WINDOWS = 3
"""A group below either is no speaker, but noise, laughter or two voices at once."""

ROUNDS = 3
"""In which each window goes to the voice that it is most like, and the voices become the mean of their windows."""

_Floats = NDArray[np.float32]
_Numbers = NDArray[np.intp]


def voices(
    embeddings: _Floats,
    *,
    least: int | None = None,
    most: int | None = None,
    least_likeness: float = LEAST_LIKENESS,
) -> _Numbers:
    """For each of n unit vectors, the number of its voice, from 0. Bounds hold as far as there are enough windows."""
    if not len(embeddings):
        return np.zeros(0, np.intp)
    groups = _Groups(embeddings, np.ones(len(embeddings), np.float32), np.arange(len(embeddings)))
    while len(groups.sums) > MOST_GROUPS:
        groups = _condensed(groups)
    merges = list(_merges(groups.sums, groups.counts, 1))
    cut = _cut(groups.counts, merges, least or 1, most, least_likeness)
    labels = _joined(len(groups.sums), merges[:cut])[groups.labels]
    return _settled(embeddings, labels, least or 1)


@dataclass(frozen=True, slots=True)
class _Groups:
    """`labels` says in which group each window is."""

    sums: _Floats
    counts: _Floats
    labels: _Numbers


@dataclass(frozen=True, slots=True)
class _Merge:
    """Group `gone` becomes part of group `into`."""

    into: int
    gone: int
    likeness: float


def _condensed(groups: _Groups) -> _Groups:
    numbers = np.empty(len(groups.sums), np.intp)
    total = 0
    for start in range(0, len(groups.sums), STRETCH_WINDOWS):
        stretch = slice(start, start + STRETCH_WINDOWS)
        sums, counts = groups.sums[stretch], groups.counts[stretch]
        joined = _joined(len(sums), list(_merges(sums, counts, STRETCH_GROUPS)))
        numbers[stretch] = joined + total
        total += joined.max() + 1
    return _Groups(_summed(groups.sums, numbers, total), _summed(groups.counts, numbers, total), numbers[groups.labels])


def _summed(values: _Floats, numbers: _Numbers, total: int) -> _Floats:
    sums = np.zeros((total, *values.shape[1:]), np.float32)
    np.add.at(sums, numbers, values)
    return sums


def _merges(sums: _Floats, counts: _Floats, groups: int) -> Iterator[_Merge]:
    """In order, until so many `groups` are left. Each row of likeness keeps in mind where its best is."""
    counts = counts.copy()
    likeness = (sums @ sums.T) / np.outer(counts, counts)
    np.fill_diagonal(likeness, -np.inf)
    best = likeness.argmax(axis=1)
    rows = np.arange(len(sums))
    for _ in range(len(sums) - groups):
        into = int(likeness[rows, best].argmax())
        gone = int(best[into])
        yield _Merge(into, gone, float(likeness[into, gone]))
        weights = counts[[into, gone]] / (counts[into] + counts[gone])
        counts[into] += counts[gone]
        merged = weights @ likeness[[into, gone]]
        merged[[into, gone]] = -np.inf
        likeness[into], likeness[:, into] = merged, merged
        likeness[gone], likeness[:, gone] = -np.inf, -np.inf
        stale = np.flatnonzero((best == into) | (best == gone))
        best[stale] = likeness[stale].argmax(axis=1)
        best[into] = merged.argmax()
        better = merged > likeness[rows, best]
        best[better] = into


def _cut(counts: _Floats, merges: list[_Merge], least: int, most: int | None, least_likeness: float) -> int:
    """How many of the merges to make: as long as the groups are alike, within the bounds."""
    speakers = _speakers(counts, merges)
    alike = next(
        (
            made
            for made, merge in enumerate(merges)
            if merge.likeness < least_likeness and 1 <= speakers[made] <= (most or len(counts))
        ),
        len(merges),
    )
    if speakers[alike] >= least:
        return alike
    seated = next((made for made in range(alike - 1, -1, -1) if speakers[made] >= least), None)
    if seated is None or merges[seated].likeness >= ONE_VOICE_LIKENESS:
        return max(0, min(alike, len(counts) - least))
    return seated


def _speakers(counts: _Floats, merges: list[_Merge]) -> list[int]:
    """How many groups are large enough for a speaker, before the first merge and after each."""
    sizes, enough = counts.copy(), _enough(float(counts.sum()))
    speakers = [int((sizes >= enough).sum())]
    for merge in merges:
        before = int(sizes[merge.into] >= enough) + int(sizes[merge.gone] >= enough)
        sizes[merge.into] += sizes[merge.gone]
        speakers.append(speakers[-1] - before + int(sizes[merge.into] >= enough))
    return speakers


def _enough(windows: float) -> float:
    return max(LEAST_WINDOWS, LEAST_SHARE * windows)


def _joined(groups: int, merges: list[_Merge]) -> _Numbers:
    """Each group's number after the merges, from 0 without holes."""
    parents = np.arange(groups)
    for merge in merges:
        parents[merge.gone] = merge.into
    while (parents[parents] != parents).any():
        parents = parents[parents]
    return np.unique(parents, return_inverse=True)[1]


def _settled(embeddings: _Floats, labels: _Numbers, least: int) -> _Numbers:
    """Without groups that are too small to be a speaker, and every window with the voice that it is most like."""
    sizes = np.bincount(labels)
    by_size = np.argsort(-sizes, kind="stable")
    kept = max(least, int((sizes >= _enough(len(labels))).sum()), 1)
    centres = np.stack([embeddings[labels == number].sum(axis=0) for number in by_size[:kept]])
    for _ in range(ROUNDS):
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        labels = (embeddings @ centres.T).argmax(axis=1)
        present = np.unique(labels)
        centres = np.stack([embeddings[labels == number].sum(axis=0) for number in present])
    return np.unique(labels, return_inverse=True)[1]
