"""`hansard logs`: the log of all processes of this machine, in order of time, from the files that they keep."""

import heapq
import json
import os
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from hansard.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from hansard.observability.log_lines import Line

LOOK_EVERY_SECONDS = 0.2
LINES_BEFORE_FOLLOWING = 10
LEVELS = ("TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")
"""The mildest first."""

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which lines are shown; ids may be given by how they begin. None leaves a filter out."""

    request_id: str | None = None
    transcription_id: str | None = None
    trace_id: str | None = None
    process: str | None = None
    level: str = LEVELS[0]
    since: str | None = None
    """A time as it stands in the lines."""

    def __call__(self, line: "Line") -> bool:
        return (
            (self.since is None or line["time"] >= self.since)
            and (line["level"] not in LEVELS or LEVELS.index(line["level"]) >= LEVELS.index(self.level))
            and (self.process is None or line["process"] == self.process)
            and all(
                wanted is None or str(line.get(name) or "").startswith(wanted)
                for name, wanted in (
                    ("request_id", self.request_id),
                    ("transcription_id", self.transcription_id),
                    ("trace_id", self.trace_id),
                )
            )
        )


def logs(
    request: Annotated[str | None, typer.Option(help="Only what this request led to, by its X-Request-ID.")] = None,
    transcription: Annotated[str | None, typer.Option(help="Only what is about this transcription.")] = None,
    trace: Annotated[str | None, typer.Option(help="Only what belongs to this trace, by its id.")] = None,
    process: Annotated[str | None, typer.Option(help="Only this process: api, worker.1 …")] = None,
    level: Annotated[str, typer.Option(help="Only this level and worse.")] = "TRACE",
    since: Annotated[
        str | None, typer.Option(help="Only what is younger: 90s, 15m, 2h, 3d, or a time as 2026-11-23T07:28.")
    ] = None,
    lines: Annotated[int | None, typer.Option("--lines", "-n", min=0, help="Only the last so many.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON lines, as they are in the files.")] = False,
) -> None:
    """Show the log of all processes, in order of time. Ids may be cut short, as they are in the terminal."""
    from hansard import settings as settings_module
    from hansard.cli.start import log_directory

    wanted = Wanted(
        request_id=request,
        transcription_id=transcription,
        trace_id=trace,
        process=process,
        level=_level(level),
        since=_time(since, datetime.now(UTC)) if since else None,
    )
    directory = log_directory(settings_module.load())
    if lines is None and follow:
        lines = LINES_BEFORE_FOLLOWING
    render = _as_it_is if as_json else _pretty()
    with closing(Tail(directory)) as tail, suppress(KeyboardInterrupt), _until_enough():
        found: Iterable[Line] = filter(wanted, kept(directory, tail))
        shown = found if lines is None else deque(found, maxlen=lines)
        for line in chain(shown, filter(wanted, tail.follow()) if follow else ()):
            typer.echo(render(line), nl=False)


def kept(directory: Path, tail: "Tail") -> Iterator["Line"]:
    """All lines of all files in order of time; `tail` has then read those that are being written."""
    from hansard.observability.log_files import lines_of, log_files, was_put_aside

    def lines_of_process(files: list[Path]) -> Iterator["Line"]:
        for file in files:
            yield from _parsed(lines_of(file) if was_put_aside(file) else tail.news_of(file))

    each = [lines_of_process(files) for files in log_files(directory).values()]
    yield from heapq.merge(*each, key=lambda line: line["time"])


class Tail:
    """The files that are being written, each read as far as it was when it was last looked at."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: dict[Path, BinaryIO] = {}

    def close(self) -> None:
        for opened in self._open.values():
            opened.close()

    def follow(self) -> Iterator["Line"]:
        """What is written from now on, without end."""
        from hansard.observability.log_files import SUFFIX, was_put_aside

        while True:
            files = [file for file in self._directory.glob(f"*{SUFFIX}") if not was_put_aside(file)]
            news = [line for file in files for line in _parsed(self.news_of(file))]
            yield from sorted(news, key=lambda line: line["time"])
            if not news:
                time.sleep(LOOK_EVERY_SECONDS)

    def news_of(self, file: Path) -> Iterator[bytes]:
        """Where another file has taken its place, what was left to read of the first one comes first."""
        opened = self._open.get(file)
        if opened is not None:
            yield from _whole_lines(opened)
        with suppress(FileNotFoundError):
            if opened is not None and file.stat().st_ino == os.fstat(opened.fileno()).st_ino:
                return
            self._open[file] = newly_opened = file.open("rb")
            if opened is not None:
                yield from _whole_lines(opened)
                opened.close()
            yield from _whole_lines(newly_opened)


@contextmanager
def _until_enough() -> Generator[None]:
    """A reader such as `| head` may close the pipe."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _whole_lines(opened: BinaryIO) -> Iterator[bytes]:
    for line in opened:
        if not line.endswith(b"\n"):
            opened.seek(-len(line), os.SEEK_CUR)  # the rest of it comes yet
            return
        yield line


def _parsed(lines: Iterable[bytes]) -> Iterator["Line"]:
    """What a full disk or a lost machine left of a line is left out."""
    for text in lines:
        with suppress(ValueError):
            line: Any = json.loads(text)
            if isinstance(line, dict) and {"time", "level", "message"} <= line.keys():
                yield line


def _pretty() -> Callable[["Line"], str]:
    from hansard.observability.log_lines import pretty
    from hansard.observability.logging import wants_colour

    return pretty(colour=wants_colour(sys.stdout), dated=True)


def _as_it_is(line: "Line") -> str:
    from hansard.observability.log_lines import as_json

    return as_json(line)


def _level(name: str) -> str:
    if name.upper() not in LEVELS:
        raise InvalidRequest(f"There is no level {name!r}.", help=f"Use one of {', '.join(LEVELS)}.")
    return name.upper()


def _time(given: str, now: datetime) -> str:
    if ago := _AGO.fullmatch(given):
        at = now - timedelta(seconds=float(ago[1]) * _UNIT_SECONDS[ago[2]])
    else:
        try:
            at = datetime.fromisoformat(given)
        except ValueError as error:
            raise InvalidRequest(
                f"{given!r} is no time.", help="Write it as 90s, 15m, 2h or 3d ago, or as 2026-11-23T07:28."
            ) from error
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
