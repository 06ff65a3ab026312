"""Channels that are heard apart: laid end to end for the engine, and folded back into one time for the reader.

The prepared audio is the first channel, a long silence, the second one, and so on. Voice activity, passages, engines
and coverage see one recording, and need not know. The silence is longer than any pause that they bridge.
"""

from dataclasses import dataclass, replace

from hansard.domain.coverage import Coverage
from hansard.domain.errors import InvalidAudio
from hansard.domain.speech import Span, Speech
from hansard.domain.transcript import Segment, Transcript, Word

SILENCE_SECONDS = 60.0
"""Between two channels. Whisper takes 30 s at once; no engine is given a passage with a pause of a minute."""

MOST_CHANNELS = 8
"""Each costs as much work as a recording. More are a studio's tracks, that are better sent one by one."""


def require_channels(count: int) -> None:
    """Raises `InvalidAudio` where channels can't be heard apart."""
    if count < 2:
        raise InvalidAudio(
            "This recording has one channel, so there are none to be heard apart.",
            code="one_channel",
            help="Leave `channels` out. To be told who speaks, ask with `diarize` instead.",
        )
    if count > MOST_CHANNELS:
        raise InvalidAudio(
            f"This recording has {count} channels; at most {MOST_CHANNELS} are heard apart.",
            code="too_many_channels",
            help="Leave `channels` out to hear them mixed, or send them as recordings of their own.",
        )


def folded(transcript: Transcript, speech: Speech) -> Transcript:
    """In the recording's own time, ordered by start. The speaker of a word is the number of its channel, from "1".

    That holds also where an engine told speakers apart: within a channel, its labels would not fit the others'.
    """
    if speech.channels == 1:
        return transcript
    fold = _Fold(speech)
    segments = sorted(map(fold.segment, transcript.segments), key=lambda segment: segment.start_seconds)
    return replace(transcript, segments=tuple(segments))


def folded_coverage(coverage: Coverage, speech: Speech) -> Coverage:
    """The same for the gaps, and for what was dropped."""
    if speech.channels == 1:
        return coverage
    fold = _Fold(speech)
    dropped = sorted(map(fold.segment, coverage.dropped), key=lambda segment: segment.start_seconds)
    return replace(coverage, gaps=tuple(sorted(map(fold.span, coverage.gaps))), dropped=tuple(dropped))


@dataclass(frozen=True, slots=True)
class _Fold:
    speech: Speech

    def segment(self, segment: Segment) -> Segment:
        channel = self._channel(segment.start_seconds, segment.end_seconds)
        return replace(
            segment,
            start_seconds=self._moment(channel, segment.start_seconds),
            end_seconds=self._moment(channel, segment.end_seconds),
            words=tuple(self._word(channel, word) for word in segment.words),
            speaker=str(channel + 1),
        )

    def span(self, span: Span) -> Span:
        channel = self._channel(span.start_seconds, span.end_seconds)
        return Span(self._moment(channel, span.start_seconds), self._moment(channel, span.end_seconds))

    def _word(self, channel: int, word: Word) -> Word:
        return replace(
            word,
            start_seconds=self._moment(channel, word.start_seconds),
            end_seconds=self._moment(channel, word.end_seconds),
            speaker=str(channel + 1),
        )

    def _channel(self, start_seconds: float, end_seconds: float) -> int:
        """The one in which, or beside which, the middle lies: times may reach into the silence."""
        middle = (start_seconds + end_seconds) / 2 + SILENCE_SECONDS / 2
        return min(max(int(middle // self._stride_seconds), 0), self.speech.channels - 1)

    def _moment(self, channel: int, seconds: float) -> float:
        return min(max(seconds - channel * self._stride_seconds, 0.0), self.speech.audio_seconds)

    @property
    def _stride_seconds(self) -> float:
        return self.speech.audio_seconds + SILENCE_SECONDS
