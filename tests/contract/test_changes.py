"""What whoever waits for a transcription hears of it: from the fake, and from PostgreSQL over its own connection."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine

from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.work import Changes
from hansard.domain.transcription import Status, Transcription
from hansard.persistence import notifications
from hansard.persistence.notifications import Notifications
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from tests.contract.test_unit_of_work import NOON, a_transcription, an_audio_file
from tests.fakes import FakeDatabase

PATIENCE_SECONDS = 20.0

T = TypeVar("T")


@dataclass
class Service:
    unit_of_work: Callable[[], UnitOfWork]
    make_changes: Callable[[], Changes]
    connects: bool = False

    def queued(self) -> Transcription:
        audio = an_audio_file()
        transcription = a_transcription(audio)
        with self.unit_of_work() as uow:
            uow.audio.add(audio)
            uow.transcriptions.add(transcription)
            uow.commit()
        return transcription

    def save(self, transcription: Transcription) -> None:
        with self.unit_of_work() as uow:
            uow.transcriptions.save(transcription)
            uow.commit()

    def run(self, scene: Callable[[Changes], Coroutine[Any, Any, T]]) -> T:
        """The scene, on a loop that hears the news."""

        async def play() -> T:
            changes = self.make_changes()
            listening = asyncio.create_task(changes.listen())
            try:
                if self.connects:
                    with changes.watch(UUID(int=0)) as watch:
                        await watch.change()  # which comes with the connection
                return await asyncio.wait_for(scene(changes), PATIENCE_SECONDS)
            finally:
                listening.cancel()

        return asyncio.run(play())


@pytest.fixture(params=["fake", "postgres"])
def service(request: pytest.FixtureRequest) -> Service:
    if request.param == "fake":
        fake = FakeDatabase()
        return Service(fake.unit_of_work, lambda: fake.changes)
    url: str = request.getfixturevalue("postgres")
    engine: Engine = request.getfixturevalue("engine")
    return Service(
        lambda: SqlUnitOfWork(engine, TranscriptionJobs),
        lambda: Notifications(url, application_name="tests"),
        connects=True,
    )


async def until(change: Callable[[], Awaitable[Status | None]], wanted: Status) -> None:
    """Waits; what comes before is not of interest."""
    while await change() is not wanted:
        pass


def test_who_watches_is_told_of_each_status(service: Service) -> None:
    transcription = service.queued()

    async def scene(changes: Changes) -> None:
        with changes.watch(transcription.id) as watch:
            transcription.start(NOON)
            await asyncio.to_thread(service.save, transcription)
            await until(watch.change, Status.RUNNING)
            transcription.cancel(NOON)
            await asyncio.to_thread(service.save, transcription)
            await until(watch.change, Status.CANCELLED)

    service.run(scene)


def test_what_is_rolled_back_is_not_told(service: Service) -> None:
    transcription = service.queued()

    async def scene(changes: Changes) -> Status | None:
        with changes.watch(transcription.id) as watch:
            # Somebody listens from here on.
            transcription.start(NOON)
            await asyncio.to_thread(service.save, transcription)
            await until(watch.change, Status.RUNNING)
            transcription.cancel(NOON)
            with service.unit_of_work() as uow:
                uow.transcriptions.save(transcription)
            return await asyncio.wait_for(watch.change(), 1.0)

    with pytest.raises(TimeoutError):
        service.run(scene)


def test_all_who_watch_are_told_and_nobody_else(service: Service) -> None:
    mine, other = service.queued(), service.queued()

    async def scene(changes: Changes) -> None:
        with changes.watch(mine.id) as one, changes.watch(mine.id) as two, changes.watch(other.id) as third:
            mine.start(NOON)
            await asyncio.to_thread(service.save, mine)
            await until(one.change, Status.RUNNING)
            await until(two.change, Status.RUNNING)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(until(third.change, Status.RUNNING), 1.0)

    service.run(scene)


def test_who_comes_just_after_the_news_has_not_missed_it(service: Service) -> None:
    transcription = service.queued()

    async def scene(changes: Changes) -> None:
        with changes.watch(transcription.id) as early:
            transcription.start(NOON)
            await asyncio.to_thread(service.save, transcription)
            await until(early.change, Status.RUNNING)
        with changes.watch(transcription.id) as late:
            assert await late.change() is Status.RUNNING

    service.run(scene)


def test_a_deletion_makes_who_watches_look(service: Service) -> None:
    transcription = service.queued()

    def delete() -> None:
        with service.unit_of_work() as uow:
            uow.transcriptions.delete(transcription)
            uow.commit()

    async def scene(changes: Changes) -> Status | None:
        with changes.watch(transcription.id) as watch:
            transcription.start(NOON)
            await asyncio.to_thread(service.save, transcription)
            await until(watch.change, Status.RUNNING)
            await asyncio.to_thread(delete)
            return await watch.change()

    assert service.run(scene) is None


def cut_listeners(url: str) -> None:
    query = """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND (query LIKE 'LISTEN %' OR query = 'SELECT 1')
    """
    with psycopg.connect(url) as connection:
        connection.execute(query)


def test_after_the_connection_broke_who_watches_looks_and_is_told_again(
    postgres: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "LOOK_EVERY_SECONDS", PATIENCE_SECONDS)
    service = Service(
        lambda: SqlUnitOfWork(engine, TranscriptionJobs), lambda: Notifications(postgres, application_name="tests")
    )
    transcription = service.queued()

    async def scene(changes: Changes) -> None:
        with changes.watch(transcription.id) as watch:
            assert await watch.change() is None  # it has a connection
            await asyncio.to_thread(cut_listeners, postgres)
            assert await watch.change() is None  # it lost its connection
            assert await watch.change() is None  # it has another: what was said in between was missed
            transcription.start(NOON)
            await asyncio.to_thread(service.save, transcription)
            await until(watch.change, Status.RUNNING)

    service.run(scene)


def test_news_that_never_comes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "LOOK_EVERY_SECONDS", 0.01)
    deaf = Notifications("postgresql://nobody@127.0.0.1:1/none", application_name="tests")

    async def scene() -> Status | None:
        with deaf.watch(UUID(int=7)) as watch:
            return await watch.change()

    assert asyncio.run(scene()) is None
