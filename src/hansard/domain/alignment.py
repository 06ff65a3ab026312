"""When the words of a corrected text are said, as well as that can be told without listening again.

The text that was heard and the text that was written are paired token by token, in order. Then

- a word that stands there as it was heard keeps its times and its probability;
- a word spelled otherwise ("Jon", "John") keeps its times; what a person wrote has no probability;
- words in place of others share the time of those, by their length in letters;
- words that are new have the gap between their neighbours; where there is none, they share the time of the neighbour
  that is said the slowest, which must have swallowed them;
- what was taken out is gone.

Times rise, and lie inside the segment. In scripts without spaces a character is a token.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise

from hansard.domain.matching import Pair, gaps, matching_words, spoken
from hansard.domain.transcript import UNSPACED_SCRIPTS, Segment, Word, word_spans

LETTER_SECONDS = 0.04
"""300 words of five letters a minute, which is quick. A shorter gap is no room for a word."""

_TOKEN = re.compile(rf"[{UNSPACED_SCRIPTS}][^\w\s]*|[^\s{UNSPACED_SCRIPTS}]+")
"""A character of a script without spaces, with the marks and the punctuation behind it; else what spaces enclose."""

_SPACE = re.compile(r"\s")

Times = tuple[float, float]
NOWHERE: Times = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Draft:
    """A segment as a person has it: in its text there is one space between words, and none around them."""

    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None


@dataclass(frozen=True, slots=True)
class Aligned:
    """The words of one draft, and the place of the segment that most of its text was heard in; None: in none."""

    words: tuple[Word, ...]
    source: int | None


@dataclass(frozen=True, slots=True)
class _Token:
    """Of what was heard; `segment` is the place of its segment."""

    text: str
    start_seconds: float
    end_seconds: float
    speaker: str | None
    segment: int


@dataclass(frozen=True, slots=True)
class _Unit:
    """The smallest piece of text that begins and ends with both a word and a token; of so many tokens."""

    text: str
    words: tuple[Word, ...]
    count: int


@dataclass(slots=True)
class _Piece:
    """A word about to be; without times of its own until it is `placed`."""

    text: str
    times: Times
    speaker: str | None
    probability: float | None = None
    placed: bool = True


def aligned(heard: Sequence[Segment], drafts: Sequence[Draft], *, timed: bool) -> tuple[Aligned, ...]:
    """What became of the words of `heard` in the drafts that take its place; no words unless `timed`."""
    old, units = _tokens_of(heard)
    written = [list(_TOKEN.finditer(draft.text)) for draft in drafts]
    new = [token[0] for tokens in written for token in tokens]
    pairs = matching_words([token.text for token in old], new)
    numbers = {place: number for number, place in pairs}
    taken_out = {number for gone, came in gaps(pairs, len(old), len(new)) if not came for number in gone}
    pairing = _Pairing(heard, old, units, numbers, dict(_shares(pairs, old, new)), taken_out)
    results: list[Aligned] = []
    first = 0
    for draft, tokens in zip(drafts, written, strict=True):
        words = _words(list(pairing.pieces(draft, tokens, first)), draft) if timed else ()
        results.append(Aligned(words, pairing.source(range(first, first + len(tokens)))))
        first += len(tokens)
    return tuple(results)


# ── What was heard ───────────────────────────────────────────────────────────────────────────────────────


def _tokens_of(segments: Iterable[Segment]) -> tuple[list[_Token], dict[int, _Unit]]:
    """The tokens that have a time, and the units by the number of their first token.

    Where a segment has no words at all, its tokens share its time, and nothing is a unit.
    """
    tokens: list[_Token] = []
    units: dict[int, _Unit] = {}
    for number, segment in enumerate(segments):
        if not segment.words:
            texts = _TOKEN.findall(segment.text)
            times = _spread(texts, segment.start_seconds, segment.end_seconds)
            tokens += [_Token(text, *own, segment.speaker, number) for text, own in zip(texts, times, strict=True)]
            continue
        text, places = _places(segment)
        for begin, end, words in _units(text, places):
            found = list(_TOKEN.finditer(text, begin, end))
            units[len(tokens)] = _Unit(text[begin:end], tuple(word for _, _, word in words), len(found))
            tokens += [_Token(token[0], *_times(token, words), words[0][2].speaker, number) for token in found]
    return tokens, units


_Place = tuple[int, int, Word]
"""Where in a text a word begins and ends."""


def _places(segment: Segment) -> tuple[str, list[_Place]]:
    """The words in their segment's text, each with the punctuation at it; else in a text of their own."""
    found = _found(segment.words, segment.text)
    if found is None:
        text = " ".join(word.text for word in segment.words)
        found = _found(segment.words, text) or []
        return text, found
    text, places, reached = segment.text, list[_Place](), 0
    limits = [*(begin for begin, _, _ in found[1:]), len(text)]
    for (first, last, word), limit in zip(found, limits, strict=True):
        begin = first - len(_SPACE.split(text[reached:first])[-1])
        reached = last + len(_SPACE.split(text[last:limit])[0])
        own = text[begin:reached]
        places.append((begin, reached, word if word.text == own else replace(word, text=own)))
    return text, places


def _found(words: Iterable[Word], text: str) -> list[_Place] | None:
    spoken_words = [word for word in words if word.text]
    spans = word_spans(spoken_words, text)
    return None if spans is None else [(*span, word) for span, word in zip(spans, spoken_words, strict=True)]


def _units(text: str, places: Iterable[_Place]) -> Iterator[tuple[int, int, list[_Place]]]:
    """Tokens and words that overlap go together; tokens that are no part of any word are left out."""
    pieces: list[tuple[int, int, _Place | None]] = [(place[0], place[1], place) for place in places]
    pieces += [(token.start(), token.end(), None) for token in _TOKEN.finditer(text)]
    begin = end = 0
    words: list[_Place] = []
    for piece_begin, piece_end, place in sorted(pieces, key=lambda piece: piece[:2]):
        if piece_begin >= end:
            if words:
                yield begin, end, words
            begin, words = piece_begin, []
        end = max(end, piece_end)
        if place:
            words.append(place)
    if words:
        yield begin, end, words


def _times(token: re.Match[str], words: Sequence[_Place]) -> Times:
    """From where it begins in the word it begins in, to where it ends in the word it ends in."""
    first = next((word for word in reversed(words) if word[0] <= token.start()), words[0])
    last = next((word for word in words if word[1] >= token.end()), words[-1])
    return _moment(first[2], token.start(), *first[:2]), _moment(last[2], token.end(), *last[:2])


def _moment(said: Word | _Token, at: int, begin: int, end: int) -> float:
    """When `at` is reached of what is said from `begin` to `end`, at an even pace."""
    if at <= begin:
        return said.start_seconds
    if at >= end:
        return said.end_seconds
    return said.start_seconds + (said.end_seconds - said.start_seconds) * ((at - begin) / (end - begin))


# ── What goes with what ──────────────────────────────────────────────────────────────────────────────────


def _shares(pairs: Sequence[Pair], old: Sequence[_Token], new: Sequence[str]) -> Iterator[tuple[int, Times]]:
    """The times of new tokens that stand in place of old ones: letter by letter along those."""
    for numbers, places in gaps(pairs, len(old), len(new)):
        if numbers and places:
            times = _along([old[number] for number in numbers], [new[place] for place in places])
            yield from zip(places, times, strict=True)


def _along(old: Sequence[_Token], new: Sequence[str]) -> Iterator[Times]:
    edges = [0, *accumulate(len(token.text) for token in old)]
    reached = [0, *accumulate(map(len, new))]
    # Counted in letters of both at once, so that places that are the same are found to be.
    scaled = [edge * reached[-1] for edge in edges]
    for begin, end in pairwise(letters * edges[-1] for letters in reached):
        first, last = bisect_right(scaled, begin) - 1, bisect_left(scaled, end) - 1
        yield _moment(old[first], begin, *scaled[first : first + 2]), _moment(old[last], end, *scaled[last : last + 2])


@dataclass(frozen=True, slots=True)
class _Pairing:
    """`numbers` are the old tokens by the places of the new ones; `shares` are the times of those that have none.

    `taken_out` are the old tokens in whose place there is nothing.
    """

    heard: Sequence[Segment]
    old: Sequence[_Token]
    units: Mapping[int, _Unit]
    numbers: Mapping[int, int]
    shares: Mapping[int, Times]
    taken_out: Collection[int]

    def source(self, places: range) -> int | None:
        segments = Counter(self.old[self.numbers[place]].segment for place in places if place in self.numbers)
        return max(segments, key=lambda segment: segments[segment], default=None)

    def pieces(self, draft: Draft, tokens: Sequence[re.Match[str]], first: int) -> Iterator[_Piece]:
        """The draft's tokens have the places from `first`. Units that stand as they were come out word by word."""
        after_unit = 0
        for at, token in enumerate(tokens):
            if at < after_unit:
                continue
            number = self.numbers.get(first + at)
            if number is None:
                share = self.shares.get(first + at)
                yield _Piece(token[0], share or NOWHERE, draft.speaker, placed=share is not None)
            elif unit := self._standing(number, draft, tokens, at, first):
                segment = self.old[number].segment
                for word in unit.words:
                    times = word.start_seconds, word.end_seconds
                    yield _Piece(word.text, times, self._speaker(word.speaker, segment, draft), word.probability)
                after_unit = at + unit.count
            else:
                heard = self.old[number]
                speaker = self._speaker(heard.speaker, heard.segment, draft)
                yield _Piece(token[0], self._extent(number, spoken(token[0])), speaker)

    def _standing(
        self, number: int, draft: Draft, tokens: Sequence[re.Match[str]], at: int, first: int
    ) -> _Unit | None:
        """The unit that begins with the old token, if all of it stands in the draft as it was heard."""
        unit = self.units.get(number)
        if unit is None or at + unit.count > len(tokens):
            return None
        whole = all(self.numbers.get(first + at + more) == number + more for more in range(unit.count))
        text = draft.text[tokens[at].start() : tokens[at + unit.count - 1].end()]
        return unit if whole and text == unit.text else None

    def _extent(self, number: int, text: str) -> Times:
        """Of the old token; of the ones beside it too, where they became one word: "ice cream", "icecream"."""
        first = number - 1 if number - 1 in self.taken_out and text.startswith(self._said(number - 1)) else number
        last = number + 1 if number + 1 in self.taken_out and text.endswith(self._said(number + 1)) else number
        return self.old[first].start_seconds, self.old[last].end_seconds

    def _said(self, number: int) -> str:
        return spoken(self.old[number].text)

    def _speaker(self, speaker: str | None, segment: int, draft: Draft) -> str | None:
        """A word is its own speaker's until its segment is given to somebody else."""
        return speaker if self.heard[segment].speaker == draft.speaker else draft.speaker


# ── Room for every word ──────────────────────────────────────────────────────────────────────────────────


def _words(pieces: Sequence[_Piece], draft: Draft) -> tuple[Word, ...]:
    _hold_within(pieces, draft)
    for placed, run in groupby(range(len(pieces)), key=lambda at: pieces[at].placed):
        if not placed:
            places = list(run)
            _make_room(pieces, places[0], places[-1] + 1, draft)
    return tuple(Word(piece.text, *piece.times, piece.probability, piece.speaker) for piece in pieces)


def _hold_within(pieces: Iterable[_Piece], draft: Draft) -> None:
    """One after the other, inside the segment. What was said elsewhere loses its place: the segment was moved."""
    reached = draft.start_seconds
    for piece in pieces:
        start_seconds, end_seconds = piece.times
        piece.placed &= draft.start_seconds <= (start_seconds + end_seconds) / 2 <= draft.end_seconds
        if piece.placed:
            start_seconds = min(max(start_seconds, reached), draft.end_seconds)
            reached = min(max(end_seconds, start_seconds), draft.end_seconds)
            piece.times = start_seconds, reached


def _make_room(pieces: Sequence[_Piece], begin: int, end: int, draft: Draft) -> None:
    """Times for the pieces from `begin` up to, not including, `end`; their neighbours are placed."""
    before = pieces[begin - 1] if begin else None
    after = pieces[end] if end < len(pieces) else None
    start_seconds = before.times[1] if before else draft.start_seconds
    end_seconds = after.times[0] if after else draft.end_seconds
    run = pieces[begin:end]
    letters = sum(len(piece.text) for piece in run)
    neighbours = [piece for piece in (before, after) if piece]
    if neighbours and end_seconds - start_seconds < letters * LETTER_SECONDS:
        slowest = max(neighbours, key=_seconds_a_letter)
        if slowest is before:
            start_seconds, run = slowest.times[0], [slowest, *run]
        else:
            end_seconds, run = slowest.times[1], [*run, slowest]
    for piece, times in zip(run, _spread([piece.text for piece in run], start_seconds, end_seconds), strict=True):
        piece.times = times


def _seconds_a_letter(piece: _Piece) -> float:
    start_seconds, end_seconds = piece.times
    return (end_seconds - start_seconds) / len(piece.text)


def _spread(texts: Sequence[str], start_seconds: float, end_seconds: float) -> Iterator[Times]:
    """The time from start to end, shared by length in letters."""
    reached = list(accumulate(map(len, texts), initial=0))
    seconds = end_seconds - start_seconds
    return pairwise(min(start_seconds + seconds * (letters / max(1, reached[-1])), end_seconds) for letters in reached)
