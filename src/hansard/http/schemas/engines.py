"""What does the listening: how each engine stands, and why one is left alone."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hansard.domain.circuit import CircuitState
from hansard.http.schemas.fields import PlainText
from hansard.http.schemas.transcriptions import TranscriptionError


class EngineDisabling(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "Over budget until Monday."}]})

    reason: Annotated[PlainText, Field(max_length=500)] | None = Field(
        default=None, description="Why, for whoever asks later: it is shown with the engine."
    )


class EngineCircuit(BaseModel):
    """The breaker that keeps jobs away from an engine that fails, for all processes together."""

    state: CircuitState = Field(
        description="`open`: it is left alone until `retry_at`. `half_open`: it is being tried again."
    )
    failures: int = Field(description="In a row.")
    retry_at: datetime | None = Field(description="When it may next be tried; null while the circuit is closed.")
    disabled: bool = Field(description="Taken out of use by an operator, until it is enabled again.")
    disabled_reason: str | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    last_failure: TranscriptionError | None = Field(description="The last one that counted against the engine.")


class Engine(BaseModel):
    name: str = Field(examples=["whisper"])
    state: Literal["ready", "preparing", "unavailable"]
    detail: str = Field(description="Why, or how far.", examples=["model small (int8, cpu)"])
    help: str | None = Field(description="What to do about it.")
    chain_position: int | None = Field(
        description="Its place in what `auto` tries, from 1; null where `auto` does not try it."
    )
    degraded_reason: str | None = Field(description="Why its transcripts are second best; null for full quality.")
    circuit: EngineCircuit


class Engines(BaseModel):
    items: list[Engine]
