"""The API on fakes: what `bootstrap` builds, without a database, a disk or an engine."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from threading import Thread
from typing import Any, cast

from fastapi.testclient import TestClient

from hansard.application.circuit_breaker import CircuitBreaker
from hansard.application.health import HealthMonitor
from hansard.application.health_checks import HealthChecks
from hansard.application.live_sessions import start_daemon
from hansard.application.ports.engines import SpeechEngine
from hansard.bootstrap import Container
from hansard.http.app import create_app
from hansard.settings import Settings
from tests.fakes import FakeChanges, FakeEngine, FakeUnitOfWork
from tests.workshop import Workshop, speech

TALK = speech(seconds=2)


def settings(**changes: Any) -> Settings:
    return Settings(_env_file=None, **{"engine_chain": ("fake",), **changes})


@dataclass
class FakeContainer(Workshop):
    """Has what the API uses of `Container`. A job waits until a test calls `transcribe` with its id."""

    settings: Settings = field(default_factory=settings)
    second_engine: FakeEngine = field(default_factory=lambda: FakeEngine(name="second"))
    pending_migrations: list[str] = field(default_factory=list)
    closed: bool = False

    @property
    def engines(self) -> dict[str, SpeechEngine]:
        return {"second": self.second_engine, "fake": self.engine}

    @property
    def circuit_breaker(self) -> CircuitBreaker:
        return self.breaker

    @property
    def workers_awaited_until(self) -> datetime:
        return self.clock()

    @cached_property
    def health(self) -> HealthMonitor:
        checks = HealthChecks(
            unit_of_work=self.unit_of_work,
            ping=self.unit_of_work,
            pending_migrations=lambda: self.pending_migrations,
            store=self.store,
            free_disk_bytes=lambda: self.free_disk_bytes,
            scarce_disk_bytes=self.settings.scarce_disk_bytes,
            engines=self.engines,
            chain=self.settings.engine_chain,
            workers_awaited_until=self.workers_awaited_until,
            clock=self.clock,
        )
        return HealthMonitor(checks.checks(), self.clock)

    @property
    def changes(self) -> FakeChanges:
        return self.database.changes

    def start_live_thread(self, work: Callable[[], None], *, name: str) -> Thread:
        return start_daemon(work, name=name)

    def unit_of_work(self) -> FakeUnitOfWork:
        return self.database.unit_of_work()

    def close(self) -> None:
        self.closed = True


def client_of(container: FakeContainer) -> TestClient:
    """Answers like a server: an exception becomes a response, not an error in the test."""
    app = create_app(cast(Container, container))
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


def upload(client: TestClient, content: bytes = TALK, file_name: str = "talk.wav") -> dict[str, Any]:
    answer = client.post("/audio", files={"file": (file_name, content)})
    assert answer.status_code == 201, answer.text
    return answer.json()


def submit(client: TestClient, content: bytes = TALK, **fields: Any) -> dict[str, Any]:
    answer = client.post("/transcriptions", files={"file": ("talk.wav", content)}, data=fields)
    assert answer.status_code == 202, answer.text
    return answer.json()


def multipart(*parts: tuple[str, str, bytes]) -> dict[str, Any]:
    """A hand-made form: (name, further parameters of Content-Disposition, content) each."""
    body = b"".join(
        b"--edge\r\nContent-Disposition: form-data; name=%b%b\r\n\r\n%b\r\n"
        % (f'"{name}"'.encode(), parameters.encode(), content)
        for name, parameters, content in parts
    )
    return {"content": body + b"--edge--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=edge"}}
