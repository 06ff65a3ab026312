"""A delivery: one event on its way to one webhook, and every attempt that was made.

    pending ──(2xx)──► delivered
       │──(the schedule has come to its end)──► failed
       └──(the webhook was disabled)──► held

Sending once more what is not pending is a new delivery, which says what it repeats.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from uuid import UUID

from hansard.domain.errors import DeliveryFailed, EndpointGone, EndpointWrong, Failure


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an endpoint answered: a few of its headers, by lower-case names, and the beginning of its body.

    `retry_after_seconds` is how long it asks to be left alone.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: str = ""
    retry_after_seconds: float | None = None

    @property
    def failure(self) -> Failure | None:
        """None where it took what was sent."""
        if HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES:
            return None
        if self.status == HTTPStatus.GONE:
            return EndpointGone(
                "The endpoint answers 410: it is gone for good.",
                help="Nothing more is sent to it. Give the webhook its new URL and enable it, or delete it.",
            ).failure
        if HTTPStatus.MULTIPLE_CHOICES <= self.status < HTTPStatus.BAD_REQUEST:
            return EndpointWrong(
                f"The endpoint answers {self.status}, a redirect, which is not followed.",
                code="webhook_redirects",
                help="Give the webhook the URL that it leads to.",
            ).failure
        return DeliveryFailed(
            f"The endpoint answers {self.status}.",
            help="Its answer, and its own log, should say why. Answer with 2xx once the event is stored.",
        ).failure


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAttempt:
    """One request. Without an end it is under way, or its worker died over it.

    `request_headers` lack the signature.
    """

    number: int
    began_at: datetime
    ended_at: datetime | None = None
    request_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    answer: Answer | None = None
    failure: Failure | None = None

    @property
    def latency_seconds(self) -> float | None:
        return None if self.ended_at is None else (self.ended_at - self.began_at).total_seconds()


@dataclass(kw_only=True, eq=False)
class Delivery:
    """Its id goes out as `webhook-id`, the same with each attempt. `body` is what is sent, from the first attempt on.

    `next_attempt_at` is None when there is none.
    """

    id: UUID
    webhook_id: UUID
    event_id: UUID
    event_position: int
    event_type: str
    created_at: datetime
    status: DeliveryStatus = DeliveryStatus.PENDING
    next_attempt_at: datetime | None
    attempts: tuple[DeliveryAttempt, ...] = ()
    body: str | None = None
    replay_of: UUID | None = None

    @property
    def failures(self) -> int:
        return sum(1 for attempt in self.attempts if attempt.failure is not None and not _is_interrupted(attempt))

    def is_due(self, at: datetime) -> bool:
        return self.status is DeliveryStatus.PENDING and self.next_attempt_at is not None and self.next_attempt_at <= at

    def begin(self, at: datetime, body: str, *, headers: Mapping[str, str]) -> DeliveryAttempt:
        """Written down before anything is sent. An attempt that has not ended never will: its worker is gone."""
        if self.attempts and self.attempts[-1].ended_at is None:
            self._end(self.attempts[-1], at, failure=_INTERRUPTED)
        attempt = DeliveryAttempt(number=len(self.attempts) + 1, began_at=at, request_headers=headers)
        self.attempts = (*self.attempts, attempt)
        self.body = body
        return attempt

    def succeed(self, number: int, answer: Answer, at: datetime) -> None:
        """The endpoint has it, also where another worker has taken over since."""
        self._end(self.attempts[number - 1], at, answer=answer)
        self.status, self.next_attempt_at = DeliveryStatus.DELIVERED, None

    def fail(
        self, number: int, failure: Failure, at: datetime, *, answer: Answer | None, next_at: datetime | None
    ) -> None:
        """It is tried again at `next_at`; None: not any more. A late failure of an attempt that another worker has
        taken over from changes nothing else.
        """
        self._end(self.attempts[number - 1], at, answer=answer, failure=failure)
        if number == len(self.attempts) and self.status is DeliveryStatus.PENDING:
            self.next_attempt_at = next_at
            self.status = DeliveryStatus.PENDING if next_at else DeliveryStatus.FAILED

    def give_up(self, failure: Failure, at: datetime) -> None:
        """It cannot be sent at all."""
        number = len(self.attempts) + 1
        self.attempts = (*self.attempts, DeliveryAttempt(number=number, began_at=at, ended_at=at, failure=failure))
        self.status, self.next_attempt_at = DeliveryStatus.FAILED, None

    def replay(self, delivery_id: UUID, at: datetime) -> "Delivery":
        """The same event once more, as a delivery of its own."""
        return Delivery(
            id=delivery_id,
            webhook_id=self.webhook_id,
            event_id=self.event_id,
            event_position=self.event_position,
            event_type=self.event_type,
            created_at=at,
            next_attempt_at=at,
            body=self.body,
            replay_of=self.id,
        )

    def _end(
        self, attempt: DeliveryAttempt, at: datetime, *, answer: Answer | None = None, failure: Failure | None = None
    ) -> None:
        ended = replace(attempt, ended_at=at, answer=answer, failure=failure)
        self.attempts = tuple(ended if each.number == ended.number else each for each in self.attempts)


_INTERRUPTED = DeliveryFailed(
    "The worker that made this attempt was lost before the answer came.",
    code="delivery_interrupted",
    help="It is sent again at once, with the same webhook-id, by which a receiver tells that it had it already.",
).failure


def _is_interrupted(attempt: DeliveryAttempt) -> bool:
    """Which says nothing about the endpoint."""
    return attempt.failure is not None and attempt.failure.code == _INTERRUPTED.code
