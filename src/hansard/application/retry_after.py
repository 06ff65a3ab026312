"""How long a server asks to be left alone."""

import math
from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz

LONGEST_SECONDS = 86_400.0
"""A wish for more than a day is a mistake of the server's, and not heard."""


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """RFC 9110, 10.2.3: seconds, or a date, which is held against the server's own clock, not ours. Some servers of
    OpenAI's API say milliseconds. None where nothing was said that could be meant. Names in `headers` are lower case.
    """
    said = headers.get("retry-after", "")
    until_then = _timestamp(said) - _timestamp(headers.get("date", ""))
    wishes = (
        _number(headers.get("retry-after-ms", "")) / 1000,
        _number(said),
        0.0 if until_then < 0 else until_then,
    )
    # What is no number is NaN, of which no comparison is true.
    return next((seconds for seconds in wishes if 0 <= seconds <= LONGEST_SECONDS), None)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _timestamp(date: str) -> float:
    try:
        parsed = parsedate_tz(date)
        return float(mktime_tz(parsed)) if parsed else math.nan
    except (ValueError, OverflowError):  # a year that no clock can show
        return math.nan
