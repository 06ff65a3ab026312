"""An object store that speaks S3's protocol, as far as small objects need it, on the loopback interface."""

import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs


class S3Server(ThreadingHTTPServer):
    """Use it as a context manager. It does not check signatures."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), S3Handler)
        self.objects: dict[str, bytes] = {}
        self.refuses = False
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def environment(self) -> dict[str, str]:
        """What leads a client here."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "something",
            "AWS_REGION": "somewhere",
        }

    @contextmanager
    def refusing(self) -> Generator[None]:
        """It lets nobody do anything."""
        self.refuses = True
        try:
            yield
        finally:
            self.refuses = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class S3Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: S3Server

    def parse_request(self) -> bool:
        """Whether it is to be done; or else it has been answered."""
        is_sound = super().parse_request()
        if not (is_sound and self.server.refuses):
            return is_sound
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        self.wfile.flush()
        return False

    def do_PUT(self) -> None:
        self.server.objects[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200)

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if "list-type=2" in query:
            return self._answer(200, self._listing(path, parse_qs(query).get("prefix", [""])[0]))
        data = self.server.objects.get(self.path)
        if data is None:
            return self._answer(404)
        if requested := self.headers["Range"]:
            start, end = (int(number) for number in requested.removeprefix("bytes=").split("-"))
            content_range = {"Content-Range": f"bytes {start}-{min(end, len(data) - 1)}/{len(data)}"}
            return self._answer(206, data[start : end + 1], content_range)
        return self._answer(200, data)

    def _listing(self, bucket: str, prefix: str) -> bytes:
        keys = {path.removeprefix(f"{bucket}/"): data for path, data in self.server.objects.items()}
        contents = "".join(
            f"<Contents><Key>{key}</Key><Size>{len(data)}</Size><ETag>x</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key, data in keys.items()
            if key.startswith(prefix)
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>".encode()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        """DeleteObjects, the only POST that is used."""
        [key] = re.findall(rb"<Key>(.*?)</Key>", self.rfile.read(int(self.headers["Content-Length"])))
        self.server.objects.pop(f"{self.path.partition('?')[0]}/{key.decode()}", None)
        self._answer(200, b"<DeleteResult><Deleted><Key>" + key + b"</Key></Deleted></DeleteResult>")

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        fixed = {"Content-Length": str(len(body)), "ETag": '"x"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        for name, value in (fixed | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return
