"""Figures as people read them: with units, and no more digits than they have to say."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil, floor, inf, log10

NOTHING = "–"

Writer = Callable[[float | None], str]

_MILLION, _THOUSAND = 1_000_000, 1_000
_FRACTIONS = ((1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_LONG = ((3600, "min", 60, "s", 1), (86400, "h", 3600, "min", 60), (inf, "d", 86400, "h", 3600))
"""Below so many seconds: the larger unit, its length, the smaller one, its length."""
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 4 * 3600, 8 * 3600, 24 * 3600)


def count(number: float | None) -> str:
    if number is None:
        return NOTHING
    if number >= 10 * _MILLION:
        return f"{number / _MILLION:,.1f} M"
    if number >= 100 * _THOUSAND:
        return f"{number / _THOUSAND:,.0f} k"
    return f"{number:,.0f}" if number == int(number) else f"{number:,.1f}"


def seconds(number: float | None) -> str:
    """A duration, from nanoseconds to days."""
    if number is None:
        return NOTHING
    if number < 1:
        unit, name = next((each for each in _FRACTIONS if number >= each[0]), (1.0, "s"))
        return f"{_three_digits(number / unit)} {name}"
    if number < 60:
        return f"{_three_digits(number)} s"
    for upper, whole_unit, length, part_unit, part in _LONG:
        if number < upper:
            whole, rest = divmod(round(number / part), length // part)
            return f"{whole:,} {whole_unit} {rest} {part_unit}" if rest else f"{whole:,} {whole_unit}"
    raise AssertionError  # pragma: no cover - days have no end


def size(number: float | None) -> str:
    if number is None:
        return NOTHING
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(number) < 1000 or unit == "TB":
            return f"{_three_digits(number)} {unit}"
        number /= 1000
    raise AssertionError  # pragma: no cover


def share(number: float | None) -> str:
    """A part of 1 as per cent."""
    if number is None:
        return NOTHING
    percent = number * 100
    return f"{percent:.0f} %" if percent == round(percent) or percent >= 10 else f"{percent:.1f} %"


def factor(number: float | None) -> str:
    """A real-time factor or a ratio."""
    return NOTHING if number is None else f"{_three_digits(number)} ×"


def cores(number: float | None) -> str:
    return NOTHING if number is None else f"{number:.2g} core{'' if number == 1 else 's'}"


def money(currency: str) -> Writer:
    def amount(number: float | None) -> str:
        if number is None:
            return NOTHING
        digits = 2 if number == 0 or abs(number) >= 0.1 else 4
        return f"{number:,.{digits}f} {currency}"

    return amount


@dataclass(frozen=True, slots=True)
class Unit:
    """How the figures of a chart are written, and the steps of its axis; None: 1, 2 or 5 of a power of 10."""

    write: Writer
    steps: Iterable[float] | None = None
    least: float = 0.0
    """An axis goes up to this at the least."""

    def ticks(self, most: float) -> list[float]:
        """From 0 to `most` or just above, in up to five equal steps."""
        most = max(most, self.least) or 1.0
        step = self._step(most / 4)
        return [step * number for number in range(ceil(most / step - 1e-9) + 1)]

    def _step(self, at_least: float) -> float:
        if self.steps is not None and at_least >= 1:
            fitting = next((step for step in self.steps if step >= at_least), None)
            if fitting is not None:
                return fitting
        power = 10.0 ** floor(log10(at_least))
        return next(power * lead for lead in (1, 2, 5, 10) if power * lead >= at_least * (1 - 1e-9))


COUNT = Unit(count, least=4)
SECONDS = Unit(seconds, steps=_SECONDS)
BYTES = Unit(size)
CORES = Unit(cores, least=0.1)


def _three_digits(number: float) -> str:
    """12.3, 1.23 or 123; no zeros behind the point."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"
