"""`/metrics` of a machine that has workers and no API. Off unless a port is set.

The workers of a machine count together, so one of them answers for all: the first to take the port. The others wait
for it, and one takes over when that worker ends.
"""

import threading
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from loguru import logger
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

TAKE_OVER_SECONDS = 5.0
"""How often the port is tried: Prometheus looks every 15 s, or less often."""

_ASK_SECONDS = 2.0
_OURS = b"hansard_build_info"


class MetricsServer:
    """Serves `render` at `/metrics`. `host` and `port` are where it listens; `port` 0: any."""

    def __init__(self, render: Callable[[], bytes], *, host: str, port: int) -> None:
        self._render, self._address = render, (host, port)
        self._stopping = threading.Event()
        self._listening = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._told = False

    @property
    def port(self) -> int:
        """The one that is listened at; once it is."""
        return self._server.server_port if self._server else self._address[1]

    def start(self) -> None:
        """In a thread of its own. A port that is taken is no reason not to work."""
        threading.Thread(target=self._serve, name="metrics", daemon=True).start()

    def wait_until_listening(self, timeout_seconds: float) -> bool:
        return self._listening.wait(timeout_seconds)

    def stop(self) -> None:
        self._stopping.set()
        if self._server is not None:
            self._server.shutdown()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                server = _Server(self._address, _handler(self._render))
            except OSError as error:
                self._tell(error)
                self._stopping.wait(TAKE_OVER_SECONDS)
                continue
            with server:
                self._server = server
                self._listening.set()
                host, port = self._address[0], server.server_port
                logger.info("Metrics of this machine's workers: http://{}:{}/metrics", host, port)
                server.serve_forever(poll_interval=0.5)

    def _tell(self, error: OSError) -> None:
        """Once."""
        if self._told:
            return
        self._told = True
        host, port = self._address
        if _answers_as_we_do(host, port):
            logger.info("Another worker answers for this machine's metrics at port {}.", port)
        else:
            logger.warning(
                "The metrics of this machine's workers cannot be served at {}:{}: {}. Something else may have the "
                "port: set HANSARD_WORKER_METRICS_PORT to a free one. It is tried again until then.",
                host,
                port,
                error.strerror or error,
            )


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def _handler(render: Callable[[], bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/metrics":
                self.send_error(404, "There is nothing but /metrics here")
                return
            page = render()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *arguments: object) -> None:
            """Asked again and again by a machine: not worth a line."""

    return Handler


def _answers_as_we_do(host: str, port: int) -> bool:
    connection = HTTPConnection(host, port, timeout=_ASK_SECONDS)
    try:
        connection.request("GET", "/metrics")
        return _OURS in connection.getresponse().read()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
