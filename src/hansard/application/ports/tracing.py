"""Spans of a trace, as adapters see them: who times something worth a place there is handed a `Span` maker."""

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from typing import Protocol

Fact = str | int | float | bool


class SpanKind(StrEnum):
    """OpenTelemetry's."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Span(Protocol):
    def note(self, facts: Mapping[str, Fact | None]) -> None:
        """Add attributes, by OpenTelemetry's names where it has some. None is left out."""
        ...

    def rename(self, name: str) -> None: ...

    def fail(self, error_type: str) -> None:
        """It ends in error; `error_type` is of few values, as a failure's code."""
        ...


class Spans(Protocol):
    def __call__(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        expected: tuple[type[BaseException], ...] = (),
        facts: Mapping[str, Fact | None] | None = None,
    ) -> AbstractContextManager[Span]:
        """A span around a block, which ends in error when the block raises anything but what is `expected`.

        Inside, `current_origin().headers` name it as the parent of what others do for us. `facts` are its attributes.
        """
        ...


class _NoSpan:
    def note(self, facts: Mapping[str, Fact | None]) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def fail(self, error_type: str) -> None:
        pass


NO_SPAN: Span = _NoSpan()
"""Where nothing is recorded."""


@contextmanager
def no_spans(
    name: str,  # noqa: ARG001 - the port's, as the rest
    *,
    kind: SpanKind = SpanKind.INTERNAL,  # noqa: ARG001
    expected: tuple[type[BaseException], ...] = (),  # noqa: ARG001
    facts: Mapping[str, Fact | None] | None = None,  # noqa: ARG001
) -> Generator[Span]:
    """`Spans` where nothing is traced."""
    yield NO_SPAN
