"""The aggregate: a few stories told out, and a machine that tries every order of calls."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hansard.domain.audio import DEFAULT_OWNER
from hansard.domain.coverage import Coverage
from hansard.domain.errors import Category, Failure, IllegalMove, Superseded
from hansard.domain.events import (
    EngineAttempted,
    EngineFellBack,
    Event,
    Interruption,
    TranscriptionCancelled,
    TranscriptionCompleted,
    TranscriptionDeleted,
    TranscriptionFailed,
    TranscriptionInterrupted,
    TranscriptionQueued,
    TranscriptionRetried,
    TranscriptionStarted,
)
from hansard.domain.transcription import (
    MOVES,
    Attempt,
    AttemptKind,
    AttemptOutcome,
    Parameters,
    Result,
    Status,
    Transcription,
)

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
    coverage=Coverage(speech_seconds=50, transcribed_seconds=50),
)

LIVE = Attempt(
    number=1,
    engine="fake",
    model="fake-1",
    started_at=NOON,
    ended_at=LATER,
    outcome=AttemptOutcome.SUCCEEDED,
    recognised_seconds=40.0,
    input_tokens=7,
    output_tokens=3,
    provider_request_id="req-1",
    kind=AttemptKind.LIVE,
    at_work_seconds=4.0,
)

STATUS_AFTER: dict[type[Event], Status] = {
    TranscriptionQueued: Status.QUEUED,
    TranscriptionStarted: Status.RUNNING,
    TranscriptionInterrupted: Status.QUEUED,
    TranscriptionCompleted: Status.COMPLETED,
    TranscriptionFailed: Status.FAILED,
    TranscriptionCancelled: Status.CANCELLED,
    TranscriptionRetried: Status.QUEUED,
}
TERMINAL = (TranscriptionCompleted, TranscriptionFailed, TranscriptionCancelled)


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
        subject=str(transcription.id),
        occurred_at=NOON,
        audio_id=transcription.audio_id,
        engine="whisper",
        owner=DEFAULT_OWNER,
    )


def test_what_nobody_is_named_for_belongs_to_the_default_owner() -> None:
    assert queued().owner == DEFAULT_OWNER
    asked = Transcription.queue(audio_id=uuid4(), parameters=Parameters(), at=NOON, owner="ann")
    assert asked.owner == "ann"


def test_events_are_given_out_once() -> None:
    transcription = queued()
    transcription.pull_events()
    assert transcription.pull_events() == ()


def test_taking_a_running_one_says_that_its_worker_died() -> None:
    transcription = running()
    transcription.pull_events()
    assert transcription.start(LATER) == 2
    attempted, interrupted, started = transcription.pull_events()
    assert isinstance(attempted, EngineAttempted)
    assert attempted.outcome == "abandoned"
    assert isinstance(interrupted, TranscriptionInterrupted)
    assert (interrupted.run, interrupted.reason) == (1, "worker_lost")
    assert isinstance(started, TranscriptionStarted)


def test_how_long_it_waited_is_told_when_it_is_first_taken() -> None:
    transcription = queued()
    transcription.start(LATER)
    transcription.start(LATER)
    started = [event for event in transcription.pull_events() if isinstance(event, TranscriptionStarted)]
    assert [event.waited_seconds for event in started] == [60.0, None]


def test_workers_that_die_one_after_the_other_are_counted() -> None:
    transcription = running()
    transcription.start(LATER)
    transcription.start(LATER)
    assert transcription.crashes == 2


def test_whoever_gets_on_starts_that_count_anew() -> None:
    transcription = running()
    transcription.start(LATER)
    transcription.begin_attempt(engine="fake", model="fake-1", at=LATER)
    assert transcription.crashes == 1
    transcription.advance_attempt(1.5)
    assert transcription.crashes == 0


@pytest.mark.parametrize("reason", [each for each in Interruption if each is not Interruption.WORKER_LOST])
def test_a_worker_that_only_stopped_is_no_crash(reason: Interruption) -> None:
    transcription = running()
    transcription.interrupt(LATER, reason)
    assert (transcription.status, transcription.crashes) == (Status.QUEUED, 0)
    event = transcription.pull_events()[-1]
    assert isinstance(event, TranscriptionInterrupted)
    assert event.reason == reason.value


def test_an_interruption_abandons_the_attempt_but_keeps_what_it_recognised() -> None:
    transcription = running()
    transcription.advance_attempt(30)
    transcription.interrupt(LATER, Interruption.WORKER_STOPPED)
    (attempt,) = transcription.attempts
    assert (attempt.outcome, attempt.ended_at, attempt.recognised_seconds) == (AttemptOutcome.ABANDONED, LATER, 30)


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_what_has_ended_cannot_be_interrupted(end: str) -> None:
    transcription = running()
    transcription.fail(BROKEN, LATER) if end == "fail" else transcription.cancel(LATER)
    with pytest.raises(IllegalMove):
        transcription.interrupt(LATER, Interruption.JOB_LOST)


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


def test_an_attempt_that_ended_is_an_event_with_all_that_is_known_of_it() -> None:
    transcription = running()
    transcription.advance_attempt(10, provider_request_id="req-1")
    transcription.advance_attempt(5.5)
    transcription.pull_events()
    transcription.end_attempt(LATER, BROKEN)
    assert transcription.pull_events() == (
        EngineAttempted(
            subject=str(transcription.id),
            occurred_at=LATER,
            audio_id=transcription.audio_id,
            number=1,
            engine="fake",
            model="fake-1",
            outcome="failed",
            recognised_seconds=15.5,
            processing_seconds=60.0,
            provider_request_id="req-1",
            failure=BROKEN,
        ),
    )


def test_what_engines_did_before_it_was_asked_for_is_on_the_record_and_told() -> None:
    transcription = queued()
    transcription.pull_events()
    transcription.take_in([LIVE, replace(LIVE, kind=AttemptKind.INTERIMS)], LATER)
    assert [(each.number, each.kind) for each in transcription.attempts] == [(1, "live"), (2, "interims")]
    told = transcription.pull_events()
    assert told[0] == EngineAttempted(
        subject=str(transcription.id),
        occurred_at=LATER,
        audio_id=transcription.audio_id,
        number=1,
        engine="fake",
        model="fake-1",
        outcome="succeeded",
        recognised_seconds=40.0,
        processing_seconds=4.0,
        provider_request_id="req-1",
        failure=None,
        input_tokens=7,
        output_tokens=3,
        kind="live",
    )
    assert len(told) == 2


def test_the_time_of_an_attempt_is_all_of_it_unless_it_was_live() -> None:
    transcription = running()
    assert transcription.attempts[0].processing_seconds is None
    transcription.end_attempt(LATER)
    assert transcription.attempts[0].processing_seconds == 60.0
    assert LIVE.processing_seconds == 4.0


def test_the_request_that_failed_is_the_attempts_last() -> None:
    transcription = running()
    transcription.advance_attempt(10, provider_request_id="req-1")
    transcription.end_attempt(LATER, replace(BROKEN, provider_request_id="req-2"))
    assert transcription.attempts[0].provider_request_id == "req-2"


def test_falling_back_tells_from_which_engine_to_which_and_why() -> None:
    transcription = running()
    transcription.fall_back(LATER, engine="fake", next_engine="other", failure=BROKEN)
    assert transcription.pull_events()[-1] == EngineFellBack(
        subject=str(transcription.id),
        occurred_at=LATER,
        audio_id=transcription.audio_id,
        engine="fake",
        next_engine="other",
        failure=BROKEN,
    )


def test_only_work_that_is_being_done_falls_back() -> None:
    with pytest.raises(IllegalMove):
        queued().fall_back(LATER, engine="fake", next_engine="other", failure=BROKEN)


def test_a_warning_is_noted_once() -> None:
    transcription = running()
    for _ in range(2):
        transcription.warn("The pipeline store is away.")
    transcription.warn("The disk is nearly full.")
    assert transcription.warnings == ("The pipeline store is away.", "The disk is nearly full.")


@pytest.mark.parametrize(
    ("parameters", "falls_back"),
    [
        (Parameters(), True),
        (Parameters(engine="whisper"), False),
        (Parameters(engine="whisper", fallback=True), True),
        (Parameters(fallback=False), False),
    ],
)
def test_another_engine_takes_over_where_none_was_named_or_as_was_asked(
    parameters: Parameters, falls_back: bool
) -> None:
    assert parameters.falls_back is falls_back


# ── Asked for again ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_what_failed_or_was_cancelled_can_be_asked_for_again(end: str) -> None:
    transcription = running()
    transcription.warn("The pipeline store is away.")
    transcription.start(LATER)
    transcription.fail(BROKEN, LATER) if end == "fail" else transcription.cancel(LATER)
    transcription.retry(LATER)
    assert (transcription.status, transcription.failure, transcription.ended_at) == (Status.QUEUED, None, None)
    assert (transcription.crashes, transcription.warnings) == (0, ())
    assert len(transcription.attempts) == 1


def test_the_same_goes_on_from_where_it_was() -> None:
    transcription = running()
    transcription.report("listening", 0.5)
    transcription.fail(BROKEN, LATER)
    transcription.retry(LATER, Parameters())
    assert transcription.progress == 0.5
    event = transcription.pull_events()[-1]
    assert isinstance(event, TranscriptionRetried)
    assert event.parameters_kept


def test_something_else_begins_anew() -> None:
    transcription = running()
    transcription.report("listening", 0.5)
    transcription.fail(BROKEN, LATER)
    transcription.retry(LATER, Parameters(engine="whisper"))
    assert (transcription.parameters, transcription.progress) == (Parameters(engine="whisper"), 0.0)
    event = transcription.pull_events()[-1]
    assert isinstance(event, TranscriptionRetried)
    assert (event.engine, event.parameters_kept) == ("whisper", False)


def test_a_completed_one_is_not_asked_for_again() -> None:
    transcription = running()
    transcription.complete(RESULT, LATER)
    with pytest.raises(IllegalMove):
        transcription.retry(LATER)


def test_a_retry_is_another_run_so_that_the_last_worker_cannot_write_into_it() -> None:
    transcription = running()
    transcription.cancel(LATER)
    transcription.retry(LATER)
    with pytest.raises(Superseded):
        transcription.require_run(1)
    assert transcription.start(LATER) == 2


def test_the_last_fact_about_it_tells_how_it_stood() -> None:
    transcription = running()
    transcription.fail(BROKEN, LATER)
    transcription.delete(LATER)
    assert transcription.pull_events()[-1] == TranscriptionDeleted(
        subject=str(transcription.id), occurred_at=LATER, audio_id=transcription.audio_id, status="failed"
    )


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
    silent = replace(RESULT, audio_seconds=0)
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

    @rule(reason=st.sampled_from(Interruption))
    def interrupt(self, reason: Interruption) -> None:
        self.try_to(lambda now: self.transcription.interrupt(now, reason))

    @rule()
    def lose_worker(self) -> None:
        self.try_to(self.transcription.lose_worker)

    @rule(parameters=st.sampled_from([None, Parameters(), Parameters(engine="other")]))
    def retry(self, parameters: Parameters | None) -> None:
        kept = parameters in (None, self.transcription.parameters)
        self.try_to(lambda now: self.transcription.retry(now, parameters))
        if not kept and self.transcription.parameters == parameters:
            self.progress_seen = 0.0

    @rule()
    def fall_back(self) -> None:
        self.try_to(lambda now: self.transcription.fall_back(now, engine="fake", next_engine="other", failure=BROKEN))

    @rule(warning=st.sampled_from(["one", "two"]))
    def warn(self, warning: str) -> None:
        self.transcription.warn(warning)

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
        told = [STATUS_AFTER[type(event)] for event in self.events if type(event) in STATUS_AFTER]
        assert all(after in MOVES[before] for before, after in pairwise(told))
        assert told[-1] is self.transcription.status

    @invariant()
    def each_life_has_one_end(self) -> None:
        ends = sum(isinstance(event, TERMINAL) for event in self.events)
        lives = 1 + sum(isinstance(event, TranscriptionRetried) for event in self.events)
        assert ends == lives - (not self.transcription.status.is_final)

    @invariant()
    def every_attempt_that_ended_is_told_once(self) -> None:
        told = [(event.number, event.outcome) for event in self.events if isinstance(event, EngineAttempted)]
        ended = [each for each in self.transcription.attempts if each.outcome is not AttemptOutcome.RUNNING]
        assert told == [(attempt.number, attempt.outcome.value) for attempt in ended]

    @invariant()
    def no_more_crashes_are_counted_than_workers_died(self) -> None:
        lost = [each for each in self.events if isinstance(each, TranscriptionInterrupted)]
        died = sum(event.reason == Interruption.WORKER_LOST for event in lost)
        assert 0 <= self.transcription.crashes <= died

    @invariant()
    def no_warning_is_there_twice(self) -> None:
        assert len(set(self.transcription.warnings)) == len(self.transcription.warnings)

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
