"""What whoever waits for events hears: from the fake, and from PostgreSQL over its own connection."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import pytest
from sqlalchemy import Engine

from hansard.application.ports.events import EventNews
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.work import Changes
from hansard.domain.events import EngineEnabled
from hansard.persistence.notifications import Notifications
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from tests.contract.test_changes import cut_listeners
from tests.fakes import FakeDatabase

PATIENCE_SECONDS = 20.0
A_MOMENT_SECONDS = 0.5


class News(EventNews, Changes, Protocol): ...


@dataclass
class Service:
    unit_of_work: Callable[[], UnitOfWork]
    make_news: Callable[[], News]
    connects: bool = False

    def write(self, *, commit: bool = True) -> None:
        with self.unit_of_work() as uow:
            uow.events.append(EngineEnabled(subject="a", occurred_at=datetime(2026, 1, 1, tzinfo=UTC)))
            if commit:
                uow.commit()

    def play(self, scene: Callable[[News], Coroutine[Any, Any, None]]) -> None:
        async def run() -> None:
            news = self.make_news()
            listening = asyncio.create_task(news.listen())
            try:
                if self.connects:
                    with news.watch(UUID(int=0)) as watch:
                        await watch.change()  # which comes with the connection
                await asyncio.wait_for(scene(news), PATIENCE_SECONDS)
            finally:
                listening.cancel()

        asyncio.run(run())


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


async def hears(news: Coroutine[Any, Any, None]) -> bool:
    try:
        await asyncio.wait_for(news, A_MOMENT_SECONDS)
    except TimeoutError:
        return False
    return True


def test_all_who_watch_hear_of_a_commit_with_events(service: Service) -> None:
    async def scene(news: News) -> None:
        with news.watch_events() as one, news.watch_events() as two:
            await asyncio.to_thread(service.write)
            await one.news(within_seconds=1000)
            await two.news(within_seconds=1000)

    service.play(scene)


def test_what_happened_since_the_last_time_is_heard_at_once(service: Service) -> None:
    async def scene(news: News) -> None:
        with news.watch_events() as watch, news.watch_events() as other:
            await asyncio.to_thread(service.write)
            await other.news(within_seconds=1000)
            assert await hears(watch.news(within_seconds=1000))
            assert not await hears(watch.news(within_seconds=1000))

    service.play(scene)


def test_what_is_rolled_back_is_not_heard(service: Service) -> None:
    async def scene(news: News) -> None:
        with news.watch_events() as watch:
            await asyncio.to_thread(service.write, commit=False)
            assert not await hears(watch.news(within_seconds=1000))

    service.play(scene)


def test_after_so_long_one_looks_in_any_case(service: Service) -> None:
    async def scene(news: News) -> None:
        with news.watch_events() as watch:
            await watch.news(within_seconds=0.01)

    service.play(scene)


def test_after_the_connection_broke_one_looks_and_hears_again(postgres: str, engine: Engine) -> None:
    service = Service(
        lambda: SqlUnitOfWork(engine, TranscriptionJobs),
        lambda: Notifications(postgres, application_name="tests"),
        connects=True,
    )

    async def scene(news: News) -> None:
        with news.watch_events() as watch:
            await asyncio.to_thread(cut_listeners, postgres)
            await watch.news(within_seconds=1000)  # it lost its connection
            await watch.news(within_seconds=1000)  # it has another
            await asyncio.to_thread(service.write)
            await watch.news(within_seconds=1000)

    service.play(scene)
