"""Is one benchmark worse than another, or is that chance? Each file is held against itself.

The files are a sample of all the recordings there might be, so they are what is drawn anew (a paired bootstrap): a
difference that a few of them make is not seen when those are left out. Intervals hold 95 %; with few files they are
widened as Student's t distribution is wider than the normal one ("expanded percentile": T. Hesterberg, What Teachers
Should Know About the Bootstrap, The American Statistician 69, 2015).

What slows down a whole run, other work on the machine above all, is the same for all its files, and no drawing of files
shows it. Two things do. The same fixed piece of work is timed beside each file, the yardstick; by how much that was
slower is the machine's drift. With much of it, times are not judged; with little, an interval of times reaches from
what was measured to what is left when the drift is taken out. And each side may be several runs: how much they differ
among themselves bounds what their difference from the other side means (Welch's t). Without `FEWEST_RUNS` on each side,
longer times are told, and are no regression.

A regression is what is worse by more than its threshold, at the better end of its interval.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import exp, log, sqrt
from statistics import NormalDist, fmean, variance
from typing import Self

from hansard.domain.benchmark import Benchmark, Hearing, by_file, median_of

RESAMPLES = 10_000
FEWEST_FILES = 6
"""Of fewer there are so few different draws that no interval of them means much."""

FEWEST_RUNS = 3
"""On each side, for times to count. Of 420 comparisons of single runs of one commit, on two cores that others used too,
11 would have been alarms: a run that was up to 1.5 times slower, beside a yardstick that was not."""

MOST_DRIFT = 1.25
"""Times of a machine that was slower by more than this tell nothing."""
FELT = 1.5
"""An engine feels what slows the yardstick, and may feel it by this much more. PocketSphinx, on two cores where others
had up to eight processes at work, felt 1.2 times of it, give or take a fifth."""
GRAIN = 0.01
"""Two processes of one commit differ by less than this in what they take of the machine, all files alike."""

_NORMAL = NormalDist()
_QUANTILE = _NORMAL.inv_cdf(0.975)

Pair = tuple[tuple[Hearing, ...], tuple[Hearing, ...]]
"""All rounds of a file, before and after."""

Draw = Callable[[Sequence[Sequence[float]], int], Sequence[Sequence[float]]]
"""The sums of the columns of as many rows as there are, drawn with replacement; that, so many times."""


class Metric(StrEnum):
    WER = "wer"
    CER = "cer"
    DER = "der"
    FAILED = "failed"
    COVERAGE = "coverage"
    RTF = "rtf"
    LATENCY = "latency"
    MEMORY = "memory"


class Finding(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no difference seen"
    NOT_JUDGED = "not judged"


DEFAULT_THRESHOLDS: Mapping[Metric, float] = {
    Metric.WER: 0.02,
    Metric.CER: 0.02,
    Metric.DER: 0.05,
    Metric.FAILED: 0.0,
    Metric.COVERAGE: 0.01,
    Metric.RTF: 0.2,
    Metric.LATENCY: 0.2,
    Metric.MEMORY: 0.1,
}
"""What may be lost without anybody's being told: as a part of what it was, but of all files and of all speech for the
failed ones and for coverage.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`change` lies between `low` and `high`: a difference where the metric is a share, else a part of what it was
    (0.1: a tenth more). `limit` is the threshold in the same measure. `reason` says why nothing is judged, or why
    what is worse does not count.
    """

    metric: Metric
    finding: Finding
    files: int = 0
    before: float | None = None
    after: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    is_regression: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`left_out` are files that only one of the two has. `drift` is by how much the machine itself was slower."""

    verdicts: tuple[Verdict, ...]
    left_out: tuple[str, ...]
    drift: float | None

    @property
    def regressions(self) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts if verdict.is_regression)


@dataclass(frozen=True, slots=True)
class _Share:
    """A part of a whole, each summed over all files. `part_of` gives both for a hearing; None where it has neither."""

    metric: Metric
    part_of: Callable[[Hearing], tuple[float, float] | None]
    threshold_is_absolute: bool = False
    more_is_better: bool = False


@dataclass(frozen=True, slots=True)
class _Amount:
    """A quantity of the machine, by its ratio: the geometric mean over the files."""

    metric: Metric
    of: Callable[[Hearing], float | None]
    is_time: bool = True


_METRICS: tuple[_Share | _Amount, ...] = (
    _Share(Metric.WER, lambda each: (each.text.word_errors, each.text.words) if each.text else None),
    _Share(Metric.CER, lambda each: (each.text.character_errors, each.text.characters) if each.text else None),
    _Share(
        Metric.DER,
        lambda each: (each.speakers.error_seconds, each.speakers.speaker_seconds) if each.speakers else None,
    ),
    _Share(Metric.FAILED, lambda each: (float(each.failed), 1.0), threshold_is_absolute=True),
    _Share(
        Metric.COVERAGE,
        lambda each: (each.transcribed_seconds or 0.0, each.speech_seconds) if each.speech_seconds else None,
        threshold_is_absolute=True,
        more_is_better=True,
    ),
    _Amount(Metric.RTF, lambda each: each.real_time_factor),
    _Amount(Metric.LATENCY, lambda each: each.latency_seconds),
    _Amount(Metric.MEMORY, lambda each: each.peak_memory_bytes, is_time=False),
)


@dataclass(frozen=True, slots=True)
class Side:
    """Several runs of one thing. As a `whole` they are one, whose rounds are all of theirs, known by the last one."""

    runs: Sequence[Benchmark]
    whole: Benchmark

    @classmethod
    def of(cls, runs: Sequence[Benchmark]) -> Self:
        return cls(runs, replace(runs[-1], hearings=tuple(hearing for run in runs for hearing in run.hearings)))


def unlike(runs: Sequence[Benchmark]) -> Iterator[str]:
    """Why they are not runs of one thing, a sentence each."""
    first = runs[0].run
    for other in (each.run for each in runs[1:]):
        if (first.commit, first.version) != (other.commit, other.version):
            yield f"Runs of one side are of different commits: {first.commit} and {other.commit}."
        if first.machine.id != other.machine.id:
            yield "Runs of one side are of different machines."
        if different := _differences(first.settings, other.settings):
            yield f"Settings of runs of one side differ: {', '.join(different)}."
    if len({each.run.id for each in runs}) < len(runs):
        yield "A run is named twice on one side."


def obstacles(before: Benchmark, after: Benchmark, *, across_settings: bool = False) -> Iterator[str]:
    """Why the two cannot be compared at all, a sentence each."""
    for which, benchmark in (("first", before), ("second", after)):
        if benchmark.run.ended_at is None:
            yield f"The {which} run did not come to its end."
    files_before, files_after = by_file(before.hearings), by_file(after.hearings)
    common = files_before.keys() & files_after.keys()
    changed = sorted(file for file in common if files_before[file][0].digest != files_after[file][0].digest)
    if changed:
        yield f"Files are not what they were, or what is known of them is not: {_some(changed)}."
    if len(common) < FEWEST_FILES:
        yield f"Of {FEWEST_FILES} files that are needed at least, they have {len(common) or 'none'} in common."
    different = _differences(before.run.settings, after.run.settings)
    if different and not across_settings:
        yield f"Their settings differ: {', '.join(different)}. Where that is the question, say --across-settings."


def compare(
    side_before: Side,
    side_after: Side,
    draw: Draw,
    *,
    thresholds: Mapping[Metric, float] = DEFAULT_THRESHOLDS,
) -> Comparison:
    """A verdict on each metric. There must be nothing `unlike` on a side, and no `obstacles` between the two."""
    before, after = side_before.whole, side_after.whole
    files_before, files_after = by_file(before.hearings), by_file(after.hearings)
    common = sorted(files_before.keys() & files_after.keys())
    pairs = [(files_before[file], files_after[file]) for file in common]
    drift = _drift(before.hearings, after.hearings)
    scored_alike = before.run.scoring == after.run.scoring
    alike = before.run.machine.id == after.run.machine.id

    def verdict(metric: _Share | _Amount) -> Verdict:
        threshold = thresholds.get(metric.metric, DEFAULT_THRESHOLDS[metric.metric])
        if isinstance(metric, _Amount):
            if not alike:
                return _not_judged(metric.metric, "the machines differ")
            if metric.is_time and drift and not 1 / MOST_DRIFT <= drift <= MOST_DRIFT:
                return _not_judged(metric.metric, "the machine itself was too much slower in one of them")
            found = _amount_verdict(metric, pairs, threshold, drift if metric.is_time else None, draw)
            return _among_runs(found, metric, side_before.runs, side_after.runs, common) if metric.is_time else found
        if not scored_alike and metric.metric in {Metric.WER, Metric.CER, Metric.DER}:
            return _not_judged(metric.metric, "errors were counted in another way")
        return _share_verdict(metric, pairs, threshold, draw)

    return Comparison(
        verdicts=tuple(verdict(metric) for metric in _METRICS),
        left_out=tuple(sorted(files_before.keys() ^ files_after.keys())),
        drift=drift if alike else None,
    )


def _share_verdict(metric: _Share, pairs: Sequence[Pair], threshold: float, draw: Draw) -> Verdict:
    rows = [
        (*was, *now)
        for before, after in pairs
        if (was := _mean_part(before, metric.part_of)) and (now := _mean_part(after, metric.part_of))
    ]
    if too_few := _too_few(metric.metric, len(rows)):
        return too_few

    was, whole_was, now, whole_now = map(sum, zip(*rows, strict=True))
    before, after = _part(was, whole_was), _part(now, whole_now)
    low, high = _interval(
        (_part(now, whole_now) - _part(was, whole_was) for was, whole_was, now, whole_now in draw(rows, RESAMPLES)),
        len(rows),
    )
    limit = threshold if metric.threshold_is_absolute else threshold * before
    return _judged(
        Verdict(
            metric=metric.metric,
            finding=Finding.NO_DIFFERENCE,
            files=len(rows),
            before=before,
            after=after,
            change=after - before,
            low=low,
            high=high,
            limit=-limit if metric.more_is_better else limit,
        ),
        worse_by=(-high, -low) if metric.more_is_better else (low, high),
    )


def _amount_verdict(
    metric: _Amount, pairs: Sequence[Pair], threshold: float, drift: float | None, draw: Draw
) -> Verdict:
    medians = [
        (was, now)
        for before, after in pairs
        if (was := median_of(before, metric.of)) and (now := median_of(after, metric.of))
    ]
    if too_few := _too_few(metric.metric, len(medians)):
        return too_few
    ratios = [log(now / was) for was, now in medians]
    drawn = draw([[ratio] for ratio in ratios], RESAMPLES)
    low, high = _interval((total / len(ratios) for (total,) in drawn), len(ratios))
    part_of_machine = FELT * log(drift) if drift else 0.0
    low, high = min(low, low - part_of_machine), max(high, high - part_of_machine)
    return _judged(
        Verdict(
            metric=metric.metric,
            finding=Finding.NO_DIFFERENCE,
            files=len(medians),
            before=exp(fmean(log(was) for was, _ in medians)),
            after=exp(fmean(log(now) for _, now in medians)),
            change=exp(fmean(ratios)) - 1,
            low=exp(low) - 1,
            high=exp(high) - 1,
            limit=threshold,
        ),
        worse_by=(exp(low) - 1, exp(high) - 1),
        grain=GRAIN,
    )


def _among_runs(
    verdict: Verdict,
    metric: _Amount,
    before: Sequence[Benchmark],
    after: Sequence[Benchmark],
    files: Sequence[str],
) -> Verdict:
    """The verdict on times with an interval no narrower than the runs' own differences allow."""
    if verdict.low is None or verdict.high is None:
        return verdict
    if min(len(before), len(after)) < FEWEST_RUNS:
        reason = f"times count with {FEWEST_RUNS} runs on each side, taken in turns"
        return replace(verdict, is_regression=False, reason=reason)
    was, now = ([_mean_log(run, metric, files) for run in runs] for runs in (before, after))
    difference, half = fmean(now) - fmean(was), _welch(was, now)
    low = min(verdict.low, exp(difference - half) - 1)
    high = max(verdict.high, exp(difference + half) - 1)
    return _judged(replace(verdict, low=low, high=high), worse_by=(low, high), grain=GRAIN)


def _mean_log(run: Benchmark, metric: _Amount, files: Sequence[str]) -> float:
    hearings = by_file(run.hearings)
    medians = (median_of(hearings.get(file, ()), metric.of) for file in files)
    return fmean(log(measured) for measured in medians if measured)


def _welch(was: Sequence[float], now: Sequence[float]) -> float:
    """Half the 95 % interval of the difference of two means (B. L. Welch, 1947)."""
    one, other = variance(was) / len(was), variance(now) / len(now)
    if not one + other:
        return 0.0
    freedom = (one + other) ** 2 / (one**2 / (len(was) - 1) + other**2 / (len(now) - 1))
    return _student_of_few(int(freedom)) * sqrt(one + other)


def _judged(verdict: Verdict, *, worse_by: tuple[float, float], grain: float = 0.0) -> Verdict:
    low, high = worse_by
    finding = Finding.WORSE if low > grain else Finding.BETTER if high < -grain else Finding.NO_DIFFERENCE
    is_regression = finding is Finding.WORSE and low > abs(verdict.limit or 0.0)
    return replace(verdict, finding=finding, is_regression=is_regression)


def _not_judged(metric: Metric, reason: str) -> Verdict:
    return Verdict(metric=metric, finding=Finding.NOT_JUDGED, reason=reason)


def _too_few(metric: Metric, files: int) -> Verdict | None:
    if files >= FEWEST_FILES:
        return None
    if not files:
        return _not_judged(metric, "not measured in both")
    return _not_judged(metric, f"measured in both for {files} only, {FEWEST_FILES} files at least are needed")


def _mean_part(
    hearings: Sequence[Hearing], part_of: Callable[[Hearing], tuple[float, float] | None]
) -> tuple[float, float] | None:
    """Over the rounds, so that a benchmark of three counts no more than one of one."""
    parts = [part for hearing in hearings if (part := part_of(hearing))]
    return (fmean(part for part, _ in parts), fmean(whole for _, whole in parts)) if parts else None


def _part(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _interval(drawn: Iterable[float], files: int) -> tuple[float, float]:
    """What holds the true value, were it measured on all recordings there might be, in 95 of 100 cases."""
    ordered = sorted(drawn)
    tail = _NORMAL.cdf(-sqrt(files / (files - 1)) * _student(files - 1))
    first = int(tail * len(ordered))
    return ordered[first], ordered[-1 - first]


def _student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, to 0.003 from five degrees of freedom on (Abramowitz and Stegun, 26.7.5)."""
    x = _QUANTILE
    return (
        x
        + (x**3 + x) / (4 * freedom)
        + (5 * x**5 + 16 * x**3 + 3 * x) / (96 * freedom**2)
        + (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / (384 * freedom**3)
    )


def _student_of_few(freedom: int) -> float:
    """The same, exact where the series is not."""
    return {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}.get(freedom) or _student(freedom)


def _drift(before: Sequence[Hearing], after: Sequence[Hearing]) -> float | None:
    was = [hearing.yardstick_seconds for hearing in before if hearing.yardstick_seconds]
    now = [hearing.yardstick_seconds for hearing in after if hearing.yardstick_seconds]
    return fmean(now) / fmean(was) if was and now else None


def _differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    names = sorted(before.keys() | after.keys())
    return [f"{name} {before.get(name)} and {after.get(name)}" for name in names if before.get(name) != after.get(name)]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
