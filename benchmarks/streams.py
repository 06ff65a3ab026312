"""`make bench-streams`: what a thousand open streams of events cost one process of the API, and how soon all are told.

The API is a process of its own on an embedded database; the clients are connections of this one. An event is committed
from here, and what is told of is the time from the commit until a client has read it.
"""

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
from loguru import logger

from benchmarks.ways import free_port
from hansard import bootstrap, settings
from hansard.domain.events import EngineEnabled

OPENED_AT_ONCE = 50
WARM_UP_EVENTS = 3

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def main() -> None:
    options = _options()
    logger.remove()
    with tempfile.TemporaryDirectory(prefix="hansard-bench-") as scratch:
        directory = Path(scratch)
        directory.chmod(0o755)  # as root, the database's user has to pass through
        port = free_port()
        os.environ.update(HANSARD_DATA_DIR=str(directory / "data"), HANSARD_PORT=str(port), HANSARD_OFFLINE="1")
        bootstrap.prepare(settings.load())
        with _api(directory, port) as api:
            asyncio.run(_measure(api, port, options.streams, options.events, options.idle_seconds))


async def _measure(api: psutil.Process, port: int, streams: int, events: int, idle_seconds: float) -> None:
    container = bootstrap.build(settings.load(), process="bench")
    sys.stdout.write(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, {streams} streams\n"
    )
    before = api.memory_info().rss
    clients = await _open(port, streams)
    grown = (api.memory_info().rss - before) / streams
    sys.stdout.write(f"memory: {before / 2**20:.0f} MiB, and {grown / 2**10:.0f} KiB for each stream\n")
    began, used = time.perf_counter(), _cpu_seconds(api)
    await asyncio.sleep(idle_seconds)
    idle = (_cpu_seconds(api) - used) / (time.perf_counter() - began)
    sys.stdout.write(f"idle, heartbeats and all: {idle:.1%} of a core over {idle_seconds:g} s\n")
    first, last, busy = [], [], []
    for number in range(WARM_UP_EVENTS + events):
        used = _cpu_seconds(api)
        committed = asyncio.create_task(asyncio.to_thread(_commit, container, f"engine-{number}"))
        arrivals = await asyncio.gather(*(_arrival(reader) for reader, _ in clients))
        since = await committed
        if number >= WARM_UP_EVENTS:
            first.append((min(arrivals) - since) * 1000)
            last.append((max(arrivals) - since) * 1000)
            busy.append((_cpu_seconds(api) - used) * 1000)
    sys.stdout.write(
        f"an event: at the first client after {statistics.median(first):.0f} ms, at all after "
        f"{statistics.median(last):.0f} ms (slowest of {events}: {max(last):.0f} ms); {statistics.fmean(busy):.0f} ms "
        "of processor time\n"
    )
    container.close()


async def _open(port: int, streams: int) -> list[Client]:
    """Each has read the answer's head when this returns."""
    clients: list[Client] = []
    for _ in range(0, streams, OPENED_AT_ONCE):
        clients += await asyncio.gather(*(_open_one(port) for _ in range(min(OPENED_AT_ONCE, streams - len(clients)))))
    return clients


async def _open_one(port: int) -> Client:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"retry: 2000\n\n")
    return reader, writer


async def _arrival(reader: asyncio.StreamReader) -> float:
    await reader.readuntil(b"event: engine.enabled\n")
    return time.perf_counter()


def _commit(container: bootstrap.Container, engine: str) -> float:
    with container.unit_of_work() as uow:
        uow.events.append(EngineEnabled(subject=engine, occurred_at=datetime.now(UTC)))
        uow.commit()
    return time.perf_counter()


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextmanager
def _api(directory: Path, port: int) -> Generator[psutil.Process]:
    with (directory / "log").open("wb") as log:
        api = subprocess.Popen([sys.executable, "-m", "hansard", "api"], stdout=log, stderr=log)
    try:
        _wait_for(port)
        yield psutil.Process(api.pid)
    finally:
        api.terminate()
        api.wait(30)
        subprocess.run([sys.executable, "-m", "hansard", "db", "stop"], check=True, capture_output=True)


def _wait_for(port: int) -> None:
    transport = httpx.HTTPTransport(retries=8)  # with pauses that double: half a minute, and a little more
    with httpx.Client(transport=transport) as http:
        http.get(f"http://127.0.0.1:{port}/health/live", timeout=60).raise_for_status()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-streams", description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--idle-seconds", type=float, default=60.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
