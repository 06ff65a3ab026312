"""Who does what is being done, and in the course of which request and trace: noted on every event that it leads to,
on every line of the log, and on what is sent to others.

It follows the work by itself, through calls, threads that `asyncio.to_thread` starts and tasks; whoever begins a piece
of work (a request, a job, a command, a chore) says what it is with `acting`. Through the queue it goes as `carried`.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from secrets import token_hex

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MOST_TRACESTATE = 512
_TRACESTATE = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """None: not known.

    `actor` is `client`, `worker.1` or another process's name, `cli`, `chore:reconcile` … `trace_id` is W3C's, 32 hex
    digits. `traceparent` and `tracestate` are W3C's headers, where somebody records the trace: us, or the client.
    """

    actor: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None

    @property
    def carried(self) -> dict[str, str]:
        """What goes along with work that somebody else will do: all that is known but who asked."""
        return {name: value for name in _CARRIED if (value := getattr(self, name)) is not None}

    @property
    def headers(self) -> dict[str, str]:
        """What an HTTP request that is sent in the course of this carries, so that its receiver's log and trace can be
        put beside ours.
        """
        named = {
            "X-Request-ID": self.request_id,
            "traceparent": self.traceparent,
            "tracestate": self.tracestate if self.traceparent else None,
        }
        return {name: value for name, value in named.items() if value is not None}


_CARRIED = ("request_id", "trace_id", "traceparent", "tracestate")
_CURRENT: ContextVar[Origin] = ContextVar("origin", default=Origin())  # noqa: B039 - it is frozen


def current_origin() -> Origin:
    return _CURRENT.get()


@contextmanager
def acting(
    *,
    actor: str | None = None,
    request_id: str | None = None,
    trace_id: str | None = None,
    traceparent: str | None = None,
    tracestate: str | None = None,
) -> Generator[None]:
    """Inside, what is given holds, and what is not given stays as it was; but another trace has other parents."""
    given = {
        "actor": actor,
        "request_id": request_id,
        "trace_id": trace_id,
        "traceparent": traceparent,
        "tracestate": tracestate,
    }
    known = {name: value for name, value in given.items() if value is not None}
    before = _CURRENT.get()
    if trace_id is not None and trace_id != before.trace_id:
        before = replace(before, traceparent=None, tracestate=None)
    token = _CURRENT.set(replace(before, **known))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def resume(origin: Origin) -> None:
    """From now on, in this context, `origin` holds: where an end is told rather than seen. Prefer `acting`."""
    _CURRENT.set(origin)


def new_trace_id() -> str:
    """All of it random, unlike a UUID: by its last half, traces are sampled."""
    return token_hex(16)


def carried(arguments: Mapping[str, object]) -> dict[str, str]:
    """Of a job's arguments, those that `Origin.carried` put there: for `acting`."""
    return {name: value for name in _CARRIED if isinstance(value := arguments.get(name), str)}


def trace_given(traceparents: Sequence[str], tracestates: Sequence[str] = ()) -> dict[str, str]:
    """For `acting`: the trace that a request's headers name, each given as often as it came; empty where they name none
    by the rules of https://www.w3.org/TR/trace-context/.
    """
    parsed = _TRACEPARENT.fullmatch(traceparents[0].strip()) if len(traceparents) == 1 else None
    if parsed is None or (parsed[0].startswith("00") and parsed[4]):
        return {}
    # A later version's fields are the same as far as this one knows them.
    given = {"trace_id": parsed[1], "traceparent": f"00-{parsed[1]}-{parsed[2]}-{parsed[3]}"}
    state = ",".join(tracestates)
    if state and len(state) <= _MOST_TRACESTATE and _TRACESTATE.fullmatch(state):
        given["tracestate"] = state
    return given
