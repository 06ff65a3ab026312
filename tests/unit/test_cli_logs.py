"""`hansard logs`, on files as processes leave them."""

import gzip
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hansard.cli import app
from hansard.cli.logs import Tail
from hansard.observability.log_files import LogFile

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def line(second: float, message: str, *, at: datetime = NOON, **fields: Any) -> dict[str, Any]:
    when = (at + timedelta(seconds=second)).isoformat(timespec="milliseconds")
    ids = {"request_id": None, "trace_id": None, "transcription_id": None}
    return {
        "time": when, "level": "INFO", "process": "api", **ids, "message": message, "logger": "hansard.x", **fields
    }  # fmt: skip


def as_bytes(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HANSARD_LOG_DIRECTORY", str(tmp_path / "logs"))
    monkeypatch.setenv("NO_COLOR", "1")
    directory = tmp_path / "logs"
    directory.mkdir()
    (directory / "api.20261123T120003.000000.jsonl.gz").write_bytes(
        gzip.compress(as_bytes(line(0, "Asked.", request_id="aaaa-1", trace_id="f" * 32), line(3, "Asked.")))
    )
    (directory / "api.jsonl").write_bytes(as_bytes(line(5, "Broken.", level="ERROR", code="internal_error")))
    worker = {"process": "worker.1", "transcription_id": "0193ab12-5f6e", "request_id": "aaaa-1"}
    (directory / "worker.1.jsonl").write_bytes(
        as_bytes(line(1, "Taken.", **worker), line(4, "Retried.", level="WARNING", **worker)) + b'{"time": "2026-11'
    )
    return directory


def logs(*options: str) -> list[str]:
    result = CliRunner().invoke(app, ["logs", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def messages(*options: str) -> list[str]:
    return [json.loads(each)["message"] for each in logs("--json", *options)]


@pytest.mark.usefixtures("directory")
def test_the_lines_of_all_processes_come_in_order_of_time() -> None:
    assert messages() == ["Asked.", "Taken.", "Asked.", "Retried.", "Broken."]


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--request", "aaaa"], ["Asked.", "Taken.", "Retried."]),
        (["--transcription", "0193ab12"], ["Taken.", "Retried."]),
        (["--trace", "ffff"], ["Asked."]),
        (["--process", "worker.1"], ["Taken.", "Retried."]),
        (["--level", "warning"], ["Retried.", "Broken."]),
        (["--since", "2026-11-23T12:00:04+00:00"], ["Retried.", "Broken."]),
        (["--lines", "2"], ["Retried.", "Broken."]),
        (["--request", "aaaa", "--level", "WARNING"], ["Retried."]),
        (["--request", "none"], []),
        (["--request", "None"], []),
    ],
)
def test_only_what_is_asked_for_is_shown(options: list[str], shown: list[str]) -> None:
    assert messages(*options) == shown


def test_a_time_may_be_given_as_how_long_ago(directory: Path) -> None:
    now = datetime.now(UTC)
    (directory / "up.jsonl").write_bytes(as_bytes(line(-7200, "Old.", at=now), line(-60, "New.", at=now)))

    assert messages("--since", "1h") == ["New."]


@pytest.mark.usefixtures("directory")
def test_for_people_a_line_looks_as_in_the_terminal_with_its_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()

    assert logs("--level", "ERROR") == [
        "2026-11-23 12:00:05.000 ERROR    api       -        -        Broken. code=internal_error"
    ]


def test_a_field_cannot_forge_a_second_line(directory: Path) -> None:
    (directory / "api.jsonl").write_bytes(as_bytes(line(5, "One.\n2026 INFO Two.", level="ERROR")))

    (shown,) = logs("--level", "ERROR")
    assert r"One.\n2026 INFO Two." in shown


@pytest.mark.parametrize("option", [["--since", "yesterday"], ["--level", "LOUD"]])
def test_what_cannot_be_understood_is_refused(directory: Path, option: list[str]) -> None:
    result = CliRunner().invoke(app, ["logs", *option])

    assert result.exit_code == 1


def test_where_nothing_is_kept_nothing_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANSARD_LOG_DIRECTORY", str(tmp_path / "nowhere"))

    assert logs() == []


def test_following_goes_on_across_files_that_are_put_aside_and_new_processes(tmp_path: Path) -> None:
    tail = Tail(tmp_path)
    news = tail.follow()
    file = LogFile(tmp_path, "api", most_bytes=600, kept=50, days=1)
    other = LogFile(tmp_path, "worker.1", most_bytes=600, kept=50, days=1)
    seen: list[str] = []
    for number in range(20):
        file.write(as_bytes(line(number, f"api {number}")))
        other.write(as_bytes(line(number, f"worker {number}")))
        seen += [next(news)["message"], next(news)["message"]]
    for each in (file, other, tail):
        each.close()

    assert sorted(seen) == sorted(f"{name} {number}" for name in ("api", "worker") for number in range(20))


def test_a_line_that_is_half_written_is_shown_when_it_is_whole(tmp_path: Path) -> None:
    tail, path = Tail(tmp_path), tmp_path / "api.jsonl"
    whole = as_bytes(line(1, "Whole."))
    path.write_bytes(whole[:20])
    assert list(tail.news_of(path)) == []
    with path.open("ab") as file:
        file.write(whole[20:])

    assert list(tail.news_of(path)) == [whole]
    tail.close()


@pytest.mark.usefixtures("directory")
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m hansard logs --json | head -n 1"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, env={**os.environ})

    assert len(ended.stdout.splitlines()) == 1
    assert ended.stderr == ""
