"""What people write to search, as PostgreSQL is asked for it, and where in a text it is found.

    harbour committee           both words, in any form: "harbours", "committees"
    "harbour committee"         one after the other, as they are written; it may go on in the next text
    harbour -committee          the one without the other
    harbour committee OR port   either both of the first, or the other
    harb*                       words that begin so

Nothing that can be written is an error, but that in which there is nothing to look for.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hansard.application.ports.records import PHRASE_REACH
from hansard.domain.errors import InvalidRequest
from hansard.persistence import search_terms
from hansard.persistence.search_terms import Kind, Stems, Token

MOST_TERMS = 64

_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»＂", '"'))
_ITEM = re.compile(r'(?P<without>-*)(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')
_OR = "OR"


@dataclass(frozen=True, slots=True)
class Term:
    """One word. `as_written` leaves its other forms out; `prefix` finds what begins with it."""

    text: str
    as_written: bool
    prefix: bool = False
    kind: Kind = Kind.WORD


Terms = tuple[Term, ...]
"""One after the other."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Often only one term. `over_the_end` are the ways in which it may begin in a text and go on in the next: what is
    in each of the two.
    """

    terms: Terms
    over_the_end: tuple[tuple[Terms, Terms], ...] = ()


@dataclass(frozen=True, slots=True)
class Alternative:
    """All of `wanted`, at least one, and none of `unwanted`."""

    wanted: tuple[Phrase, ...]
    unwanted: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """What was written, taken apart. One of the alternatives is enough."""

    alternatives: tuple[Alternative, ...]

    @property
    def stemmed(self) -> frozenset[str]:
        """The words whose stems count too."""
        phrases = (phrase for each in self.alternatives for phrase in (*each.wanted, *each.unwanted))
        return frozenset(term.text for phrase in phrases for term in phrase.terms if _has_forms(term))

    @property
    def have_order(self) -> bool:
        """Whether some of what is wanted must stand one after the other."""
        return any(len(phrase.terms) > 1 for each in self.alternatives for phrase in each.wanted)


def parse(written: str) -> Words:
    """Raises `InvalidRequest` when there is nothing to look for, or too much."""
    alternatives: list[Alternative] = []
    wanted: list[Phrase] = []
    unwanted: list[Phrase] = []
    for item in (*_ITEM.finditer(written.translate(_QUOTES)), None):
        if item is None or item.group() == _OR:
            # Exclusions alone would find nearly everything: they count beside words only.
            if wanted:
                alternatives.append(Alternative(tuple(wanted), tuple(unwanted)))
            wanted, unwanted = [], []
        elif phrase := _phrase(item):
            (unwanted if item["without"] else wanted).append(phrase)
    if not alternatives:
        raise InvalidRequest(
            "There is no word to look for.",
            code="empty_query",
            help='Write at least one word, such as: harbour "annual report" -draft comm*',
        )
    words = Words(tuple(alternatives))
    if sum(len(phrase.terms) for each in alternatives for phrase in (*each.wanted, *each.unwanted)) > MOST_TERMS:
        raise InvalidRequest(
            f"More than {MOST_TERMS} words are looked for.", code="query_too_long", help="Look for fewer."
        )
    return words


def to_tsquery(words: Words, stems: Stems, labels: Sequence[str]) -> str:
    """As PostgreSQL reads a `tsquery`; what it finds has all `labels`. `stems` are those of `words.stemmed`."""
    either = " | ".join(_alternative(each, stems) for each in words.alternatives)
    return " & ".join([f"({either})", *map(search_terms.quoted, labels)])


def places(
    words: Words,
    text_tokens: Sequence[Token],
    lexemes_after: Sequence[set[str]],
    language: str | None,
    stems: Stems,
) -> list[tuple[int, int]]:
    """Where in a text, from character to character, is what it was found for: in order, none overlapping another. Of a
    phrase that goes on after the text, that is what is in the text.

    `stems` are those of the words and of the text.
    """
    lexemes = [search_terms.lexemes(token, language, stems) for token in text_tokens]
    phrases = {phrase for each in words.alternatives for phrase in each.wanted}
    spots = [spot for phrase in phrases for spot in _spots(phrase.terms, text_tokens, lexemes, stems)]
    for phrase in phrases:
        spots += _spots_at_the_end(phrase, text_tokens, lexemes, lexemes_after, stems)
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spots):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _phrase(item: re.Match[str]) -> Phrase | None:
    quoted = item["phrase"] is not None
    written: str = item["phrase"] if quoted else item["word"]
    terms = _terms(written, quoted=quoted)
    if len(terms) < 2:
        return Phrase(terms) if terms else None
    # Taken apart where a token begins: also between two characters of a script that has no spaces.
    cuts = [token.start for token in search_terms.tokens(written)][1:][-PHRASE_REACH:]
    over_the_end = (
        (_terms(written[:cut], quoted=quoted, ends_the_text=True), _terms(written[cut:], quoted=quoted)) for cut in cuts
    )
    return Phrase(terms, tuple(over_the_end))


def _terms(written: str, *, quoted: bool, ends_the_text: bool = False) -> Terms:
    found = search_terms.tokens(written)
    if [token.kind for token in found[-2:]] == [Kind.PAIR, Kind.LAST] and not ends_the_text:
        del found[-1]  # The pair has it already.
    return tuple(
        Term(
            token.term,
            as_written=quoted or token.kind is not Kind.WORD,
            # What is a last character here may be followed by others where it is looked for.
            prefix=token.kind is Kind.LAST or written[token.end : token.end + 1] == "*",
            kind=token.kind,
        )
        for token in found
    )


def _has_forms(term: Term) -> bool:
    return not (term.as_written or term.prefix)


def _forms(term: Term, stems: Stems) -> list[str]:
    if not _has_forms(term):
        return [term.text]
    known = ((language, of[term.text]) for language, of in stems.items() if term.text in of)
    return [term.text, *(search_terms.stem_in(language, stem) for language, stem in known)]


def _alternative(alternative: Alternative, stems: Stems) -> str:
    wanted = (_sequence(phrase, stems) for phrase in alternative.wanted)
    unwanted = (f"!({_sequence(phrase, stems)})" for phrase in alternative.unwanted)
    return f"({' & '.join([*wanted, *unwanted])})"


def _sequence(phrase: Phrase, stems: Stems) -> str:
    ways = [[_any_form(term, stems) for term in phrase.terms]]
    for begun, rest in phrase.over_the_end:
        ways.append([*(_any_form(term, stems) for term in begun), *map(_after, rest)])
    return f"({' | '.join(' <-> '.join(way) for way in ways)})"


def _any_form(term: Term, stems: Stems) -> str:
    return f"({' | '.join(_lexeme(form, term) for form in _forms(term, stems))})"


def _after(term: Term) -> str:
    return _lexeme(search_terms.after(term.text), term)


def _lexeme(form: str, term: Term) -> str:
    return f"{search_terms.quoted(form)}{':*' if term.prefix else ''}"


def _spots(
    terms: Terms, text_tokens: Sequence[Token], lexemes: Sequence[set[str]], stems: Stems
) -> Iterator[tuple[int, int]]:
    sought = _with_forms(terms, stems)
    for first in range(len(text_tokens) - len(terms) + 1):
        if _fit(sought, lexemes[first : first + len(terms)]):
            last = text_tokens[first + len(terms) - 1]
            is_character = terms[-1].kind is Kind.LAST
            end = min(last.end, last.start + len(terms[-1].text)) if is_character else last.end
            yield text_tokens[first].start, end


def _spots_at_the_end(
    phrase: Phrase,
    text_tokens: Sequence[Token],
    lexemes: Sequence[set[str]],
    lexemes_after: Sequence[set[str]],
    stems: Stems,
) -> Iterator[tuple[int, int]]:
    for begun, rest in phrase.over_the_end:
        is_begun = _fit(_with_forms(begun, stems), lexemes[-len(begun) :])
        if is_begun and _fit(_with_forms(rest, stems), lexemes_after[: len(rest)]):
            yield text_tokens[-len(begun)].start, text_tokens[-1].end


def _with_forms(terms: Terms, stems: Stems) -> list[tuple[Term, frozenset[str]]]:
    return [(term, frozenset(_forms(term, stems))) for term in terms]


def _fit(sought: Sequence[tuple[Term, frozenset[str]]], lexemes: Sequence[set[str]]) -> bool:
    if len(lexemes) != len(sought):
        return False
    return all(_fits(term, forms, of_token) for (term, forms), of_token in zip(sought, lexemes, strict=True))


def _fits(term: Term, forms: frozenset[str], of_token: set[str]) -> bool:
    if term.prefix:
        return any(lexeme.startswith(term.text) for lexeme in of_token)
    return not forms.isdisjoint(of_token)
