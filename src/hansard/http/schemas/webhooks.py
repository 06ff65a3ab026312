"""What goes over the wire about webhooks."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from hansard.application.webhooks import KEEP_OLD_SECRET_SECONDS
from hansard.domain.delivery import DeliveryStatus
from hansard.domain.errors import Category
from hansard.domain.webhook import EVERYTHING, DisabledReason, Terms
from hansard.http.schemas.fields import Moment, PageQuery, PlainText

LONGEST_URL = 2000
LONGEST_DESCRIPTION = 500
MOST_TYPES = 50
DEEPEST_FILTER = 5
MOST_FILTER_VALUES = 50

EXAMPLE_WEBHOOK_ID = "0b6c1c4e-6a57-4b0a-9c7e-2f3d7f6a1e55"


def _small(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if _size(value, DEEPEST_FILTER) > MOST_FILTER_VALUES:
        raise ValueError(f"must hold at most {MOST_FILTER_VALUES} values")
    return value


def _size(value: JsonValue, depth: int) -> int:
    match value:
        case dict() | list() if depth == 0:
            raise ValueError(f"must not be nested deeper than {DEEPEST_FILTER} levels")
        case dict():
            return sum(_size(key, 0) and _size(each, depth - 1) for key, each in value.items())
        case list():
            return sum(_size(each, depth - 1) for each in value)
        case str():
            _TEXT.validate_python(value)
            return 1
        case _:
            return 1


_TEXT: TypeAdapter[str] = TypeAdapter(PlainText)


Url = Annotated[PlainText, Field(min_length=1, max_length=LONGEST_URL)]
EventTypes = Annotated[list[Annotated[PlainText, Field(max_length=100)]], Field(min_length=1, max_length=MOST_TYPES)]
Filter = Annotated[dict[PlainText, JsonValue], AfterValidator(_small)]
Description = Annotated[PlainText, Field(max_length=LONGEST_DESCRIPTION)]

URL_HELP = "Takes POST requests. On the public internet, unless the operator allows more."
TYPES_HELP = "Which events are sent: `transcription.completed`, all that begin so (`transcription.*`), or all (`*`)."
FILTER_HELP = (
    "Only events whose `data` holds these values: objects at least these keys, arrays at least these elements."
)


class NewWebhook(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"url": "https://example.com/hansard", "event_types": ["transcription.completed"]}]
        },
    )

    url: Url = Field(description=URL_HELP)
    event_types: EventTypes = Field(default=[EVERYTHING], description=TYPES_HELP)
    filter: Filter | None = Field(default=None, description=FILTER_HELP, examples=[{"owner": "ann"}])
    description: Description | None = Field(default=None, description="For people.")

    def terms(self) -> Terms:
        return Terms(
            url=self.url, event_types=tuple(self.event_types), filter=self.filter, description=self.description
        )


class WebhookChange(BaseModel):
    """What is left out, or null, stays as it is, but for `filter` and `description`, which null takes away."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": True}]})

    url: Url | None = Field(default=None, description=URL_HELP)
    event_types: EventTypes | None = Field(default=None, description=TYPES_HELP)
    filter: Filter | None = Field(default=None, description=f"{FILTER_HELP} null: no filter.")
    description: Description | None = Field(default=None, description="For people. null: none.")
    enabled: bool | None = Field(
        default=None,
        description="`false`: nothing is sent, and what was to be sent is held. `true`: from now on it is.",
    )

    def applied(self, terms: Terms) -> Terms:
        given = self.model_fields_set
        return Terms(
            url=self.url or terms.url,
            event_types=tuple(self.event_types) if self.event_types else terms.event_types,
            filter=self.filter if "filter" in given else terms.filter,
            description=self.description if "description" in given else terms.description,
        )


class SecretRotation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keep_old_seconds: float = Field(
        default=KEEP_OLD_SECRET_SECONDS,
        ge=0,
        le=30 * 86_400,
        description="How long the old secret stays valid: until then, all is signed with both. 0: it leaked.",
    )


class ReplayQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    since: Moment = Field(description="From when on; UTC, unless it says otherwise.", examples=["2026-11-01T00:00:00Z"])


class DeliveryQuery(PageQuery):
    outcome: DeliveryStatus | None = Field(default=None, description="Only those that stand so.")


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────


class Webhook(BaseModel):
    id: UUID = Field(examples=[EXAMPLE_WEBHOOK_ID])
    url: str
    event_types: list[str]
    filter: dict[str, Any] | None
    description: str | None
    enabled: bool
    disabled_reason: DisabledReason | None = Field(
        description="`gone`: it answered 410. `dead`: all failed, for days. `by_hand`: somebody disabled it."
    )
    failing_since: datetime | None = Field(description="The first failure that no success has followed.")
    old_secret_expires_at: datetime | None = Field(description="After a rotation: until when both secrets are valid.")
    created_at: datetime


class WebhookWithSecret(Webhook):
    secret: str = Field(
        description="What deliveries are signed with. It is shown now and never again.", examples=["whsec_…"]
    )


class WebhookList(BaseModel):
    items: list[Webhook]


class EndpointAnswer(BaseModel):
    status: int
    headers: dict[str, str] = Field(description="Some of them.")
    body: str = Field(description="Its first 4096 bytes.")


class DeliveryError(BaseModel):
    code: str = Field(examples=["webhook_timed_out"])
    category: Category
    message: str
    help: str | None


class DeliveryAttempt(BaseModel):
    number: int
    began_at: datetime
    latency_seconds: float | None = Field(description="null: it is under way, or its worker was lost.")
    request_headers: dict[str, str] = Field(description="But for the signature.")
    response: EndpointAnswer | None
    error: DeliveryError | None = Field(description="null: it was taken.")


class Delivery(BaseModel):
    id: UUID = Field(description="The header `webhook-id`: the same with each attempt.")
    webhook_id: UUID
    event_id: UUID
    event_type: str
    created_at: datetime
    status: DeliveryStatus = Field(
        description="`pending`: sent at `next_attempt_at`. `failed`: given up. `held`: the webhook was disabled."
    )
    next_attempt_at: datetime | None
    attempts: int
    last_status: int | None = Field(description="What the endpoint answered last.")
    last_error: DeliveryError | None
    replay_of: UUID | None = Field(description="The delivery that this one repeats.")


class DeliveryDetails(Delivery):
    body: str | None = Field(description="What is sent. null: nothing was yet.")
    attempt_list: list[DeliveryAttempt] = Field(description="Oldest first.")


class DeliveryPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    items: list[Delivery]
    next_cursor: str | None


class Trial(BaseModel):
    delivered: bool
    latency_seconds: float
    response: EndpointAnswer | None
    error: DeliveryError | None


class Replayed(BaseModel):
    deliveries: int = Field(description="Events that are on their way now.")
