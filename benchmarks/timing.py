"""`make bench-timing`: what `@time_it` and `@monitor_performance` cost a call, and what collecting costs.

Bare and decorated calls take turns in short rounds, and the medians of the rounds are told: the cost is the difference.
"""

import asyncio
import os
import platform
import statistics
import sys
from collections.abc import Callable, Coroutine, Generator
from datetime import UTC, datetime
from time import perf_counter_ns

from hansard.timing import calls
from hansard.timing.decorators import monitor_performance, time_it

ROUNDS, CALLS = 2_000, 100
"""Short rounds: on a busy machine, most of them are not interrupted, and the median is of those."""


def main() -> None:
    calls.switch_on()
    sys.stdout.write(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}; {ROUNDS:,} rounds of {CALLS:,} calls, µs a call, median\n"
    )
    for decorator in (time_it, monitor_performance):
        for kind, run, function in (
            ("function", _call, _bare),
            ("coroutine", _await, _bare_coroutine),
            ("generator of one", _exhaust, _bare_generator),
        ):
            _tell(f"@{decorator.__name__}, {kind}", run, function, decorator(function))
    calls.switch_off()
    _tell("@time_it, switched off", _call, _bare, time_it(_bare))
    started = perf_counter_ns()
    calls.collect()
    sys.stdout.write(
        f"collecting {len(calls.counted_functions())} functions: {(perf_counter_ns() - started) / 1e3:.0f}\n"
    )


def _tell(name: str, run: Callable[..., None], bare: Callable[..., object], decorated: Callable[..., object]) -> None:
    pairs = [(_microseconds(run, bare), _microseconds(run, decorated)) for _ in range(ROUNDS)]
    alone = statistics.median(bare for bare, _ in pairs)
    added = sorted(decorated - bare for bare, decorated in pairs)
    median, tenth = statistics.median(added), added[-len(added) // 10]
    sys.stdout.write(f"{name}: bare {alone:.2f}, added {median:.2f} (a tenth above {tenth:.2f})\n")


def _microseconds(run: Callable[..., None], function: Callable[..., object]) -> float:
    started = perf_counter_ns()
    run(function)
    return (perf_counter_ns() - started) / 1e3 / CALLS


def _call(function: Callable[..., object]) -> None:
    for number in range(CALLS):
        function(number, step=1)


def _exhaust(function: Callable[..., Generator[int]]) -> None:
    for number in range(CALLS):
        for _ in function(number, step=1):
            pass


def _await(function: Callable[..., Coroutine[None, None, int]]) -> None:
    async def all_of_them() -> None:
        for number in range(CALLS):
            await function(number, step=1)

    asyncio.run(all_of_them())


def _bare(number: int, *, step: int) -> int:
    return number + step


async def _bare_coroutine(number: int, *, step: int) -> int:
    return number + step


def _bare_generator(number: int, *, step: int) -> Generator[int]:
    yield number + step


if __name__ == "__main__":
    main()
