"""What people write to search, as PostgreSQL is asked for it, and where in a text it is found.

    harbour committee           both words, in any form: "harbours", "committees"
    "harbour committee"         one after the other, as they are written
    harbour -committee          the one without the other
    harbour committee OR port   either both of the first, or the other
    harb*                       words that begin so

Nothing that can be written is an error, but that in which there is nothing to look for.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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


Phrase = tuple[Term, ...]
"""Terms one after the other; often only one."""


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
        return frozenset(term.text for phrase in phrases for term in phrase if _has_forms(term))

    @property
    def have_order(self) -> bool:
        """Whether some of what is wanted must stand one after the other."""
        return any(len(phrase) > 1 for each in self.alternatives for phrase in each.wanted)


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
    if sum(len(phrase) for each in alternatives for phrase in (*each.wanted, *each.unwanted)) > MOST_TERMS:
        raise InvalidRequest(
            f"More than {MOST_TERMS} words are looked for.", code="query_too_long", help="Look for fewer."
        )
    return words


def to_tsquery(words: Words, stems: Stems, labels: Sequence[str]) -> str:
    """As PostgreSQL reads a `tsquery`; what it finds has all `labels`. `stems` are those of `words.stemmed`."""
    either = " | ".join(_alternative(each, stems) for each in words.alternatives)
    return " & ".join([f"({either})", *map(search_terms.quoted, labels)])


def places(words: Words, text_tokens: Sequence[Token], language: str | None, stems: Stems) -> list[tuple[int, int]]:
    """Where in a text, from character to character, is what it was found for: in order, none overlapping another.

    `stems` are those of the words and of the text.
    """
    lexemes = [search_terms.lexemes(token, language, stems) for token in text_tokens]
    phrases = {phrase for each in words.alternatives for phrase in each.wanted}
    spots = sorted(spot for phrase in phrases for spot in _spots(phrase, text_tokens, lexemes, stems))
    merged: list[tuple[int, int]] = []
    for start, end in spots:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _phrase(item: re.Match[str]) -> Phrase:
    quoted = item["phrase"] is not None
    written: str = item["phrase"] if quoted else item["word"]
    found = search_terms.tokens(written)
    if [token.kind for token in found[-2:]] == [Kind.PAIR, Kind.LAST]:
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
    return " <-> ".join(f"({_any_form(term, stems)})" for term in phrase)


def _any_form(term: Term, stems: Stems) -> str:
    mark = ":*" if term.prefix else ""
    return " | ".join(f"{search_terms.quoted(form)}{mark}" for form in _forms(term, stems))


def _spots(
    phrase: Phrase, text_tokens: Sequence[Token], lexemes: Sequence[set[str]], stems: Stems
) -> Iterator[tuple[int, int]]:
    forms = [frozenset(_forms(term, stems)) for term in phrase]
    for first in range(len(text_tokens) - len(phrase) + 1):
        pairs = zip(phrase, forms, lexemes[first : first + len(phrase)], strict=True)
        if all(_fits(term, of_term, of_token) for term, of_term, of_token in pairs):
            last = text_tokens[first + len(phrase) - 1]
            is_character = phrase[-1].kind is Kind.LAST
            end = min(last.end, last.start + len(phrase[-1].text)) if is_character else last.end
            yield text_tokens[first].start, end


def _fits(term: Term, forms: frozenset[str], of_token: set[str]) -> bool:
    if term.prefix:
        return any(lexeme.startswith(term.text) for lexeme in of_token)
    return not forms.isdisjoint(of_token)
