"""A web server on this machine that behaves as a test tells it to, down to the byte."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

Say = Callable[[socket.socket, str], None]
"""Answers one request, given its path; the connection is closed afterwards."""


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> Say:
    """A plain answer; `_` in a header's name stands for `-`."""
    head = {"Content_Length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in head.items())
    data = f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body
    return lambda connection, path: connection.sendall(data)


def redirect(to: str, status: str = "302 Found") -> Say:
    return answer(status=status, Location=to)


@dataclass(frozen=True)
class Posted:
    """A request with a body. Names of headers are lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebServer:
    """`pages` by path. `requests` are the heads of those that came, in order; `posted` those with a body."""

    pages: dict[str, Say] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    requests: list[str] = field(default_factory=list)
    posted: list[Posted] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._closed = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed.set()
        # A blocked accept ends only with a connection.
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            pass

    def url(self, path: str = "/", *, host: str = "127.0.0.1") -> str:
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    def wait(self) -> None:
        """Until the server is stopped."""
        self._closed.wait()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._closed.is_set():
                connection.close()
                self._listener.close()
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _receive(self, stream: socket.socket, path: str, head: str, body: bytes) -> None:
        lines = (line.partition(": ") for line in head.split("\r\n")[1:])
        headers = {name.lower(): value for name, _, value in lines}
        length = int(headers.get("content-length", 0))
        while len(body) < length:
            body += stream.recv(65_536)
        if body:
            self.posted.append(Posted(path, headers, body))

    def _talk(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            stream = self.tls.wrap_socket(connection, server_side=True) if self.tls else connection
            head = b""
            while b"\r\n\r\n" not in head:
                block = stream.recv(4096)
                if not block:
                    return
                head += block
            head, _, body = head.partition(b"\r\n\r\n")
            self.requests.append(head.decode() + "\r\n\r\n")
            path = head.split(b" ")[1].decode()
            self._receive(stream, path, head.decode(), body)
            say = self.pages.get(path) or answer(status="404 Not Found")
            say(stream, path)
            if self.tls:
                stream.close()
