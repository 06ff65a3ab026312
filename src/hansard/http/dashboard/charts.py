"""Charts as SVG that fit any width: heights are pixels, positions along the time are per cent, so text keeps its size.

Each is a figure with its title, a legend, what a pointer over it tells, and the numbers as a table below.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from markupsafe import Markup

from hansard.http.dashboard.figures import NOTHING, Unit, share
from hansard.http.dashboard.html import tag, together

HEIGHT = 168
"""Of the plot, in pixels."""
TOP, LABELS = 8, 26
"""Room above the plot, for half a line of text, and below it, for the times."""

MOST_LABELS = 8
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_STEPS = (
    *(each * _MINUTE for each in (1, 2, 5, 10, 15, 30)),
    *(each * _HOUR for each in (1, 2, 3, 4, 6, 12)),
    *(each * _DAY for each in (1, 2, 5, 7, 14, 30, 90)),
)


@dataclass(frozen=True, slots=True)
class Series:
    """One value for each piece of the time, None where there is none. `tone` is a class of style.css."""

    name: str
    tone: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Times:
    """Pieces of time: when each starts, and how long each is. There is one at least."""

    starts: tuple[datetime, ...]
    length: timedelta
    zone: ZoneInfo

    @property
    def _whole(self) -> timedelta:
        return self.starts[-1] + self.length - self.starts[0]

    def percent(self, moment: datetime) -> float:
        return (moment - self.starts[0]) / self._whole * 100

    def name(self, start: datetime) -> str:
        local = start.astimezone(self.zone)
        return local.strftime("%a %d %b") if self.length >= _DAY else local.strftime("%a %d %b, %H:%M")

    def ticks(self) -> Iterable[tuple[float, str]]:
        """Round times, each with where it lies, in per cent."""
        step = next((step for step in _STEPS if self._whole / step < MOST_LABELS), _STEPS[-1])
        first, end = self.starts[0], self.starts[-1] + self.length
        local = first.astimezone(self.zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        if step >= _DAY:
            midnight -= timedelta(days=midnight.toordinal() % step.days)
        moment = midnight
        while moment < end:
            if moment >= first:
                yield self.percent(moment), _label(moment, step)
            moment += step


def _label(moment: datetime, step: timedelta) -> str:
    is_day = step >= _DAY or (moment.hour, moment.minute) == (0, 0)
    return f"{moment.day} {moment:%b}" if is_day else f"{moment:%H:%M}"


def bars(title: str, times: Times, series: Sequence[Series], unit: Unit, *, note: str | None = None) -> Markup:
    """The series on top of each other, a bar for each piece of time."""
    totals = [sum(value or 0.0 for value in values) for values in zip(*(each.values for each in series), strict=True)]
    ticks = unit.ticks(max(totals, default=0.0))
    shapes: list[Markup] = []
    for index, start in enumerate(times.starts):
        base = 0.0
        for each in series:
            value = each.values[index] or 0.0
            if value:
                shapes.append(_bar(times, start, base, value, ticks[-1], each.tone))
            base += value
    return _figure(title, times, series, unit, ticks, together(*shapes), note)


def lines(title: str, times: Times, series: Sequence[Series], unit: Unit, *, note: str | None = None) -> Markup:
    """A line for each series, with holes where there is no value."""
    ticks = unit.ticks(max((value for each in series for value in each.values if value is not None), default=0.0))
    paths = [tag("path", d=path, class_=f"line {each.tone}") for each in series if (path := _path(each, ticks[-1]))]
    plot = tag(
        "svg",
        *paths,
        y=TOP,
        width="100%",
        height=HEIGHT,
        viewBox=f"0 0 {len(times.starts)} 1",
        preserveAspectRatio="none",
        class_="plot",
    )
    points = [point for each in series for point in _lone_points(times, each, ticks[-1])]
    return _figure(title, times, series, unit, ticks, together(plot, *points), note)


def parts(named: Sequence[tuple[str, str, float]]) -> Markup:
    """One bar, cut into named shares of 1: (name, tone, share)."""
    shapes: list[Markup] = []
    start = 0.0
    for name, tone, part in named:
        whole = f"{name}: {share(part)}"
        shapes.append(
            tag("rect", tag("title", whole), x=_percent(start), width=_percent(part * 100), height=18, class_=tone)
        )
        start += part * 100
    keys = [tag("li", _swatch(tone), f"{name} ", tag("b", share(part))) for name, tone, part in named]
    return tag(
        "div",
        tag("svg", *shapes, width="100%", height=18, class_="parts", aria_hidden="true"),
        tag("ul", *keys, class_="legend"),
    )


def meter(part: float, tone: str = "tone-1") -> Markup:
    """A small bar for a table: `part` of the longest, from 0 to 1."""
    width = _percent(max(0.5, min(1.0, part) * 100))
    shape = tag("rect", width=width, height=6, rx=3, class_=tone)
    return tag("svg", shape, width="100%", height=6, class_="meter", aria_hidden="true")


def _bar(times: Times, start: datetime, base: float, value: float, top: float, tone: str) -> Markup:
    left, right = times.percent(start), times.percent(start + times.length)
    height = value / top * HEIGHT
    return tag(
        "rect",
        x=_percent(left + (right - left) * 0.1),
        width=_percent((right - left) * 0.8),
        y=_pixels(TOP + HEIGHT - base / top * HEIGHT - height),
        height=_pixels(max(height, 1.5)),
        class_=tone,
    )


def _path(series: Series, top: float) -> str:
    """Through the middles of the pieces, in a plot that is as wide as there are pieces, and 1 high."""
    path, is_down = "", False
    for index, value in enumerate(series.values):
        if value is not None:
            path += f"{'L' if is_down else 'M'}{index + 0.5:g} {1 - value / top:.4f}"
        is_down = value is not None
    return path


def _lone_points(times: Times, series: Series, top: float) -> Iterable[Markup]:
    """A line needs two values: one that stands alone is a point."""
    padded = (None, *series.values, None)
    for index, (before, value, after) in enumerate(zip(padded, series.values, padded[2:], strict=False)):
        if value is not None and before is None and after is None:
            middle = times.percent(times.starts[index] + times.length / 2)
            y = _pixels(TOP + HEIGHT - value / top * HEIGHT)
            yield tag("circle", cx=_percent(middle), cy=y, r=2.5, class_=series.tone)


def _figure(
    title: str,
    times: Times,
    series: Sequence[Series],
    unit: Unit,
    ticks: Sequence[float],
    shapes: Markup,
    note: str | None,
) -> Markup:
    legend = [tag("li", _swatch(each.tone), each.name) for each in series]
    heights = [(TOP + HEIGHT - tick / ticks[-1] * HEIGHT, unit.write(tick)) for tick in ticks]
    axis = [tag("text", label, x="100%", y=_pixels(y + 4), text_anchor="end") for y, label in heights]
    grid = [tag("line", x1="0", x2="100%", y1=_pixels(y), y2=_pixels(y), class_="grid") for y, _ in heights]
    return tag(
        "figure",
        tag("figcaption", title, tag("small", note) if note else None),
        tag("ul", *legend, class_="legend"),
        tag(
            "div",
            tag("svg", *axis, height=TOP + HEIGHT + LABELS, class_="axis", aria_hidden="true"),
            tag(
                "svg",
                *grid,
                shapes,
                *_time_labels(times),
                *_pointed_at(times, series, unit),
                width="100%",
                height=TOP + HEIGHT + LABELS,
                role="img",
                aria_label=f"{title}. The numbers are in the table below.",
            ),
            class_="chart",
        ),
        _table(times, series, unit),
    )


def _time_labels(times: Times) -> Iterable[Markup]:
    for number, (at, label) in enumerate(times.ticks()):
        anchor = "start" if at < 4 else "end" if at > 96 else "middle"
        rank = "minor" if number % 2 else None
        yield tag("line", x1=_percent(at), x2=_percent(at), y1=TOP + HEIGHT, y2=TOP + HEIGHT + 4, class_="tick")
        yield tag("text", label, x=_percent(at), y=TOP + HEIGHT + 19, text_anchor=anchor, class_=rank)


def _pointed_at(times: Times, series: Sequence[Series], unit: Unit) -> Iterable[Markup]:
    """What is told of the piece of time under the pointer."""
    for index, start in enumerate(times.starts):
        left, right = times.percent(start), times.percent(start + times.length)
        told = "\n".join((times.name(start), *(f"{each.name}: {unit.write(each.values[index])}" for each in series)))
        yield tag(
            "rect",
            tag("title", told),
            x=_percent(left),
            width=_percent(right - left),
            y=TOP,
            height=HEIGHT,
            class_="pointed",
        )


def _table(times: Times, series: Sequence[Series], unit: Unit) -> Markup:
    """Pieces of time without any value are left out."""
    rows = [
        tag("tr", tag("th", times.name(start), scope="row"), *(tag("td", unit.write(value)) for value in values))
        for start, *values in zip(times.starts, *(each.values for each in series), strict=True)
        if any(values)
    ]
    head = tag("tr", tag("th", "Time", scope="col"), *(tag("th", each.name, scope="col") for each in series))
    body = rows or [tag("tr", tag("td", NOTHING, colspan=len(series) + 1))]
    return tag(
        "details",
        tag("summary", "As a table"),
        tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="scroll"),
    )


def _swatch(tone: str) -> Markup:
    shape = tag("rect", width=10, height=10, rx=2, class_=tone)
    return tag("svg", shape, width=10, height=10, class_="swatch", aria_hidden="true")


def _percent(number: float) -> str:
    return f"{number:.3f}".rstrip("0").rstrip(".") + "%"


def _pixels(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
