"""What has happened, page by page, and as it happens."""

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from hansard.application.origin import acting
from hansard.bootstrap import Container
from hansard.domain.errors import StorageError
from hansard.domain.events import EngineDisabled, EngineEnabled, Event
from hansard.http import sse
from hansard.http.app import create_app
from tests.event_streams import play, stream
from tests.unit.http.api import FakeContainer, submit

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def disabled(subject: str, at: datetime = NOON) -> EngineDisabled:
    return EngineDisabled(subject=subject, occurred_at=at, reason="it hums")


def enabled(subject: str, at: datetime = NOON) -> EngineEnabled:
    return EngineEnabled(subject=subject, occurred_at=at)


def write(container: FakeContainer, *events: Event) -> None:
    for event in events:
        with container.unit_of_work() as uow:
            uow.events.append(event)
            uow.commit()


@pytest.fixture
def app(container: FakeContainer) -> FastAPI:
    return create_app(cast(Container, container))


# ── Pages ────────────────────────────────────────────────────────────────────────────────────────────────


def test_events_come_newest_first_with_all_that_is_known(client: TestClient, container: FakeContainer) -> None:
    with acting(actor="ann", request_id="r-1", trace_id="0" * 32):
        write(container, enabled("a"), disabled("b"))
    newest, oldest = client.get("/events").json()["items"]
    entry = container.database.trail[1]
    assert newest == {
        "position": 2,
        "id": str(entry.id),
        "type": "engine.disabled",
        "subject": "b",
        "occurred_at": "2026-01-01T12:00:00Z",
        "actor": "ann",
        "request_id": "r-1",
        "trace_id": "0" * 32,
        "data": {"reason": "it hums"},
        "hash": entry.hash,
    }
    assert oldest["position"] == 1


def test_pages_go_through_all_events_once(client: TestClient, container: FakeContainer) -> None:
    write(container, *(enabled(str(number)) for number in range(7)))
    seen: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/events", params={"limit": 3, **cursor}).json()
        seen += [item["position"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        write(container, enabled("meanwhile"))
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"type": "engine.enabled"}, [3, 1]),
        ({"type": ["engine.enabled", "engine.disabled"]}, [3, 2, 1]),
        ({"type": "engine.*"}, [3, 2, 1]),
        ({"type": "transcription.*"}, []),
        ({"subject": "b"}, [2]),
        ({"request_id": "r-9"}, []),
        ({"since": "2026-01-01T12:00:00"}, [3, 2]),
        ({"until": "2026-01-01T13:00:00+01:00"}, [1]),
    ],
)
def test_events_are_filtered(
    client: TestClient, container: FakeContainer, query: dict[str, Any], found: list[int]
) -> None:
    write(container, enabled("a", NOON.replace(hour=11)), disabled("b"), enabled("c"))
    assert [item["position"] for item in client.get("/events", params=query).json()["items"]] == found


@pytest.mark.parametrize(
    "query",
    [{"type": "engine.enbled"}, {"type": "engin.*"}, {"type": "*"}, {"typ": "x"}, {"cursor": "x"}, {"limit": 0}],
)
@pytest.mark.parametrize("path", ["/events"])
def test_what_would_find_nothing_for_ever_is_refused(client: TestClient, path: str, query: dict[str, Any]) -> None:
    assert client.get(path, params=query).status_code == 422


def test_an_event_is_found_by_its_id(client: TestClient, container: FakeContainer) -> None:
    write(container, enabled("a"))
    (item,) = client.get("/events").json()["items"]
    assert client.get(f"/events/{item['id']}").json() == item
    assert client.get(f"/events/{uuid4()}").json()["code"] == "not_found"


def test_what_a_request_led_to_is_found_by_its_id(client: TestClient) -> None:
    submit(client)
    submitted = client.post("/audio", files={"file": ("talk.wav", b"\x01" * 64000)}, headers={"X-Request-ID": "mine"})
    items = client.get("/events", params={"type": "audio.uploaded"}).json()["items"]
    assert items[0]["subject"] == submitted.json()["id"]


# ── Streams ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stream_tells_what_happens_from_now_on(container: FakeContainer, app: FastAPI) -> None:
    write(container, enabled("before"))

    async def scene() -> None:
        async with stream(app, "/events/stream") as client:
            await asyncio.to_thread(write, container, disabled("a"))
            message = await client.next()
            assert message is not None
            assert (message.event, message.id, message.data["subject"]) == ("engine.disabled", "2", "a")
            assert message.data == TestClient(app).get("/events").json()["items"][0]

    play(scene, container.event_feed.run)


def test_a_stream_is_one_that_nobody_keeps_or_holds_back(container: FakeContainer, app: FastAPI) -> None:
    async def scene() -> None:
        async with stream(app, "/events/stream") as client:
            assert client.status == 200
            assert client.headers["content-type"].startswith("text/event-stream")
            assert client.headers["cache-control"] == "no-store"
            assert client.headers["x-accel-buffering"] == "no"
            assert "content-length" not in client.headers
            assert await client.chunk() == "retry: 2000\n\n"

    play(scene, container.event_feed.run)


def test_who_comes_back_misses_nothing_and_gets_nothing_twice(container: FakeContainer, app: FastAPI) -> None:
    async def scene() -> list[str]:
        seen: list[str] = []
        last_id: str | None = None
        async with stream(app, "/events/stream") as client:
            await asyncio.to_thread(write, container, enabled("1"), enabled("2"))
            for _ in range(2):
                message = await client.next()
                assert message is not None
                seen.append(message.data["subject"])
                last_id = client.last_id
        await asyncio.to_thread(write, container, enabled("3"), enabled("4"))
        async with stream(app, "/events/stream", last_id=last_id) as client:
            await asyncio.to_thread(write, container, enabled("5"))
            for _ in range(3):
                message = await client.next()
                assert message is not None
                seen.append(message.data["subject"])
        return seen

    assert play(scene, container.event_feed.run) == ["1", "2", "3", "4", "5"]


def test_a_stream_may_begin_with_the_first_event(container: FakeContainer, app: FastAPI) -> None:
    write(container, *(enabled(str(number)) for number in range(500)))

    async def scene() -> list[str]:
        async with stream(app, "/events/stream", after=0) as client:
            return [message.data["subject"] for _ in range(500) if (message := await client.next())]

    assert play(scene, container.event_feed.run) == [str(number) for number in range(500)]


def test_what_a_browser_sends_when_it_comes_back_wins_over_where_it_began(
    container: FakeContainer, app: FastAPI
) -> None:
    write(container, *(enabled(str(number)) for number in range(5)))

    async def scene() -> str | None:
        async with stream(app, "/events/stream", after=0, last_id="4") as client:
            message = await client.next()
            return message and message.id

    assert play(scene, container.event_feed.run) == "5"


def test_a_place_beyond_the_end_means_from_now_on(container: FakeContainer, app: FastAPI) -> None:
    async def scene() -> str | None:
        async with stream(app, "/events/stream", last_id="1000") as client:
            await asyncio.to_thread(write, container, enabled("a"))
            message = await client.next()
            return message and message.id

    assert play(scene, container.event_feed.run) == "1"


def test_a_stream_tells_what_is_wanted_alone(container: FakeContainer, app: FastAPI) -> None:
    async def scene() -> list[str]:
        async with stream(app, "/events/stream", type=["engine.enabled"], subject="a") as client:
            events = (enabled("b"), disabled("a"), enabled("a"))
            await asyncio.to_thread(write, container, *events)
            message = await client.next()
            assert message is not None
            return [message.event, message.data["subject"], message.id or ""]

    assert play(scene, container.event_feed.run) == ["engine.enabled", "a", "3"]


@pytest.mark.parametrize("last_id", ["x", "-1", "9" * 20])
def test_a_place_that_is_none_is_refused(container: FakeContainer, app: FastAPI, last_id: str) -> None:
    async def scene() -> int:
        async with stream(app, "/events/stream", last_id=last_id) as client:
            return client.status

    assert play(scene, container.event_feed.run) == 422


def test_a_quiet_stream_gives_signs_of_life(
    container: FakeContainer, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.05)

    async def scene() -> list[str]:
        async with stream(app, "/events/stream", type="engine.enabled") as client:
            await asyncio.to_thread(write, container, disabled("not wanted"))
            return [await client.chunk() for _ in range(3)]

    assert play(scene, container.event_feed.run) == ["retry: 2000\n\n", ":\n\n", ":\n\n"]


def test_where_the_database_is_away_a_stream_does_not_begin(container: FakeContainer, app: FastAPI) -> None:
    def away() -> Any:
        raise StorageError("The database does not answer.", code="database_unavailable")

    container.event_feed.unit_of_work = away

    async def scene() -> int:
        async with stream(app, "/events/stream") as client:
            return client.status

    assert play(scene) == 503


def test_a_stream_outlives_a_database_that_is_away_for_a_moment(
    container: FakeContainer, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hansard.application.event_feed.LOOK_EVERY_SECONDS", 0.05)
    monkeypatch.setattr("hansard.application.event_feed.PAUSE_SECONDS", 0.01)
    feed, works = container.event_feed, container.event_feed.unit_of_work
    looked = threading.Event()

    def away() -> Any:
        looked.set()
        raise StorageError("The database does not answer.", code="database_unavailable")

    async def scene() -> str | None:
        async with stream(app, "/events/stream") as client:
            feed.unit_of_work = away
            await asyncio.to_thread(write, container, enabled("a"))
            await asyncio.to_thread(looked.wait)
            feed.unit_of_work = works
            message = await client.next()
            return message and message.data["subject"]

    assert play(scene, feed.run) == "a"


def test_two_hundred_streams_are_told_and_the_events_are_read_once(container: FakeContainer, app: FastAPI) -> None:
    reads: list[int] = []
    feed, works = container.event_feed, container.event_feed.unit_of_work

    async def scene() -> set[str]:
        clients = [stream(app, "/events/stream") for _ in range(200)]
        opened = [await client.__aenter__() for client in clients]

        def counted() -> Any:
            reads.append(1)
            return works()

        feed.unit_of_work = counted
        assert feed.followers == 200
        await asyncio.to_thread(write, container, enabled("a"))
        told = {message.data["subject"] for each in opened if (message := await each.next())}
        for client in clients:
            await client.__aexit__(None, None, None)
        return told

    assert play(scene, feed.run) == {"a"}
    assert len(reads) < 5
    assert feed.followers == 0
    assert len(app.state.streams) == 0


def test_who_reads_slowly_is_caught_up_and_held_in_no_memory(
    container: FakeContainer, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = container.event_feed
    object.__setattr__(feed, "_recent", type(feed._recent)(maxlen=10))

    async def scene() -> list[str | None]:
        async with stream(app, "/events/stream") as quick, stream(app, "/events/stream") as slow:
            slow.incoming._maxsize = 1  # its connection takes no more until it is read
            for number in range(100):
                await asyncio.to_thread(write, container, enabled(str(number)))
                await quick.next()
            assert len(feed._recent) == 10
            return [message.id for _ in range(100) if (message := await slow.next())]

    assert play(scene, feed.run) == [str(number) for number in range(1, 101)]


def test_streams_end_when_the_server_stops(container: FakeContainer, app: FastAPI) -> None:
    async def scene() -> list[bool]:
        async with stream(app, "/events/stream") as client:
            await client.chunk()
            app.state.streams.end()
            assert await client.next() is None
            async with stream(app, "/events/stream") as late:
                assert await late.next() is None
                return [client.has_ended, late.has_ended]

    assert play(scene, container.event_feed.run) == [True, True]


def test_nobody_follows_once_all_clients_are_gone(container: FakeContainer, app: FastAPI) -> None:
    async def scene() -> None:
        async with stream(app, "/events/stream"):
            assert container.event_feed.followers == 1
            assert len(app.state.streams) == 1
        assert container.event_feed.followers == 0
        assert len(app.state.streams) == 0

    play(scene, container.event_feed.run)
