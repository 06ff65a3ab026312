"""Connections that go to the very address that was checked, and that end when their time is up.

httpcore asks its network backend for a connection to a *name*. Here, and only here, the name is resolved: once, and the
socket is opened to an address that passed, so that a name server which answers otherwise the next time (DNS rebinding)
gains nothing. TLS is still spoken, and certificates are checked, for the name.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import httpcore
from httpcore import NetworkStream

from hansard.remote.addresses import AllowList, is_public, parse

Resolve = Callable[[str, int], list[str]]
"""The addresses of a host, for connecting to a port of it. Raises `OSError`."""

OTHER_SERVICES_PORTS = range(1024)
"""Below, services other than HTTP listen, which must not be talked to in a stranger's name (mail, for instance)."""

WEB_PORTS = frozenset({80, 443})


class NameUnknown(Exception):
    """No name server knows the host."""

    def __init__(self, host: str) -> None:
        super().__init__(f"The name {host} could not be resolved.")


class AddressRefused(Exception):
    """It doesn't say which address: what a name means inside this network is nobody's business."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} is not on the public internet, as seen from here.")


class PortRefused(Exception):
    def __init__(self, port: int) -> None:
        super().__init__(f"Port {port} is not one that HTTP is spoken on.")


def resolve(host: str, port: int) -> list[str]:
    """By the operating system."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@dataclass(slots=True)
class Deadline:
    """When everything must be over, however lively the other side is."""

    seconds: float
    _ends_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._ends_at = time.monotonic() + self.seconds

    def cap(self, timeout_seconds: float | None) -> float:
        """No more than what is left. Raises httpcore's `ReadTimeout` when that is nothing."""
        left_seconds = self._ends_at - time.monotonic()
        if left_seconds <= 0:
            raise httpcore.ReadTimeout(f"it took longer than {self.seconds:g} s")
        return left_seconds if timeout_seconds is None else min(timeout_seconds, left_seconds)


class GuardedBackend(httpcore.NetworkBackend):
    """Opens connections to addresses that are public, or on the list.

    Raises `AddressRefused` or `PortRefused` for all others, and `NameUnknown`, beside httpcore's own exceptions.
    """

    def __init__(self, allowed: AllowList, deadline: Deadline, resolve: Resolve) -> None:
        self._allowed = allowed
        self._deadline = deadline
        self._resolve = resolve
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        """To the first address that answers, of those that may be connected to."""
        failure: Exception | None = None
        for address in open_to(host, port, self._allowed, self._resolve):
            try:
                stream = self._sockets.connect_tcp(
                    address, port, self._deadline.cap(timeout), local_address, socket_options
                )
                return _TimedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")


class _TimedStream(NetworkStream):
    """A server that trickles keeps within each single time limit; the deadline is for all of them together."""

    def __init__(self, stream: NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.cap(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.cap(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._deadline.cap(timeout))
        return _TimedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def open_to(host: str, port: int, allowed: AllowList, resolve: Resolve) -> list[str]:
    """The addresses that may be connected to; a name may have others beside them. Raises as `GuardedBackend`."""
    try:
        found = resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise NameUnknown(host) from error
    if allowed.names(host):
        return found
    listed = [address for address in found if allowed.holds(parse(address))]
    public = [address for address in found if is_public(parse(address))]
    if found and not (listed or public):
        raise AddressRefused(host)
    if port in OTHER_SERVICES_PORTS and port not in WEB_PORTS:
        public = []
        if not listed:
            raise PortRefused(port)
    return [*listed, *(address for address in public if address not in listed)]
