"""Text into the terms that it is found by, and the terms into what PostgreSQL indexes.

Words are told apart here and not by PostgreSQL, so that every database finds the same, whatever its locale, and so that
the place of each term in the text is known. Scripts that are written without spaces (Chinese, Japanese, Thai …), and
Korean, whose particles cling to its words, have no words to tell apart: each of their characters is a term together
with the one after it, and what is looked for is found as a sequence of such pairs.

A word is found as it is written but for case, without its accents, and by its stem in the language that is spoken:
"Häuser" by "häuser", "hauser" and ":de:haus". A phrase may begin in one text and go on in the next; so a text is found
by what comes after it, too, at the places beyond its end, but by phrases only: ">committee". No term begins with a
colon, an equals sign or a >, so stems, labels and what comes after stand apart, from prefixes too.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from hashlib import blake2b
from itertools import chain, islice

from hansard.application.ports.records import PHRASE_REACH

Stems = Mapping[str, Mapping[str, str]]
"""The stems of words, by language."""

STEMMERS: Mapping[str, str] = {
    "ar": "arabic_stem",
    "ca": "catalan_stem",
    "da": "danish_stem",
    "de": "german_stem",
    "el": "greek_stem",
    "en": "english_stem",
    "es": "spanish_stem",
    "et": "estonian_stem",
    "eu": "basque_stem",
    "fi": "finnish_stem",
    "fr": "french_stem",
    "ga": "irish_stem",
    "hi": "hindi_stem",
    "hu": "hungarian_stem",
    "hy": "armenian_stem",
    "id": "indonesian_stem",
    "it": "italian_stem",
    "lt": "lithuanian_stem",
    "nb": "norwegian_stem",
    "ne": "nepali_stem",
    "nl": "dutch_stem",
    "nn": "norwegian_stem",
    "no": "norwegian_stem",
    "pt": "portuguese_stem",
    "ro": "romanian_stem",
    "ru": "russian_stem",
    "sr": "serbian_stem",
    "sv": "swedish_stem",
    "ta": "tamil_stem",
    "tr": "turkish_stem",
    "yi": "yiddish_stem",
}
"""PostgreSQL's dictionaries, by ISO 639-1 code. Not every version brings all of them."""

MOST_TERMS = 10_000
"""Of one text: no engine's segment has so many. PostgreSQL numbers places up to 16,383."""

LONGEST_TERM = 200
"""In characters. PostgreSQL takes 2046 bytes."""

_AFTER = ">"

_RUN = re.compile(r"\S+")
_WITHOUT_SPACES = (
    "\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff"
)
"""Thai and Lao, Burmese and Hangul's letters, Khmer, Kana, Hangul's syllables, Han."""

_PIECE = re.compile(f"[{_WITHOUT_SPACES}]+|[^{_WITHOUT_SPACES}]+")
_ACCENTS = re.compile("[\u0300-\u036f]")
_MARKS = frozenset({"Mn", "Mc"})


class Kind(Enum):
    WORD = auto()
    PAIR = auto()
    """A character and the one after it."""
    LAST = auto()
    """The last character of a run, alone: so each character begins one term."""


@dataclass(frozen=True, slots=True)
class Token:
    """A term at its place in the text, in characters."""

    term: str
    start: int
    end: int
    kind: Kind = Kind.WORD


class _Separators(dict[int, int]):
    """For `str.translate`: what separates words becomes a space, anything else stays, at its place."""

    def __missing__(self, code: int) -> int:
        category = unicodedata.category(chr(code))
        # Letters, marks, numbers; and what joins letters unseen (Cf), as Persian and Hindi need it.
        self[code] = code if category[0] in "LMN" or category == "Cf" else ord(" ")
        return self[code]


_SEPARATORS = _Separators()


def tokens(text: str) -> list[Token]:
    """In order; the place of a token in this list is its position."""
    found: list[Token] = []
    for run in _RUN.finditer(text.translate(_SEPARATORS)):
        for piece in _PIECE.finditer(run.group()):
            offset = run.start() + piece.start()
            found += _word(piece.group(), offset) if _is_word(piece.group()) else _pairs(piece.group(), offset)
        if len(found) >= MOST_TERMS:
            break
    return found[:MOST_TERMS]


def without_accents(term: str) -> str:
    if term.isascii():
        return term
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", term)))


def label(kind: str, *names: str) -> str:
    """The term of what a text is filtered by: its speaker, its language, its owner. Short, however long the names."""
    digest = blake2b("\0".join(names).encode(errors="replace"), digest_size=8)
    return f"={kind}={digest.hexdigest()}"


def lexemes(token: Token, language: str | None, stems: Stems) -> set[str]:
    """All that a token in a text of that language is found by."""
    if token.kind is not Kind.WORD:
        return {token.term}
    found = {token.term, without_accents(token.term)}
    stem = stems.get(language, {}).get(token.term) if language else None
    return found if language is None or stem is None else {*found, stem_in(language, stem)}


def stem_in(language: str, stem: str) -> str:
    return f":{language}:{stem}"


def opening(texts: Iterable[Sequence[Token]]) -> list[Token]:
    """The first `PHRASE_REACH` tokens of texts that follow each other."""
    return list(islice(chain.from_iterable(texts), PHRASE_REACH))


def as_written(token: Token) -> set[str]:
    """What a phrase finds it by: its other forms are left out."""
    return lexemes(token, None, {})


def after(lexeme: str) -> str:
    """The lexeme of what comes after a text."""
    return f"{_AFTER}{lexeme}"


def lexemes_after(stored: Mapping[str, Sequence[int]]) -> list[set[str]]:
    """What comes after a text, in order, each with all that it is found by: from a `tsvector`'s positions."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    for lexeme, positions in stored.items():
        if lexeme.startswith(_AFTER):
            for position in positions:
                found[position].add(lexeme.removeprefix(_AFTER))
    return [found[position] for position in sorted(found)]


def vector(
    text_tokens: Sequence[Token],
    tokens_after: Sequence[Token],
    language: str | None,
    stems: Stems,
    labels: Iterable[str],
) -> str:
    """A `tsvector`, as PostgreSQL reads it; `tokens_after` are the `opening` of what comes after the text."""
    found_by = [lexemes(token, language, stems) for token in text_tokens]
    found_by += [set(map(after, as_written(token))) for token in tokens_after]
    places: dict[str, list[str]] = {}
    for position, each in enumerate(found_by, start=1):
        for lexeme in each:
            places.setdefault(lexeme, []).append(str(position))
    positioned = (f"{quoted(lexeme)}:{','.join(positions)}" for lexeme, positions in places.items())
    return " ".join([*positioned, *map(quoted, labels)])


def quoted(lexeme: str) -> str:
    """As `tsvector` and `tsquery` are written."""
    escaped = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _is_word(piece: str) -> bool:
    return not re.match(f"[{_WITHOUT_SPACES}]", piece)


def _word(piece: str, offset: int) -> Iterator[Token]:
    term = _folded(piece)
    if term:
        yield Token(term, offset, offset + len(piece))


def _pairs(run: str, offset: int) -> Iterator[Token]:
    # A mark, such as a Thai vowel above its consonant, belongs to the character before it.
    starts = [place for place, each in enumerate(run) if place == 0 or unicodedata.category(each) not in _MARKS]
    for number, start in enumerate(starts):
        kind = Kind.PAIR if number + 1 < len(starts) else Kind.LAST
        end = starts[number + 2] if number + 2 < len(starts) else len(run)
        yield Token(_folded(run[start:end]), offset + start, offset + end, kind)


@lru_cache(maxsize=20_000)
def _folded(word: str) -> str:
    """Equal for words that differ in case only, or in how their characters are encoded."""
    if word.isascii():
        return word.lower()[:LONGEST_TERM]
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold())
    return "".join(each for each in folded if unicodedata.category(each) != "Cf")[:LONGEST_TERM]
