"""What recognition costs, from prices that the operator gives."""

from collections.abc import Mapping
from dataclasses import dataclass

SECONDS_PER_MINUTE = 60.0
SECONDS_PER_HOUR = 3600.0
MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What an engine or a model is paid for; what is None costs nothing. Where tokens have a price and the provider
    counted them, that takes the place of the audio's. `per_processing_hour` is what a machine of one's own costs.
    """

    per_audio_minute: float | None = None
    per_million_input_tokens: float | None = None
    per_million_output_tokens: float | None = None
    per_processing_hour: float | None = None

    @property
    def is_by_tokens(self) -> bool:
        return self.per_million_input_tokens is not None or self.per_million_output_tokens is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumption:
    """What some attempts took. `uncounted_seconds` is the audio of those whose tokens are not known."""

    audio_seconds: float
    uncounted_seconds: float
    input_tokens: int
    output_tokens: int
    processing_seconds: float

    def cost(self, price: Price) -> float:
        audio_seconds = self.uncounted_seconds if price.is_by_tokens else self.audio_seconds
        return (
            audio_seconds / SECONDS_PER_MINUTE * (price.per_audio_minute or 0.0)
            + self.input_tokens / MILLION * (price.per_million_input_tokens or 0.0)
            + self.output_tokens / MILLION * (price.per_million_output_tokens or 0.0)
            + self.processing_seconds / SECONDS_PER_HOUR * (price.per_processing_hour or 0.0)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """`of` is by `engine:model`, or by the engine for all its other models. `currency` is an ISO 4217 code."""

    of: Mapping[str, Price]
    currency: str

    def price(self, engine: str, model: str) -> Price | None:
        """None where there is none."""
        return self.of.get(f"{engine}:{model}", self.of.get(engine))
