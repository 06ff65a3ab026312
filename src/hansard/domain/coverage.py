"""Is everything that was said in the transcript, and was everything said that is in it?

Engines lose stretches of speech without a word about it, and write words where nobody speaks. Voice activity
detection hears neither words nor engines, so the two are held against each other: speech without text is a *gap*,
text without speech is a *hallucination*. Both are judged in favour of the transcript where times are doubtful.

A word accounts for the time it takes, and for a natural pause on either side. A segment without words accounts for
its whole length, if it says enough for that: a single segment with five words over a minute of speech tells
nothing of where the rest went, so it accounts for nothing.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from math import inf

from hansard.domain.speech import SHORTEST_SPAN_SECONDS, Span, Speech, remaining
from hansard.domain.transcript import UNSPACED_SCRIPTS, Segment, Transcript

PAUSE_SECONDS = 0.75
"""Speech that is no further from a word belongs to it: a breath, or the padding of the region, 0.4 s on either side.
In 35 recordings in five languages, 708 s of speech, none was further than 0.58 s from a word that PocketSphinx heard;
with its times shaken by up to 0.3 s, for engines that are less exact, none further than 0.75 s."""

SILENCE_SECONDS = 5.0
"""A longer silence ends a gap: what an engine loses, it loses in one go. A shorter one is part of a conversation, whose
utterances may each be too short for a gap; of the silences in those recordings 95 % were shorter than 4.3 s."""

SLOWEST_WORD_SECONDS = 2.0
"""Speech with less than a word in this time has lost some. The slowest ten seconds of those recordings had 1.6 words
a second of speech, the slowest five seconds one; the longest of 1902 words took 1.2 s."""

SLOWEST_CHARACTER_SECONDS = 1.0
"""The same for a character of a script without spaces, of which Japanese and Mandarin have about five a second."""

DRIFT_SECONDS = 1.0
"""Only text that is further than this from speech is taken for a hallucination: regions are padded already, but the
times of Whisper's segments are known to be wrong by more than those of its words. In four meetings from AMI, 1 % of
what people said was further from the speech that voice activity detection found."""

_UNSPACED = re.compile(f"[{UNSPACED_SCRIPTS}]")
"""Told by the script, for engines often tell no language."""

_SPOKEN = re.compile(r"\w")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of the speech is transcribed.

    `gaps` are in order; each begins and ends in speech, holds at least the limit's seconds of it, and no text.
    `dropped` is text that was recognised where nobody speaks; it is not in the transcript.
    """

    speech_seconds: float
    transcribed_seconds: float
    gaps: tuple[Span, ...] = ()
    dropped: tuple[Segment, ...] = ()

    @property
    def ratio(self) -> float:
        """0 … 1; 1 where there is no speech."""
        return self.transcribed_seconds / self.speech_seconds if self.speech_seconds else 1.0


def covered(transcript: Transcript, speech: Speech, *, gap_seconds: float) -> tuple[Transcript, Coverage]:
    """The transcript without what nobody said, and how much of the speech it has."""
    kept, dropped = split_hallucinations(transcript.segments, speech)
    kept = without_superseded(kept, speech)
    coverage = measure(speech, kept, gap_seconds=gap_seconds, dropped=dropped)
    return replace(transcript, segments=kept), coverage


def measure(
    speech: Speech, segments: Iterable[Segment], *, gap_seconds: float, dropped: Iterable[Segment] = ()
) -> Coverage:
    """Hold `segments`, in any order, against the speech. What is missing over less than `gap_seconds` is no gap."""
    accounted = [span for segment in segments for span in _accounted_for(segment, speech)]
    holes = [(_seconds(stretches), stretches) for stretches in _holes(speech, accounted)]
    return Coverage(
        speech_seconds=speech.seconds,
        transcribed_seconds=max(0.0, speech.seconds - sum(seconds for seconds, _ in holes)),
        gaps=tuple(
            Span(stretches[0].start_seconds, stretches[-1].end_seconds)
            for seconds, stretches in holes
            if seconds >= gap_seconds
        ),
        dropped=tuple(dropped),
    )


def speech_within(speech: Speech, span: Span) -> Iterator[Span]:
    """The speech inside `span`, such as what there is to decode again in a gap."""
    for region in speech.regions:
        start = max(region.start_seconds, span.start_seconds)
        end = min(region.end_seconds, span.end_seconds)
        if start < end:
            yield Span(start, end)


def split_hallucinations(
    segments: Iterable[Segment], speech: Speech
) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """The segments to keep, and those that lie, with all their words, where nobody speaks. Both in the given order.

    A segment is kept or dropped as a whole: its text and its words belong together.
    """
    kept: list[Segment] = []
    dropped: list[Segment] = []
    starts = [region.start_seconds for region in speech.regions]
    for segment in segments:
        times = _extent(segment)
        before = bisect_right(starts, times.end_seconds + DRIFT_SECONDS)
        near = before > 0 and speech.regions[before - 1].end_seconds >= times.start_seconds - DRIFT_SECONDS
        (kept if near else dropped).append(segment)
    return tuple(kept), tuple(dropped)


def says_too_little(segment: Segment, speech: Speech) -> bool:
    """Whether the segment has no times of words, and less text than its length of speech could come down to."""
    return not _has_timed_words(segment) and not _plausible(segment.text, _span(segment), speech)


def without_superseded(segments: Iterable[Segment], speech: Speech) -> tuple[Segment, ...]:
    """Leave out what says too little, where its stretch was decoded again and says as much or more.

    Words in a gap that was decoded again would otherwise stand there twice.
    """
    kept = list(segments)
    for thin in [segment for segment in kept if says_too_little(segment, speech)]:
        others = [other for other in kept if other is not thin and _lies_within(other, thin)]
        if others and sum(_slowest_seconds(other.text) for other in others) >= _slowest_seconds(thin.text):
            kept = [segment for segment in kept if segment is not thin]
    return tuple(kept)


# ── What text accounts for ───────────────────────────────────────────────────────────────────────────────


def _accounted_for(segment: Segment, speech: Speech) -> Iterator[Span]:
    if _has_timed_words(segment):
        pieces = [(word.text, Span(word.start_seconds, word.end_seconds)) for word in segment.words]
    else:
        pieces = [(segment.text, _span(segment))]
    return (span for text, span in pieces if _plausible(text, span, speech))


def _has_timed_words(segment: Segment) -> bool:
    """Words that all take no time at all have been given no times."""
    return any(word.end_seconds > word.start_seconds for word in segment.words)


def _plausible(text: str, span: Span, speech: Speech) -> bool:
    """Whether somebody can have taken all of the speech in `span` to say `text`."""
    slowest = _slowest_seconds(text)
    if not slowest:
        return False
    allowed = slowest + 2 * PAUSE_SECONDS
    return span.seconds <= allowed or _seconds(speech_within(speech, span)) <= allowed


def _slowest_seconds(text: str) -> float:
    """What it takes to say `text` very slowly; 0 where there is nothing to say."""
    spaced, characters = _UNSPACED.subn(" ", text)
    words = sum(1 for word in spaced.split() if _SPOKEN.search(word))
    return words * SLOWEST_WORD_SECONDS + characters * SLOWEST_CHARACTER_SECONDS


# ── Speech without text ──────────────────────────────────────────────────────────────────────────────────


def _holes(speech: Speech, texts: Iterable[Span]) -> Iterator[list[Span]]:
    """The stretches of speech between two texts, or two long silences, where more is missing than a pause."""
    ordered = sorted(texts)
    starts = [text.start_seconds for text in ordered]
    reached = list(accumulate((text.end_seconds for text in ordered), max))
    unheard = remaining(speech.regions, ordered)
    for number, between in groupby(unheard, key=lambda stretch: bisect_right(starts, stretch.start_seconds)):
        pause_until = reached[number - 1] + PAUSE_SECONDS if number else -inf
        pause_from = starts[number] - PAUSE_SECONDS if number < len(starts) else inf
        for stretches in _apart(between):
            missing = (min(s.end_seconds, pause_from) - max(s.start_seconds, pause_until) for s in stretches)
            if max(missing) >= SHORTEST_SPAN_SECONDS:
                yield stretches


def _apart(stretches: Iterable[Span]) -> Iterator[list[Span]]:
    together: list[Span] = []
    for stretch in stretches:
        if together and stretch.start_seconds - together[-1].end_seconds > SILENCE_SECONDS:
            yield together
            together = []
        together.append(stretch)
    if together:
        yield together


def _seconds(spans: Iterable[Span]) -> float:
    return sum(span.seconds for span in spans)


def _span(segment: Segment) -> Span:
    return Span(segment.start_seconds, segment.end_seconds)


def _extent(segment: Segment) -> Span:
    """From the first to the last moment that the segment or one of its words claims."""
    starts = (segment.start_seconds, *(word.start_seconds for word in segment.words))
    ends = (segment.end_seconds, *(word.end_seconds for word in segment.words))
    return Span(min(starts), max(ends))


def _lies_within(inner: Segment, outer: Segment) -> bool:
    return inner.start_seconds >= outer.start_seconds and inner.end_seconds <= outer.end_seconds
