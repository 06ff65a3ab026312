"""One live session: what is said is kept, cut into utterances, and recognised while more of it comes in.

    receive ──► the spool ──► decoder ──► voice activity ──► utterances ──► engines ──► told
                (first, so                                   (they wait,    (one after the other,
                 nothing is lost)                             in order)      in a thread of the session's)

Interims are for when nothing waits: the first thing to be left out when an engine cannot keep up. An utterance that no
engine could recognise is told as such, and left to the workers, who recognise the whole session's recording after it.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Event as Flag
from uuid import UUID

from hansard.application.live_recognition import Heard, LiveRecognition, Sound
from hansard.application.ports.audio import SpeechProbabilities, StreamDecoder
from hansard.application.ports.clock import Clock
from hansard.application.ports.storage import SpooledStream
from hansard.application.run import internal_failure
from hansard.domain.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ
from hansard.domain.errors import Conflict, EngineStopped, HansardError, InvalidAudio, InvalidRequest, StorageError
from hansard.domain.live import (
    Encoding,
    Hearing,
    Interim,
    Joined,
    LiveEvent,
    SpeechStarted,
    SpeechStopped,
    TakenOver,
    Utterance,
    UtteranceFailed,
    UtteranceRecognised,
    Utterances,
)
from hansard.domain.speech import Span
from hansard.domain.transcript import RecognisedPassage, Transcript
from hansard.domain.transcription import Attempt

LEAST_REST = 2.0
"""The next interim comes no sooner than this many times what the last one took: engines serve others, too."""

Tell = Callable[[LiveEvent], None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    utterance: Utterance
    pcm: bytes


@dataclass(slots=True)
class _Interims:
    """When the next one is due, in seconds of audio."""

    every_seconds: float
    """0: never."""
    due_seconds: float = 0.0

    def are_due(self, span: Span) -> bool:
        return bool(self.every_seconds) and span.seconds >= self.every_seconds and span.end_seconds >= self.due_seconds

    def done(self, span: Span, took_seconds: float) -> None:
        self.due_seconds = span.end_seconds + max(self.every_seconds, LEAST_REST * took_seconds)


@dataclass(slots=True, kw_only=True, eq=False)
class LiveSession:
    """Its methods may be called from any thread; those of one connection, one at a time.

    What is told is told in the order of the recording, by the caller's thread or the session's own.
    """

    id: UUID
    spooled: SpooledStream
    decoder: StreamDecoder
    voice: SpeechProbabilities
    utterances: Utterances
    recognition: LiveRecognition
    interim_seconds: float
    clock: Clock

    stop: Flag = field(default_factory=Flag)
    _tell: Tell | None = None
    _taking_in: threading.Lock = field(default_factory=threading.Lock)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _pcm: bytearray = field(default_factory=bytearray)
    """What may still be part of an utterance to come."""
    _pcm_from: int = 0
    """The sample that it begins with."""
    _waiting: deque[_Waiting] = field(default_factory=deque[_Waiting])
    _recognised: list[UtteranceRecognised] = field(default_factory=list[UtteranceRecognised])
    _noted: dict[float, RecognisedPassage] = field(default_factory=dict[float, RecognisedPassage])
    """What another process had recognised, by where it ends."""
    _interims: _Interims = field(init=False)

    def __post_init__(self) -> None:
        self._interims = _Interims(self.interim_seconds)

    # ── The client's side ────────────────────────────────────────────────────────────────────────────────

    @property
    def received_bytes(self) -> int:
        """All that came in, in the client's own encoding: where it goes on after a connection that broke off."""
        return self.spooled.received_bytes

    @property
    def received_seconds(self) -> float:
        """All that was decoded."""
        return self._samples_heard / SAMPLE_RATE_HZ

    @property
    def backlog_seconds(self) -> float:
        """The speech that is over, and waits for an engine or is being recognised."""
        with self._changed:
            return sum(waiting.utterance.span.seconds for waiting in self._waiting)

    def attach(self, tell: Tell, *, after: int = 0) -> None:
        """From now on this connection is told and may send, and no other; what the one before sent is in by then.

        It is told again what was recognised `after` the utterance of that number: the last that came through.
        """
        with self._taking_in, self._changed:
            before, self._tell = self._tell, tell
            joined = Joined(
                session_id=self.id,
                request=self.spooled.request,
                received_bytes=self.received_bytes,
                received_seconds=self.received_seconds,
                recognised=tuple(each for each in self._recognised if each.utterance.number > after),
            )
            tell(joined)
        if before is not None:
            before(TakenOver())

    def detach(self, tell: Tell) -> bool:
        """Whether that was the connection that was told."""
        if self._tell is not tell:
            return False
        self._tell = None
        return True

    def receive(self, chunk: bytes, tell: Tell) -> None:
        """Keep what that connection sends, and listen.

        Raises `InvalidRequest`, `StorageError`, and `Conflict` where another has the session: it was not taken in then.

        Raises `InvalidAudio` for what was kept, but cannot be decoded.
        """
        if self.spooled.request.encoding is Encoding.PCM16 and len(chunk) % 2:
            raise InvalidRequest(
                f"A message of {len(chunk)} bytes holds half a sample: samples have two.",
                code="odd_byte_count",
                help="Send whole samples of 16 bits, and go on from the last acknowledgement.",
            )
        with self._taking_in:
            if self._tell is not tell:
                raise taken_over()
            self.spooled.append(chunk)
            self._hear(self.decoder.feed(chunk))

    def acknowledge(self) -> int:
        """The bytes that are safe now, whatever happens."""
        received_bytes = self.received_bytes
        self.spooled.sync()
        return received_bytes

    def commit(self) -> bool:
        """End the utterance that is being spoken; whether there was one."""
        with self._changed:
            utterance = self.utterances.commit(self.received_seconds)
            if utterance is not None:
                self._enqueue(utterance)
        return utterance is not None

    def clear(self) -> None:
        """No text of what is being said is wanted now. The record has it."""
        with self._changed:
            self.utterances.clear()

    def replay(self) -> None:
        """Hear again what the spool has, after the process that heard it first has died. Nothing of it is told.

        Each utterance that was recognised then ends where it did, also where that was the client's wish.
        """
        passages = (hearing.passage for hearing in self.spooled.hearings())
        self._noted = {passage.span.end_seconds: passage for passage in passages if passage is not None}
        ends = deque(sorted(round(seconds * SAMPLE_RATE_HZ) for seconds in self._noted))
        for block in self.spooled.blocks():
            with suppress(InvalidAudio):
                pcm = self.decoder.feed(block)
                while ends and ends[0] <= self._samples_heard + len(pcm) // 2:
                    until = max(0, 2 * (ends.popleft() - self._samples_heard))
                    self._hear(pcm[:until])
                    self.commit()
                    pcm = pcm[until:]
                self._hear(pcm)

    def finish(self, patience_seconds: float) -> None:
        """Nothing more comes in. Waits, for so long, for what waits to be recognised; the rest is left to workers."""
        with suppress(InvalidAudio):
            self._hear(self.decoder.finish())
        self.commit()
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting or self.stop.is_set(), patience_seconds)
        self.give_up()

    def give_up(self) -> None:
        """Recognise nothing more."""
        self.stop.set()
        with self._changed:
            self._changed.notify_all()

    # ── The engines' side ────────────────────────────────────────────────────────────────────────────────

    def keep_recognising(self) -> None:
        """In a thread of the session's own, until it is given up."""
        while not self.stop.is_set():
            if not self.recognise_next():
                with self._changed:
                    self._changed.wait_for(lambda: self.stop.is_set() or self._has_work())

    def recognise_next(self) -> bool:
        """The utterance that has waited longest; where none waits, the open one if that is due. Whether there was."""
        with self._changed:
            waiting = self._waiting[0] if self._waiting else None
            opened = None if waiting else self._due_interim()
            pcm = self._samples(opened[1]) if opened else b""
        if waiting is not None:
            self._recognise(waiting)
        elif opened is not None:
            self._recognise_open(*opened, pcm)
        return waiting is not None or opened is not None

    def _has_work(self) -> bool:
        return bool(self._waiting) or self._due_interim() is not None

    def _due_interim(self) -> tuple[int, Span] | None:
        opened = self.utterances.open
        return opened if opened is not None and self._interims.are_due(opened[1]) else None

    def _recognise(self, waiting: _Waiting) -> None:
        utterance, sound = waiting.utterance, self._sound(waiting.pcm)
        told: UtteranceRecognised | UtteranceFailed
        try:
            passage = _passage(self.recognition.final(sound), utterance)
            self.spooled.note(Hearing(calls=tuple(sound.calls), passage=passage))
            told = UtteranceRecognised(utterance, passage)
        except EngineStopped:
            self._note_in_vain(sound.calls)
            return
        except HansardError as error:
            told = UtteranceFailed(utterance, error.failure)
        except Exception as error:  # noqa: BLE001 - the session goes on, and the utterance is left to a worker
            told = UtteranceFailed(utterance, internal_failure(f"An unexpected error: {type(error).__name__}"))
        if isinstance(told, UtteranceFailed):
            self._note_in_vain(sound.calls)
        with self._changed:
            # First: whoever waits for the last one goes on to say that the session is over.
            self._say(told)
            if isinstance(told, UtteranceRecognised):
                self._recognised.append(told)
            self._waiting.popleft()
            self._changed.notify_all()

    def _recognise_open(self, number: int, span: Span, pcm: bytes) -> None:
        began, sound = self.clock(), self._sound(pcm)
        text = self.recognition.interim(sound)
        self._note_in_vain(sound.calls)
        took_seconds = (self.clock() - began).total_seconds()
        with self._changed:
            self._interims.done(span, took_seconds)
            still_open = self.utterances.open
        # What has been said to the end meanwhile gets its final text next.
        if text and still_open is not None and still_open[0] == number:
            self._say(Interim(number, span, text))

    def _note_in_vain(self, calls: list[Attempt]) -> None:
        """Work of which no text is kept, but which is paid for. Where the disk is full, there is worse to tell."""
        if calls:
            with suppress(StorageError):
                self.spooled.note(Hearing(calls=tuple(calls)))

    def _sound(self, pcm: bytes) -> Sound:
        return Sound(pcm=pcm, language=self._language, stop=self.stop)

    @property
    def _language(self) -> str | None:
        """One language for a session: utterances are too short to detect it from, each for itself."""
        heard = (recognised.passage for recognised in self._recognised)
        return self.spooled.request.parameters.language or Transcript.of(heard).language

    # ── Between the two ──────────────────────────────────────────────────────────────────────────────────

    def _hear(self, pcm: bytes) -> None:
        with self._changed:
            self._pcm += pcm
            for moment in self.utterances.hear(self.voice.feed(pcm)):
                if isinstance(moment, SpeechStarted):
                    self._say(moment)
                else:
                    self._enqueue(moment)
            self._forget()
            if self._has_work():
                self._changed.notify_all()

    def _enqueue(self, utterance: Utterance) -> None:
        if self._noted and utterance.covers.end_seconds <= max(self._noted):
            # It is of the time of another process: recognised then, or left to a worker.
            if passage := self._noted.get(utterance.covers.end_seconds):
                self._recognised.append(UtteranceRecognised(utterance, passage))
            return
        self._say(SpeechStopped(utterance))
        self._waiting.append(_Waiting(utterance, self._samples(utterance.span)))
        self._changed.notify_all()

    @property
    def _samples_heard(self) -> int:
        return self._pcm_from + len(self._pcm) // 2

    def _samples(self, span: Span) -> bytes:
        start, end = (
            2 * (round(seconds * SAMPLE_RATE_HZ) - self._pcm_from) for seconds in (span.start_seconds, span.end_seconds)
        )
        return bytes(self._pcm[max(0, start) : end])

    def _forget(self) -> None:
        """What is behind all utterances to come. A second at a time: each time all the rest is moved."""
        needed_from = round(self.utterances.needed_from_seconds * SAMPLE_RATE_HZ)
        if 2 * (needed_from - self._pcm_from) >= BYTES_PER_SECOND:
            del self._pcm[: 2 * (needed_from - self._pcm_from)]
            self._pcm_from = needed_from

    def _say(self, event: LiveEvent) -> None:
        if self._tell is not None:
            self._tell(event)


def _passage(heard: Heard, utterance: Utterance) -> RecognisedPassage:
    shifted = (segment.shifted(utterance.span.start_seconds) for segment in heard.segments)
    return RecognisedPassage(
        span=utterance.covers,
        engine=heard.engine,
        model=heard.model,
        segments=tuple(replace(segment, engine=heard.engine) for segment in shifted),
    )


def taken_over() -> Conflict:
    return Conflict(
        "Another connection has the session now.",
        code="session_taken_over",
        help="If that is not yours, somebody knows the session's id. Nothing that came in is lost.",
    )
