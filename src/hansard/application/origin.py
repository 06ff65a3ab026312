"""Who does what is being done, and in the course of which request: noted on every event that it leads to.

It follows the work by itself, through calls, threads that `asyncio.to_thread` starts and tasks; whoever begins a piece
of work (a request, a job, a command, a chore) says what it is with `acting`.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """`actor` is a client, a worker or a person at a terminal; `trace_id` W3C's, 32 hex digits; None: not known."""

    actor: str | None = None
    request_id: str | None = None
    trace_id: str | None = None


_CURRENT: ContextVar[Origin] = ContextVar("origin", default=Origin())  # noqa: B039 - it is frozen


def current_origin() -> Origin:
    return _CURRENT.get()


@contextmanager
def acting(*, actor: str | None = None, request_id: str | None = None, trace_id: str | None = None) -> Generator[None]:
    """Inside, what is given holds, and what is not given stays as it was."""
    given = {"actor": actor, "request_id": request_id, "trace_id": trace_id}
    known = {name: value for name, value in given.items() if value is not None}
    token = _CURRENT.set(replace(_CURRENT.get(), **known))
    try:
        yield
    finally:
        _CURRENT.reset(token)
