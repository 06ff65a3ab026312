"""How the service is, as JSON. Anybody may ask, so no field holds what a driver or a provider said: see GET /engines.

A list or an object that is null was not found out: the part of its name says why.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from hansard.application.health import HealthStatus
from hansard.application.ports.engines import EngineState
from hansard.domain.circuit import CircuitState
from hansard.domain.errors import Category


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


class HealthTrouble(BaseModel):
    code: str = Field(examples=["storage_full"])
    message: str = Field(examples=["Recordings cannot be stored."])
    help: str | None = Field(description="What to do about it.")


class PastHealthTrouble(BaseModel):
    code: str
    message: str
    at: datetime


class HealthPart(BaseModel):
    status: HealthStatus = Field(
        description="`unknown`: not looked at yet, too long ago, or out of reach behind a part that is down."
    )
    decides_readiness: bool = Field(description="Whether `GET /health/ready` says 503 while it is down or unknown.")
    trouble: HealthTrouble | None = Field(description="What is wrong now; null when the status is `ok`.")
    latency_seconds: float | None = Field(description="How long the last look took; null before the first.")
    checked_at: datetime | None
    last_error: PastHealthTrouble | None = Field(description="The last trouble of this process's life; may be over.")


class EngineTrouble(BaseModel):
    """The last failure that counted against the engine. `GET /engines` has the provider's own words."""

    code: str = Field(examples=["engine_not_authenticated"])
    category: Category
    provider_status: int | None = Field(examples=[401])
    at: datetime | None


class EngineCanary(BaseModel):
    """The last known phrase that it was given."""

    passed: bool
    word_accuracy: float = Field(ge=0, le=1, description="The part of the words that it got right.")
    processing_seconds: float
    error_code: str | None = Field(description="Why it recognised nothing.", examples=["engine_timed_out"])
    at: datetime


class EngineHealth(BaseModel):
    name: str = Field(examples=["whisper"])
    chain_position: int | None = Field(
        description="Its place in what `auto` tries, from 1; null where `auto` does not try it."
    )
    state: EngineState
    usable: bool = Field(description="A job that came now would be given to it.")
    detail: str | None = Field(description="Unless it is unavailable: what it uses, or how far it is.")
    help: str | None = Field(description="What to do where it is unavailable.")
    circuit: CircuitState = Field(
        description="`open`: it failed, and is left alone until `retry_at`. `half_open`: it is being tried again."
    )
    failures: int = Field(description="In a row.")
    retry_at: datetime | None
    disabled: bool = Field(description="Taken out of use by an operator.")
    loaded_by: list[str] = Field(description="The workers that have its model in memory.")
    last_success_at: datetime | None
    last_error: EngineTrouble | None
    canary: EngineCanary | None = Field(description="Null where HANSARD_CANARY_SECONDS is 0, or it was never its turn.")


class WorkerHealth(BaseModel):
    name: str = Field(examples=["worker.1"])
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime = Field(description="Its last heartbeat.")
    transcription_id: UUID | None = Field(description="The job in its hands.")
    models: list[str] = Field(description="In its memory.")


class QueueHealth(BaseModel):
    waiting: int = Field(description="Jobs that no worker has taken yet.")
    running: int
    oldest_seconds: float = Field(description="How long the first of the waiting jobs has waited.")
    audio_seconds: float = Field(description="The length of the recordings that wait.")
    backlog_seconds: float = Field(
        description="How long the workers need for what waits, going by how fast they were of late."
    )


class DiskHealth(BaseModel):
    free_bytes: int = Field(description="In the data directory.")
    scarce_bytes: int = Field(description="HANSARD_SCARCE_DISK_BYTES: with less, health is degraded.")


class Health(BaseModel):
    """`down` when a part that decides readiness is down or unknown, `degraded` when any other part is not `ok`."""

    status: HealthStatus = Field(description="Never `unknown`: what is not known of what decides is as bad as down.")
    version: str
    parts: dict[str, HealthPart]
    engines: list[EngineHealth] | None = Field(description="In the order `auto` tries them.")
    workers: list[WorkerHealth] | None
    queue: QueueHealth | None
    disk: DiskHealth | None
