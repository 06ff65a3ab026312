"""What the log is told of live sessions."""

from uuid import uuid4

import pytest
from loguru import logger

from hansard.application.live_sessions import LiveChange
from hansard.domain.errors import StorageError
from hansard.observability.live import log_live


@pytest.mark.parametrize("change", LiveChange)
def test_each_change_is_a_line_with_the_sessions_id(change: LiveChange) -> None:
    lines: list[str] = []
    session_id = uuid4()
    sink = logger.add(lines.append, format="{level} {message} {extra}")
    try:
        log_live(change, session_id, StorageError("The disk is full.").failure if change is LiveChange.KEPT else None)
    finally:
        logger.remove(sink)
    (line,) = lines
    assert str(session_id) in line
    assert ("storage_unavailable" in line) == (change is LiveChange.KEPT)
