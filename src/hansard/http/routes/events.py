"""What has happened: the audit trail, and the same as it happens, as server-sent events."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel

from hansard.application.follow_transcription import (
    Look,
    Message,
    Place,
    Progress,
    Restart,
    Standpoint,
    look,
)
from hansard.bootstrap import Container
from hansard.domain.audit import Entry
from hansard.domain.errors import StorageError
from hansard.http import sse
from hansard.http.dependencies import TheContainer
from hansard.http.mapping.events import event_json
from hansard.http.mapping.transcripts import segment_json
from hansard.http.schemas.events import (
    LAST_POSITION,
    Event,
    EventPage,
    EventsQuery,
    ProgressMessage,
    StreamQuery,
)

router = APIRouter(tags=["events"])

GATHER_SECONDS = 0.02
"""How long those who are woken by the same news wait for each other, to look together."""

LOOK_EVERY_SECONDS = 60.0
"""How long news of a transcription that got lost may stay unseen."""

_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"description": "`not_found`: there is no such id."}}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events.", "content": {sse.MEDIA_TYPE: {"schema": {"type": "string"}}}}
}


@router.get("/events", summary="What has happened, newest first")
def list_events(query: Annotated[EventsQuery, Query()], container: TheContainer) -> EventPage:
    """The audit trail: each event was written in the same commit as the change that it tells of, and none is ever
    changed. docs/events.md tells what there is.
    """
    with container.unit_of_work() as uow:
        page = uow.events.page(query.query(), limit=query.limit, cursor=query.cursor)
    return EventPage(items=[event_json(entry) for entry in page.items], next_cursor=page.next_cursor)


@router.get("/events/stream", summary="Events as they happen", response_class=Response, responses=_STREAM)
async def stream_events(
    query: Annotated[StreamQuery, Query()],
    request: Request,
    container: TheContainer,
    last_event_id: Annotated[
        int | None,
        Header(
            alias="Last-Event-ID",
            ge=0,
            le=LAST_POSITION,
            description="The position of the last event that you have: browsers send it when they come back.",
        ),
    ] = None,
) -> Response:
    """Server-sent events: each has the event's `type` as `event`, its position as `id`, and the same JSON as `GET
    /events` as `data`. Who comes back with `Last-Event-ID` misses nothing and gets nothing twice.
    """
    after = query.after if last_event_id is None else last_event_id
    batches = container.event_feed.follow(query.query(), after=after, idle_seconds=sse.HEARTBEAT_SECONDS)
    await anext(batches)  # from here on, nothing is missed; and what goes wrong before is answered as ever
    return sse.EventStream(_told_events(batches), _streams(request))


@router.get("/events/{event_id}", summary="Look an event up", responses=_NOT_FOUND)
def get_event(event_id: UUID, container: TheContainer) -> Event:
    with container.unit_of_work() as uow:
        return event_json(uow.events.get(event_id))


@router.get(
    "/transcriptions/{transcription_id}/events",
    summary="Follow a transcription as it comes about",
    response_class=Response,
    responses={
        **_STREAM,
        204: {"description": "It has ended, and Last-Event-ID says that you have all of it: don't come back."},
        **_NOT_FOUND,
        422: {"description": "`invalid_last_event_id`: that id is not of this stream."},
    },
)
async def stream_transcription(
    transcription_id: UUID,
    request: Request,
    container: TheContainer,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The `id` of the last message that you have.")
    ] = None,
) -> Response:
    """Server-sent events, from the first on: the events about it, as in `/events/stream`; `progress`, when it changes;
    a `segment` for each that is recognised; `restart`, when the segments so far are void and all come anew. The stream
    ends with the event that ends the transcription.
    """
    place = Place.read(last_event_id) if last_event_id else Place()
    story = _Story(container, _together(request), transcription_id, Standpoint(place))
    chunks = story.chunks()
    first = await anext(chunks, None)
    if first is None:
        return Response(status_code=204)
    return sse.EventStream(_with_first(first, chunks), _streams(request))


@dataclass(frozen=True, slots=True)
class Together:
    """Those who are about to ask the same thing have it asked once."""

    _about_to: dict[object, "asyncio.Task[_Told]"] = field(default_factory=dict[object, "asyncio.Task[_Told]"])

    async def ask(self, question: object, find_out: Callable[[], "_Told"]) -> "_Told":
        asking = self._about_to.get(question)
        if asking is None:
            asking = self._about_to[question] = asyncio.create_task(self._ask(question, find_out))
        return await asyncio.shield(asking)

    async def _ask(self, question: object, find_out: Callable[[], "_Told"]) -> "_Told":
        await asyncio.sleep(GATHER_SECONDS)
        del self._about_to[question]  # who comes later may know of something newer
        return await asyncio.to_thread(find_out)


@dataclass(frozen=True, slots=True)
class _Told:
    text: str
    standpoint: Standpoint


@dataclass(slots=True)
class _Story:
    """One client's view of one transcription."""

    container: Container
    together: Together
    transcription_id: UUID
    standpoint: Standpoint

    async def chunks(self) -> AsyncGenerator[str]:
        with self.container.changes.watch(self.transcription_id) as watch:
            while True:
                if text := await self._look():
                    yield text
                if self.standpoint.is_over:
                    return
                change = asyncio.ensure_future(watch.change(within_seconds=LOOK_EVERY_SECONDS))
                try:
                    while not await _comes(change):
                        yield sse.HEARTBEAT
                finally:
                    change.cancel()

    async def _look(self) -> str:
        """Nothing, while the database is away: when it is back, all who watch are told to look."""
        find_out = partial(_look, self.container, self.transcription_id, self.standpoint)
        try:
            told = await self.together.ask((self.transcription_id, self.standpoint), find_out)
        except StorageError:
            if self.standpoint == Standpoint(self.standpoint.place):  # there is still an answer to be given
                raise
            return ""
        self.standpoint = told.standpoint
        return told.text


async def _comes(change: "asyncio.Future[Any]") -> bool:
    """Whether it does within a heartbeat."""
    done, _ = await asyncio.wait({change}, timeout=sse.HEARTBEAT_SECONDS)
    return bool(done)


def _look(container: Container, transcription_id: UUID, standpoint: Standpoint) -> _Told:
    seen: Look = look(container.unit_of_work, transcription_id, standpoint)
    return _Told("".join(_message(message, place) for message, place in seen.messages), seen.standpoint)


def _message(message: Message, place: Place) -> str:
    match message:
        case Entry():
            return sse.message(message.type, _json(event_json(message)), id=str(place))
        case Progress():
            body = ProgressMessage(status=message.status, progress=message.progress, activity=message.activity)
            return sse.message("progress", _json(body))
        case Restart():
            return sse.message("restart", json.dumps({}), id=str(place))
        case _:
            return sse.message("segment", _json(segment_json(message)), id=str(place))


async def _told_events(batches: AsyncGenerator[tuple[Entry, ...]]) -> AsyncGenerator[str]:
    yield sse.RETRY
    async with aclosing(batches):
        async for batch in batches:
            yield "".join(map(_event_message, batch)) or sse.HEARTBEAT


async def _with_first(first: str, chunks: AsyncGenerator[str]) -> AsyncGenerator[str]:
    yield sse.RETRY + first
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk


@lru_cache(maxsize=256)
def _event_message(entry: Entry) -> str:
    """The same for all who are told."""
    return sse.message(entry.type, _json(event_json(entry)), id=str(entry.position))


def _json(body: BaseModel) -> str:
    return body.model_dump_json()


def _streams(request: Request) -> sse.Streams:
    return cast(sse.Streams, request.app.state.streams)


def _together(request: Request) -> Together:
    return cast(Together, request.app.state.together)
