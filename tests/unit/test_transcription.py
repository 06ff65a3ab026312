"""The aggregate: a few stories told out, and a machine that tries every order of calls."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hansard.domain.errors import Category, Failure, IllegalMove, Superseded
from hansard.domain.events import (
    Event,
    TranscriptionCancelled,
    TranscriptionCompleted,
    TranscriptionFailed,
    TranscriptionInterrupted,
    TranscriptionQueued,
    TranscriptionStarted,
)
from hansard.domain.transcription import MOVES, AttemptOutcome, Parameters, Result, Status, Transcription

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
BROKEN = Failure(code="broken", category=Category.SERVER, message="It broke.")
RESULT = Result(
    engine="fake",
    model="fake-1",
    language="en",
    audio_seconds=60,
    speech_seconds=50,
    word_count=100,
    processing_seconds=6,
)

STATUS_AFTER: dict[type[Event], Status] = {
    TranscriptionQueued: Status.QUEUED,
    TranscriptionStarted: Status.RUNNING,
    TranscriptionInterrupted: Status.QUEUED,
    TranscriptionCompleted: Status.COMPLETED,
    TranscriptionFailed: Status.FAILED,
    TranscriptionCancelled: Status.CANCELLED,
}


def queued() -> Transcription:
    return Transcription.queue(audio_id=uuid4(), parameters=Parameters(), at=NOON)


def running() -> Transcription:
    transcription = queued()
    transcription.start(NOON)
    transcription.begin_attempt(engine="fake", model="fake-1", at=NOON)
    return transcription


def kinds(events: tuple[Event, ...]) -> list[str]:
    return [event.type for event in events]


def test_asking_records_what_was_asked() -> None:
    transcription = Transcription.queue(audio_id=uuid4(), parameters=Parameters(engine="whisper"), at=NOON)
    (event,) = transcription.pull_events()
    assert event == TranscriptionQueued(
        subject_id=transcription.id, occurred_at=NOON, audio_id=transcription.audio_id, engine="whisper"
    )


def test_events_are_given_out_once() -> None:
    transcription = queued()
    transcription.pull_events()
    assert transcription.pull_events() == ()


def test_taking_a_running_one_says_that_its_worker_died() -> None:
    transcription = running()
    transcription.pull_events()
    assert transcription.start(LATER) == 2
    assert kinds(transcription.pull_events()) == ["transcription.interrupted", "transcription.started"]


def test_an_interruption_abandons_the_attempt_but_keeps_what_it_recognised() -> None:
    transcription = running()
    transcription.advance_attempt(30)
    transcription.interrupt(LATER)
    (attempt,) = transcription.attempts
    assert (attempt.outcome, attempt.ended_at, attempt.recognised_seconds) == (AttemptOutcome.ABANDONED, LATER, 30)


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_what_has_ended_cannot_be_interrupted(end: str) -> None:
    transcription = running()
    transcription.fail(BROKEN, LATER) if end == "fail" else transcription.cancel(LATER)
    with pytest.raises(IllegalMove):
        transcription.interrupt(LATER)


def test_a_new_attempt_abandons_one_that_never_ended() -> None:
    transcription = running()
    transcription.begin_attempt(engine="other", model="o-1", at=LATER)
    assert [attempt.outcome for attempt in transcription.attempts] == [
        AttemptOutcome.ABANDONED,
        AttemptOutcome.RUNNING,
    ]


def test_a_finished_attempt_cannot_be_finished_again() -> None:
    transcription = running()
    transcription.end_attempt(LATER, BROKEN)
    with pytest.raises(IllegalMove):
        transcription.end_attempt(LATER)


def test_an_attempt_says_why_it_failed() -> None:
    transcription = running()
    transcription.end_attempt(LATER, BROKEN)
    (attempt,) = transcription.attempts
    assert (attempt.outcome, attempt.failure) == (AttemptOutcome.FAILED, BROKEN)


def test_a_completed_one_says_how_well_it_went() -> None:
    transcription = running()
    transcription.complete(RESULT, LATER)
    event = transcription.pull_events()[-1]
    assert isinstance(event, TranscriptionCompleted)
    assert (event.word_count, event.engine, event.degraded) == (100, "fake", False)


def test_a_cancelled_one_says_so_as_its_error() -> None:
    transcription = running()
    transcription.cancel(LATER)
    assert transcription.failure is not None
    assert transcription.failure.category is Category.CANCELLED


def test_a_run_that_was_taken_over_is_superseded() -> None:
    transcription = running()
    transcription.start(LATER)
    with pytest.raises(Superseded):
        transcription.require_run(1)


def test_the_real_time_factor_of_nothing_is_nothing() -> None:
    silent = Result(
        engine="fake", model="m", language=None, audio_seconds=0, speech_seconds=0, word_count=0, processing_seconds=1
    )
    assert (silent.real_time_factor, RESULT.real_time_factor) == (0.0, 0.1)


class AnyOrderOfCalls(RuleBasedStateMachine):
    """Calls every method at any time. Each is done in full or refused without a trace."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.transcription = queued()
        self.events = list(self.transcription.pull_events())
        self.progress_seen = 0.0
        self.runs_seen = [0]

    def try_to(self, call: Callable[[datetime], object]) -> None:
        self.now += timedelta(seconds=1)
        before = deepcopy(vars(self.transcription))
        try:
            call(self.now)
        except IllegalMove:
            assert vars(self.transcription) == before
        self.events += self.transcription.pull_events()
        self.runs_seen.append(self.transcription.run)

    @rule()
    def start(self) -> None:
        self.try_to(self.transcription.start)

    @rule()
    def interrupt(self) -> None:
        self.try_to(self.transcription.interrupt)

    @rule(progress=st.none() | st.floats(-1, 2))
    def report(self, progress: float | None) -> None:
        self.transcription.report("listening", progress)

    @rule()
    def begin_attempt(self) -> None:
        self.try_to(lambda now: self.transcription.begin_attempt(engine="fake", model="fake-1", at=now))

    @rule(seconds=st.floats(0, 100))
    def advance_attempt(self, seconds: float) -> None:
        self.try_to(lambda now: self.transcription.advance_attempt(seconds))

    @rule(failure=st.sampled_from([None, BROKEN]))
    def end_attempt(self, failure: Failure | None) -> None:
        self.try_to(lambda now: self.transcription.end_attempt(now, failure))

    @rule()
    def complete(self) -> None:
        self.try_to(lambda now: self.transcription.complete(RESULT, now))

    @rule()
    def fail(self) -> None:
        self.try_to(lambda now: self.transcription.fail(BROKEN, now))

    @rule()
    def cancel(self) -> None:
        self.try_to(self.transcription.cancel)

    @invariant()
    def events_tell_every_move_and_no_other(self) -> None:
        told = [STATUS_AFTER[type(event)] for event in self.events]
        assert all(after in MOVES[before] for before, after in pairwise(told))
        assert told[-1] is self.transcription.status

    @invariant()
    def runs_are_numbered_one_by_one(self) -> None:
        started = [event.run for event in self.events if isinstance(event, TranscriptionStarted)]
        assert started == list(range(1, self.transcription.run + 1))
        assert self.runs_seen == sorted(self.runs_seen)

    @invariant()
    def only_the_last_attempt_of_a_running_one_runs(self) -> None:
        attempts = self.transcription.attempts
        ended = attempts[:-1] if self.transcription.status is Status.RUNNING else attempts
        assert all(attempt.outcome is not AttemptOutcome.RUNNING for attempt in ended)

    @invariant()
    def an_attempt_has_an_end_when_it_does_not_run(self) -> None:
        for attempt in self.transcription.attempts:
            assert (attempt.ended_at is None) == (attempt.outcome is AttemptOutcome.RUNNING)
            assert attempt.ended_at is None or attempt.ended_at >= attempt.started_at

    @invariant()
    def attempts_are_numbered_in_order(self) -> None:
        numbers = [attempt.number for attempt in self.transcription.attempts]
        assert numbers == list(range(1, len(numbers) + 1))

    @invariant()
    def progress_never_goes_back(self) -> None:
        assert self.progress_seen <= self.transcription.progress <= 1
        self.progress_seen = self.transcription.progress

    @invariant()
    def the_outcome_goes_with_the_status(self) -> None:
        status, made = self.transcription.status, self.transcription
        assert (made.result is not None) == (status is Status.COMPLETED)
        assert (made.failure is not None) == (status in {Status.FAILED, Status.CANCELLED})
        assert (made.ended_at is not None) == status.is_final

    @invariant()
    def only_the_latest_run_of_a_running_one_owns_it(self) -> None:
        for run in range(self.transcription.run + 2):
            owns = self.transcription.status is Status.RUNNING and run == self.transcription.run
            try:
                self.transcription.require_run(run)
            except Superseded:
                assert not owns
            else:
                assert owns


TestAnyOrderOfCalls = AnyOrderOfCalls.TestCase
