"""Which job goes first: a rule that is worked out once, when a job is made, so that the queue itself stays simple.

A job is *due* at a moment, and jobs are taken in the order in which they are due. A job is due as long after it was
asked for as it is itself: a short one goes before a long one that came at the same time, and a long one is overtaken
for no longer than it takes to be heard. To that come the recordings of the same owner that go before it anyway: who
asks for a thousand stands behind himself, not before others. A priority is a credit of time. What somebody waits for on
the line has ten hours of it: who waits so long has hung up, and who does not wait is not put off for ever.
"""

from datetime import UTC, datetime

SECONDS_PER_PRIORITY = 36.0
"""What a point of priority is worth: 100 of them an hour."""

MOST_PRIORITY = 100
"""What a request may ask for, up and down."""

INTERACTIVE_PRIORITY = 1000
"""What is added to the priority of a job that somebody waits for: ten hours, which no other priority outdoes."""

ASSUMED_SECONDS = 600.0
"""How long a recording is taken for that does not tell its length."""

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

_LEAST, _MOST = -(2**31), 2**31 - 1
"""What the column holds: 68 years, to the second."""


def rank(at: datetime, *, audio_seconds: float, own_seconds_ahead: float, priority: int) -> int:
    """The job's place as procrastinate wants it: the higher of two goes first, and of equals the one made first.

    `at` is now; `own_seconds_ahead` is the length of the owner's waiting recordings that are neither longer than this
    one nor of a lower priority.
    """
    wait_seconds = audio_seconds + own_seconds_ahead - priority * SECONDS_PER_PRIORITY
    due_seconds = (at - _EPOCH).total_seconds() + wait_seconds
    return max(_LEAST, min(-int(due_seconds), _MOST))
