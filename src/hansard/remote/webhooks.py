"""Webhooks sent to their endpoints: signed, once, and never to where only this machine may go.

Redirects are not followed, and proxies of the environment are not used: behind either nobody could tell who gets it.
Source of the signature: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

import base64
import secrets
import ssl
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property

import httpcore
import httpx
from standardwebhooks import Webhook as Signer

from hansard import __version__
from hansard.application.ports.webhooks import Message
from hansard.application.retry_after import retry_after_seconds
from hansard.domain.delivery import Answer
from hansard.domain.errors import DeliveryFailed, DeliveryTimedOut, EndpointWrong, InvalidRequest
from hansard.remote.addresses import AllowList
from hansard.remote.connection import (
    AddressRefused,
    Deadline,
    GuardedBackend,
    NameUnknown,
    PortRefused,
    Resolve,
    open_to,
    resolve,
)
from hansard.remote.urls import DEFAULT_PORTS, http_url

SECRET_BYTES = 32

ANSWER_BYTES = 4096
"""What is read, and kept, of an endpoint's answer."""

KEPT_HEADERS = ("content-type", "date", "location", "retry-after", "server")
HEADER_LENGTH = 200


def make_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


@dataclass(frozen=True)
class HttpWebhookSender:
    """Implements `WebhookSender`, for http and https. `timeout_seconds` is for everything, name servers apart.

    `allowed` names hosts, addresses and networks that may be sent to though they are not public.
    """

    timeout_seconds: float
    allowed: Sequence[str] = ()
    resolve: Resolve = resolve
    make_ssl_context: Callable[[], ssl.SSLContext] = field(default=httpcore.default_ssl_context)

    def check(self, url: str) -> None:
        target = http_url(url, _invalid)
        # A name that nobody knows yet may be known by the time there is something to send.
        with _refused(), suppress(NameUnknown):
            open_to(target.host, target.port or DEFAULT_PORTS[target.scheme], self._allow_list, self.resolve)

    def request_headers(self, message: Message) -> dict[str, str]:
        return {
            "Content-Type": f"{message.media_type}; charset=utf-8",
            "User-Agent": f"Hansard/{__version__}",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(message.sent_at.timestamp())),
            **message.headers,
        }

    def send(self, message: Message) -> Answer:
        body = message.body.encode()
        signatures = " ".join(Signer(each).sign(message.id, message.sent_at, message.body) for each in message.secrets)
        headers = {**self.request_headers(message), "webhook-signature": signatures, "Content-Length": str(len(body))}
        with _translated():
            return self._post(http_url(message.url, _invalid), headers, body)

    def _post(self, url: httpx.URL, headers: Mapping[str, str], body: bytes) -> Answer:
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        raw_headers = [
            (b"Host", url.netloc),
            # Compressed in transit, a few bytes could become more than there is room for.
            (b"Accept-Encoding", b"identity"),
            (b"Connection", b"close"),
            *((name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()),
        ]
        backend = GuardedBackend(self._allow_list, Deadline(self.timeout_seconds), self.resolve)
        ssl_context = self._ssl_context if url.scheme == "https" else None
        with (
            httpcore.ConnectionPool(ssl_context=ssl_context, network_backend=backend) as pool,
            pool.stream("POST", target, headers=raw_headers, content=body) as answer,
        ):
            return _read(answer)

    @cached_property
    def _allow_list(self) -> AllowList:
        return AllowList.of(self.allowed)

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        """Made once: reading the certificates takes longer than most requests."""
        return self.make_ssl_context()


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(
        message,
        code="webhook_url_invalid",
        help="Give the address that takes POST requests; what is sent there is signed, and needs no password.",
    )


def _read(answer: httpcore.Response) -> Answer:
    """The status counts, however the rest of the answer comes, or does not."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
    body = b""
    with suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        for block in answer.iter_stream():
            body += block
            if len(body) >= ANSWER_BYTES:
                break
    return Answer(
        status=answer.status,
        headers={name: headers[name][:HEADER_LENGTH] for name in KEPT_HEADERS if name in headers},
        body=body[:ANSWER_BYTES].decode("utf-8", "replace"),
        retry_after_seconds=retry_after_seconds(headers),
    )


@contextmanager
def _refused() -> Generator[None]:
    try:
        yield
    except (AddressRefused, PortRefused) as error:
        raise InvalidRequest(str(error), code="webhook_url_refused", help=_HELP_REFUSED) from error


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except InvalidRequest as error:  # it was another release that took this URL
        raise EndpointWrong(error.failure.message, help=error.failure.help) from error
    except (AddressRefused, PortRefused) as error:
        raise EndpointWrong(str(error), help=_HELP_REFUSED) from error
    except httpcore.TimeoutException as error:
        raise DeliveryTimedOut(
            "The endpoint took too long to answer.",
            help="Answer with 2xx as soon as the event is stored, and do the rest of the work afterwards.",
        ) from error
    except (NameUnknown, httpcore.ConnectError) as error:
        raise DeliveryFailed(
            f"The endpoint cannot be reached: {error}",
            code="webhook_unreachable",
            help="Check that it runs, its name and its certificate.",
        ) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
        raise DeliveryFailed(
            f"The endpoint broke off: {error}", code="webhook_broke_off", help="Its own log should say why."
        ) from error


_HELP_REFUSED = (
    "Use an address on the public internet, and port 80, 443 or one from 1024 on; or have the operator add the host or "
    "its network to HANSARD_WEBHOOKS_ALLOWED."
)
