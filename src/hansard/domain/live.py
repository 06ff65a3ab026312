"""Live speech: how a stream that is still being spoken is cut into utterances, and what is told of it meanwhile.

    silence ──(a tenth of a second of speech)──► speaking ──(enough silence, or a commit)──► an utterance

Rules over the probabilities that voice activity detection gives, a window at a time: the same audio gives the same
utterances, however it was cut into chunks, and also when a session is put together again after a crash.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from hansard.domain.audio import DEFAULT_OWNER
from hansard.domain.errors import Failure
from hansard.domain.speech import Span
from hansard.domain.transcript import RecognisedPassage
from hansard.domain.transcription import Attempt, Parameters

SPEECH_THRESHOLD = 0.35
"""Where nothing else is asked for, that of recordings: audio/voice_activity.py says how it was found."""

HYSTERESIS = 0.15
"""Speech goes on at a probability this much below the one at which it begins. The distance is Silero's own."""

LEAST_PROBABILITY = 0.01
"""Below it nobody speaks, however low the threshold."""

SHORTEST_SPEECH_SECONDS = 0.1
"""What is shorter is a click. “No” and “yes” last 0.15 s and longer."""

MARGIN_SECONDS = 1.0
"""What sounds like speech so shortly before an utterance is its own beginning, and need not be heard a second time."""

SMOOTHED_WINDOWS = 5
"""A place to split is a dip of about a sixth of a second, not one odd window."""


class Encoding(StrEnum):
    PCM16 = "pcm16"
    """Samples of 16 bits, little-endian, mono."""
    OPUS = "opus"
    """In an Ogg or WebM container, as browsers record it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndPointing:
    """When an utterance begins and ends. `threshold` is the probability at which speech begins.

    `silence_seconds` without speech end it; `padding_seconds` are kept on both sides, for soft beginnings and endings;
    at `longest_seconds` it is split where speech is least likely.
    """

    threshold: float
    silence_seconds: float
    padding_seconds: float
    longest_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRequest:
    """What a session was begun with. Without `by_voice`, the client says where an utterance ends.

    `longest_seconds` is the longest utterance then. `interims` None leaves them to the service.
    """

    started_at: datetime
    encoding: Encoding
    sample_rate_hz: int
    parameters: Parameters
    longest_seconds: float
    by_voice: EndPointing | None
    interims: bool | None = None
    owner: str = DEFAULT_OWNER
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Utterance:
    """`span` is what an engine is given, `covers` the stretch of the recording that needs no other hearing then."""

    number: int
    span: Span
    covers: Span


# ── What is kept ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """What came of listening to one utterance, or to what was being said. `calls` are those of engines, each an attempt
    by itself; `passage` is the text that counts, where there is one.
    """

    calls: tuple[Attempt, ...]
    passage: RecognisedPassage | None = None


def attempts_of(hearings: Iterable[Hearing]) -> tuple[Attempt, ...]:
    """All calls of a session as attempts, in the order in which they began: one for each engine, model and kind, and
    others for each way in which that went wrong, so that they are few, however long the session.
    """
    together: dict[tuple[str | None, ...], Attempt] = {}
    for call in (call for hearing in hearings for call in hearing.calls):
        sort = (call.kind, call.engine, call.model, call.outcome, call.failure.code if call.failure else None)
        together[sort] = _together(together[sort], call) if sort in together else call
    return tuple(sorted(together.values(), key=lambda attempt: attempt.started_at))


def _together(attempt: Attempt, call: Attempt) -> Attempt:
    return replace(
        attempt,
        ended_at=call.ended_at,
        recognised_seconds=attempt.recognised_seconds + call.recognised_seconds,
        at_work_seconds=(attempt.processing_seconds or 0.0) + (call.processing_seconds or 0.0),
        input_tokens=attempt.input_tokens + call.input_tokens,
        output_tokens=attempt.output_tokens + call.output_tokens,
        provider_request_id=call.provider_request_id or attempt.provider_request_id,
        failure=call.failure,
    )


# ── What is told ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    number: int
    start_seconds: float


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    utterance: Utterance


@dataclass(frozen=True, slots=True)
class Interim:
    """What the open utterance sounds like so far; a later one, and the final text, may read otherwise."""

    number: int
    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class UtteranceRecognised:
    utterance: Utterance
    passage: RecognisedPassage


@dataclass(frozen=True, slots=True)
class UtteranceFailed:
    """It is recognised after the session, as any recording is."""

    utterance: Utterance
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A connection has the session now. `recognised` is what it asked to be told again."""

    session_id: UUID
    request: LiveRequest
    received_bytes: int
    received_seconds: float
    recognised: tuple[UtteranceRecognised, ...]


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Another connection has the session now."""


@dataclass(frozen=True, slots=True)
class LiveEnded:
    """The session is over. The ids are None where no audio had come in."""

    session_id: UUID
    transcription_id: UUID | None
    audio_id: UUID | None


LiveEvent = (
    Joined | SpeechStarted | SpeechStopped | Interim | UtteranceRecognised | UtteranceFailed | TakenOver | LiveEnded
)


# ── Utterances ───────────────────────────────────────────────────────────────────────────────────────────


class Utterances(Protocol):
    """Where one utterance ends and the next begins."""

    @property
    def open(self) -> tuple[int, Span] | None:
        """The number of the utterance that is being spoken, and its stretch so far."""
        ...

    @property
    def needed_from_seconds(self) -> float:
        """No utterance that is still to come begins earlier."""
        ...

    def hear(self, probabilities: Sequence[float]) -> Iterator[SpeechStarted | Utterance]:
        """What the next windows bring. To be read to its end."""
        ...

    def commit(self, until_seconds: float) -> Utterance | None:
        """End the open utterance there, which is not before what was heard; None where there is none."""
        ...

    def clear(self) -> None:
        """Let the open utterance go: no text of it is wanted."""
        ...


class ByVoice:
    """Implements `Utterances`: they end in silence."""

    def __init__(self, rules: EndPointing, window_seconds: float) -> None:
        self._rules = rules
        self._window_seconds = window_seconds
        self._silence_below = max(rules.threshold - HYSTERESIS, LEAST_PROBABILITY)
        self._enough_silence = max(1, round(rules.silence_seconds / window_seconds))
        self._enough_speech = max(1, round(SHORTEST_SPEECH_SECONDS / window_seconds))
        self._windows = 0
        self._number = 0
        self._speech: list[float] = []
        """The probabilities since somebody seems to speak; empty while nobody does."""
        self._silence = 0
        self._is_speech = False
        """It has lasted too long for a click."""
        self._start_seconds = 0.0
        self._last_end_seconds = 0.0
        self._decided_until_seconds = 0.0

    @property
    def open(self) -> tuple[int, Span] | None:
        return (self._number, Span(self._start_seconds, self._now_seconds)) if self._is_speech else None

    @property
    def needed_from_seconds(self) -> float:
        if self._speech:
            return self._start_seconds
        return max(self._last_end_seconds, self._now_seconds - self._rules.padding_seconds)

    def hear(self, probabilities: Sequence[float]) -> Iterator[SpeechStarted | Utterance]:
        for probability in probabilities:
            yield from self._hear(probability)

    def commit(self, until_seconds: float) -> Utterance | None:
        utterance = self._ended(until_seconds, decided_seconds=until_seconds) if self._is_speech else None
        self._forget()
        return utterance

    def clear(self) -> None:
        if self._is_speech:
            self._last_end_seconds = self._decided_until_seconds = self._now_seconds
        self._forget()

    @property
    def _now_seconds(self) -> float:
        return self._windows * self._window_seconds

    def _hear(self, probability: float) -> Iterator[SpeechStarted | Utterance]:
        if not self._speech:
            self._start_seconds = max(self._last_end_seconds, self._now_seconds - self._rules.padding_seconds)
        self._windows += 1
        if not self._speech and probability < self._rules.threshold:
            return
        self._speech.append(probability)
        self._silence = self._silence + 1 if probability < self._silence_below else 0
        if not self._is_speech and len(self._speech) - self._silence >= self._enough_speech:
            self._is_speech = True
            yield self._begun()
        if self._silence >= (self._enough_silence if self._is_speech else self._enough_speech):
            if self._is_speech:
                silence_seconds = self._silence * self._window_seconds
                kept_seconds = min(silence_seconds, self._rules.padding_seconds)
                yield self._ended(self._now_seconds - silence_seconds + kept_seconds, decided_seconds=self._now_seconds)
            self._forget()
        elif self._now_seconds - self._start_seconds >= self._rules.longest_seconds:
            yield from self._split()

    def _split(self) -> Iterator[SpeechStarted | Utterance]:
        windows = self._least_speech_like()
        cut_seconds = (self._windows - len(self._speech) + windows) * self._window_seconds
        yield self._ended(cut_seconds, decided_seconds=cut_seconds)
        del self._speech[:windows]
        self._start_seconds = cut_seconds
        yield self._begun()

    def _least_speech_like(self) -> int:
        """Where to cut: at the lowest dip in the second half, but not in the silence that may be its end."""
        half, end = len(self._speech) // 2, len(self._speech) - self._silence
        reach = SMOOTHED_WINDOWS // 2
        places = range(half, max(half + 1, end - reach))
        return min(places, key=lambda place: sum(self._speech[max(0, place - reach) : place + reach + 1]))

    def _begun(self) -> SpeechStarted:
        self._number += 1
        return SpeechStarted(self._number, self._start_seconds)

    def _ended(self, end_seconds: float, *, decided_seconds: float) -> Utterance:
        start_seconds = self._start_seconds
        covered_from = max(self._decided_until_seconds, start_seconds - MARGIN_SECONDS)
        self._last_end_seconds, self._decided_until_seconds = end_seconds, decided_seconds
        return Utterance(
            number=self._number,
            span=Span(start_seconds, end_seconds),
            covers=Span(max(0.0, min(covered_from, start_seconds)), decided_seconds),
        )

    def _forget(self) -> None:
        self._speech.clear()
        self._silence, self._is_speech = 0, False


class ByHand:
    """Implements `Utterances`: the client ends them. What is not ended in `longest_seconds` ends by itself."""

    def __init__(self, longest_seconds: float, window_seconds: float) -> None:
        self._longest_seconds = longest_seconds
        self._window_seconds = window_seconds
        self._windows = 0
        self._number = 1
        self._start_seconds = 0.0

    @property
    def open(self) -> tuple[int, Span] | None:
        now_seconds = self._windows * self._window_seconds
        return (self._number, Span(self._start_seconds, now_seconds)) if now_seconds > self._start_seconds else None

    @property
    def needed_from_seconds(self) -> float:
        return self._start_seconds

    def hear(self, probabilities: Sequence[float]) -> Iterator[SpeechStarted | Utterance]:
        for _ in probabilities:
            self._windows += 1
            now_seconds = self._windows * self._window_seconds
            if now_seconds - self._start_seconds >= self._longest_seconds and (utterance := self.commit(now_seconds)):
                yield utterance

    def commit(self, until_seconds: float) -> Utterance | None:
        if until_seconds <= self._start_seconds:
            return None
        span = Span(self._start_seconds, until_seconds)
        utterance = Utterance(self._number, span, span)
        self._number, self._start_seconds = self._number + 1, until_seconds
        return utterance

    def clear(self) -> None:
        self._start_seconds = max(self._start_seconds, self._windows * self._window_seconds)


def utterances(request: LiveRequest, window_seconds: float) -> Utterances:
    if request.by_voice is not None:
        return ByVoice(request.by_voice, window_seconds)
    return ByHand(request.longest_seconds, window_seconds)
