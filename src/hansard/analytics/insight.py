"""What the numbers mean: what got slower, and which engine is worth its money."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hansard.application.ports.analytics import EngineReport, GotSlower

Row = Mapping[str, Any]

_OF_ALL = {"queue_seconds": "queue", "preparing_seconds": "preparing", "total_seconds": "total"}
_OF_AN_ENGINE = {"real_time_factor": "recognising"}

LEAST_MEASURES = 100
"""In each of two periods that are held against each other. With so many, the 40th and the 60th percentile enclose the
middle that would come of ever more of them in at least 19 of 20 cases: the number of those below it is binomial, and
1.96 · √(100 · ½ · ½) is 9.8."""

LEAST_RATIO = 1.1
"""A difference may be beyond chance and still too small to care about."""

LEAST_COMPLETED = 30
"""Transcriptions of an engine, before its share of anything means something."""

_TOLERANCE = 0.005
"""Shares that differ by less are the same."""
_CLEARLY = 0.9
"""Of two prices or times, one is clearly better below this part of the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Middle:
    """The median of `count` measures, between what it might be but for chance."""

    count: int
    low: float
    median: float
    high: float


_Thing = tuple[str, str | None, str | None]
"""What was measured; of an engine and a model, or of all."""


def slower(*, now: Iterable[Row], before: Iterable[Row]) -> tuple[GotSlower, ...]:
    """From the percentiles of both, in rows of all or of an engine and its model; the worst first."""
    middles_before = dict(_middles(before))
    found = [
        GotSlower(
            what=thing[0],
            engine=thing[1],
            model=thing[2],
            p50=middle.median,
            p50_before=earlier.median,
            ratio=middle.median / earlier.median,
            count=middle.count,
            count_before=earlier.count,
        )
        for thing, middle in _middles(now)
        if (earlier := middles_before.get(thing)) is not None and _is_slower(middle, earlier)
    ]
    return tuple(sorted(found, key=lambda each: each.ratio, reverse=True))


def _middles(rows: Iterable[Row]) -> Iterator[tuple[_Thing, _Middle]]:
    """Of what has enough measures."""
    for row in rows:
        for name, what in (_OF_AN_ENGINE if "engine" in row else _OF_ALL).items():
            count = row[f"{name}_count"]
            if count >= LEAST_MEASURES:
                median, *_, low, high = row[name]
                thing = (what, row.get("engine"), row.get("model"))
                yield thing, _Middle(count=count, low=low, median=median, high=high)


def _is_slower(now: _Middle, before: _Middle) -> bool:
    return now.low > before.high and before.median > 0 and now.median >= LEAST_RATIO * before.median


def judged(reports: Sequence[EngineReport]) -> tuple[EngineReport, ...]:
    """Each with the one that beats it, the cheapest of several. Those with too few transcriptions are not judged."""
    known = [report for report in reports if _is_known(report)]
    return tuple(
        replace(report, beaten_by=_name(min(better, key=_cost)))
        if report in known and (better := [other for other in known if _beats(other, report)])
        else report
        for report in reports
    )


def _is_known(report: EngineReport) -> bool:
    measures = (report.cost_per_audio_hour, report.coverage, report.failure_rate, report.real_time_factor.p50)
    return report.completed >= LEAST_COMPLETED and None not in measures


def _beats(one: EngineReport, other: EngineReport) -> bool:
    """A degraded transcript is second best, whatever it costs."""
    prices, speeds = (_cost(one), _cost(other)), (one.real_time_factor.p50 or 0.0, other.real_time_factor.p50 or 0.0)
    flaws = [
        (1 - (one.coverage or 0.0), 1 - (other.coverage or 0.0)),
        (one.failure_rate or 0.0, other.failure_rate or 0.0),
        (one.degraded_share or 0.0, other.degraded_share or 0.0),
    ]
    is_never_worse = all(mine <= theirs for mine, theirs in (prices, speeds)) and all(
        mine <= theirs + _TOLERANCE for mine, theirs in flaws
    )
    is_clearly_better = any(mine < theirs * _CLEARLY for mine, theirs in (prices, speeds)) or any(
        mine + _TOLERANCE < theirs for mine, theirs in flaws
    )
    return is_never_worse and is_clearly_better


def _cost(report: EngineReport) -> float:
    return report.cost_per_audio_hour or 0.0


def _name(report: EngineReport) -> str:
    return f"{report.engine}:{report.model}"
