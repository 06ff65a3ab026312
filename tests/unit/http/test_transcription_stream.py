"""A transcription as it comes about, for whoever follows it over HTTP."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from hansard.bootstrap import Container
from hansard.domain.errors import EngineRejected, StorageError
from hansard.http import sse
from hansard.http.app import create_app
from tests.event_streams import Message, play, stream
from tests.unit.http.api import FakeContainer, submit
from tests.workshop import speech

LIFE = ["transcription.queued", "transcription.started", "transcription.attempted", "transcription.completed"]


@pytest.fixture
def app(container: FakeContainer) -> FastAPI:
    return create_app(cast(Container, container))


def queued(client: TestClient, seconds: int = 3, **fields: Any) -> tuple[UUID, str]:
    """Its id, and where it can be followed."""
    made = submit(client, speech(seconds=seconds), engine="fake", **fields)
    return UUID(made["id"]), f"/transcriptions/{made['id']}/events"


def events(messages: list[Message]) -> list[str]:
    return [message.event for message in messages if "." in message.event]


def texts(messages: list[Message]) -> list[str]:
    """The segments, as they stand with a client that heeds `restart`."""
    told: list[str] = []
    for message in messages:
        if message.event == "restart":
            told.clear()
        elif message.event == "segment":
            told.append(message.data["text"])
    return told


def test_all_of_it_is_told_and_the_end_comes_last(client: TestClient, container: FakeContainer, app: FastAPI) -> None:
    job, path = queued(client)

    async def scene() -> list[Message]:
        async with stream(app, path) as follower:
            first = await follower.until("progress")
            await asyncio.to_thread(container.transcribe, job)
            return first + await follower.rest()

    told = play(scene)
    assert [each for each in events(told) if each != "transcription.progressed"] == LIFE
    assert told[-1].event == "transcription.completed"
    assert texts(told) == ["word1", "word2", "word3"]
    assert [told[0].event, told[1].event] == ["transcription.queued", "progress"]
    assert told[1].data == {"status": "queued", "progress": 0.0, "activity": None}


def test_segments_come_as_they_are_recognised(client: TestClient, container: FakeContainer, app: FastAPI) -> None:
    job, path = queued(client, seconds=4)
    may_go_on = threading.Semaphore(1)
    container.engine.on_passage = lambda _: may_go_on.acquire()

    async def scene() -> list[Any]:
        async with stream(app, path) as follower:
            working = asyncio.create_task(asyncio.to_thread(container.transcribe, job))
            seen: list[Any] = []
            for _ in range(3):
                before = await follower.until("segment")
                progress = [message.data["progress"] for message in before if message.event == "progress"]
                seen.append((before[-1].data["text"], before[-1].data["start_seconds"], progress[-1]))
                may_go_on.release()
            await follower.rest()
            await working
            return seen

    assert play(scene) == [("word1", 0.0, 0.25), ("word2", 1.0, 0.5), ("word3", 2.0, 0.75)]


def test_who_comes_when_it_is_over_is_told_all_of_it(
    client: TestClient, container: FakeContainer, app: FastAPI
) -> None:
    job, path = queued(client)
    container.transcribe(job)

    async def scene() -> list[Message]:
        async with stream(app, path) as follower:
            return await follower.rest()

    told = play(scene)
    assert texts(told) == ["word1", "word2", "word3"]
    assert (events(told)[0], told[-1].event) == (LIFE[0], LIFE[-1])


def test_who_has_all_of_it_is_told_not_to_come_back(client: TestClient, container: FakeContainer, app: FastAPI) -> None:
    job, path = queued(client)
    container.transcribe(job)

    async def scene() -> tuple[int, int]:
        async with stream(app, path) as follower:
            last_id = (await follower.rest())[-1].id
        async with stream(app, path, last_id=last_id) as again:
            return follower.status, again.status

    assert play(scene) == (200, 204)


def test_from_wherever_one_comes_back_nothing_is_missed_and_nothing_told_twice(
    client: TestClient, container: FakeContainer, app: FastAPI
) -> None:
    """The story is told once as it happens, then from each of its places on."""
    job, path = queued(client, seconds=4)
    may_go_on = threading.Semaphore(1)
    container.engine.on_passage = lambda _: may_go_on.acquire()

    async def scene() -> None:
        async with stream(app, path) as follower:
            working = asyncio.create_task(asyncio.to_thread(container.transcribe, job))
            whole: list[Message] = []
            while (message := await follower.next()) is not None:
                whole.append(message)
                if message.event == "segment":
                    await check(whole, to_end=False)
                    may_go_on.release()
            await working
            for length in range(1, len(whole)):
                await check(whole[:length], to_end=True)
            assert texts(whole) == ["word1", "word2", "word3", "word4"]

    async def check(had: list[Message], *, to_end: bool) -> None:
        async with stream(app, path, last_id=had[-1].id) as again:
            if to_end:
                story = had + await again.rest()
                assert texts(story) == ["word1", "word2", "word3", "word4"]
                names = [message.data["id"] for message in story if "." in message.event]
                assert len(names) == len(set(names)) == len(container.database.trail) - 1  # without the upload

    play(scene)


def test_what_failed_is_told_with_its_failure_and_the_words_it_had(
    client: TestClient, container: FakeContainer, app: FastAPI
) -> None:
    job, path = queued(client)

    def fail_at_the_second(number: int) -> None:
        if number == 2:
            raise EngineRejected("No.", engine="fake")

    container.engine.on_passage = fail_at_the_second
    container.transcribe(job)

    async def scene() -> list[Message]:
        async with stream(app, path) as follower:
            return await follower.rest()

    told = play(scene)
    assert told[-1].event == "transcription.failed"
    assert told[-1].data["data"]["failure"]["message"] == "No."
    assert texts(told) == ["word1"]


def test_one_that_is_asked_for_again_goes_on_to_its_new_end(
    client: TestClient, container: FakeContainer, app: FastAPI
) -> None:
    job, path = queued(client)
    client.post(f"/transcriptions/{job}/cancel")

    async def scene() -> list[Message]:
        async with stream(app, path) as follower:
            assert (await follower.rest())[-1].event == "transcription.cancelled"
        await asyncio.to_thread(client.post, f"/transcriptions/{job}/retry")
        async with stream(app, path, last_id=follower.last_id) as again:
            await again.until("progress")
            await asyncio.to_thread(container.transcribe, job)
            return await again.rest()

    told = play(scene)
    assert told[-1].event == "transcription.completed"
    assert texts(told) == ["word1", "word2", "word3"]


def test_what_was_told_is_void_when_it_is_asked_for_otherwise(
    client: TestClient, container: FakeContainer, app: FastAPI
) -> None:
    job, path = queued(client)

    def cancel_at_the_third(number: int) -> None:
        if number == 3:
            client.post(f"/transcriptions/{job}/cancel")

    container.engine.on_passage = cancel_at_the_third
    container.transcribe(job)

    async def scene() -> list[Message]:
        async with stream(app, path) as follower:
            told = await follower.rest()
        assert texts(told) == ["word1", "word2"]
        await asyncio.to_thread(client.post, f"/transcriptions/{job}/retry", json={"engine": "fake", "language": "de"})
        async with stream(app, path, last_id=follower.last_id) as again:
            told += await again.until("progress")
            await asyncio.to_thread(container.transcribe, job)
            return told + await again.rest()

    told = play(scene)
    assert "restart" in [message.event for message in told]
    assert len(texts(told)) == 3


def test_speakers_that_are_found_out_at_the_end_make_the_segments_come_anew(
    client: TestClient, container: FakeContainer, app: FastAPI
) -> None:
    job, path = queued(client, diarize="true")
    may_go_on = threading.Semaphore(2)
    container.engine.on_passage = lambda _: may_go_on.acquire()

    async def scene() -> list[Message]:
        async with stream(app, path) as follower:
            working = asyncio.create_task(asyncio.to_thread(container.transcribe, job))
            told = await follower.until("segment")
            may_go_on.release()
            told += await follower.rest()
            await working
            return told

    told = play(scene)
    assert "restart" in [message.event for message in told]
    after = told[[message.event for message in told].index("restart") :]
    assert all(message.data["speaker"] for message in after if message.event == "segment")
    assert texts(told) == ["word1", "word2", "word3"]


def test_a_deletion_ends_the_stream(client: TestClient, app: FastAPI) -> None:
    job, path = queued(client)

    async def scene() -> list[Message]:
        async with stream(app, path) as follower:
            await follower.until("progress")
            await asyncio.to_thread(client.delete, f"/transcriptions/{job}")
            return await follower.rest()

    assert play(scene)[-1].event == "transcription.deleted"


@pytest.mark.parametrize(("last_id", "status"), [(None, 404), ("x", 422), ("1-2", 422), ("1-0-0", 404)])
def test_what_is_not_there_is_not_followed(app: FastAPI, last_id: str | None, status: int) -> None:
    async def scene() -> int:
        async with stream(app, f"/transcriptions/{uuid4()}/events", last_id=last_id) as follower:
            return follower.status

    assert play(scene) == status


def test_while_nothing_happens_there_are_signs_of_life(
    client: TestClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.05)
    _, path = queued(client)

    async def scene() -> list[str]:
        async with stream(app, path) as follower:
            await follower.chunk()
            return [await follower.chunk(), await follower.chunk()]

    assert play(scene) == [":\n\n", ":\n\n"]


def test_many_who_follow_one_transcription_look_together(
    client: TestClient, container: FakeContainer, app: FastAPI
) -> None:
    job, path = queued(client)
    looks: list[int] = []
    works = container.unit_of_work

    def counted() -> Any:
        looks.append(1)
        return works()

    async def scene() -> list[list[str]]:
        followers = [stream(app, path) for _ in range(50)]
        opened = [await follower.__aenter__() for follower in followers]
        for each in opened:
            await each.until("progress")
        object.__setattr__(container, "unit_of_work", counted)
        await asyncio.to_thread(client.post, f"/transcriptions/{job}/cancel")
        told = [[message.event for message in await each.rest()] for each in opened]
        for follower in followers:
            await follower.__aexit__(None, None, None)
        return told

    told = play(scene)
    assert {each[-1] for each in told} == {"transcription.cancelled"}
    assert len(looks) < 10


def test_a_stream_outlives_a_database_that_is_away_for_a_moment(
    client: TestClient, container: FakeContainer, app: FastAPI
) -> None:
    job, path = queued(client)
    works: Callable[[], Any] = container.unit_of_work
    looked = threading.Event()

    def away() -> Any:
        looked.set()
        raise StorageError("The database does not answer.", code="database_unavailable")

    async def scene() -> str:
        async with stream(app, path) as follower:
            await follower.until("progress")
            object.__setattr__(container, "unit_of_work", away)
            container.changes.tell(job, None)
            await asyncio.to_thread(looked.wait)
            object.__setattr__(container, "unit_of_work", works)
            container.changes.tell(job, None)
            await asyncio.to_thread(container.transcribe, job)
            return (await follower.rest())[-1].event

    assert play(scene) == "transcription.completed"
