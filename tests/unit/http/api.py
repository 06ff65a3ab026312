"""The API on fakes: what `bootstrap` builds, without a database, a disk or an engine."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from threading import Thread
from typing import Any, cast

from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from hansard.application.alerts import Alerts
from hansard.application.circuit_breaker import CircuitBreaker
from hansard.application.event_feed import EventFeed
from hansard.application.health import HealthMonitor
from hansard.application.health_checks import HealthChecks
from hansard.application.live_sessions import start_daemon
from hansard.application.performance import Performance, PerformanceRecorder
from hansard.application.ports.analytics import Analytics
from hansard.application.ports.engines import SpeechEngine
from hansard.application.retention import Kept, OldCheckpoints, Prune
from hansard.application.verify_audit import VerifyAudit
from hansard.bootstrap import Container
from hansard.http.app import create_app
from hansard.observability.process_gauges import Holdings, ProcessGauges
from hansard.observability.request_counters import RequestCounters
from hansard.settings import Settings
from tests.alerts import FakeNotifier, make_alerts
from tests.fake_analytics import FakeAnalytics
from tests.fake_benchmarks import FakeBenchmarkRecords
from tests.fake_performance import FakePerformanceRecords
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
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    analytics: Analytics = field(default_factory=FakeAnalytics)
    benchmarks: FakeBenchmarkRecords = field(default_factory=FakeBenchmarkRecords)

    @cached_property
    def request_counters(self) -> RequestCounters:
        return RequestCounters(self.registry)

    @cached_property
    def process_gauges(self) -> ProcessGauges:
        return ProcessGauges(self.registry, "api", lambda: Holdings(models={}))

    @cached_property
    def performance_records(self) -> FakePerformanceRecords:
        return FakePerformanceRecords()

    @property
    def performance(self) -> Performance:
        return Performance(records=self.performance_records)

    @cached_property
    def performance_recorder(self) -> PerformanceRecorder:
        return PerformanceRecorder(
            process="api",
            version="1.0",
            records=self.performance_records,
            is_timing=False,
            sample=lambda now: (),
            observe=lambda error: None,
            clock=self.clock,
        )

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

    @cached_property
    def event_feed(self) -> EventFeed:
        return EventFeed(self.unit_of_work, self.changes)

    @cached_property
    def notifier(self) -> FakeNotifier:
        return FakeNotifier()

    @property
    def alerts(self) -> Alerts:
        return make_alerts(self.database, self.clock, free_disk_bytes=lambda: self.free_disk_bytes)

    @property
    def prune(self) -> Prune:
        checkpoints = OldCheckpoints(unit_of_work=self.unit_of_work)
        month = timedelta(days=30)
        kept = (Kept(name="checkpoints", keep_for=month, holding=checkpoints),)
        return Prune(kept=kept, seconds_each=60, clock=self.clock)

    async def keep_house_without_worker(self) -> None:
        pass

    @property
    def verify_audit(self) -> VerifyAudit:
        return VerifyAudit(self.unit_of_work)

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
