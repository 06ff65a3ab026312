"""Streams of events from the whole service, which stops although they are open, and goes on where they were."""

import json
import signal
import subprocess
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.service import Service, eventually, hansard, open_directory

CLIP = Path(__file__).parents[1] / "data" / "five.wav"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with open_directory() as directory:
        service = Service(directory, settings={"HANSARD_ENGINE_CHAIN": "mock"})
        service.start()
        yield service
        if service.process.poll() is None:
            service.stop()


class Listener:
    """Reads a stream in a thread, as long as it lasts."""

    def __init__(self, service: Service, path: str, **headers: str) -> None:
        self.lines: list[str] = []
        self.error: Exception | None = None
        self._url, self._headers = f"http://127.0.0.1:{service.port}{path}", headers
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        eventually(lambda: "retry: 2000" in self.lines, "the stream to begin")

    @property
    def events(self) -> list[str]:
        return [line.removeprefix("event: ") for line in self.lines if line.startswith("event: ")]

    @property
    def last_id(self) -> str:
        return [line.removeprefix("id: ") for line in self.lines if line.startswith("id: ")][-1]

    def _read(self) -> None:
        try:
            with httpx.stream("GET", self._url, headers=self._headers, timeout=None) as answer:
                for line in answer.iter_lines():
                    self.lines.append(line)
        except httpx.HTTPError as error:
            self.error = error


def submitted(service: Service) -> str:
    with CLIP.open("rb") as file:
        answer = service.http.post("/transcriptions", files={"file": file}, data={"engine": "mock"})
    answer.raise_for_status()
    made: dict[str, Any] = answer.json()
    return made["id"]


def test_all_who_listen_hear_of_a_transcription_and_the_trail_holds_together(service: Service) -> None:
    everything = Listener(service, "/events/stream?type=transcription.*")
    job = submitted(service)
    one = Listener(service, f"/transcriptions/{job}/events")
    eventually(lambda: not one.thread.is_alive(), "its stream to end")
    assert (one.error, one.events[-1]) == (None, "transcription.completed")
    assert "segment" in one.events
    eventually(lambda: "transcription.completed" in everything.events, "the event")
    verified = subprocess.run(
        hansard("audit", "verify"),
        env=service.environment,
        cwd=service.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, "hold together" in verified.stdout) == (0, True), verified.stdout


@contextmanager
def tail_of_events(service: Service) -> Generator[subprocess.Popen[str]]:
    """It ends with the test, also with one that fails while it waits for a line."""
    with subprocess.Popen(
        hansard("events", "tail", "-f", "-n", "1", "--json"),
        env=service.environment,
        cwd=service.directory,
        stdout=subprocess.PIPE,
        text=True,
    ) as tail:
        try:
            yield tail
        finally:
            tail.kill()


def test_the_command_line_follows_through_a_restart_of_the_database(service: Service) -> None:
    submitted(service)
    with tail_of_events(service) as tail:
        assert tail.stdout is not None
        last = json.loads(tail.stdout.readline())["position"]
        service.postmaster().kill()
        eventually(lambda: service.http.get("/health/ready").status_code == 200, "the service to be ready again")
        submitted(service)
        positions = [json.loads(tail.stdout.readline())["position"] for _ in range(3)]
        tail.send_signal(signal.SIGINT)
        tail.communicate(timeout=30)  # more may come before it heeds the signal, and must find somebody who reads
    assert (positions, tail.returncode) == ([last + 1, last + 2, last + 3], 0)


def test_the_service_stops_while_streams_are_open_and_they_go_on_after_it_started_again(service: Service) -> None:
    listeners = [Listener(service, "/events/stream") for _ in range(5)]
    submitted(service)
    eventually(lambda: all("transcription.completed" in each.events for each in listeners), "all to hear")
    assert service.stop() == 0
    for each in listeners:
        each.thread.join(10)
        assert (each.thread.is_alive(), each.error) == (False, None)
    assert "graceful shutdown exceeded" not in service.log
    service.http = httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=30)
    service.start()
    position = int(listeners[0].last_id)
    submitted(service)
    again = Listener(service, "/events/stream", **{"Last-Event-ID": str(position)})
    eventually(lambda: "transcription.completed" in again.events, "the event")
    ids = [int(line.removeprefix("id: ")) for line in again.lines if line.startswith("id: ")]
    assert ids == list(range(position + 1, position + 1 + len(ids)))
