"""Alerts as they go over the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from hansard.domain.alert import AlertState, RuleName, Severity, Unit


class Alert(BaseModel):
    """A rule and where it stands; a rule about each machine has one of these for each."""

    name: str = Field(
        description="The rule's name, with `@` and the machine behind it for what each machine has of its own.",
        examples=["error_rate", "disk@worker-3"],
    )
    rule: RuleName
    state: AlertState = Field(
        description="`pending`: broken, not yet for long enough to tell anybody; `resolving`: well again, not yet for "
        "long enough to say that it is over."
    )
    firing: bool = Field(description="Whether it was told and is not over: while `firing` and `resolving`.")
    severity: Severity
    unit: Unit = Field(description="Of `value` and `threshold`; a `part` is from 0 to 1.")
    value: float | None = Field(description="As last measured; null where there is too little to judge by.")
    threshold: float
    breaks: str = Field(description="The side of the threshold that is wrong: `above` or `below`.", examples=["above"])
    fire_after_seconds: float
    resolve_after_seconds: float
    message: str = Field(description="What was last measured, in a sentence.")
    help: str = Field(description="What to do when it fires.")
    since: datetime | None = Field(description="When `state` began; null where it never was other than `ok`.")
    fired_at: datetime | None
    measured_at: datetime | None = Field(
        description="Null where it was never measured. When it is old, nobody judges the rules any more."
    )
    trouble: str | None = Field(description="Why it could not be measured the last time. The state stays what it was.")


class Alerts(BaseModel):
    """Those that are firing first."""

    items: list[Alert]
    firing: int


class AlertNews(BaseModel):
    """An alert fired, or is over."""

    id: UUID
    occurred_at: datetime
    name: str
    state: AlertState = Field(description="`firing`, or `ok` for one that is over.")
    severity: Severity
    value: float | None
    threshold: float
    message: str | None = Field(description="What was wrong; null for one that is over.")
    firing_seconds: float | None = Field(description="How long it lasted; null for one that fires.")


class AlertHistory(BaseModel):
    items: list[AlertNews]
    next_cursor: str | None
