"""The one log of every process: one record, one line, whoever wrote it.

Our own code logs with `from loguru import logger`; the standard library's logging, warnings and uncaught exceptions
are brought in here. Libraries are heard one level up: at INFO only their warnings, at DEBUG their INFO too, and never
their DEBUG, where they print what they carry (SQL parameters, request bodies).

Every line has the ids of `current_origin`. What it looks like is in `log_lines.py`, what it hides in `redaction.py`,
and where it is kept in `log_files.py`.
"""

import logging
import os
import sys
import threading
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from loguru import logger

from hansard.application.origin import current_origin
from hansard.domain.errors import HansardError
from hansard.observability.log_files import LogFile
from hansard.observability.log_lines import LEVEL_COLOURS, as_json, line_of, pretty
from hansard.observability.redaction import redact

if TYPE_CHECKING:
    from loguru import Message, Record

_HUSHED = ("zenml.zen_stores.base_zen_store",)
"""Warns, of all things, that it made its default stack."""


def configure(
    *, process: str, level: str, format: str, colour: bool | None = None, file: LogFile | None = None
) -> None:
    """Set up this process's log, on the standard error stream; again replaces what was there.

    `process` names it on every line (`api`, `worker.1`); `format` is `pretty` or `json`; `colour` None is by the
    terminal, `FORCE_COLOR` and `NO_COLOR`. With a `file`, see `also_to`.
    """
    level = level.upper()
    # Not sys.stderr: others replace that, or its `write`.
    stream = sys.__stderr__ or sys.stderr
    render = as_json if format == "json" else pretty(colour=wants_colour(stream) if colour is None else colour)

    def write(message: "Message") -> None:
        # One write a record, beneath the text layer: lines of different processes don't mix, and neither an encoding
        # nor a wrapped `write` can get in the way.
        stream.buffer.write(_encoded(render(line_of(message.record))))
        stream.buffer.flush()

    logger.remove()
    logger.configure(extra={"process": process}, patcher=add_origin)
    logger.add(write, level=level, format=lambda _: "", colorize=False, backtrace=False, diagnose=False)
    _StandardLogging.install(level)
    if file is not None:
        also_to(file, level=level)


def also_to(file: LogFile, *, level: str) -> None:
    """Write the log, from `level` up, to `file` too, as JSON lines. Only after `configure`."""
    sink = _FileSink(file)
    logger.add(sink, level=level.upper(), format=lambda _: "", colorize=False, backtrace=False, diagnose=False)


def add_origin(record: "Record") -> None:
    """Loguru's patcher: the ids of what is being done."""
    origin = current_origin()
    record["extra"].setdefault("request_id", origin.request_id)
    record["extra"].setdefault("trace_id", origin.trace_id)


def strip_foreign_handlers() -> None:
    """Undo what a library did to logging when it was imported: ZenML adds handlers, sets the root's level, wraps the
    standard streams' `write` and replaces the exception hook. Does nothing before `configure`.
    """
    for handler in logging.root.handlers:
        if isinstance(handler, _StandardLogging):
            _StandardLogging.install(handler.our_level)
            return


def context(**fields: object) -> AbstractContextManager[None]:
    """Put `fields` (`transcription_id`) on every line logged inside, also by threads that `asyncio.to_thread` starts;
    None is left out. The request's and the trace's ids come from `acting`.
    """
    return logger.contextualize(**{name: value for name, value in fields.items() if value is not None})


class _FileSink:
    def __init__(self, file: LogFile) -> None:
        self._file = file

    def write(self, message: "Message") -> None:
        self._file.write(_encoded(as_json(line_of(message.record))))

    def stop(self) -> None:
        self._file.close()


def _encoded(line: str) -> bytes:
    return redact(line).encode("utf-8", "backslashreplace")


def wants_colour(stream: TextIO) -> bool:
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
        """Never raises: a library that cannot say something must not be kept from doing it."""
        try:
            self._tell(record)
        except Exception:  # noqa: BLE001 - the standard library would print what it was about, whatever that is
            logger.bind(logger=record.name).warning("What a library had to say could not be put into words.")

    def _tell(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.name == "py.warnings":
            message = message.partition("\n")[0]  # the rest quotes the source

        level = record.levelname if record.levelname in LEVEL_COLOURS else record.levelno
        raised = record.exc_info or None  # some say False
        if raised is not None and isinstance(raised[1], HansardError):
            # One of ours, which passes through a library on its way to the record: it says all in a line.
            logger.bind(logger=record.name, error=raised[1]).log(_lowered(level), message)
            return
        logger.bind(logger=record.name).opt(exception=raised).log(level, message)


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
