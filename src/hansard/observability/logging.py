"""The one log of every process: one record, one line, whoever wrote it.

Our own code logs with `from loguru import logger`; the standard library's logging, warnings and uncaught exceptions
are brought in here. Libraries are heard one level up: at INFO only their warnings, at DEBUG their INFO too, and never
their DEBUG, where they print what they carry (SQL parameters, request bodies).

Nothing in a message can forge a second line, end the colours or show a secret: see `_ESCAPES` and `_SECRETS`.
"""

import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from loguru import logger

from hansard.domain.errors import HansardError

if TYPE_CHECKING:
    from loguru import Message, Record

_ID_CHARACTERS = 8
_DIM, _RESET = "\x1b[2m", "\x1b[0m"
_LEVEL_COLOURS = {
    "TRACE": "\x1b[2m",
    "DEBUG": "\x1b[36m",
    "INFO": "\x1b[32m",
    "SUCCESS": "\x1b[32m",
    "WARNING": "\x1b[33m",
    "ERROR": "\x1b[31m",
    "CRITICAL": "\x1b[1;31m",
}
_CONTROL_CHARACTERS = (
    *range(0x20),
    *range(0x7F, 0xA0),
    *(0x061C, 0x200E, 0x200F, 0x2028, 0x2029),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
)
_ESCAPES = {code: f"\\u{code:04x}" for code in _CONTROL_CHARACTERS} | {9: "\\t", 10: "\\n", 13: "\\r"}
"""What could start a new line, move the cursor or turn the reading direction, written out. Valid inside JSON."""

_SECRETS = (
    (re.compile(r"\bsk-[\w-]{12,}"), "sk-***"),
    (re.compile(r"(?i)(authorization\W{1,4}(?:bearer|basic)\s+)[\w.~+/=-]+"), r"\1***"),
    (re.compile(r"(://[^\s:/@]*):[^\s/@]+@"), r"\1:***@"),
)
"""Keys of OpenAI's kind, credentials of an Authorization header, passwords in URLs."""

_HUSHED = ("zenml.zen_stores.base_zen_store",)
"""Warns, of all things, that it made its default stack."""

_COLUMNS = ("process", "request_id", "transcription_id")


def configure(*, process: str, level: str, format: str, colour: bool | None = None) -> None:
    """Set up this process's log, on the standard error stream; again replaces what was there.

    `process` names it on every line (`api`, `worker.1`); `format` is `pretty` or `json`; `colour` None is by the
    terminal, `FORCE_COLOR` and `NO_COLOR`.
    """
    level = level.upper()
    # Not sys.stderr: others replace that, or its `write`.
    stream = sys.__stderr__ or sys.stderr
    render = _json_line if format == "json" else _pretty(colour=_wants_colour(stream) if colour is None else colour)

    def write(message: "Message") -> None:
        # One write a record, beneath the text layer: lines of different processes don't mix, and neither an encoding
        # nor a wrapped `write` can get in the way.
        stream.buffer.write(redact(render(message.record)).encode("utf-8", "backslashreplace"))
        stream.buffer.flush()

    logger.remove()
    logger.configure(extra={"process": process})
    logger.add(write, level=level, format=lambda _: "", colorize=False, backtrace=False, diagnose=False)
    _StandardLogging.install(level)


def strip_foreign_handlers() -> None:
    """Undo what a library did to logging when it was imported: ZenML adds handlers, sets the root's level, wraps the
    standard streams' `write` and replaces the exception hook. Does nothing before `configure`.
    """
    for handler in logging.root.handlers:
        if isinstance(handler, _StandardLogging):
            _StandardLogging.install(handler.our_level)
            return


def context(**fields: object) -> AbstractContextManager[None]:
    """Put `fields` (`request_id`, `transcription_id`) on every line logged inside, also by threads that
    `asyncio.to_thread` starts; None is left out.
    """
    return logger.contextualize(**{name: value for name, value in fields.items() if value is not None})


def redact(text: str) -> str:
    """`text` without the secrets that are known by their look."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


# ── Two formats ──────────────────────────────────────────────────────────────────────────────────────────


def _pretty(*, colour: bool) -> "Callable[[Record], str]":
    def paint(code: str, text: str) -> str:
        return f"{code}{text}{_RESET}" if colour else text

    def render(record: "Record") -> str:
        extra = record["extra"]
        level = record["level"].name
        columns = [
            paint(_DIM, f"{record['time']:%H:%M:%S}.{record['time'].microsecond // 1000:03d}"),
            paint(_LEVEL_COLOURS.get(level, ""), f"{level:<8}"),
            f"{_escaped(extra.get('process', '')):<9}",
            *(paint(_DIM, f"{_short(extra.get(name)):<{_ID_CHARACTERS}}") for name in _COLUMNS[1:]),
            _escaped(record["message"]),
        ]
        fields = [f"{_escaped(name)}={_value(value)}" for name, value in extra.items() if name not in _COLUMNS]
        if fields:
            columns.append(paint(_DIM, " ".join(fields)))
        # Indented, so that no line of a traceback reads as a record of its own.
        trace = "".join(f"    {line.translate(_ESCAPES)}\n" for line in _traceback(record).split("\n") if line)
        return f"{' '.join(columns)}\n{trace}"

    return render


def _json_line(record: "Record") -> str:
    extra = record["extra"]
    line: dict[str, object] = {
        "time": record["time"].astimezone(UTC).isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        "process": extra.get("process"),
        "request_id": extra.get("request_id"),
        "transcription_id": extra.get("transcription_id"),
        "message": record["message"],
        "logger": extra.get("logger", record["name"]),
    }
    own = {*line, "exception"}
    fields = {name: value for name, value in extra.items() if name not in {*_COLUMNS, "logger"}}
    line |= {f"{name}_" if name in own else name: value for name, value in fields.items()}
    if trace := _traceback(record):
        line["exception"] = trace
    return json.dumps(line, ensure_ascii=False, default=str).translate(_ESCAPES) + "\n"


def _traceback(record: "Record") -> str:
    raised = record["exception"]
    if raised is None or raised.type is None:
        return ""
    return "".join(traceback.format_exception(raised.type, raised.value, raised.traceback)).rstrip("\n")


def _short(identifier: object) -> str:
    return _escaped("-" if identifier is None else identifier)[:_ID_CHARACTERS]


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    text = _escaped(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(mark in text for mark in ' "=') else text


def _escaped(value: object) -> str:
    return str(value).translate(_ESCAPES)


def _wants_colour(stream: TextIO) -> bool:
    """As https://no-color.org and https://force-color.org have it."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


# ── What others log ──────────────────────────────────────────────────────────────────────────────────────


class _StandardLogging(logging.Handler):
    """Hands the standard library's records over to Loguru."""

    def __init__(self, our_level: str) -> None:
        super().__init__()
        self.our_level = our_level

    @classmethod
    def install(cls, our_level: str) -> None:
        """Make this the only handler in the process, however often it is called."""
        logging.disable(logging.NOTSET)
        logging.root.handlers = [cls(our_level)]
        logging.root.setLevel(_library_level(our_level))
        for name in list(logging.root.manager.loggerDict):
            library = logging.getLogger(name)
            library.handlers.clear()
            library.propagate = True
        for name in _HUSHED:
            logging.getLogger(name).setLevel("ERROR")
        logging.captureWarnings(True)  # noqa: FBT003 - the standard library's signature
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            # A wrapped `write` sits on the object, in front of its class's own.
            getattr(stream, "__dict__", {}).pop("write", None)
        sys.excepthook = _log_uncaught
        threading.excepthook = lambda thread: _log_uncaught(thread.exc_type, thread.exc_value, thread.exc_traceback)

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.name == "py.warnings":
            message = message.partition("\n")[0]  # the rest quotes the source

        level = record.levelname if record.levelname in _LEVEL_COLOURS else record.levelno
        if record.exc_info is not None and isinstance(record.exc_info[1], HansardError):
            # One of ours, which passes through a library on its way to the record: it says all in a line.
            logger.bind(logger=record.name, error=record.exc_info[1]).log(_lowered(level), message)
            return
        logger.bind(logger=record.name).opt(exception=record.exc_info).log(level, message)


def _lowered(level: str | int) -> str | int:
    """Whoever handles an error of ours says how bad it is; a library that it passes through does not know."""
    return "INFO" if level in {"WARNING", "ERROR", "CRITICAL"} else level


def _library_level(our_level: str) -> str:
    if our_level in {"TRACE", "DEBUG"}:
        return "INFO"
    return "WARNING" if our_level in {"INFO", "SUCCESS"} else our_level


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, where: TracebackType | None
) -> None:  # pragma: no cover - runs as the interpreter ends
    if error is None or issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    logger.opt(exception=(kind, error, where)).critical("An exception that nothing caught.")
