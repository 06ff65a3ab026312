"""The address that the API listens on: take it, or say in one line why not."""

import errno
import socket

from hansard.domain.errors import ConfigurationError

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Connections wait in it while nobody accepts them. Raises `ConfigurationError`."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        raise _explained(error, host, port) from error


def url(host: str, port: int) -> str:
    """Where a person on this machine finds it."""
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104 - not binding, but recognising it
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listener(port: int) -> str | None:
    """The program that listens on `port`, as far as this user may know."""
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()}, process {connection.pid}"
    except psutil.Error:
        pass  # macOS tells root only
    return None


def _explained(error: OSError, host: str, port: int) -> ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        by = listener(port)
        return ConfigurationError(
            f"Port {port} on {host} is in use{f' by {by}' if by else ''}.",
            code="port_in_use",
            help=f"Stop that program, or choose another port: HANSARD_PORT={port + 1 if port < 65535 else 8000}.",
        )
    if error.errno == errno.EACCES:
        return ConfigurationError(
            f"Port {port} is reserved for root.", code="port_reserved", help="Choose one above 1023: HANSARD_PORT=8000."
        )
    return ConfigurationError(
        f"Cannot listen on {host}, port {port}: {error.strerror}.",
        code="address_unusable",
        help="Set HANSARD_HOST to an address of this machine: 127.0.0.1 for itself only, 0.0.0.0 for all networks.",
    )
