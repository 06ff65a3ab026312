"""Who spoke when, and whose each word therefore is."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

from hansard.domain.speech import Span
from hansard.domain.transcript import LANGUAGES_WRITTEN_WITHOUT_SPACES, Segment, Transcript, Word, word_spans


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch of the recording in which one person speaks. Turns of different people may overlap."""

    span: Span
    speaker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerBounds:
    """How many people speak, as far as the caller knows; None where it must be guessed."""

    least: int | None = None
    most: int | None = None


def with_speakers(transcript: Transcript, turns: Iterable[Turn]) -> Transcript:
    """Every word and segment with the speaker whose turns it shares most time with, else of the nearest turn.

    A segment is cut where the speaker changes within it, its text with its words, as far as the words can be found in
    the text and white space is between them. What an engine wrote without times of words is one speaker's. Without
    turns, the transcript stays as it is. In time that grows little faster than the number of words and turns.
    """
    who = _Who(turns)
    if not who.turns:
        return transcript
    spaced = transcript.language not in LANGUAGES_WRITTEN_WITHOUT_SPACES
    pieces = (piece for segment in transcript.segments for piece in _pieces(segment, who, spaced=spaced))
    return replace(transcript, segments=tuple(sorted(pieces, key=lambda piece: piece.start_seconds)))


class _Who:
    """Turns, to be asked who speaks at a time."""

    def __init__(self, turns: Iterable[Turn]) -> None:
        self.turns = sorted(turns, key=lambda turn: turn.span)
        self._starts = [turn.span.start_seconds for turn in self.turns]
        self._latest = list(accumulate(self.turns, _ending_later))
        self._reached = [turn.span.end_seconds for turn in self._latest]

    def speaks(self, start_seconds: float, end_seconds: float) -> str:
        shared: dict[str, float] = {}
        meanwhile = slice(bisect_right(self._reached, start_seconds), bisect_left(self._starts, end_seconds))
        for turn in self.turns[meanwhile]:
            seconds = min(turn.span.end_seconds, end_seconds) - max(turn.span.start_seconds, start_seconds)
            if seconds > 0:
                shared[turn.speaker] = shared.get(turn.speaker, 0.0) + seconds
        if shared:
            return max(shared, key=lambda speaker: shared[speaker])
        return self._nearest(start_seconds, end_seconds).speaker

    def _nearest(self, start_seconds: float, end_seconds: float) -> Turn:
        after = bisect_right(self._starts, start_seconds)
        if after == 0:
            return self.turns[0]
        before = self._latest[after - 1]
        if after == len(self.turns):
            return before
        gap_before = start_seconds - before.span.end_seconds
        return before if gap_before <= self._starts[after] - end_seconds else self.turns[after]


def _ending_later(one: Turn, other: Turn) -> Turn:
    return other if other.span.end_seconds > one.span.end_seconds else one


def _pieces(segment: Segment, who: _Who, *, spaced: bool) -> Iterator[Segment]:
    """The segment, cut where its speaker changes."""
    cuts = _cuts(segment.words, segment.text, spaced=spaced)
    timed = any(word.end_seconds > word.start_seconds for word in segment.words)
    if cuts is None or not timed:
        yield _spoken_by(segment, who.speaks(segment.start_seconds, segment.end_seconds))
        return
    runs = _runs(segment.words, cuts, who)
    for number, (speaker, first, last) in enumerate(runs):
        is_last = number == len(runs) - 1
        words = segment.words[first:last]
        piece = replace(
            segment,
            start_seconds=words[0].start_seconds if number else segment.start_seconds,
            end_seconds=segment.end_seconds if is_last else words[-1].end_seconds,
            text=segment.text[cuts[first] :] if is_last else segment.text[cuts[first] : cuts[last]].rstrip(),
            words=words,
        )
        yield _spoken_by(piece, speaker)


def _spoken_by(segment: Segment, speaker: str) -> Segment:
    words = tuple(replace(word, speaker=speaker) for word in segment.words)
    return replace(segment, speaker=speaker, words=words)


def _runs(words: Sequence[Word], cuts: Sequence[int | None], who: _Who) -> list[tuple[str, int, int]]:
    """Neighbouring words of one speaker, from the first to before the last. What cannot be cut stays together."""
    speakers: list[str] = []
    for word, cut in zip(words, cuts, strict=True):
        speakers.append(speakers[-1] if cut is None else who.speaks(word.start_seconds, word.end_seconds))
    runs: list[tuple[str, int, int]] = []
    for speaker, numbers in groupby(range(len(words)), key=lambda number: speakers[number]):
        first, *others = numbers
        runs.append((speaker, first, first + len(others) + 1))
    return runs


def _cuts(words: Sequence[Word], text: str, *, spaced: bool) -> list[int | None] | None:
    """Where `text` may be cut before each of its words, with their opening quotes; 0 for the first.

    None for a word that no white space parts from the one before it, in a language that is `spaced`; and for all of
    them, when they are not all there, one after the other.
    """
    spans = word_spans(words, text)
    if spans is None:
        return None
    cuts: list[int | None] = []
    end = 0
    for word, (start, word_end) in zip(words, spans, strict=True):
        space = text.rfind(" ", end, start + 1 if word.text.startswith(" ") else start)
        cuts.append(space + 1 if space >= 0 else None if spaced else start)
        end = word_end
    return [0, *cuts[1:]] if cuts else None
