"""The file that a URL names, brought into a temporary file here, block by block, within limits.

Each redirect is followed by ourselves and checked like the first URL. Proxies of the environment are not used: behind
one, nobody could tell which address is connected to. Nothing is sent that would tell who asks: no cookies, no
credentials, no referrer.
"""

import ssl
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, cast

import httpcore
import httpx
from loguru import logger

from hansard import __version__
from hansard.application.ports.storage import RemoteFile
from hansard.domain.errors import DownloadFailed, DownloadTimedOut, StorageError, TooLarge, UrlRefused
from hansard.remote.addresses import AllowList
from hansard.remote.connection import (
    AddressRefused,
    Deadline,
    GuardedBackend,
    NameUnknown,
    PortRefused,
    Resolve,
    resolve,
)
from hansard.remote.file_name import name_of
from hansard.remote.urls import http_url
from hansard.timing.decorators import monitor_performance

MOST_REDIRECTS = 10
"""As many as a chain of trackers before a podcast's file has."""

_REDIRECTS = {301, 302, 303, 307, 308}
_ASKED_AGAIN_LATER = {408, 425, 429}

_HEADERS = (
    (b"User-Agent", f"Hansard/{__version__}".encode()),
    (b"Accept", b"*/*"),
    # Compressed in transit, a few bytes could become more than any disk holds.
    (b"Accept-Encoding", b"identity"),
    (b"Connection", b"close"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """In seconds: until there is a connection, between two signs of life, and for everything."""

    connect: float
    idle: float
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFiles:
    """Implements `RemoteFiles`, for http and https.

    `allowed` names hosts, addresses and networks that may be fetched from though they are not public.
    `require_room` raises `DiskScarce` where so many bytes more do not fit into `scratch_directory`.
    """

    scratch_directory: Path
    max_bytes: int
    limits: TimeLimits
    allowed: Sequence[str] = ()
    require_room: Callable[[int], None] = lambda _: None
    resolve: Resolve = resolve
    ssl_context: Callable[[], ssl.SSLContext] = field(default=httpcore.default_ssl_context)

    @contextmanager
    @monitor_performance
    def fetch(self, url: str) -> Generator[RemoteFile]:
        target = http_url(url.strip(), _invalid)
        backend = GuardedBackend(AllowList.of(self.allowed), Deadline(self.limits.total), self.resolve)
        with self._spool() as spool:
            with _translated():
                final, headers, size_bytes = self._follow(target, backend, spool)
            spool.seek(0)
            # Without the query, where secrets are.
            logger.bind(host=target.host, size_bytes=size_bytes).info("A file was fetched by its URL.")
            yield RemoteFile(stream=spool, name=name_of(final.path, headers))

    def _follow(
        self, url: httpx.URL, backend: GuardedBackend, spool: BinaryIO
    ) -> tuple[httpx.URL, Mapping[str, str], int]:
        """The URL it came from in the end, the headers it came with, and its size."""
        for _ in range(MOST_REDIRECTS + 1):
            with self._answer(url, backend) as answer:
                headers = {name.decode("latin-1").lower(): _text(value) for name, value in answer.headers}
                if answer.status not in _REDIRECTS:
                    _require_file(url, answer.status, headers)
                    return url, headers, self._save(answer, headers, spool)
            url = _redirected(url, headers.get("location", ""))
        raise UrlRefused(
            f"The URL redirects more than {MOST_REDIRECTS} times.",
            code="url_redirects",
            help="Use the address that a browser shows once it has arrived.",
        )

    @contextmanager
    def _answer(self, url: httpx.URL, backend: GuardedBackend) -> Generator[httpcore.Response]:
        timeout = {"connect": self.limits.connect, "read": self.limits.idle, "write": self.limits.idle}
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        headers = [(b"Host", url.netloc), *_HEADERS]
        ssl_context = self.ssl_context() if url.scheme == "https" else None
        pool = httpcore.ConnectionPool(ssl_context=ssl_context, network_backend=backend)
        with pool, pool.stream("GET", target, headers=headers, extensions={"timeout": timeout}) as answer:
            yield answer

    def _save(self, answer: httpcore.Response, headers: Mapping[str, str], spool: BinaryIO) -> int:
        declared = headers.get("content-length", "")
        declared_bytes = int(declared) if declared.isascii() and declared.isdigit() else 0
        self._require_allowed(declared_bytes)
        self.require_room(declared_bytes)
        size_bytes = 0
        for block in answer.iter_stream():
            size_bytes += len(block)
            self._require_allowed(size_bytes)
            self.require_room(len(block))
            _write(spool, block)
        return size_bytes

    def _require_allowed(self, size_bytes: int) -> None:
        if size_bytes > self.max_bytes:
            raise TooLarge(
                f"The file is larger than the {self.max_bytes:,} bytes allowed here.",
                help="Use a smaller file, compressed audio for instance, or raise HANSARD_MAX_UPLOAD_BYTES.",
            )

    @contextmanager
    def _spool(self) -> Generator[BinaryIO]:
        with ExitStack() as opened:
            try:
                self.scratch_directory.mkdir(parents=True, exist_ok=True)
                spool = opened.enter_context(tempfile.TemporaryFile(dir=self.scratch_directory))
            except OSError as error:
                raise _not_written() from error
            yield cast(BinaryIO, spool)


def _redirected(url: httpx.URL, location: str) -> httpx.URL:
    try:
        target = http_url(str(url.join(location)), _invalid)
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise _misled("The URL redirects to something that is no URL.") from error
    except UrlRefused as error:
        raise _misled(
            "The URL redirects to something that is not fetched: no http or https, or with a password."
        ) from error
    if url.scheme == "https" and target.scheme == "http":
        raise _misled("The URL redirects from https to http, where anybody could read along and change the file.")
    return target


def _require_file(url: httpx.URL, status: int, headers: Mapping[str, str]) -> None:
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _ASKED_AGAIN_LATER:
            raise UrlRefused(
                f"{url.host} does not hand the file out: it answers {_phrase(status)}.",
                code="url_not_found",
                help="Open the URL in a private window of a browser: does it lead to the file, without signing in?",
            )
        raise DownloadFailed(f"{url.host} answers {_phrase(status)} instead of the file.", help=_TRY_LATER)
    encoding = headers.get("content-encoding", "identity").strip().casefold()
    if encoding not in {"", "identity"}:
        raise UrlRefused(
            f"{url.host} sends the file packed ({encoding[:40]}), though it was asked not to.",
            code="url_encoded",
            help="Download it and upload it here.",
        )


_TRY_LATER = "Try again later; if it stays so, download the file and upload it here."


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        raise DownloadTimedOut(
            "The server that the URL names took too long.",
            help="Try again later, or upload the file itself. The limits are HANSARD_URL_…_SECONDS.",
        ) from error
    except NameUnknown as error:
        raise DownloadFailed(
            str(error),
            code="url_unreachable",
            help="Check the URL's spelling; or try again, a name server may be away.",
        ) from error
    except AddressRefused as error:
        raise UrlRefused(
            str(error),
            help="Upload the file itself; or have the operator add the host or its network to "
            "HANSARD_URL_INPUT_ALLOWED.",
        ) from error
    except PortRefused as error:
        raise UrlRefused(str(error), help="Use 80, 443, or one from 1024 on; or upload the file itself.") from error
    except httpcore.ConnectError as error:
        raise DownloadFailed(
            f"The server that the URL names cannot be reached: {error}.", code="url_unreachable", help=_TRY_LATER
        ) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
        raise DownloadFailed(f"The server that the URL names broke off: {error}.", help=_TRY_LATER) from error


def _write(spool: BinaryIO, block: bytes) -> None:
    try:
        spool.write(block)
    except OSError as error:
        raise _not_written() from error


def _not_written() -> StorageError:
    return StorageError(
        "The recording could not be written to the disk while it came in.",
        code="upload_not_written",
        help="Free space in HANSARD_DATA_DIR, then send it again.",
    )


def _invalid(message: str) -> UrlRefused:
    return UrlRefused(message, code="url_invalid", help="Give the address of the file itself, as a browser shows it.")


def _misled(message: str) -> UrlRefused:
    return UrlRefused(message, code="url_redirects", help="Use the address that a browser shows once it has arrived.")


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _text(value: bytes) -> str:
    """Most servers mean UTF-8, whatever the standard says."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
