"""Cuts a transcript into captions that can be read: pure functions over units of text with times.

What one person says without a long pause is a run. Where a run is cut is decided for all of it together, so that no
cut before forces a bad one after: at ends of sentences rather than at commas, there rather than at pauses, and amid a
phrase only where the limits leave nothing better; into few cues, of like length, that are not too short to read.
Inside a cue, lines are as many as needed, break after punctuation where they can, and are of like length.

Times are then those of the words. A cue that is too short to be read stays longer, if the next one leaves room.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from math import inf

from hansard.domain.transcript import Transcript
from hansard.formats.options import CaptionRules
from hansard.formats.units import Atom, Unit, boundary_is_spaced, units_of, width

LONGEST_PAUSE_MS = 1500
"""A cue ends at a longer pause, and stays no longer than this after the last word (BBC, Subtitle Guidelines)."""

SHORTEST_CUE_MS = 1
"""A cue must end after it starts, or players drop it; engines now and then give a word no time at all."""

# What a cut costs, by what stands before it, in the same unit as one more cue.
_COST_OF_A_CUE = 2.0
_COST_AFTER_CLAUSE = 1.0
_COST_AT_PAUSE = 1.5
_COST_AT_SEGMENT_END = 2.0
_COST_AMID_PHRASE = 4.0
_COST_OF_SHORTNESS = 3.0
_COST_OF_LINE_BREAK_AMID_PHRASE = 0.15
"""Of a full line, squared: what a break after a comma may cost in balance."""

_NOTICEABLE_PAUSE_MS = 300
_CLOSERS = "\"'”’»›)\\]」』）】》〉"
_SENTENCE_END = re.compile(f"[.!?…。！？｡؟۔।၊။៕][{_CLOSERS}]*$")
_CLAUSE_END = re.compile(f"[,;:、，；：،؛–—-][{_CLOSERS}]*$")


@dataclass(frozen=True, slots=True)
class Line:
    units: tuple[Unit, ...]

    @property
    def text(self) -> str:
        return _text(self.units)


@dataclass(frozen=True, slots=True)
class Cue:
    """Times are whole milliseconds, so that rounding is done once and 59.9996 s becomes 1:00.000."""

    start_ms: int
    end_ms: int
    lines: tuple[Line, ...]
    speaker: str | None


def whole_segments(transcript: Transcript, *, labels: bool) -> list[Cue]:
    """A cue for each segment that has text, in order of start, with the times it has; `labels` as for `fitted`."""
    cues: list[Cue] = []
    for segment in transcript.segments:
        if units := units_of(segment, widest=inf):
            start_ms = round(segment.start_seconds * 1000)
            end_ms = max(round(segment.end_seconds * 1000), start_ms + SHORTEST_CUE_MS)
            speaker = _one_line(segment.speaker)
            line = Line(tuple(_labelled(units, speaker if labels else None)))
            cues.append(Cue(start_ms, end_ms, (line,), speaker))
    return sorted(cues, key=lambda cue: cue.start_ms)


def fitted(transcript: Transcript, rules: CaptionRules, *, labels: bool) -> list[Cue]:
    """Cues within the rules, in order of start. With `labels` each begins with the speaker, where one is known."""
    cues: list[Cue] = []
    for run in _runs(transcript, rules):
        speaker = run[0].speaker
        label = speaker if labels else None
        for units in _Run(run, rules, label).cues():
            lines = _lines(_labelled(units, label), rules)
            cues.append(Cue(units[0].start_ms, max(unit.end_ms for unit in units), lines, speaker))
    return _timed(cues, rules)


def _text(units: Sequence[Unit]) -> str:
    return "".join(f" {unit.text}" if unit.spaced and number else unit.text for number, unit in enumerate(units))


# ── Runs ─────────────────────────────────────────────────────────────────────────────────────────────────


def _runs(transcript: Transcript, rules: CaptionRules) -> Iterator[list[Unit]]:
    """What one person says, up to a long pause."""
    run: list[Unit] = []
    for segment in sorted(transcript.segments, key=lambda segment: segment.start_seconds):
        for number, unit in enumerate(units_of(segment, widest=rules.max_line_characters)):
            spaced = unit.spaced
            if number == 0 and run:
                spaced = boundary_is_spaced(run[-1].text, unit.text, transcript.language)
            following = replace(unit, speaker=_one_line(unit.speaker), spaced=spaced)
            if run and not _goes_on(run[-1], following):
                yield run
                run = []
            run.append(following)
    if run:
        yield run


def _goes_on(before: Unit, after: Unit) -> bool:
    in_order = after.start_ms >= before.start_ms
    return in_order and before.speaker == after.speaker and after.start_ms - before.end_ms <= LONGEST_PAUSE_MS


def _one_line(speaker: str | None) -> str | None:
    return " ".join((speaker or "").split()) or None


def _labelled(units: Sequence[Unit], speaker: str | None) -> list[Unit]:
    """With the speaker's name before them, for formats that have no other place for it."""
    if speaker is None:
        return list(units)
    first, *others = units
    label = Atom(f"{speaker}:", first.start_ms, first.start_ms, timed=False)
    return [Unit((label,), spaced=False, speaker=speaker), replace(first, spaced=True), *others]


# ── Where a run is cut ───────────────────────────────────────────────────────────────────────────────────


class _Run:
    """Finds the cheapest way to cut a run: dynamic programming over the places where it may be cut."""

    def __init__(self, units: Sequence[Unit], rules: CaptionRules, label: str | None) -> None:
        self._units = units
        self._rules = rules
        self._label_width = width(f"{label}:") if label else 0
        self._widths = [width(unit.text) for unit in units]
        self._cost_of_cut = [*(_cost_of_cut(*pair) for pair in pairwise(units)), 0.0]
        """By what stands last before the cut; the run's end costs nothing."""
        self._capacity = rules.max_lines * rules.max_line_characters
        self._min_ms = 1000 * rules.min_cue_seconds
        self._max_ms = 1000 * rules.max_cue_seconds

    def cues(self) -> Iterator[Sequence[Unit]]:
        count = len(self._units)
        cheapest = [0.0, *[inf] * count]
        begins = [0] * (count + 1)
        for begin in range(count):
            for end, characters in self._ends(begin):
                cost = cheapest[begin] + self._cost(begin, end, characters)
                if cost < cheapest[end]:
                    cheapest[end], begins[end] = cost, begin
        ends = [count]
        while begins[ends[-1]]:
            ends.append(begins[ends[-1]])
        for begin, end in pairwise([0, *reversed(ends)]):
            yield self._units[begin:end]

    def _ends(self, begin: int) -> Iterator[tuple[int, int]]:
        """Where a cue that begins there may end, with the characters it then has. One unit may always stand alone."""
        lines, column, characters = 1, self._label_width, self._label_width
        begins_ms = self._units[begin].start_ms
        for here in range(begin, len(self._units)):
            unit, unit_width = self._units[here], self._widths[here]
            space = 1 if (unit.spaced or here == begin) and column else 0
            if column and column + space + unit_width > self._rules.max_line_characters:
                lines, column = lines + 1, unit_width
            else:
                column += space + unit_width
            characters += space + unit_width
            fits = lines <= self._rules.max_lines and unit.end_ms - begins_ms <= self._max_ms
            if not fits and here > begin:
                return
            yield here + 1, characters

    def _cost(self, begin: int, end: int, characters: int) -> float:
        cost = _COST_OF_A_CUE + self._cost_of_cut[end - 1] + (1 - characters / self._capacity) ** 2
        last_ms = self._units[end].start_ms if end < len(self._units) else self._units[-1].end_ms + LONGEST_PAUSE_MS
        shown_ms = last_ms - self._units[begin].start_ms
        if shown_ms < self._min_ms:
            cost += _COST_OF_SHORTNESS * (1 - shown_ms / self._min_ms)
        return cost


def _cost_of_cut(before: Unit, after: Unit) -> float:
    text = before.text
    if _SENTENCE_END.search(text):
        return 0.0
    if _CLAUSE_END.search(text):
        return _COST_AFTER_CLAUSE
    if after.start_ms - before.end_ms >= _NOTICEABLE_PAUSE_MS:
        return _COST_AT_PAUSE
    return _COST_AT_SEGMENT_END if before.ends_segment else _COST_AMID_PHRASE


# ── Lines ────────────────────────────────────────────────────────────────────────────────────────────────


def _lines(units: Sequence[Unit], rules: CaptionRules) -> tuple[Line, ...]:
    """As few lines as it takes, of like length; the sum of the squares of the lengths is least where they are."""
    longest = rules.max_line_characters
    # By the place where they end: the lines so far and what they cost.
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    while True:
        best = _with_another_line(units, best, longest)
        if len(units) in best:
            places = (0, *best[len(units)][1])
            return tuple(Line(tuple(units[begin:end])) for begin, end in pairwise(places))


def _with_another_line(
    units: Sequence[Unit], best: dict[int, tuple[float, tuple[int, ...]]], longest: int
) -> dict[int, tuple[float, tuple[int, ...]]]:
    further: dict[int, tuple[float, tuple[int, ...]]] = {}
    for begin, (cost_so_far, places) in best.items():
        column = 0
        for end in range(begin + 1, len(units) + 1):
            unit = units[end - 1]
            column += width(unit.text) + (1 if unit.spaced and column else 0)
            if column > longest and end > begin + 1:
                break
            cost = cost_so_far + (column / longest) ** 2
            if end < len(units) and not _CLAUSE_END.search(unit.text) and not _SENTENCE_END.search(unit.text):
                cost += _COST_OF_LINE_BREAK_AMID_PHRASE
            if end not in further or cost < further[end][0]:
                further[end] = (cost, (*places, end))
    return further


# ── Times ────────────────────────────────────────────────────────────────────────────────────────────────


def _timed(cues: Sequence[Cue], rules: CaptionRules) -> list[Cue]:
    """In order of start; long enough to be read where there is room; apart, except where people talk at once."""
    started = _started_one_after_another(sorted(cues, key=lambda cue: cue.start_ms))
    return [replace(cue, end_ms=_end_ms(cue, started, number, rules)) for number, cue in enumerate(started)]


def _started_one_after_another(cues: Sequence[Cue]) -> list[Cue]:
    """No two at once, so that each has time to end, also where the engine gave words no time at all."""
    earliest_ms = 0
    started: list[Cue] = []
    for cue in cues:
        start_ms = max(cue.start_ms, earliest_ms)
        earliest_ms = start_ms + 2 * SHORTEST_CUE_MS
        started.append(replace(cue, start_ms=start_ms, end_ms=max(cue.end_ms, start_ms + SHORTEST_CUE_MS)))
    return started


def _end_ms(cue: Cue, cues: Sequence[Cue], number: int, rules: CaptionRules) -> int:
    characters = sum(width(line.text) for line in cue.lines)
    to_be_read_ms = 1000 * max(rules.min_cue_seconds, characters / rules.max_characters_per_second)
    read_ms = min(cue.start_ms + round(to_be_read_ms), cue.end_ms + LONGEST_PAUSE_MS)
    end_ms = min(max(cue.end_ms, read_ms), cue.start_ms + round(1000 * rules.max_cue_seconds))
    for later in islice(cues, number + 1, None):
        if later.speaker == cue.speaker or later.start_ms >= cue.end_ms:
            apart_ms = later.start_ms - cue.start_ms
            # Of two that hardly leave each other time, neither gets none.
            gap_ms = min(round(1000 * rules.min_gap_seconds), apart_ms // 2)
            return min(end_ms, later.start_ms - gap_ms)
        # Somebody else talks already: it stays no longer than it is said.
        end_ms = min(end_ms, cue.end_ms)
    return end_ms
