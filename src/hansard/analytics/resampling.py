"""The draws of a bootstrap, with numpy: 0.1 s for 300 rows, where the standard library takes more than a second."""

# pyright: reportUnknownMemberType=false

from collections.abc import Sequence

import numpy as np

_AT_ONCE = 500
"""Draws in memory: 10 MB for 2,600 rows."""
_SEED = 20


def draw_sums(rows: Sequence[Sequence[float]], times: int) -> list[list[float]]:
    """The sum of each column, over as many rows as there are, drawn with replacement; the same each time."""
    random = np.random.default_rng(_SEED)
    columns, count = np.asarray(rows, dtype=float), len(rows)
    drawn: list[list[float]] = []
    while len(drawn) < times:
        how_often = random.multinomial(count, np.full(count, 1 / count), size=min(_AT_ONCE, times - len(drawn)))
        drawn += (how_often @ columns).tolist()
    return drawn
