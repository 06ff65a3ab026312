"""The pieces that captions are put together from: what no line break may divide, with its times.

Where words have times, each piece has its own. Where an engine gives none, or gives words that are not those of the
text, the segment's time is dealt out by length.

Scripts with spaces break at spaces. Chinese, Japanese, Thai, Lao, Khmer and Burmese are written without, and may break
between any two characters that do not belong together: no line begins with closing punctuation or a small kana, none
ends with an opening bracket (JIS X 4051, 行頭禁則 and 行末禁則), and vowel signs stay with their consonant.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from hansard.domain.transcript import LANGUAGES_WRITTEN_WITHOUT_SPACES, Segment, Word

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)
"""Thai and Lao, Burmese, Khmer, kana and Chinese characters, with their punctuation."""

_NEVER_FIRST = frozenset("々〻ーぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶะาำๅๆະາຳໆ")
_NEVER_LAST = frozenset("เแโใไເແໂໃໄ\u1039\u17d2\u200d")
_CLOSING_CATEGORIES = frozenset({"Pe", "Pf", "Po", "Mn", "Mc", "Me"})
_OPENING_CATEGORIES = frozenset({"Ps", "Pi"})


@dataclass(frozen=True, slots=True)
class Atom:
    """A word, or a character. `timed`: the engine told when it was said."""

    text: str
    start_ms: int
    end_ms: int
    timed: bool


@dataclass(frozen=True, slots=True)
class Unit:
    """Atoms that stay on one line. `spaced`: white space goes before it. `width` counts what takes up room."""

    atoms: tuple[Atom, ...]
    spaced: bool
    speaker: str | None
    ends_segment: bool = False

    @property
    def text(self) -> str:
        return "".join(atom.text for atom in self.atoms)

    @property
    def start_ms(self) -> int:
        return self.atoms[0].start_ms

    @property
    def end_ms(self) -> int:
        return max(atom.end_ms for atom in self.atoms)


def width(text: str) -> int:
    """Characters side by side: marks above and below take up no room."""
    return sum(unicodedata.category(character)[0] != "M" for character in text)


def units_of(segment: Segment, *, widest: float) -> list[Unit]:
    """All of the segment's text but white space, in order. Only what can't be broken is wider than `widest`."""
    text = " ".join(segment.text.split())
    pieces = list(_pieces(text, segment))
    atoms: list[tuple[Atom, bool, str | None]] = []
    reached_ms = 0
    for piece, speaker in pieces:
        for part, spaced in _parts(piece, widest=widest):
            # Times only go forward, whatever the engine says.
            start_ms = max(part.start_ms, reached_ms)
            reached_ms = start_ms
            atoms.append((Atom(part.text, start_ms, max(part.end_ms, start_ms), part.timed), spaced, speaker))
    return _joined(atoms)


def boundary_is_spaced(before: str, after: str, language: str | None) -> bool:
    """Whether there goes a space between two segments' texts."""
    if language in LANGUAGES_WRITTEN_WITHOUT_SPACES:
        return False
    return not (_UNSPACED.match(before[-1:]) and _UNSPACED.match(after[:1]))


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text with the times of a word, or of the whole segment."""

    text: str
    start_seconds: float
    end_seconds: float
    timed: bool


def _pieces(text: str, segment: Segment) -> Iterator[tuple[_Piece, str | None]]:
    words = segment.words
    starts = _starts(words, text) if any(word.end_seconds > word.start_seconds for word in words) else None
    if starts is None:
        yield _Piece(text, segment.start_seconds, segment.end_seconds, timed=False), segment.speaker
        return
    for word, (start, end) in zip(words, pairwise([*starts, len(text)]), strict=True):
        piece = _Piece(text[start:end], word.start_seconds, word.end_seconds, timed=True)
        yield piece, word.speaker or segment.speaker


def _starts(words: Sequence[Word], text: str) -> list[int] | None:
    """Where the text of each word begins, with its opening punctuation and the space before that; None if they aren't
    all there, in order.
    """
    starts: list[int] = []
    end = 0
    for word in words:
        spoken = " ".join(word.text.split())
        at = text.find(spoken, end)
        if at < 0 or not spoken:
            return None
        starts.append(_with_opening(text, at, end))
        end = at + len(spoken)
    return [0, *starts[1:]]


def _with_opening(text: str, at: int, end: int) -> int:
    """Back from `at` over what opens the word there, such as a quote, but not over the word that ends at `end`."""
    space = text.rfind(" ", end, at)
    if space >= 0:
        return space
    while at > end and unicodedata.category(text[at - 1]) in _OPENING_CATEGORIES:
        at -= 1
    return at


def _parts(piece: _Piece, *, widest: float) -> Iterator[tuple[Atom, bool]]:
    """The piece's tokens, each with whether white space goes before it; the piece's time is dealt out by length."""
    texts: list[tuple[str, bool]] = []
    for token in re.findall(r" ?[^ ]+", piece.text):
        text = token.lstrip()
        whole = piece.timed and width(text) <= widest
        for number, cluster in enumerate([text] if whole else _clusters(text)):
            texts.append((cluster, number == 0 and token != text))
    length = max(1, sum(len(text) for text, _ in texts))
    seconds = piece.end_seconds - piece.start_seconds
    reached = [
        round(1000 * (piece.start_seconds + seconds * sum_so_far / length))
        for sum_so_far in accumulate((len(text) for text, _ in texts), initial=0)
    ]
    for number, ((text, spaced), (start_ms, end_ms)) in enumerate(zip(texts, pairwise(reached), strict=True)):
        yield Atom(text, start_ms, end_ms, timed=piece.timed and number == 0), spaced


def _clusters(token: str) -> list[str]:
    clusters: list[str] = []
    for character in token:
        if clusters and not _may_part(clusters[-1][-1], character):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters


def _may_part(before: str, after: str) -> bool:
    """Whether a line may break between two characters that no space divides."""
    if not (_UNSPACED.match(before) or _UNSPACED.match(after)):
        return False
    if after in _NEVER_FIRST or unicodedata.category(after) in _CLOSING_CATEGORIES:
        return False
    return before not in _NEVER_LAST and unicodedata.category(before) not in _OPENING_CATEGORIES


def _joined(atoms: Sequence[tuple[Atom, bool, str | None]]) -> list[Unit]:
    """Atoms that no space divides are one unit, as "don" and "'t", unless their script has none."""
    units: list[Unit] = []
    for atom, spaced, speaker in atoms:
        last = units[-1] if units else None
        if last and last.speaker == speaker and not spaced and not _may_part(last.text[-1], atom.text[0]):
            units[-1] = Unit((*last.atoms, atom), last.spaced, speaker)
        else:
            units.append(Unit((atom,), spaced, speaker))
    if units:
        last = units[-1]
        units[-1] = Unit(last.atoms, last.spaced, last.speaker, ends_segment=True)
    return units
