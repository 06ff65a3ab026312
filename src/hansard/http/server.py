"""The HTTP server, which ends streams of events before it stops: it would wait for them, and then cut them off."""

import socket

import uvicorn

from hansard.http.sse import Streams


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, streams: Streams) -> None:
        super().__init__(config)
        self._streams = streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._streams.end()
        await super().shutdown(sockets)
