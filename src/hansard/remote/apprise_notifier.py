"""Notifications by apprise: mail, Slack, Teams, Telegram and a hundred others, each recipient one URL.

Those URLs hold passwords and tokens. So a recipient is known by the kind of its service and a few digits of a hash, and
what apprise says of a failure is passed on only after all that stands in the URL was taken out of it.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import io
import logging
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from hashlib import sha256
from threading import Thread, get_ident
from types import MappingProxyType
from typing import Any, Self

from hansard.application.ports.notifications import Level, Notification
from hansard.domain.errors import ConfigurationError, NotificationFailed, UnknownRecipient
from hansard.timing.decorators import time_it

LONGEST_SECONDS = 20.0
"""How long telling one recipient may take. Most services of apprise give up after eight seconds by themselves."""

_SHORTEST_SECRET = 4

_LEVELS: Mapping[Level, str] = MappingProxyType({level: level.value for level in Level})  # apprise calls them the same


class AppriseNotifier:
    """A `Notifier`. `urls` are apprise's."""

    def __init__(self, urls: Iterable[str], *, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._urls = {_recipient(url): url for url in urls}
        self._longest_seconds = longest_seconds

    @property
    def recipients(self) -> tuple[str, ...]:
        return tuple(self._urls)

    @time_it
    def send(self, notification: Notification) -> None:
        """In a thread of its own, which is left to itself when it takes too long.

        Raises `ConfigurationError` for a URL that apprise does not understand.
        """
        url = self._urls.get(notification.recipient)
        if url is None:
            raise UnknownRecipient(
                f"HANSARD_NOTIFY_URLS does not name {notification.recipient} any more.",
                help="Nothing is to be done if it was taken out on purpose.",
            )
        told: Future[str | None] = Future()
        Thread(target=_tell, args=(_service(url), url, notification, told), name="notify", daemon=True).start()
        try:
            complaint = told.result(self._longest_seconds)
        except TimeoutError as error:
            raise _failed(notification, f"no answer within {self._longest_seconds:.0f} s") from error
        if complaint is not None:
            raise _failed(notification, complaint)


def _tell(service: Any, url: str, notification: Notification, told: "Future[str | None]") -> None:  # noqa: ANN401
    """What was wrong, without anything of the URL; None: nothing."""
    try:
        with _Complaints() as complaints:
            is_told = bool(
                service.notify(
                    body=notification.body, title=notification.title, notify_type=_LEVELS[notification.level]
                )
            )
        told.set_result(None if is_told else _without_secrets(complaints.last, url))
    except Exception as error:  # noqa: BLE001 - of a hundred services' code, any may raise anything
        told.set_result(type(error).__name__)


def _service(url: str) -> Any:  # noqa: ANN401 - apprise has no types
    import apprise  # noqa: PLC0415 - it brings a hundred services, and few processes ever tell anybody

    # It says too much, to whoever listens.
    logging.getLogger("apprise").propagate = False
    # Not `Apprise.notify`, which has threads of its own that a process waits for when it ends.
    service = apprise.Apprise.instantiate(url)
    if service is None:
        raise ConfigurationError(
            f"HANSARD_NOTIFY_URLS has a URL that apprise does not understand: {_scheme(url)}://…",
            code="bad_notify_url",
            help="https://github.com/caronc/apprise/wiki tells how the URL of each service is written.",
        )
    return service


class _Complaints(logging.StreamHandler[io.StringIO]):
    """What apprise warns of in this thread while this is entered: others tell other recipients."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.setLevel(logging.WARNING)
        self._thread = get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread == self._thread

    def __enter__(self) -> Self:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)

    @property
    def last(self) -> str:
        lines = self.stream.getvalue().splitlines()
        return lines[-1] if lines else "it gave no reason"


def _without_secrets(text: str, url: str) -> str:
    for part in sorted(set(re.split(r"[^\w-]+|_", url)), key=len, reverse=True):
        if len(part) >= _SHORTEST_SECRET and part != _scheme(url):
            text = text.replace(part, "…")
    return text


def _recipient(url: str) -> str:
    return f"{_scheme(url)}-{sha256(url.encode()).hexdigest()[:6]}"


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower() if "://" in url else "url"


def _failed(notification: Notification, reason: str) -> NotificationFailed:
    return NotificationFailed(
        f"{notification.recipient} could not be told: {reason.rstrip('.')}.",
        help="See that its URL in HANSARD_NOTIFY_URLS is right and the service can be reached: `hansard notify test`.",
    )
