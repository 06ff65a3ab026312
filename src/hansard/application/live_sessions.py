"""All live sessions of this process: begun, come back to, and made recordings and transcriptions like any other.

A session's id is the id of the transcription that it becomes, so to store it twice is to store it once. Whatever
happens to the client or to this process, the spool has what was said: a session that nobody comes back to within a
minute is stored as it is, by this process or by the next one.
"""

import threading
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID, uuid4

from hansard.application.circuit_breaker import CircuitBreaker
from hansard.application.engine_chain import EngineChain
from hansard.application.live import LiveSession, Tell
from hansard.application.live_recognition import LiveRecognition
from hansard.application.origin import acting
from hansard.application.ports.audio import SpeechProbabilities, StreamDecoder
from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.storage import LiveSpool, SpooledStream
from hansard.application.room import DiskRoom
from hansard.application.run import internal_failure
from hansard.application.submit import Submit
from hansard.application.upload import Upload
from hansard.domain.audio import AudioFile
from hansard.domain.errors import (
    ConfigurationError,
    Conflict,
    Failure,
    HansardError,
    InvalidAudio,
    NotFound,
    TooManySessions,
)
from hansard.domain.live import Encoding, LiveEnded, LiveRequest, attempts_of, utterances
from hansard.domain.transcription import Transcription

RECONNECT_SECONDS = 60.0
"""A client that is gone for longer does not come back."""

EMPTY_KEPT_SECONDS = 5.0
"""One in which nothing came in makes room for another as soon as its client is gone for so long."""

LEAST_ROOM_BYTES = 100_000_000
"""An hour of samples at 16 kHz, and a little."""

END_PATIENCE_SECONDS = 30.0
"""How long the end of a session waits for what is still to be recognised; then the workers do it."""

SWEEP_EVERY_SECONDS = 5.0
LEAVING_SECONDS = 5.0
"""A session's thread is back within two seconds of being told."""


class LiveChange(StrEnum):
    BEGUN = "begun"
    RESUMED = "resumed"
    LEFT = "left"
    """Its client is gone, and has a minute to come back."""
    STORED = "stored"
    EMPTY = "empty"
    """It ended before any audio had come in."""
    REFUSED = "refused"
    """What came in is no recording."""
    KEPT = "kept"
    """It could not be stored yet; the spool has it, and it is tried again."""


LiveObserver = Callable[[LiveChange, UUID | None, Failure | None], None]
"""Told what becomes of each session, and why. None: it is not about one of them."""


class StartThread(Protocol):
    def __call__(self, work: Callable[[], None], *, name: str) -> threading.Thread: ...


def start_daemon(work: Callable[[], None], *, name: str) -> threading.Thread:
    """In the caller's context, so that what is logged has its ids."""
    thread = threading.Thread(target=copy_context().run, args=(work,), name=name, daemon=True)
    thread.start()
    return thread


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePolicy:
    """`most_sessions` 0: none. `charged_by_call` names engines that hear an utterance twice only if asked to.

    Clients are held up while more than `backlog_seconds` of speech wait; a session ends by itself at `longest_seconds`.
    """

    most_sessions: int
    longest_seconds: float
    backlog_seconds: float
    interim_seconds: float
    charged_by_call: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLoad:
    """Of all sessions at a moment: the speech that waits for an engine, and all that was heard in this process."""

    sessions: int
    backlog_seconds: float
    heard_seconds: float


@dataclass(slots=True)
class _Held:
    session: LiveSession
    thread: threading.Thread
    left_at: datetime | None
    """Since when no connection has it."""


@dataclass(slots=True, kw_only=True, eq=False)
class LiveSessions:
    """Thread-safe. `start` and `stop` the storing of what was left behind; the rest works without."""

    policy: LivePolicy
    spool: LiveSpool
    decoder: Callable[[Encoding, int], StreamDecoder]
    voice: Callable[[], SpeechProbabilities]
    chain: EngineChain
    breaker: CircuitBreaker
    upload: Upload
    submit: Submit
    room: DiskRoom
    unit_of_work: Callable[[], UnitOfWork]
    observe: LiveObserver
    clock: Clock
    start_thread: StartThread = start_daemon

    _held: dict[UUID, _Held] = field(default_factory=dict[UUID, _Held])
    _heard_seconds: float = 0.0
    """In sessions that are over."""
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _unreadable: set[UUID] = field(default_factory=set[UUID])

    # ── A session's life ─────────────────────────────────────────────────────────────────────────────────

    def require_room(self, owner: str) -> None:
        """Raises `TooManySessions`, `QueueFull`, `DiskScarce`, and `ConfigurationError` where live speech is off."""
        self._require_on()
        self._require_place()
        self.room.require(LEAST_ROOM_BYTES)
        self.submit.require_room(owner)

    def begin(self, request: LiveRequest, session_id: UUID | None = None) -> LiveSession:
        """Raises what `require_room` and `Submit.check` raise, and the `EngineError` that says why no engine can listen
        now. `session_id` None: a new one.
        """
        self.submit.check(request.parameters)
        self.require_room(request.owner)
        self._recognition(request).require_engine()
        session_id = session_id or uuid4()
        with self._lock:
            self._require_place()
            session = self._hold(session_id, self.spool.create(session_id, request))
        self.observe(LiveChange.BEGUN, session_id, None)
        return session

    def resume(self, session_id: UUID) -> LiveSession | LiveEnded:
        """The session, for a client that comes back; how it ended, where it is over. Raises `NotFound`, `Conflict`."""
        with self._lock:
            if held := self._held.get(session_id):
                self.observe(LiveChange.RESUMED, session_id, None)
                return held.session
        if ended := self._ended(session_id):
            return ended
        self._require_on()
        session = self._adopt(session_id)
        self.observe(LiveChange.RESUMED, session_id, None)
        return session

    def join(self, session: LiveSession, tell: Tell, *, after: int = 0) -> None:
        """The session is that connection's from now on; one that had it is told so. Raises `Conflict` if it is over.

        `after` is the number of the last utterance whose text the client has.
        """
        with self._lock:
            held = self._held.get(session.id)
            if held is None:
                raise _is_over()
            held.left_at = None
            session.attach(tell, after=after)

    def leave(self, session: LiveSession, tell: Tell) -> None:
        """That connection is gone; if no other took the session over meanwhile, it waits for the client."""
        with self._lock:
            held = self._held.get(session.id)
            if held is not None and session.detach(tell):
                held.left_at = self.clock()
                self.observe(LiveChange.LEFT, session.id, None)

    def end(self, session: LiveSession) -> LiveEnded:
        """Recognise what waits, store the session and queue its transcription, which has what was recognised.

        Raises `Conflict` where it is over or being ended, `InvalidAudio` where nothing that came in is a recording,
        and `StorageError`: then the spool has it, and it is stored as soon as that can be done.
        """
        with self._lock:
            held = self._held.pop(session.id, None)
        if held is None:
            raise _is_over()
        return self._end(held)

    def load(self) -> LiveLoad:
        with self._lock:
            sessions = [held.session for held in self._held.values()]
            heard_seconds = self._heard_seconds
        return LiveLoad(
            sessions=len(sessions),
            backlog_seconds=sum(session.backlog_seconds for session in sessions),
            heard_seconds=heard_seconds + sum(session.received_seconds for session in sessions),
        )

    def _end(self, held: _Held) -> LiveEnded:
        held.session.finish(END_PATIENCE_SECONDS)
        held.thread.join(LEAVING_SECONDS)
        with self._lock:
            self._heard_seconds += held.session.received_seconds
        return self._store(held.session.id, held.session.spooled)

    # ── What was left behind ─────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        self.start_thread(self._keep_sweeping, name="live-sweep")

    def stop(self) -> None:
        """Leave all sessions as they are: in the spool, for the next process or a minute's time."""
        self._stopping.set()
        with self._lock:
            held, self._held = list(self._held.values()), {}
        for each in held:
            each.session.give_up()
        for each in held:
            each.thread.join(LEAVING_SECONDS)
            each.session.spooled.release()

    def sweep(self) -> None:
        """Store the sessions whose clients stayed away, of this process and of those that died."""
        before = self.clock() - timedelta(seconds=RECONNECT_SECONDS)
        with self._lock:
            left = [held for held in self._held.values() if held.left_at and held.left_at <= before]
            for held in left:
                del self._held[held.session.id]
        for held in left:
            self._quietly(held.session.id, lambda held=held: self._end(held))
        for session_id in self.spool.abandoned(before):
            if session_id not in self._unreadable:
                self._quietly(session_id, lambda session_id=session_id: self._store_orphan(session_id))

    def _keep_sweeping(self) -> None:
        while not self._stopping.wait(SWEEP_EVERY_SECONDS):
            try:
                self.sweep()
            except Exception as error:  # noqa: BLE001 - it is observed, and the next sweep comes soon
                self.observe(LiveChange.KEPT, None, _failure(error))

    def _quietly(self, session_id: UUID, store: Callable[[], LiveEnded]) -> None:
        """What `store` raises was observed, or is no news."""
        try:
            store()
        except HansardError as error:
            if error.failure.code == "live_notes_damaged":
                self._unreadable.add(session_id)
                self.observe(LiveChange.KEPT, session_id, error.failure)

    def _store_orphan(self, session_id: UUID) -> LiveEnded:
        return self._store(session_id, self.spool.take(session_id))

    # ── Storing ──────────────────────────────────────────────────────────────────────────────────────────

    def _store(self, session_id: UUID, spooled: SpooledStream) -> LiveEnded:
        if not spooled.received_bytes:
            spooled.remove()
            self.observe(LiveChange.EMPTY, session_id, None)
            return LiveEnded(session_id, None, None)
        try:
            transcription = self._make_transcription(session_id, spooled)
        except InvalidAudio as error:
            spooled.set_aside()
            self.observe(LiveChange.REFUSED, session_id, error.failure)
            raise
        except BaseException as error:
            spooled.release()
            self.observe(LiveChange.KEPT, session_id, _failure(error))
            raise
        spooled.remove()
        self.observe(LiveChange.STORED, session_id, None)
        return LiveEnded(session_id, transcription.id, transcription.audio_id)

    def _make_transcription(self, session_id: UUID, spooled: SpooledStream) -> Transcription:
        request = spooled.request

        def keep(uow: UnitOfWork, audio: AudioFile) -> Transcription:
            self.upload.add(uow, audio)
            transcription = self.submit.queue(
                uow, audio, request.parameters, owner=request.owner, request_id=request.request_id, id=session_id
            )
            hearings = spooled.hearings()
            for hearing in hearings:
                if hearing.passage is not None:
                    uow.transcripts.add_passage(session_id, hearing.passage)
            transcription.take_in(attempts_of(hearings), self.clock())
            uow.transcriptions.save(transcription)
            uow.commit()
            return transcription

        # A process may have been killed between the commit and the removal of the spool.
        if stored := self._transcription(session_id):
            return stored
        # Whoever stores it, maybe another process: it is this request that led to it.
        with acting(request_id=request.request_id), spooled.recording() as source:
            name = f"live {request.started_at:%Y-%m-%d %H.%M.%S}{_extension(source.read(4))}"
            source.seek(0)
            return self.upload.take_in(source, keep, file_name=name, owner=request.owner)

    def _transcription(self, session_id: UUID) -> Transcription | None:
        try:
            with self.unit_of_work() as uow:
                return uow.transcriptions.get(session_id)
        except NotFound:
            return None

    def _ended(self, session_id: UUID) -> LiveEnded | None:
        stored = self._transcription(session_id)
        return LiveEnded(session_id, stored.id, stored.audio_id) if stored else None

    # ── Putting together ─────────────────────────────────────────────────────────────────────────────────

    def _adopt(self, session_id: UUID) -> LiveSession:
        """A session that another process had."""
        spooled = self.spool.take(session_id)
        session = self._session(session_id, spooled)
        session.replay()
        with self._lock:
            return self._hold(session_id, spooled, session)

    def _hold(self, session_id: UUID, spooled: SpooledStream, session: LiveSession | None = None) -> LiveSession:
        session = session or self._session(session_id, spooled)
        thread = self.start_thread(session.keep_recognising, name="live-engine")
        self._held[session_id] = _Held(session, thread, left_at=self.clock())
        return session

    def _session(self, session_id: UUID, spooled: SpooledStream) -> LiveSession:
        request, voice = spooled.request, self.voice()
        return LiveSession(
            id=session_id,
            spooled=spooled,
            decoder=self.decoder(request.encoding, request.sample_rate_hz),
            voice=voice,
            utterances=utterances(request, voice.window_seconds),
            recognition=self._recognition(request),
            interim_seconds=0.0 if request.interims is False else self.policy.interim_seconds,
            clock=self.clock,
        )

    def _recognition(self, request: LiveRequest) -> LiveRecognition:
        return LiveRecognition(
            chain=self.chain,
            breaker=self.breaker,
            parameters=request.parameters,
            interims=request.interims,
            charged_by_call=self.policy.charged_by_call,
            clock=self.clock,
        )

    def _require_place(self) -> None:
        with self._lock:
            if len(self._held) >= self.policy.most_sessions:
                self._drop_empty()
        if len(self._held) >= self.policy.most_sessions:
            most = self.policy.most_sessions
            raise TooManySessions(
                f"{most} live sessions run already, as many as are taken on here.",
                help="Try again when one of them has ended, or raise HANSARD_LIVE_SESSIONS.",
            )

    def _drop_empty(self) -> None:
        before = self.clock() - timedelta(seconds=EMPTY_KEPT_SECONDS)
        left = [held for held in self._held.values() if held.left_at and held.left_at <= before]
        for held in (held for held in left if not held.session.received_bytes):
            del self._held[held.session.id]
            held.session.give_up()
            self._quietly(held.session.id, lambda held=held: self._store(held.session.id, held.session.spooled))

    def _require_on(self) -> None:
        if not self.policy.most_sessions:
            raise ConfigurationError(
                "Live sessions are switched off here.",
                code="live_off",
                help="Set HANSARD_LIVE_SESSIONS to the number that may run at once.",
            )


def _is_over() -> Conflict:
    return Conflict(
        "The session is over, or is being stored.",
        code="session_over",
        help="GET /transcriptions/{id}, with the session's id, has it within a minute.",
    )


def _failure(error: BaseException) -> Failure:
    if isinstance(error, HansardError):
        return error.failure
    return internal_failure(f"An unexpected error: {type(error).__name__}.")


_EXTENSIONS: Mapping[bytes, str] = {b"RIFF": ".wav", b"OggS": ".ogg"}


def _extension(head: bytes) -> str:
    return _EXTENSIONS.get(head, ".webm")
