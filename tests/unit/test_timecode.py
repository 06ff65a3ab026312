"""Places in a recording, as people write them."""

import pytest

from hansard.domain.timecode import timecode


@pytest.mark.parametrize(
    ("seconds", "written"), [(0, "0:00:00"), (723, "0:12:03"), (3600, "1:00:00"), (90_061, "25:01:01")]
)
def test_a_place_is_written_in_hours_minutes_and_seconds(seconds: float, written: str) -> None:
    assert timecode(seconds) == written


def test_what_is_left_of_a_second_is_cut_off() -> None:
    assert timecode(59.99) == "0:00:59"


def test_hours_may_be_written_with_two_digits() -> None:
    assert timecode(723, hour_digits=2) == "00:12:03"
