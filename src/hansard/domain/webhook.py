"""Webhooks: other systems that are told of events, and when they are told again.

    enabled ──(it answers 410: gone; nothing reached it for days: dead; an operator)──► disabled
       ▲                                                                                   │
       └──────────────────────────────────(an operator)────────────────────────────────────┘

Source of the schedule and of what is signed: Standard Webhooks, https://www.standardwebhooks.com.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from hansard.domain.errors import InvalidRequest
from hansard.domain.events import (
    EVENT_TYPES,
    Event,
    WebhookChanged,
    WebhookDeleted,
    WebhookDisabled,
    WebhookRegistered,
    names_types,
)

EVERYTHING = "*"

RETRY_DELAYS_SECONDS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""After each attempt that fails: ten attempts over a little more than three days."""

JITTER = 0.2
"""The part by which a delay is longer at the most, so that those who failed together don't come back together."""

LONGEST_RETRY_AFTER_SECONDS = 86_400.0
"""What an endpoint may ask for: a wish for more than a day is a mistake of its own, and not heard."""


class DisabledReason(StrEnum):
    GONE = "gone"
    """It answered 410."""
    DEAD = "dead"
    """All that was sent to it failed, for days."""
    BY_HAND = "by_hand"


@dataclass(frozen=True, slots=True)
class Secret:
    """`whsec_` and base64. The last one made has no end."""

    value: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the endpoint's owner decides. A type that ends with `.*` stands for all that begin so, `*` for all.

    `filter` holds values that an event's data must have, nested as they are there.
    """

    url: str
    event_types: tuple[str, ...] = (EVERYTHING,)
    filter: Mapping[str, Any] | None = None
    description: str | None = None

    def require_known_types(self) -> None:
        """Raises `InvalidRequest` where it names a type that no event has."""
        unknown = [wanted for wanted in self.event_types if wanted != EVERYTHING and not names_types(wanted)]
        if unknown or not self.event_types:
            raise InvalidRequest(
                f"There are no events of the type {', '.join(unknown)}." if unknown else "No event type is named.",
                code="unknown_event_type",
                help=f"Use *, a beginning such as transcription.*, or some of: {', '.join(EVENT_TYPES)}.",
            )


@dataclass(kw_only=True, eq=False)
class Webhook:
    """`secrets` are the newest first: what is sent is signed with each that is valid.

    `failing_since` is when the first failure came that no success has followed.
    """

    id: UUID
    terms: Terms
    secrets: tuple[Secret, ...]
    created_at: datetime
    disabled_reason: DisabledReason | None = None
    failing_since: datetime | None = None
    _events: list[Event] = field(default_factory=list[Event])

    @classmethod
    def register(cls, webhook_id: UUID, terms: Terms, secret: str, at: datetime) -> "Webhook":
        """Raises `InvalidRequest` where the terms name a type that no event has; so does `change`."""
        terms.require_known_types()
        webhook = cls(id=webhook_id, terms=terms, secrets=(Secret(secret),), created_at=at)
        webhook._record(WebhookRegistered(subject=str(webhook_id), occurred_at=at, event_types=terms.event_types))
        return webhook

    @property
    def enabled(self) -> bool:
        return self.disabled_reason is None

    def wants(self, event_type: str, data: Mapping[str, Any]) -> bool:
        """Whether it is to be told of such an event, if it is enabled."""
        is_meant = not set(self.terms.event_types).isdisjoint(type_patterns(event_type))
        return is_meant and (self.terms.filter is None or _contains(data, self.terms.filter))

    def valid_secrets(self, at: datetime) -> tuple[str, ...]:
        return tuple(secret.value for secret in self.secrets if secret.expires_at is None or at < secret.expires_at)

    # ── What an operator does ────────────────────────────────────────────────────────────────────────────

    def change(self, terms: Terms, at: datetime) -> None:
        terms.require_known_types()
        names = ("url", "event_types", "filter", "description")
        changed = tuple(name for name in names if getattr(self.terms, name) != getattr(terms, name))
        self.terms = terms
        self._changed(at, *changed)

    def enable(self, at: datetime) -> None:
        """It has three days again. Enabling one that is enabled changes nothing."""
        if not self.enabled:
            self.disabled_reason, self.failing_since = None, None
            self._changed(at, "enabled")

    def disable(self, at: datetime) -> None:
        if self.enabled:
            self.disabled_reason = DisabledReason.BY_HAND
            self._changed(at, "enabled")

    def rotate(self, secret: str, at: datetime, *, keep_old_seconds: float) -> None:
        """A new secret. The one before stays valid for a while, if it was, and those before that no longer."""
        ends_at = at + timedelta(seconds=keep_old_seconds)
        old = (Secret(self.secrets[0].value, ends_at),) if keep_old_seconds else ()
        self.secrets = (Secret(secret), *old)
        self._changed(at, "secret")

    def delete(self, at: datetime) -> None:
        self._record(WebhookDeleted(subject=str(self.id), occurred_at=at))

    # ── How its deliveries go ────────────────────────────────────────────────────────────────────────────

    def is_told_by(self, *, success: bool) -> bool:
        """Whether an attempt's outcome changes anything here; most of the time it does not."""
        return self.failing_since is not None or not success

    def succeed(self) -> None:
        self.failing_since = None

    def fail(self, at: datetime, *, dead_after_seconds: float) -> None:
        """An attempt failed; when all have for so long, the endpoint is dead."""
        self.failing_since = self.failing_since or at
        if (at - self.failing_since).total_seconds() >= dead_after_seconds:
            self._give_up(DisabledReason.DEAD, at)

    def vanish(self, at: datetime) -> None:
        """It answered that it is gone for good."""
        self.failing_since = self.failing_since or at
        self._give_up(DisabledReason.GONE, at)

    def pull_events(self) -> tuple[Event, ...]:
        """The events since the last call; the repository writes them in the commit that saves the change."""
        events, self._events = tuple(self._events), []
        return events

    def _give_up(self, reason: DisabledReason, at: datetime) -> None:
        if self.enabled:
            self.disabled_reason = reason
            told = WebhookDisabled(
                subject=str(self.id), occurred_at=at, reason=reason, failing_since=self.failing_since
            )
            self._record(told)

    def _changed(self, at: datetime, *names: str) -> None:
        if names:
            self._record(WebhookChanged(subject=str(self.id), occurred_at=at, changed=names))

    def _record(self, event: Event) -> None:
        self._events.append(event)


def retry_delay_seconds(failures: int, *, jitter: float, retry_after_seconds: float | None = None) -> float | None:
    """How long to wait after so many attempts that failed; None: it was the last. `jitter` is drawn from 0 … 1."""
    if failures > len(RETRY_DELAYS_SECONDS):
        return None
    delay = RETRY_DELAYS_SECONDS[failures - 1] * (1 + JITTER * jitter)
    wish = retry_after_seconds or 0.0
    return max(delay, wish) if wish <= LONGEST_RETRY_AFTER_SECONDS else delay


def type_patterns(event_type: str) -> tuple[str, ...]:
    """All that `event_types` may say to mean this type."""
    return (EVERYTHING, f"{event_type.partition('.')[0]}.*", event_type)


def _contains(found: object, wanted: object) -> bool:
    """As PostgreSQL's `@>`: objects have at least these values, arrays at least these elements."""
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return False
        values = cast("Mapping[str, object]", found)
        return all(
            name in values and _contains(values[name], value)
            for name, value in cast("Mapping[str, object]", wanted).items()
        )
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if not isinstance(found, Sequence) or isinstance(found, str):
            return False
        elements = cast("Sequence[object]", found)
        return all(any(_contains(each, one) for each in elements) for one in cast("Sequence[object]", wanted))
    # In JSON, true is no number.
    return isinstance(found, bool) is isinstance(wanted, bool) and found == wanted
