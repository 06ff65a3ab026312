"""Long work can be called off, wherever it is, and whoever waits for it is told the truth."""

from collections.abc import Iterator
from contextlib import closing
from contextvars import ContextVar
from threading import Event

import pytest

from hansard.application.watched import watched, watched_call
from hansard.domain.errors import Superseded

WHO = ContextVar("WHO", default="nobody")


def wanted() -> None:
    pass


def not_wanted() -> None:
    raise Superseded("It was cancelled.")


def three(stop: Event) -> Iterator[int]:
    yield from (1, 2, 3)


def test_what_is_made_comes_in_order() -> None:
    assert list(watched(three, wanted)) == [1, 2, 3]


def test_nothing_is_made_before_it_is_asked_for() -> None:
    made: list[int] = []

    def work(stop: Event) -> Iterator[int]:
        for number in range(3):
            made.append(number)
            yield number

    with closing(watched(work, wanted)) as numbers:
        assert (next(numbers), made) == (0, [0])
        assert (next(numbers), made) == (1, [0, 1])


def test_an_error_is_raised_where_somebody_waits() -> None:
    def work(stop: Event) -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(watched(work, wanted))


def test_work_that_hangs_is_left_when_it_is_not_wanted_any_more() -> None:
    told_to_stop = Event()

    def hang(stop: Event) -> Iterator[int]:
        stop.wait()
        told_to_stop.set()
        yield 1

    with pytest.raises(Superseded):
        list(watched(hang, not_wanted))
    assert told_to_stop.wait(5)


def test_work_that_does_not_heed_is_left_to_itself() -> None:
    let_go = Event()

    def deaf(stop: Event) -> Iterator[int]:
        let_go.wait()
        yield 1

    with pytest.raises(Superseded):
        list(watched(deaf, not_wanted))
    let_go.set()


def test_closing_it_stops_the_work() -> None:
    stopped = Event()

    def work(stop: Event) -> Iterator[int]:
        yield 1
        stopped.set()
        yield 2

    with closing(watched(work, wanted)) as numbers:
        next(numbers)
    assert not stopped.is_set()


def test_the_work_s_log_lines_carry_the_ids_of_whoever_asked() -> None:
    WHO.set("the caller")
    assert watched_call(lambda stop: WHO.get(), wanted) == "the caller"
