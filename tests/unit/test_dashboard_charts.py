"""Charts say what the numbers say, with axes that people can read."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hansard.http.dashboard import figures
from hansard.http.dashboard.charts import HEIGHT, Series, Times, bars, lines, parts
from hansard.http.dashboard.html import tag

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def times(pieces: int = 3, length: timedelta = HOUR, zone: str = "UTC", start: datetime = NOON) -> Times:
    return Times(tuple(start + number * length for number in range(pieces)), length, ZoneInfo(zone))


def series(*values: float | None, name: str = "Completed") -> Series:
    return Series(name, "tone-1", values)


def labels(of: Times) -> list[str]:
    return [label for _, label in of.ticks()]


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (None, "–"),
        (0, "0 s"),
        (4.2e-7, "420 ns"),
        (4.56e-5, "45.6 µs"),
        (0.25, "250 ms"),
        (4.2, "4.2 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (200_000, "2 d 8 h"),
    ],
)
def test_durations_are_written_as_people_say_them(seconds: float | None, written: str) -> None:
    assert figures.seconds(seconds) == written


def test_sizes_counts_shares_and_money_carry_their_units() -> None:
    assert (figures.size(1_250_000), figures.count(1234), figures.count(12_345_678)) == ("1.25 MB", "1,234", "12.3 M")
    assert (figures.share(0.087), figures.share(1.0), figures.share(None)) == ("8.7 %", "100 %", "–")
    assert (figures.money("EUR")(12.3), figures.money("EUR")(0.0042)) == ("12.30 EUR", "0.0042 EUR")


@pytest.mark.parametrize(
    ("unit", "most", "ticks"),
    [
        (figures.COUNT, 17, ["0", "5", "10", "15", "20"]),
        (figures.COUNT, 0, ["0", "1", "2", "3", "4"]),
        (figures.SECONDS, 400, ["0 s", "2 min", "4 min", "6 min", "8 min"]),
        (figures.SECONDS, 0.03, ["0 s", "10 ms", "20 ms", "30 ms"]),
        (figures.BYTES, 3.4e8, ["0 B", "100 MB", "200 MB", "300 MB", "400 MB"]),
    ],
)
def test_an_axis_has_round_steps(unit: figures.Unit, most: float, ticks: list[str]) -> None:
    assert [unit.write(tick) for tick in unit.ticks(most)] == ticks


@pytest.mark.parametrize(
    ("of", "told"),
    [
        (times(60, timedelta(minutes=1)), ["12:00", "12:10", "12:20", "12:30", "12:40", "12:50"]),
        (times(24), ["12:00", "16:00", "20:00", "24 Nov", "04:00", "08:00"]),
        (times(24, zone="Asia/Kolkata"), ["20:00", "24 Nov", "04:00", "08:00", "12:00", "16:00"]),
        (times(24 * 7), ["24 Nov", "25 Nov", "26 Nov", "27 Nov", "28 Nov", "29 Nov", "30 Nov"]),
        (times(1, timedelta(days=1)), ["12:00", "16:00", "20:00", "24 Nov", "04:00", "08:00"]),
    ],
)
def test_times_are_labelled_where_they_are_round_in_their_zone(of: Times, told: list[str]) -> None:
    assert labels(of) == told


def test_a_bar_is_as_high_as_its_value_and_stands_on_the_one_below() -> None:
    chart = bars("Ended", times(1), (series(3.0), series(1.0, name="Failed")), figures.COUNT)
    first, second = re.findall(r'y="([\d.]+)" height="([\d.]+)" class="tone-1"', chart)
    assert float(first[1]) == pytest.approx(HEIGHT * 3 / 4)
    assert float(second[0]) + float(second[1]) == pytest.approx(float(first[0]))


def test_a_line_has_a_hole_where_there_is_no_value() -> None:
    [path] = re.findall(r'd="([^"]+)"', lines("Memory", times(5), [series(1, 2, None, 3, 4)], figures.COUNT))
    assert [each[0] for each in re.findall(r"[ML][^ML]+", path)] == ["M", "L", "M", "L"]


def test_a_value_that_stands_alone_is_a_point() -> None:
    assert lines("Memory", times(3), [series(None, 2, None)], figures.COUNT).count("<circle") == 1


def test_the_numbers_are_told_below_and_under_the_pointer() -> None:
    chart = bars("Ended", times(2), (series(3.0, 0.0),), figures.COUNT)
    assert "<title>Mon 23 Nov, 12:00\nCompleted: 3</title>" in chart
    assert chart.count('<th scope="row">') == 1  # nothing is told of what is empty


def test_a_chart_of_nothing_can_be_drawn() -> None:
    assert "<svg" in lines("Memory", times(2), [series(None, None)], figures.BYTES)
    assert "<svg" in bars("Ended", times(2), [series(0, 0)], figures.COUNT)


def test_shares_are_told_in_words_too() -> None:
    assert "Queue <b>94 %</b>" in parts([("Queue", "tone-1", 0.94), ("Recognition", "tone-2", 0.06)])


def test_what_is_written_into_html_is_escaped() -> None:
    assert tag("p", "<b>", title='"><script>') == '<p title="&#34;&gt;&lt;script&gt;">&lt;b&gt;</p>'
