"""What a line of the log holds, and its two forms: for people, and for machines. Both can be made from a file's line.

Nothing in a message can forge a second line or end the colours: see `_ESCAPES`.
"""

import json
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from loguru import logger

from hansard.domain.errors import Category, HansardError

if TYPE_CHECKING:
    from loguru import Record

Line = Mapping[str, Any]
"""One record, in the order and by the names of docs/logging.md."""

IDS = ("request_id", "trace_id", "transcription_id")
ALWAYS = ("time", "level", "process", *IDS, "message", "logger")
"""The fields that every line has, if only as null. `exception` and the record's own follow."""

_FOR_MACHINES = frozenset({*ALWAYS, "exception", "route"}) - {"logger"}
"""What the form for people shows in another place or not at all."""

_OUR_LOGGERS = ("hansard.", "__main__")
"""Those who log with Loguru: which module it was is for machines."""

UNEXPECTED = {"code": "internal_error", "category": Category.INTERNAL.value}

_SHOWN_IDS = ("request_id", "transcription_id")
_ID_CHARACTERS = 8
_DIM, _RESET = "\x1b[2m", "\x1b[0m"
LEVEL_COLOURS = {
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


def line_of(record: "Record") -> Line:
    extra = record["extra"]
    line: dict[str, object] = {
        "time": record["time"].astimezone(UTC).isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        "process": extra.get("process"),
        **{name: extra.get(name) for name in IDS},
        "message": record["message"],
        "logger": extra.get("logger", record["name"]),
    }
    own = {name: value for name, value in extra.items() if name not in {"process", *IDS, "logger"}}
    line |= {f"{name}_" if name in line or name == "exception" else name: value for name, value in own.items()}
    for name, value in _whose_move(record).items():
        line.setdefault(name, value)
    if trace := _traceback(record):
        line["exception"] = trace
    return line


def as_json(line: Line) -> str:
    return _escaped(json.dumps(line, ensure_ascii=False, default=str)) + "\n"


def pretty(*, colour: bool, dated: bool = False) -> Callable[[Line], str]:
    """For people; `dated` where lines are not of today."""

    def paint(code: str, text: str) -> str:
        return f"{code}{text}{_RESET}" if colour else text

    def render(line: Line) -> str:
        at, level = datetime.fromisoformat(line["time"]).astimezone(), _escaped(line["level"])
        columns = [
            paint(_DIM, f"{at:%Y-%m-%d }" * dated + f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"),
            paint(LEVEL_COLOURS.get(level, ""), f"{level:<8}"),
            f"{_escaped(line.get('process') or ''):<9}",
            *(paint(_DIM, f"{_short(line.get(name)):<{_ID_CHARACTERS}}") for name in _SHOWN_IDS),
            _escaped(line["message"]),
        ]
        fields = {name: value for name, value in line.items() if name not in _FOR_MACHINES}
        if fields["logger"] is None or fields["logger"].startswith(_OUR_LOGGERS):
            del fields["logger"]
        if fields:
            shown = (f"{_escaped(name)}={_value(value)}" for name, value in fields.items())
            columns.append(paint(_DIM, " ".join(shown)))
        # Indented, so that no line of a traceback reads as a record of its own.
        trace = "".join(f"    {_escaped(row)}\n" for row in line.get("exception", "").split("\n") if row)
        return f"{' '.join(columns)}\n{trace}"

    return render


def _whose_move(record: "Record") -> Mapping[str, str]:
    """The code and the category of the error table: those of an exception that came along, else those of what nobody
    foresaw, at ERROR. Whoever logs may know better.
    """
    raised = record["exception"]
    error = raised.value if raised is not None else record["extra"].get("error")
    if isinstance(error, HansardError):
        return {"code": error.failure.code, "category": error.failure.category.value}
    return UNEXPECTED if record["level"].no >= logger.level("ERROR").no else {}


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
    text = str(value)
    return text if text.isprintable() else text.translate(_ESCAPES)  # which takes a microsecond a word
