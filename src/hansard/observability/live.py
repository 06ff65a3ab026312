"""Tells the log what becomes of live sessions. What is said in them is nobody's business here."""

from uuid import UUID

from loguru import logger

from hansard.application.live_sessions import LiveChange
from hansard.domain.errors import Failure
from hansard.observability.events import facts

_SENTENCES = {
    LiveChange.BEGUN: ("INFO", "A live session has begun."),
    LiveChange.RESUMED: ("INFO", "The client of a live session is back."),
    LiveChange.LEFT: ("INFO", "The client of a live session is gone; it has a minute to come back."),
    LiveChange.STORED: ("INFO", "A live session is over, and stored: its transcription has the same id."),
    LiveChange.EMPTY: ("INFO", "A live session ended before any audio had come in."),
    LiveChange.REFUSED: ("WARNING", "What came in is no recording; it is put aside in the directory of live sessions."),
    LiveChange.KEPT: ("ERROR", "A live session could not be stored; its audio is kept, and it is tried again."),
}


def log_live(change: LiveChange, session_id: UUID | None, failure: Failure | None) -> None:
    """A `LiveObserver`."""
    told = logger.bind(transcription_id=str(session_id)) if session_id else logger
    level, sentence = _SENTENCES[change]
    if failure is None:
        told.log(level, sentence)
    else:
        told.bind(**facts(failure)).log(level, f"{sentence} {{}}", failure.message)
