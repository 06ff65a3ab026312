"""Sentences in paragraphs, as somebody would set them who writes down what is said.

A paragraph ends where another person speaks, where the speaker makes a long pause, and, so that no page is one block,
where it has become long: then after the sentence with the longest pause in its second half.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hansard.domain.sentences import Sentence, broken_at_pauses, sentences
from hansard.domain.transcript import LANGUAGES_WRITTEN_WITHOUT_SPACES, Transcript, Word

PAUSE_SECONDS = 2.5
"""Ends a paragraph. Between two sentences of one thought people pause for about a second; of the silences in 35
recordings in five languages, 95 % were shorter than 4.3 s."""

LONGEST_PARAGRAPH_WORDS = 120
"""About 45 seconds of speech, six to eight lines of a page."""

_CHARACTERS_OF_A_WORD = 2
"""In scripts without spaces, where people say about twice as many characters a second as others say words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """What one person says in one go: at least one sentence. Times are seconds from the recording's start."""

    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None
    sentences: tuple[Sentence, ...]

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for sentence in self.sentences for word in sentence.words)


def paragraphs(transcript: Transcript) -> tuple[Paragraph, ...]:
    """Every sentence of `sentences(transcript)` is in one of them, in the same order."""
    language = transcript.language
    return tuple(
        _paragraph(stretch[each], language)
        for stretch in _stretches(sentences(transcript))
        for each in broken_at_pauses(
            _pauses(stretch), [_length(sentence, language) for sentence in stretch], LONGEST_PARAGRAPH_WORDS
        )
    )


def _stretches(said: Sequence[Sentence]) -> Iterator[Sequence[Sentence]]:
    begin = 0
    for here, (sentence, following) in enumerate(pairwise(said), start=1):
        pause_seconds = following.start_seconds - sentence.end_seconds
        if sentence.speaker != following.speaker or pause_seconds >= PAUSE_SECONDS:
            yield said[begin:here]
            begin = here
    if begin < len(said):
        yield said[begin:]


def _pauses(said: Sequence[Sentence]) -> list[float]:
    return [*(after.start_seconds - before.end_seconds for before, after in pairwise(said)), 0.0]


def _length(sentence: Sentence, language: str | None) -> int:
    """In words, by the text: engines count differently, and some not at all."""
    if language in LANGUAGES_WRITTEN_WITHOUT_SPACES:
        return max(1, len(sentence.text) // _CHARACTERS_OF_A_WORD)
    return max(1, len(sentence.text.split()))


def _paragraph(said: Sequence[Sentence], language: str | None) -> Paragraph:
    space = "" if language in LANGUAGES_WRITTEN_WITHOUT_SPACES else " "
    return Paragraph(
        start_seconds=min(sentence.start_seconds for sentence in said),
        end_seconds=max(sentence.end_seconds for sentence in said),
        text=space.join(sentence.text for sentence in said if sentence.text),
        speaker=said[0].speaker,
        sentences=tuple(said),
    )
