"""Who waits for a transcription, and what becomes of it when nobody does any more."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from hansard.domain.transcription import Status
from hansard.http.waiting import OutOfPatience, Waiting
from tests.fakes import FakeChanges

JOB = UUID(int=1)


class Client:
    """Says nothing until it goes away."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}


class Desk:
    """Notes what is cancelled; nobody has any patience with clients that went away."""

    def __init__(self, grace_seconds: float = 0.0) -> None:
        self.changes, self.cancelled = FakeChanges(), list[UUID]()
        self.waiting = Waiting(self.changes, self.cancelled.append, grace_seconds)

    async def visit(self, client: Client, *, seconds: float = 60.0, may_cancel: bool = True) -> Status | None:
        async with self.waiting.for_transcription(JOB, client.receive, may_cancel=may_cancel) as wait:
            return await wait.change(seconds=seconds)

    async def leave(self, client: Client, visit: "asyncio.Task[Status | None]") -> None:
        client.gone.set()
        with pytest.raises(ClientDisconnect):
            await visit

    async def settled(self) -> None:
        """All that was begun by those who left has ended."""
        for task in list(self.waiting._leaving):
            await task


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 20))


def test_a_change_is_told() -> None:
    async def scene() -> None:
        desk = Desk()
        visit = asyncio.create_task(desk.visit(Client()))
        await asyncio.sleep(0)
        desk.changes.tell(JOB, Status.COMPLETED)
        assert await visit is Status.COMPLETED

    play(scene)


def test_work_whose_only_client_goes_away_is_cancelled() -> None:
    async def scene() -> None:
        desk, client = Desk(), Client()
        await desk.leave(client, asyncio.create_task(desk.visit(client)))
        await desk.settled()
        assert desk.cancelled == [JOB]

    play(scene)


def test_work_that_another_client_waits_for_goes_on() -> None:
    async def scene() -> None:
        desk, leaver, stayer = Desk(), Client(), Client()
        staying = asyncio.create_task(desk.visit(stayer))
        await desk.leave(leaver, asyncio.create_task(desk.visit(leaver)))
        await desk.settled()
        assert desk.cancelled == []
        await desk.leave(stayer, staying)
        await desk.settled()
        assert desk.cancelled == [JOB]

    play(scene)


def test_a_client_that_comes_back_in_time_finds_the_work_going_on() -> None:
    async def scene() -> None:
        desk, client, again = Desk(grace_seconds=0.2), Client(), Client()
        await desk.leave(client, asyncio.create_task(desk.visit(client)))
        visit = asyncio.create_task(desk.visit(again))
        await desk.settled()
        assert desk.cancelled == []
        visit.cancel()
        with suppress(asyncio.CancelledError):
            await visit

    play(scene)


def test_work_that_was_left_behind_to_be_fetched_is_never_cancelled() -> None:
    async def scene() -> None:
        desk, client = Desk(), Client()
        with pytest.raises(OutOfPatience):
            await desk.visit(client, seconds=0.0)
        await desk.leave(client, asyncio.create_task(desk.visit(client)))
        await desk.settled()
        assert desk.cancelled == []

    play(scene)


def test_work_that_was_asked_for_under_a_key_waits_for_whoever_has_the_key() -> None:
    async def scene() -> None:
        desk, client = Desk(), Client()
        await desk.leave(client, asyncio.create_task(desk.visit(client, may_cancel=False)))
        await desk.settled()
        assert desk.cancelled == []

    play(scene)


def test_an_api_that_stops_cancels_nothing() -> None:
    async def scene() -> None:
        desk = Desk()
        visit = asyncio.create_task(desk.visit(Client()))
        await asyncio.sleep(0)
        visit.cancel()
        with suppress(asyncio.CancelledError):
            await visit
        await desk.settled()
        assert desk.cancelled == []

    play(scene)
