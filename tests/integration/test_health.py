"""Health of real parts: PostgreSQL, its tables, a store on disk, engines that hear."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from hansard.application.canary import Canary
from hansard.application.health import HealthMonitor, HealthStatus, Part
from hansard.application.health_checks import HealthChecks
from hansard.audio.decoder import PyAvDecoder
from hansard.engines.pocketsphinx import PocketSphinxEngine
from hansard.persistence import migrate
from hansard.persistence.database import ping
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from hansard.storage.object_store import ObjectAudioStore
from tests.fakes import FakeEngine

CLIP = files("hansard.audio") / "canary.mp3"


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def checks(engine: Engine, tmp_path: Path) -> HealthChecks:
    return HealthChecks(
        unit_of_work=partial(SqlUnitOfWork, engine, TranscriptionJobs),
        ping=partial(ping, engine),
        pending_migrations=lambda: migrate.status(engine).pending,
        store=ObjectAudioStore((tmp_path / "objects").as_uri(), tmp_path / "scratch"),
        free_disk_bytes=lambda: 10**12,
        scarce_disk_bytes=10**9,
        engines={"fake": FakeEngine()},
        chain=("fake",),
        workers_awaited_until=now(),
        clock=now,
    )


@pytest.fixture
def nowhere() -> Iterator[Engine]:
    """A database that refuses connections, whose address holds a password."""
    engine = create_engine("postgresql+psycopg://hansard:hunter2@127.0.0.1:1/hansard")
    yield engine
    engine.dispose()


def looked_at(checks: HealthChecks) -> dict[str, Part]:
    monitor = HealthMonitor(checks.checks(), now)
    monitor.check_now()
    return {part.name: part for part in monitor.report().parts}


def test_all_that_is_there_works_and_only_workers_are_missing(checks: HealthChecks) -> None:
    statuses = {name: part.status for name, part in looked_at(checks).items() if part.status is not HealthStatus.OK}
    assert statuses == {"workers": HealthStatus.DEGRADED}


def test_a_database_that_refuses_connections_is_down_and_its_password_stays_secret(
    checks: HealthChecks, nowhere: Engine
) -> None:
    unit_of_work = partial(SqlUnitOfWork, nowhere, TranscriptionJobs)
    parts = looked_at(
        replace(
            checks,
            unit_of_work=unit_of_work,
            ping=partial(ping, nowhere),
            pending_migrations=lambda: migrate.status(nowhere).pending,
        )
    )
    assert parts["database"].status is HealthStatus.DOWN
    assert {parts[name].status for name in ("migrations", "engines", "workers", "queue")} == {HealthStatus.UNKNOWN}
    assert "hunter2" not in repr(parts)


def test_a_store_that_cannot_be_written_is_down_and_its_place_stays_secret(
    checks: HealthChecks, tmp_path: Path
) -> None:
    place = tmp_path / "hunter2"
    store = ObjectAudioStore(place.as_uri(), tmp_path / "scratch")
    place.rmdir()
    place.write_text("in the way")
    part = looked_at(replace(checks, store=store))["storage"]
    assert part.status is HealthStatus.DOWN
    assert "hunter2" not in repr(part)


def test_looking_at_the_store_leaves_nothing_behind(checks: HealthChecks, tmp_path: Path) -> None:
    looked_at(checks)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_clip_that_is_shipped_is_recognised_by_the_offline_engine(checks: HealthChecks) -> None:
    canary = Canary(
        unit_of_work=checks.unit_of_work,
        engines={"pocketsphinx": PocketSphinxEngine()},
        chain=("pocketsphinx",),
        decoder=PyAvDecoder(),
        clip=CLIP.read_bytes,
        patience_seconds=60,
        clock=now,
    )
    event = canary()
    assert event
    assert (event.passed, event.word_accuracy, event.failure) == (True, 1.0, None)
    parts = looked_at(replace(checks, engines=canary.engines, chain=canary.chain))
    assert parts["engines"].detail.items[0].canary == event


def test_the_clip_is_small() -> None:
    assert len(CLIP.read_bytes()) <= 40_000
