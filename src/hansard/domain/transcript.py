"""What was said: words in segments, and the passages they were recognised in."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from hansard.domain.speech import Span

LANGUAGES_WRITTEN_WITHOUT_SPACES = frozenset({"ja", "zh", "yue", "th", "lo", "my", "km"})

UNSPACED_SCRIPTS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Their characters, for the brackets of a regular expression: Thai and Lao, Burmese, Khmer, kana, Chinese ones."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its times, in seconds from the start of the recording. `probability` is 0 … 1."""

    text: str
    start_seconds: float
    end_seconds: float
    probability: float | None = None
    speaker: str | None = None

    def shifted(self, seconds: float) -> "Word":
        return replace(self, start_seconds=self.start_seconds + seconds, end_seconds=self.end_seconds + seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingScores:
    """What Whisper says of how it came to a segment's text; None where an engine, or a model, says nothing of it.

    `average_log_probability` is that of a token, to base e; `compression_ratio` that of gzip on the text, above 2.4
    where it repeats itself; `no_speech_probability` and `temperature` are 0 … 1. Source: openai/whisper, transcribe.py.
    """

    average_log_probability: float | None = None
    compression_ratio: float | None = None
    no_speech_probability: float | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of speech as the engine gave it. `language` is an ISO 639-1 code; `confidence` is 0 … 1.

    `language_probability` is known where the language was detected, rather than given.
    """

    start_seconds: float
    end_seconds: float
    text: str
    words: tuple[Word, ...] = ()
    confidence: float | None = None
    language: str | None = None
    language_probability: float | None = None
    speaker: str | None = None
    engine: str | None = None
    scores: DecodingScores | None = None

    def shifted(self, seconds: float) -> "Segment":
        """The same segment, later: engines count from the start of the passage they were given."""
        return replace(
            self,
            start_seconds=self.start_seconds + seconds,
            end_seconds=self.end_seconds + seconds,
            words=tuple(word.shifted(seconds) for word in self.words),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognisedPassage:
    """A checkpoint: a finished passage with its segments, timed from the start of the recording.

    `decoding` is 0 the first time through; what was missed then is heard again, with 1, 2 …
    """

    span: Span
    engine: str
    model: str
    segments: tuple[Segment, ...]
    decoding: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The record. `segments` are in order of time."""

    language: str | None
    segments: tuple[Segment, ...]
    language_probability: float | None = None

    @classmethod
    def of(cls, passages: Iterable[RecognisedPassage]) -> "Transcript":
        """Put passages back together, in order of time, whoever recognised them and whenever.

        What was heard again lies inside an earlier passage, often amid the words of one of its segments: that
        segment is cut there, so that the text too is in order of time.
        """
        ordered = _with_speakers_apart(sorted(passages, key=lambda passage: (passage.span, passage.decoding)))
        heard_again = sorted(_beginnings(passage for passage in ordered if passage.decoding))
        pieces = (piece for passage in ordered for segment in passage.segments for piece in _cut(segment, heard_again))
        segments = tuple(sorted(pieces, key=lambda piece: piece.start_seconds))
        language = _prevailing_language(segments)
        return cls(
            language=language, segments=segments, language_probability=_probability_of_language(language, segments)
        )

    @property
    def text(self) -> str:
        space = "" if self.language in LANGUAGES_WRITTEN_WITHOUT_SPACES else " "
        return space.join(segment.text for segment in self.segments if segment.text)

    @property
    def speakers(self) -> tuple[str, ...]:
        """Their labels, in the order in which they first speak."""
        return tuple(dict.fromkeys(segment.speaker for segment in self.segments if segment.speaker))

    @property
    def word_count(self) -> int:
        """Timed words; where an engine gives no word times, what stands between spaces."""
        return sum(len(segment.words) or len(segment.text.split()) for segment in self.segments)


def _with_speakers_apart(passages: Sequence[RecognisedPassage]) -> Sequence[RecognisedPassage]:
    """An engine tells speakers apart within a passage: the "A" of one need not be the "A" of the next.

    So where several passages name speakers, "A" becomes "1A" in the first of them and "2A" in the second.
    """
    speaking = [passage for passage in passages if any(segment.speaker for segment in passage.segments)]
    if len(speaking) < 2:
        return passages
    # Not by span alone: a whole passage may have been heard again.
    numbers = {(passage.span, passage.decoding): number for number, passage in enumerate(speaking, start=1)}
    return [
        replace(passage, segments=tuple(_renamed(segment, number) for segment in passage.segments))
        if (number := numbers.get((passage.span, passage.decoding)))
        else passage
        for passage in passages
    ]


def _renamed(segment: Segment, passage_number: int) -> Segment:
    return replace(segment, speaker=f"{passage_number}{segment.speaker}") if segment.speaker else segment


def _beginnings(passages: Iterable[RecognisedPassage]) -> Iterator[float]:
    return (segment.start_seconds for passage in passages for segment in passage.segments)


def _cut(segment: Segment, moments: Sequence[float]) -> Iterator[Segment]:
    """The segment in pieces, cut at those of the ordered `moments` that have words of it on both sides."""
    within = slice(bisect_right(moments, segment.start_seconds), bisect_left(moments, segment.end_seconds))
    for moment in moments[within]:
        count = sum(1 for _ in takewhile(lambda word, moment=moment: _middle(word) < moment, segment.words))
        early, late = segment.words[:count], segment.words[count:]
        spans = word_spans(segment.words[: count + 1], segment.text)
        if not early or not late or spans is None:
            continue
        where, _ = spans[-1]
        yield replace(segment, end_seconds=early[-1].end_seconds, text=segment.text[:where].rstrip(), words=early)
        segment = replace(segment, start_seconds=late[0].start_seconds, text=segment.text[where:], words=late)
    yield segment


def _middle(word: Word) -> float:
    return (word.start_seconds + word.end_seconds) / 2


def word_spans(words: Iterable[Word], text: str) -> list[tuple[int, int]] | None:
    """From where to before where in `text` each word stands; None when they are not all there, one after the other."""
    spans: list[tuple[int, int]] = []
    end = 0
    for word in words:
        start = text.find(word.text, end)
        if start < 0:
            return None
        end = start + len(word.text)
        spans.append((start, end))
    return spans


def _prevailing_language(segments: Iterable[Segment]) -> str | None:
    seconds: dict[str, float] = {}
    for segment in segments:
        if segment.language is not None:
            spoken = segment.end_seconds - segment.start_seconds
            seconds[segment.language] = seconds.get(segment.language, 0.0) + spoken
    return max(seconds, key=lambda language: seconds[language], default=None)


def _probability_of_language(language: str | None, segments: Iterable[Segment]) -> float | None:
    """As sure as the surest detection: once a language was detected, the rest of the recording is heard in it."""
    detected = (segment.language_probability for segment in segments if segment.language == language)
    return max((probability for probability in detected if probability is not None), default=None)
