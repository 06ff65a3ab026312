"""What recognition costs."""

import pytest

from hansard.domain.costs import Consumption, Price, Prices

HOUR = Consumption(
    audio_seconds=3600, uncounted_seconds=0, input_tokens=2_000_000, output_tokens=500_000, processing_seconds=900
)
BY_TOKENS = Price(per_audio_minute=0.006, per_million_input_tokens=2.5, per_million_output_tokens=10)


@pytest.mark.parametrize(
    ("price", "cost"),
    [
        (Price(per_audio_minute=0.006), 0.36),
        (BY_TOKENS, 2 * 2.5 + 0.5 * 10),
        (Price(per_processing_hour=0.4), 0.1),
        (Price(), 0),
    ],
)
def test_it_is_what_the_price_is_for(price: Price, cost: float) -> None:
    assert HOUR.cost(price) == pytest.approx(cost)


def test_audio_whose_tokens_are_not_known_is_paid_by_the_minute() -> None:
    half_known = Consumption(
        audio_seconds=3600, uncounted_seconds=600, input_tokens=1_000_000, output_tokens=0, processing_seconds=0
    )
    assert half_known.cost(BY_TOKENS) == pytest.approx(2.5 + 10 * 0.006)


def test_the_price_of_a_model_goes_before_that_of_its_engine() -> None:
    cheap, dear = Price(per_audio_minute=1), Price(per_audio_minute=2)
    prices = Prices(of={"openai": dear, "openai:whisper-1": cheap}, currency="USD")
    assert (prices.price("openai", "whisper-1"), prices.price("openai", "other")) == (cheap, dear)
    assert prices.price("whisper", "small") is None
