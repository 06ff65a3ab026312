"""A transcription as server-sent events, as OpenAI's API sends them: text as it is recognised, then the whole.

    transcript.text.delta      what has been added, a passage at a time
    transcript.text.segment    who said what, with `diarized_json`: known when all has been heard
    transcript.text.done       the whole text, which is what counts

Put together, the deltas are the text of `done`, unless something was heard again, or dropped, in what had been sent.
"""

import json
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass

from fastapi import Response
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from hansard.domain.transcript import Transcript
from hansard.domain.transcription import Transcription
from hansard.http.openai import schemas
from hansard.http.openai.answers import diarized_segments, languages, logprobs, tokens_counted

KEEP_ALIVE_SECONDS = 10.0
"""How long a client hears nothing at all. Proxies cut connections that are silent for a minute, some for half of it."""

KEEP_ALIVE = ": still at it\n\n"

MEDIA_TYPE = "text/event-stream"


@dataclass(slots=True)
class Telling:
    """What one client has been told so far."""

    wish: schemas.TranscriptionForm
    text: str = ""
    words: int = 0

    def more(self, transcript: Transcript) -> Iterator[BaseModel]:
        """What `transcript` has beyond that. Nothing, where it has changed in what was told. Raises `Unsupported`."""
        if transcript.text == self.text or not transcript.text.startswith(self.text):
            return
        probable = logprobs(transcript.segments) if self.wish.wants_logprobs else None
        yield schemas.TextDelta(
            delta=transcript.text[len(self.text) :], logprobs=None if probable is None else probable[self.words :]
        )
        self.text, self.words = transcript.text, len(probable or ())

    def end(self, transcription: Transcription, transcript: Transcript) -> Iterator[BaseModel]:
        """The rest, and the whole."""
        yield from self.more(transcript)
        if self.wish.response_format == "diarized_json":
            yield from diarized_segments(transcript)
        probable = logprobs(transcript.segments) if self.wish.wants_logprobs else None
        yield schemas.TextDone(
            text=transcript.text,
            languages=languages(transcript),
            logprobs=probable,
            usage=tokens_counted(transcription),
        )


def event(body: BaseModel) -> str:
    return f"data: {body.model_dump_json(exclude_none=True)}\n\n"


def error_event(body: dict[str, object]) -> str:
    """OpenAI's SDK raises it where the next event is read."""
    return f"event: error\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"


class EventStream(Response):
    """Sends `first` and then the `events`; what these raise becomes an event by `tell`, if it gives one."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        first: str,
        events: AsyncGenerator[str],
        tell: Callable[[Exception], dict[str, object] | None],
        headers: dict[str, str],
    ) -> None:
        super().__init__(headers={**headers, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["Content-Length"]
        self._first, self._events, self._tell = first, events, tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the body was read
        async def write(text: str) -> None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._events):
            await write(self._first)
            try:
                async for text in self._events:
                    await write(text)
            except Exception as error:
                told = self._tell(error)
                if told is None:
                    raise
                await write(error_event(told))
        await send({"type": "http.response.body", "body": b"", "more_body": False})
