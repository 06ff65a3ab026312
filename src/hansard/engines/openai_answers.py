"""What OpenAI's transcription API answers, in any of its three shapes, as segments.

`verbose_json` has timed segments and words, `diarized_json` timed segments with speakers, `json` only the text.
Servers that speak the API leave fields out, so no more is asked for than is used.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from statistics import fmean
from types import MappingProxyType
from typing import Annotated, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    FiniteFloat,
    NonNegativeInt,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from hansard.application.ports.engines import TokenUsage
from hansard.domain.languages import LANGUAGE_NAMES
from hansard.domain.transcript import DecodingScores, Segment, Word

Text = Annotated[str, StringConstraints(strip_whitespace=True)]

LANGUAGE_CODES: Mapping[str, str] = MappingProxyType(
    {name: code for code, name in LANGUAGE_NAMES.items() if code not in {"haw", "jw", "yue"}}
)
"""What Whisper calls the languages it hears. Hawaiian, Cantonese and Javanese are left out: a code that the API does
not take, sent with the next passage, would fail the whole recording."""


class _Read(BaseModel):
    # A validation error is logged, and must not take the transcript along.
    model_config = ConfigDict(hide_input_in_errors=True)


class _Timed(_Read):
    """Seconds from the start of the upload."""

    start: FiniteFloat
    end: FiniteFloat

    def times_within(self, seconds: float) -> tuple[float, float]:
        """Whisper hears in windows of 30 s, and gives times beyond the end of a shorter passage."""
        start_seconds = min(max(self.start, 0.0), seconds)
        return start_seconds, min(max(self.end, start_seconds), seconds)


class _TimedWord(_Timed):
    word: Text

    def within(self, seconds: float) -> Word:
        return Word(self.word, *self.times_within(seconds))


class _TimedSegment(_Timed):
    text: Text
    avg_logprob: FiniteFloat | None = None
    compression_ratio: FiniteFloat | None = None
    no_speech_prob: FiniteFloat | None = None
    temperature: FiniteFloat | None = None
    speaker: Text | None = None

    def within(self, seconds: float, language: str | None) -> Segment:
        start_seconds, end_seconds = self.times_within(seconds)
        return Segment(
            start_seconds=start_seconds,
            end_seconds=end_seconds,
            text=self.text,
            confidence=None if self.avg_logprob is None else _probability(self.avg_logprob),
            language=language,
            speaker=self.speaker,
            scores=self._scores(),
        )

    def _scores(self) -> DecodingScores | None:
        scores = DecodingScores(
            average_log_probability=self.avg_logprob,
            compression_ratio=self.compression_ratio,
            no_speech_probability=self.no_speech_prob,
            temperature=self.temperature,
        )
        return None if scores == DecodingScores() else scores


class _Token(_Read):
    logprob: FiniteFloat


class _Detected(_Read):
    code: str


class _Usage(_Read):
    """There is another kind, in seconds; those are known without it."""

    input_tokens: NonNegativeInt
    output_tokens: NonNegativeInt


def _none_if_odd(value: object, read: ValidatorFunctionWrapHandler) -> _Usage | None:
    """A bill that cannot be read is no reason to throw the transcript away."""
    try:
        return cast("_Usage", read(value))
    except ValidationError:
        return None


class Answer(_Read):
    """`language` is Whisper's name for it; `languages` are codes, and from `gpt-transcribe` only."""

    text: Text
    segments: list[_TimedSegment] | None = None
    words: list[_TimedWord] | None = None
    logprobs: list[_Token] | None = None
    language: str | None = None
    languages: list[_Detected] | None = None
    usage: Annotated[_Usage | None, WrapValidator(_none_if_odd)] = None

    def segments_within(
        self, seconds: float, *, asked_for: str | None, translated_into: str | None = None
    ) -> Iterator[Segment]:
        """`seconds` is the length of the passage, the others are languages."""
        language = translated_into or self._language_code() or asked_for
        words = [word.within(seconds) for word in self.words or ()]
        heard = [segment.within(seconds, language) for segment in self.segments or ()]
        if not heard:
            # No times: all that is known is that it was said in this passage.
            heard = [
                Segment(
                    start_seconds=0.0,
                    end_seconds=seconds,
                    text=self.text,
                    confidence=self._confidence(),
                    language=language,
                )
            ]
        return (segment for segment in _with_words(heard, words) if segment.text)

    def tokens(self) -> tuple[TokenUsage, ...]:
        """What it cost, if that is counted in tokens and the answer says so."""
        if self.usage is None:
            return ()
        return (TokenUsage(self.usage.input_tokens, self.usage.output_tokens),)

    def spoken(self) -> tuple[str, ...]:
        """The code of the language that was detected, if the answer says so."""
        code = self._language_code()
        return (code,) if code else ()

    def _language_code(self) -> str | None:
        if self.languages:
            # A mixture is no one language.
            return self.languages[0].code if len(self.languages) == 1 else None
        name = (self.language or "").lower()
        return name if name in LANGUAGE_CODES.values() else LANGUAGE_CODES.get(name)

    def _confidence(self) -> float | None:
        """The mean over the tokens, as Whisper's `avg_logprob` is."""
        if not self.logprobs:
            return None
        return _probability(fmean(token.logprob for token in self.logprobs))


def _probability(logprob: float) -> float:
    return math.exp(min(logprob, 0.0))


def _with_words(segments: Sequence[Segment], words: Sequence[Word]) -> Iterator[Segment]:
    """The API lists words apart from segments: each belongs where its middle lies."""
    for segment in segments[:-1]:
        own = list(takewhile(lambda word, end=segment.end_seconds: _middle(word) < end, words))
        words = words[len(own) :]
        yield replace(segment, words=tuple(_fitted(_spelled(own, segment.text), segment)))
    yield replace(segments[-1], words=tuple(_fitted(_spelled(words, segments[-1].text), segments[-1])))


def _middle(word: Word) -> float:
    return (word.start_seconds + word.end_seconds) / 2


def _spelled(words: Sequence[Word], text: str) -> Sequence[Word]:
    """The API gives words bare: each takes its punctuation from the text, up to the space before the next."""
    spelled: list[str] = []
    end = 0
    for word in words:
        start = text.find(word.text, end)
        if start < 0:
            return words
        gap = text[end:start]
        if spelled:
            before, after = gap.rsplit(" ", 1) if " " in gap else (gap, "")
            spelled[-1] += before
        else:
            after = gap
        spelled.append(after + word.text)
        end = start + len(word.text)
    if spelled:
        spelled[-1] += text[end:]
    return [replace(word, text=own) for word, own in zip(words, spelled, strict=True)]


def _fitted(words: Sequence[Word], segment: Segment) -> Iterator[Word]:
    """Words and segments are timed by different means: one after the other, and inside the segment, is what holds."""
    reached = segment.start_seconds
    for word in words:
        start_seconds = min(max(word.start_seconds, reached), segment.end_seconds)
        reached = min(max(word.end_seconds, start_seconds), segment.end_seconds)
        yield replace(word, start_seconds=start_seconds, end_seconds=reached)
