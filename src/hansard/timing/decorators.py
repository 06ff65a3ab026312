"""`@time_it` and `@monitor_performance`: what the critical functions take, counted in memory where they run.

    @time_it                how often, how long, how many raised: for what is called all the time
    @monitor_performance    also processor time, memory and I/O: for what does the work

Both are for functions and methods, coroutine functions and generator functions. Below the domain, and of the standard
library alone, so that every layer can use them. Nothing is counted before `calls.switch_on`.

What the numbers mean
    duration        from the call to its return or exception. Of a generator: the time spent inside it, without that of
                    whoever reads it. Of a coroutine: with what it waited for
    errors          calls that raised an `Exception`; being cancelled is none
    CPU, own        of the thread that made the call. Of a coroutine, only while it runs itself
    CPU, process    of all threads meanwhile, native ones included, and what else the process did. A call that works in
                    threads of its own, as Whisper does, used something between the two. Child processes are in neither
    peak memory     the most the whole process ever had resident (its high-water mark), at the end of the call;
    memory growth   by how much that mark rose during the call. What stayed below an earlier peak does not show
    read, written   bytes this thread fetched from storage and dirtied for it; what the page cache had is not read
"""

import inspect
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from functools import wraps
from time import perf_counter_ns
from typing import Any, ParamSpec, TypeVar, cast

from hansard.timing.calls import CountedFunction, Meters, Stopwatch, registry

P = ParamSpec("P")
R = TypeVar("R")


def time_it(function: Callable[P, R]) -> Callable[P, R]:
    """Count calls, errors and durations. Costs less than 2 µs a call; see docs/benchmarks.md."""
    counted = CountedFunction(function, is_monitored=False)
    if inspect.iscoroutinefunction(function):
        return cast("Callable[P, R]", _timed_coroutine(function, counted))
    if inspect.isgeneratorfunction(function):
        return cast("Callable[P, R]", _metered_generator(function, counted, Stopwatch))
    return _timed(function, counted)


def monitor_performance(function: Callable[P, R]) -> Callable[P, R]:
    """Count also processor time, memory and I/O. Costs less than 20 µs a call; see docs/benchmarks.md."""
    counted = CountedFunction(function, is_monitored=True)
    if inspect.iscoroutinefunction(function):
        return cast("Callable[P, R]", _metered_coroutine(function, counted))
    if inspect.isgeneratorfunction(function):
        return cast("Callable[P, R]", _metered_generator(function, counted, Meters))
    return _metered(function, counted)


def _timed(function: Callable[P, R], counted: CountedFunction) -> Callable[P, R]:
    add = counted.add

    @wraps(function)
    def timed(*args: P.args, **kwargs: P.kwargs) -> R:
        if not registry.is_on:
            return function(*args, **kwargs)
        started = perf_counter_ns()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            add(perf_counter_ns() - started, isinstance(error, Exception))
            raise
        add(perf_counter_ns() - started, False)  # noqa: FBT003 - a keyword would cost as much as the rest
        return result

    return timed


def _timed_coroutine(
    function: Callable[P, Coroutine[Any, Any, Any]], counted: CountedFunction
) -> Callable[P, Coroutine[Any, Any, Any]]:
    @wraps(function)
    async def timed(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 - whatever the function returns
        if not registry.is_on:
            return await function(*args, **kwargs)
        started, failed = perf_counter_ns(), False
        try:
            return await function(*args, **kwargs)
        except Exception:
            failed = True
            raise
        finally:
            counted.add(perf_counter_ns() - started, failed)

    return timed


def _metered(function: Callable[P, R], counted: CountedFunction) -> Callable[P, R]:
    @wraps(function)
    def metered(*args: P.args, **kwargs: P.kwargs) -> R:
        if not registry.is_on:
            return function(*args, **kwargs)
        meters, failed = Meters(), False
        meters.start()
        try:
            return function(*args, **kwargs)
        except Exception:
            failed = True
            raise
        finally:
            meters.stop()
            counted.add(meters.duration_ns, failed, meters)

    return metered


def _metered_coroutine(
    function: Callable[P, Coroutine[Any, Any, Any]], counted: CountedFunction
) -> Callable[P, Coroutine[Any, Any, Any]]:
    @wraps(function)
    async def metered(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 - whatever the function returns
        if not registry.is_on:
            return await function(*args, **kwargs)
        meters, failed, started = Meters(), False, perf_counter_ns()
        try:
            return await _Awaited(_stepwise(function(*args, **kwargs), meters))
        except Exception:
            failed = True
            raise
        finally:
            counted.add(perf_counter_ns() - started, failed, meters)

    return metered


def _metered_generator(
    function: Callable[P, Generator[Any, Any, Any]], counted: CountedFunction, meter: type[Stopwatch]
) -> Callable[P, Generator[Any, Any, Any]]:
    @wraps(function)
    def metered(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, Any]:
        if not registry.is_on:
            return (yield from function(*args, **kwargs))
        meters, failed = meter(), False
        try:
            return (yield from _stepwise(function(*args, **kwargs), meters))
        except Exception:
            failed = True
            raise
        finally:
            counted.add(meters.duration_ns, failed, meters)

    return metered


def _stepwise(work: Generator[Any, Any, Any] | Coroutine[Any, Any, Any], meters: Stopwatch) -> Generator[Any, Any, Any]:
    """As `yield from work`, with the meters running only while `work` runs itself."""
    resume: Callable[[Any], Any] = work.send
    given: Any = None
    while True:
        meters.start()
        try:
            item = resume(given)
        except StopIteration as end:
            return end.value
        finally:
            meters.stop()
        try:
            given = yield item
        except GeneratorExit:
            meters.start()
            try:
                work.close()
            finally:
                meters.stop()
            raise
        except BaseException as error:  # noqa: BLE001 - it is for `work`, which may handle it
            resume, given = work.throw, error
        else:
            resume = work.send


@dataclass(frozen=True, slots=True)
class _Awaited:
    steps: Generator[Any, Any, Any]

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.steps
