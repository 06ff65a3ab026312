"""A process's log in a file: bounded, compressed, its lines whole."""

import gzip
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread, current_thread
from typing import Any

import pytest
from loguru import logger

from hansard.observability import logging
from hansard.observability.log_files import LogFile, lines_of, log_files

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


def log_file(directory: Path, name: str = "api", **changed: Any) -> LogFile:
    usual: dict[str, Any] = {"most_bytes": 100, "kept": 3, "days": 14, "now": Clock()}
    return LogFile(directory, name, **{**usual, **changed})


def written(directory: Path, process: str = "api") -> list[bytes]:
    return [line for file in log_files(directory)[process] for line in lines_of(file)]


def line(number: int) -> bytes:
    return f"{number:03} {'x' * 35}\n".encode()


def test_nothing_is_written_before_there_is_something_to_write(tmp_path: Path) -> None:
    log_file(tmp_path / "logs").close()

    assert not (tmp_path / "logs").exists()


def test_lines_are_there_in_order_across_all_files(tmp_path: Path) -> None:
    file = log_file(tmp_path, kept=10)
    for number in range(9):
        file.write(line(number))
    file.close()

    assert written(tmp_path) == [line(number) for number in range(9)]
    packed = [each.name for each in log_files(tmp_path)["api"]]
    assert [name.endswith(".gz") for name in packed] == [True, True, True, True, False]


def test_only_so_many_files_are_kept(tmp_path: Path) -> None:
    file = log_file(tmp_path, kept=2)
    for number in range(20):
        file.write(line(number))
    file.close()

    assert len(list(tmp_path.iterdir())) == 3
    assert written(tmp_path) == [line(number) for number in range(14, 20)]


def test_a_line_larger_than_a_file_is_written_all_the_same(tmp_path: Path) -> None:
    file = log_file(tmp_path)
    file.write(b"y" * 500 + b"\n")
    file.write(line(1))
    file.close()

    assert written(tmp_path) == [b"y" * 500 + b"\n", line(1)]


def test_a_new_day_begins_a_new_file(tmp_path: Path) -> None:
    clock = Clock()
    file = log_file(tmp_path, now=clock, most_bytes=10_000)
    file.write(line(1))
    clock.now += timedelta(days=1)
    file.write(line(2))
    file.close()

    assert [list(lines_of(each)) for each in log_files(tmp_path)["api"]] == [[line(1)], [line(2)]]


def test_what_yesterdays_process_wrote_is_put_aside(tmp_path: Path) -> None:
    current = tmp_path / "api.jsonl"
    current.write_bytes(line(1))
    yesterday = time.time() - 86400
    os.utime(current, (yesterday, yesterday))
    file = log_file(tmp_path)
    file.write(line(2))
    file.close()

    assert current.read_bytes() == line(2)


def test_a_process_goes_on_in_the_file_of_the_one_before(tmp_path: Path) -> None:
    for number in (1, 2):
        file = log_file(tmp_path)
        file.write(line(number))
        file.close()

    assert (tmp_path / "api.jsonl").read_bytes() == line(1) + line(2)


def test_a_half_line_is_ended_before_the_next(tmp_path: Path) -> None:
    (tmp_path / "api.jsonl").write_bytes(line(1) + b"002 xx")
    file = log_file(tmp_path)
    file.write(line(3))
    file.close()

    assert (tmp_path / "api.jsonl").read_bytes() == line(1) + b"002 xx\n" + line(3)


def test_two_processes_of_one_name_write_two_files(tmp_path: Path) -> None:
    first, second = log_file(tmp_path), log_file(tmp_path)
    first.write(line(1))
    second.write(line(2))
    first.close()
    second.close()

    assert (tmp_path / "api.jsonl").read_bytes() == line(1)
    assert (tmp_path / "api~2.jsonl").read_bytes() == line(2)


def test_files_of_processes_that_are_no_more_go_when_they_are_old(tmp_path: Path) -> None:
    old = (time.time() - 15 * 86400,) * 2
    for name in ("worker.7.jsonl", "worker.7.20261101T000000.000000.jsonl.gz", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, old)
    held = log_file(tmp_path, "worker.8")
    held.write(line(1))
    os.utime(tmp_path / "worker.8.jsonl", old)
    file = log_file(tmp_path)
    file.write(line(2))
    file.close()
    held.close()

    assert sorted(each.name for each in tmp_path.iterdir()) == ["api.jsonl", "notes.txt", "worker.8.jsonl"]


def test_a_file_that_is_closed_is_not_taken_for_an_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is slower: here what looks for old files does so no earlier than when `close` waits for it."""
    awaited = Event()
    join = Thread.join

    def release_and_join(thread: Thread, timeout: float | None = None) -> None:
        awaited.set()
        join(thread, timeout)

    def now() -> datetime:
        if current_thread().name == "log-files":
            awaited.wait()
        return datetime.now(UTC)

    monkeypatch.setattr(Thread, "join", release_and_join)
    file = log_file(tmp_path, now=now)
    file.write(line(1))
    os.utime(tmp_path / "api.jsonl", (time.time() - 15 * 86400,) * 2)
    file.close()

    assert written(tmp_path) == [line(1)]


def test_what_was_not_compressed_when_a_process_died_is_by_the_next(tmp_path: Path) -> None:
    stamped = "api.20261123T120000.000000.jsonl"
    (tmp_path / stamped).write_bytes(line(1))
    (tmp_path / f"{stamped}.gz.part").write_bytes(b"half")
    file = log_file(tmp_path)
    file.write(line(2))
    file.close()

    assert gzip.decompress((tmp_path / f"{stamped}.gz").read_bytes()) == line(1)
    assert not (tmp_path / stamped).exists()


def test_a_directory_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file in its place")
    file = log_file(tmp_path / "logs")
    file.write(line(1))
    file.close()


def test_a_full_disk_costs_lines_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = log_file(tmp_path, most_bytes=10_000)
    file.write(line(1))
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:10]))
    file.write(line(2))
    monkeypatch.setattr(os, "write", real)
    file.write(line(3))
    file.close()

    assert written(tmp_path) == [line(1), line(2)[:10] + b"\n", line(3)]


def test_a_packed_file_that_is_damaged_ends_where_it_is(tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(os.urandom(30).hex().encode() + b"\n" for _ in range(1000)))
    (tmp_path / "api.20261123T120000.000000.jsonl.gz").write_bytes(packed[: len(packed) // 2])

    assert 100 < len(written(tmp_path)) < 900


def test_the_log_is_written_to_it_as_json_whatever_the_terminal_shows(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logging.configure(
        process="api", level="INFO", format="pretty", colour=False, file=log_file(tmp_path, most_bytes=10_000)
    )
    logger.bind(key="sk-proj-abcdefghijklmnopqrstuvwxyz").info("Größe.")
    logger.remove()

    (kept,) = written(tmp_path)
    assert '"message": "Größe."' in kept.decode()
    assert '"key": "sk-***"' in kept.decode()
    assert not capfd.readouterr().err.startswith("{")


def test_a_process_that_is_killed_leaves_whole_lines(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from hansard.observability.log_files import LogFile\n"
        f"file = LogFile(Path({str(tmp_path)!r}), 'api', most_bytes=200_000, kept=1000, days=1)\n"
        "for number in range(10_000_000): file.write(b'%012d %s\\n' % (number, b'x' * (number % 997)))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    while not (tmp_path / "api.jsonl").exists() or len(list(tmp_path.iterdir())) < 8:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()

    lines = written(tmp_path)
    assert (tmp_path / "api.jsonl").read_bytes()[-1:] in {b"", b"\n"}
    assert [int(each[:12]) for each in lines] == list(range(len(lines)))
    assert all(len(each) == 14 + number % 997 for number, each in enumerate(lines))
