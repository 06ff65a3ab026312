"""Where sentences end: at the punctuation the engine wrote, and where it wrote none, at pauses.

Engines cut speech into segments where it suits them, in the middle of a sentence or after several. For reading, and
for whoever computes with the text, it is put together anew:

1. Another speaker, another engine or five seconds of silence always end a sentence. (One engine's last words are not
   the beginning of what another one heard.)
2. Between those, sentences end where a word ends in a mark that ends sentences: Unicode's property Sentence_Terminal
   (UAX #44, used by UAX #29), without marks that also stand elsewhere. A full stop may also belong to an abbreviation,
   an initial, an acronym, a number or an ellipsis; a sentence in quotation marks may be part of another. These rules
   follow the "Golden Rules" of pragmatic_segmenter, as far as they concern what people say.
3. What no such mark ends was heard by an engine without punctuation. It is broken into phrases at pauses, and where it
   goes on for too long. No full stop is made up. A phrase is no sentence: of the pauses of a second and more in
   spontaneous English, 42 % are ends of sentences, and 67 % of the ends have one.

The text is the segments', character for character but for white space: between sentences, and at either end of each,
it is left out. A word belongs to the piece of text in which it is found; times are its own. Two kinds of segments need
a guess: without words that have times, text is spread over the segment's time by its length; where the words are not
those of the text, as after a correction, they are dealt out to the text evenly, in order, and the segment is taken for
one speaker's. The order is that of the transcript: where people talk at once, a sentence may start before the one
before it has ended.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise

from hansard.domain.transcript import LANGUAGES_WRITTEN_WITHOUT_SPACES, Segment, Transcript, Word, word_spans

LONGEST_SILENCE_SECONDS = 5.0
"""A longer one ends a sentence, whatever stands before it; see `coverage.SILENCE_SECONDS` for where it comes from."""

LONGEST_SENTENCE_WORDS = 80
"""More than that up to the next full stop means that the engine stopped writing any: Whisper does now and then."""

PAUSE_SECONDS = 1.0
"""Ends a phrase. Shorter pauses are as often hesitation as anything else."""

LONGEST_PHRASE_WORDS = 20
"""About as many as fit on two lines of a caption, and more than most spoken sentences have. A longer phrase is broken
at its longest pause after the tenth word. In scripts without spaces a word is what the engine takes for one."""

_QUOTES = "\"'“”‘’„‚«»‹›()[]{}「」『』（）【】《》〈〉"
_CLOSING = frozenset("\"'”’»›)]}」』）】》〉")
_DASHES = " -–—"
_BEFORE_A_WORD = f"{_QUOTES}{_DASHES}¿¡"

_PLAIN_MARK = re.compile(rf"([.!?…‽]+)([{re.escape(_QUOTES)}]*)$")
_UNMISTAKABLE_MARK = re.compile(rf"[。！？｡؟۔।॥։።፧။។៕‼⁇⁈⁉\u037e][{re.escape(_QUOTES)}]*$")
_TOKEN = re.compile(rf"\S*?[。！？｡]+[{re.escape(''.join(_CLOSING))}]*\s*|\S+\s*")
"""A word of text without word times, with the white space after it; Chinese and Japanese have full stops instead."""

_ACRONYM = re.compile(r"\w(\.\w)+")

# fmt: off
_NEVER_LAST = frozenset({
    "mr", "mrs", "ms", "dr", "prof", "st", "mt", "messrs", "rev", "hon", "gen", "col", "maj", "capt", "cpt", "lt",
    "sgt", "cmdr", "adm", "gov", "sen", "rep", "pres", "supt", "vs", "e.g", "i.e", "cf", "approx", "ca", "viz",
    "hr", "fr", "z.b", "d.h", "u.a", "bzw", "vgl", "evtl", "ggf", "sog", "mme", "mlle", "sra", "srta", "sig", "dott",
})
"""What a name or an explanation follows. English, German, French, Spanish, Italian."""

_SELDOM_LAST = frozenset({
    "etc", "inc", "ltd", "co", "corp", "bros", "dept", "jr", "sr", "esq", "ave", "blvd", "rd", "al", "usw", "usf",
    "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec",
    "mon", "tue", "tues", "wed", "thu", "thurs", "fri",
})
"""What ends a sentence only if no small letter follows."""

_BEFORE_NUMBERS = frozenset({"no", "nos", "nr", "num", "vol", "p", "pp", "fig", "art", "ch", "sec", "s", "st"})

_FIRST_WORDS = frozenset({
    "a", "after", "all", "an", "and", "as", "at", "because", "but", "can", "did", "do", "does", "for", "he", "her",
    "here", "his", "how", "however", "i", "if", "in", "is", "it", "its", "my", "no", "now", "of", "oh", "on", "once",
    "or", "our", "she", "since", "so", "some", "still", "that", "the", "their", "then", "there", "these", "they",
    "this", "those", "to", "today", "until", "was", "we", "well", "what", "when", "where", "which", "while", "who",
    "why", "with", "would", "yes", "yet", "you", "your",
})
"""What follows an initial or an acronym is a name ("J. Smith", "U.S. Army"), unless it is one of these."""

_ORDINAL_LANGUAGES = frozenset({"de", "da", "no", "nn", "fi", "et", "lv", "cs", "sk", "sl", "hr", "sr", "bs", "hu",
                                "is", "fo", "pl", "tr"})
"""These write a full stop for "-th": "am 3. Oktober"."""
# fmt: on

_QUOTED_ON = ("と", "って")
"""In Japanese what was quoted goes on so: 「はい。」と言った。"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence, or a phrase where the engine writes no punctuation. Times are seconds from the recording's start.

    `words` is empty where the engine gives none. `confidence` (0 … 1) is the mean of the words' probabilities, else of
    the segments' confidence; None where neither is known.
    """

    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None
    words: tuple[Word, ...]
    confidence: float | None


@dataclass(slots=True)
class _Piece:
    """A word of the text with the white space after it, and the timed words it stands for: one, as a rule."""

    text: str
    start_seconds: float
    end_seconds: float
    words: tuple[Word, ...]
    speaker: str | None
    segment: Segment
    ends_segment: bool = False

    def may_come_before_a_break(self, *, spaced: bool) -> bool:
        """Not amid "example.com", which some engines give as two words."""
        return self.ends_segment or not spaced or self.text[-1:].isspace()


def sentences(transcript: Transcript) -> tuple[Sentence, ...]:
    """Every word of the transcript is in one of them. In time that grows with the number of words."""
    pieces = list(chain.from_iterable(map(_pieces, transcript.segments)))
    return tuple(
        _sentence(sentence, transcript.language)
        for stretch in _stretches(pieces)
        for sentence in _sentences_within(stretch, transcript.language)
    )


def broken_at_pauses(pauses: Sequence[float], lengths: Sequence[int], longest: int) -> Iterator[slice]:
    """Break a row of things into slices of at most `longest` in sum, each at the longest pause of its second half.

    `pauses[i]` comes after thing i. A thing that alone is longer than `longest` is a slice for itself.
    """
    begin = total = 0
    for here, length in enumerate(lengths):
        while begin < here and total + length > longest:
            totals = zip(range(begin, here), accumulate(lengths[begin:here]), strict=True)
            in_second_half = [place for place, reached in totals if 2 * reached >= longest]
            after = max(in_second_half or [here - 1], key=lambda place: (pauses[place], place)) + 1
            yield slice(begin, after)
            begin, total = after, sum(lengths[after:here])
        total += length
    if begin < len(lengths):
        yield slice(begin, len(lengths))


# ── Pieces of text with times ────────────────────────────────────────────────────────────────────────────


def _pieces(segment: Segment) -> list[_Piece]:
    """Their texts together are the segment's, from its first letter on; their words are the segment's words."""
    text, words = segment.text, segment.words
    starts = _starts(words, text)
    if starts:
        texts = [text[start:end] for start, end in pairwise([*starts, len(text)])]
        dealt = [(word,) for word in words]
    else:
        texts = _TOKEN.findall(text) or ([text] if words else [])
        dealt = [words[len(words) * i // len(texts) : len(words) * (i + 1) // len(texts)] for i in range(len(texts))]
    if any(word.end_seconds > word.start_seconds for word in words):
        times = list(_times_of_words(dealt, segment.start_seconds))
    else:
        times = list(_times_by_length(texts, segment))
    pieces = [
        _Piece(text, *span, own, _speaker(own if starts else (), segment), segment)
        for text, span, own in zip(texts, times, dealt, strict=True)
    ]
    if pieces:
        pieces[-1].ends_segment = True
    return pieces


def _starts(words: Sequence[Word], text: str) -> list[int] | None:
    """Where the text of each word begins, with its opening quotes; None if they aren't all there, in order."""
    starts: list[int] = []
    end = 0
    for at, word_end in word_spans(words, text) or ():
        space = text.rfind(" ", end, at)
        starts.append(at if space < 0 else space + 1)
        end = word_end
    return [0, *starts[1:]] if starts else None


def _times_of_words(dealt: Sequence[Sequence[Word]], start_seconds: float) -> Iterator[tuple[float, float]]:
    """Text without a word of its own takes no time."""
    reached = start_seconds
    for words in dealt:
        begins = words[0].start_seconds if words else reached
        reached = words[-1].end_seconds if words else reached
        yield begins, reached


def _times_by_length(texts: Sequence[str], segment: Segment) -> Iterator[tuple[float, float]]:
    seconds = segment.end_seconds - segment.start_seconds
    length = max(1, sum(map(len, texts)))
    reached = [segment.start_seconds + seconds * total / length for total in accumulate(map(len, texts), initial=0)]
    return pairwise(reached)


def _speaker(words: Sequence[Word], segment: Segment) -> str | None:
    return next((word.speaker for word in words if word.speaker), segment.speaker)


# ── Breaks that no punctuation decides ───────────────────────────────────────────────────────────────────


def _stretches(pieces: Sequence[_Piece]) -> Iterator[Sequence[_Piece]]:
    """What one person said to one engine without a long silence."""
    begin = 0
    for here, (piece, following) in enumerate(pairwise(pieces), start=1):
        if (
            piece.speaker != following.speaker
            or piece.segment.engine != following.segment.engine
            or following.start_seconds - piece.end_seconds > LONGEST_SILENCE_SECONDS
        ):
            yield pieces[begin:here]
            begin = here
    if begin < len(pieces):
        yield pieces[begin:]


def _phrases(pieces: Sequence[_Piece], *, spaced: bool) -> Iterator[Sequence[_Piece]]:
    """Broken at every pause, and where it goes on for too long."""
    pauses = [after.start_seconds - before.end_seconds for before, after in pairwise(pieces)]
    breakable = [piece.may_come_before_a_break(spaced=spaced) for piece in pieces]
    begin = 0
    for here, piece_may_end in enumerate(breakable, start=1):
        if here == len(pieces) or (piece_may_end and pauses[here - 1] >= PAUSE_SECONDS):
            yield from _short_phrases(pieces[begin:here], [*pauses[begin : here - 1], 0.0], breakable[begin:here])
            begin = here


def _short_phrases(
    pieces: Sequence[_Piece], pauses: Sequence[float], breakable: Sequence[bool]
) -> Iterator[Sequence[_Piece]]:
    """What may not be broken counts as one word."""
    ends = [here for here, may_end in enumerate(breakable, start=1) if may_end or here == len(pieces)]
    chosen = broken_at_pauses([pauses[end - 1] for end in ends], [1] * len(ends), LONGEST_PHRASE_WORDS)
    for each in chosen:
        yield pieces[ends[each.start - 1] if each.start else 0 : ends[each.stop - 1]]


# ── Punctuation ──────────────────────────────────────────────────────────────────────────────────────────


def _sentences_within(pieces: Sequence[_Piece], language: str | None) -> Iterator[Sequence[_Piece]]:
    spaced = language not in LANGUAGES_WRITTEN_WITHOUT_SPACES
    begin = 0
    ending = ""
    for here, piece in enumerate(pieces, start=1):
        spoken = piece.text.strip().rstrip(_DASHES)
        # Marks and quotes may be pieces for themselves.
        ending = spoken if any(map(str.isalnum, spoken)) else ending + spoken
        if ending[-1:].isalnum() or not _ends(piece, ending, pieces[here].text if here < len(pieces) else "", language):
            continue
        sentence = pieces[begin:here]
        if len(sentence) <= LONGEST_SENTENCE_WORDS:
            yield sentence
        else:
            yield from _phrases(sentence, spaced=spaced)
        begin = here
    if begin < len(pieces):
        yield from _phrases(pieces[begin:], spaced=spaced)


def _ends(piece: _Piece, ending: str, following: str, language: str | None) -> bool:
    """Whether `ending`, the end of the text so far, ends a sentence, with the next piece's text `following`."""
    if _only_closes(following.strip()):
        return False
    if _UNMISTAKABLE_MARK.search(ending) or (language == "el" and ending.endswith(";")):
        return not (ending[-1] in _QUOTES and following.startswith(_QUOTED_ON))
    mark = _PLAIN_MARK.search(ending)
    if not mark or not piece.may_come_before_a_break(spaced=language not in LANGUAGES_WRITTEN_WITHOUT_SPACES):
        return False
    following = following.lstrip().lstrip(_BEFORE_A_WORD)
    return not following or _plain_mark_ends(mark, ending[: mark.start()], following, language)


def _plain_mark_ends(mark: re.Match[str], spoken: str, following: str, language: str | None) -> bool:
    marks, quotes = mark.groups()
    if marks == "." and not quotes:
        return not _is_shortened(spoken, following, language)
    # "Stop!" he said. Well... I think so.
    is_ellipsis = not marks.strip(".…")
    goes_on = following[0].islower() or (is_ellipsis and _first_word(following) == "i")
    return not (goes_on and (quotes or is_ellipsis))


def _is_shortened(spoken: str, following: str, language: str | None) -> bool:
    """Whether the full stop after `spoken` belongs to it, rather than to the sentence."""
    spoken = spoken.lstrip(_BEFORE_A_WORD)
    known = spoken.lower()
    if known in _NEVER_LAST:
        return True
    if following[0].isdigit():
        if known in _BEFORE_NUMBERS:
            return True
        if spoken[-1:].isdigit() and language in LANGUAGES_WRITTEN_WITHOUT_SPACES:  # elsewhere "3.14" is one word
            return True
    if spoken.isupper() and (len(spoken) == 1 or _ACRONYM.fullmatch(spoken)):
        return _first_word(following) not in _FIRST_WORDS
    if known in _SELDOM_LAST or _ACRONYM.fullmatch(spoken):
        return following[0].islower()
    return language in _ORDINAL_LANGUAGES and spoken.isdigit() and len(spoken) <= 2


def _first_word(text: str) -> str:
    word = re.match(r"\w+", text)
    return word[0].lower() if word else ""


def _only_closes(spoken: str) -> bool:
    return bool(spoken) and _CLOSING.issuperset(spoken)


# ── Putting together ─────────────────────────────────────────────────────────────────────────────────────


def _sentence(pieces: Sequence[_Piece], language: str | None) -> Sentence:
    space = "" if language in LANGUAGES_WRITTEN_WITHOUT_SPACES else " "
    return Sentence(
        start_seconds=min(piece.start_seconds for piece in pieces),
        end_seconds=max(piece.end_seconds for piece in pieces),
        text="".join(piece.text + space if piece.ends_segment else piece.text for piece in pieces).strip(),
        speaker=pieces[0].speaker,
        words=tuple(chain.from_iterable(piece.words for piece in pieces)),
        confidence=_confidence(pieces),
    )


def _confidence(pieces: Sequence[_Piece]) -> float | None:
    known = [word.probability for piece in pieces for word in piece.words if word.probability is not None]
    known = known or [piece.segment.confidence for piece in pieces if piece.segment.confidence is not None]
    return sum(known) / len(known) if known else None
