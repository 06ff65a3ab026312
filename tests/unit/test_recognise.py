"""The second step: passage by passage, through crashes, cancellations and an engine's bad days.

Speech of n seconds is n passages to the fake engine, which says `word1`, `word2` … in the order it hears them.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hansard.application.engine_chain import EngineChain
from hansard.application.ports.engines import EngineState, EngineStatus, TokenUsage
from hansard.application.ports.records import UnitOfWork
from hansard.application.recognise import Recognise, Recognised
from hansard.application.run import Runs
from hansard.domain.audio import BYTES_PER_SECOND
from hansard.domain.errors import (
    EngineFailed,
    EngineNotAuthenticated,
    EnginePaused,
    EngineRateLimited,
    EngineRejected,
    EngineUnavailable,
    Superseded,
)
from hansard.domain.events import EngineAttempted, EngineCircuitOpened, EngineFellBack
from hansard.domain.speech import PassageLimits, Span
from hansard.domain.transcript import Segment, Transcript, Word
from hansard.domain.transcription import Attempt, AttemptOutcome, Parameters, Status, Transcription
from tests.fakes import FakeEngine
from tests.workshop import Workshop, speech

BUSY = EngineFailed("It is busy.", engine="fake", code="busy", provider_status=503)


class Killed(BaseException):
    """What `kill -9` looks like from inside: nothing gets to run after it."""


class Job:
    """A prepared transcription in the hands of a worker."""

    def __init__(self, seconds: int = 3, *, shop: Workshop | None = None, asked: Parameters | None = None) -> None:
        self.shop = shop or Workshop()
        self.id = self.shop.submitted(speech(seconds), asked).id
        self.run = self.take()

    @property
    def engine(self) -> FakeEngine:
        return self.shop.engine

    @property
    def record(self) -> Transcription:
        return self.shop.transcription(self.id)

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        return self.record.attempts

    @property
    def words(self) -> list[str]:
        passages = self.shop.database.passages.get(self.id, [])
        return [segment.text for passage in passages for segment in passage.segments]

    def take(self) -> int:
        """A worker takes it, and prepares it."""
        with self.shop.database.unit_of_work() as uow:
            transcription = uow.transcriptions.get(self.id, for_update=True)
            run = transcription.start(self.shop.clock())
            uow.transcriptions.save(transcription)
            uow.commit()
        self.shop.steps.prepare(self.id, run)
        return run

    def recognise(self, step: Recognise | None = None) -> Recognised:
        return (step or self.shop.steps.recognise)(self.id, self.run)


def at_passage(number: int, meddle: Callable[[], object]) -> Callable[[int], None]:
    """An `on_passage` that meddles once, while passage `number` is being heard."""
    left = [number]

    def on_passage(current: int) -> None:
        if left == [current]:
            left.clear()
            meddle()

    return on_passage


def die() -> None:
    raise Killed


# ── The straight way ─────────────────────────────────────────────────────────────────────────────────────


def test_each_passage_is_kept_with_its_place_in_the_recording() -> None:
    job = Job(seconds=3)
    job.recognise()
    kept = job.shop.database.passages[job.id]
    assert [passage.span for passage in kept] == [Span(0, 1), Span(1, 2), Span(2, 3)]
    assert [passage.segments[0].start_seconds for passage in kept] == [0, 1, 2]
    assert [passage.segments[0].words[0].end_seconds for passage in kept] == [1, 2, 3]


def test_segments_say_which_engine_heard_them() -> None:
    job = Job(seconds=1)
    job.recognise()
    (passage,) = job.shop.database.passages[job.id]
    assert (passage.engine, passage.model, passage.segments[0].engine) == ("fake", "fake-1", "fake")


def test_the_engine_hears_speech_only() -> None:
    job = Job(seconds=1)
    silence = bytes(len(speech(1)))
    job.id = job.shop.submitted(speech(1) + silence + speech(1)).id
    job.run = job.take()
    job.recognise()
    assert job.engine.heard == [speech(1), speech(1)]


def test_the_attempt_is_on_record() -> None:
    job = Job(seconds=2)
    job.recognise()
    (attempt,) = job.attempts
    assert (attempt.engine, attempt.model) == ("fake", "fake-1")
    assert (attempt.outcome, attempt.recognised_seconds) == (AttemptOutcome.SUCCEEDED, 2)


def test_the_step_measures_what_it_did() -> None:
    assert Job(seconds=2).recognise() == Recognised(engine="fake", model="fake-1", passages=2, recognised_seconds=2)


def test_progress_is_reported_with_every_passage() -> None:
    job = Job(seconds=4)
    seen: list[float] = []
    job.engine.on_passage = lambda number: seen.append(job.record.progress)
    job.recognise()
    assert seen == [0, 0.25, 0.5, 0.75]
    assert job.record.progress == 1


def test_a_long_passage_reports_on_the_way() -> None:
    job = Job(seconds=4)
    seen: list[float] = []

    class Slow(FakeEngine):
        def recognise(self, pcm, request, call=None):
            for second in range(4):
                job.shop.clock.advance(1)
                yield Segment(start_seconds=second, end_seconds=second + 1, text="well")
                seen.append(job.record.progress)

    job.shop.engine = Slow(limits=PassageLimits(seconds=4, pause_seconds=0))
    job.recognise()
    assert seen == [0.25, 0.5, 0.75, 1]


def test_decoded_audio_that_this_machine_lacks_is_made_again() -> None:
    job = Job(seconds=1)
    job.shop.prepared.remove(job.id)
    job.recognise()
    assert job.words == ["word1"]


def test_what_was_asked_for_reaches_the_engine() -> None:
    asked = Parameters(model="fake-2", language="fr", prompt="Bonjour.", hotwords="Hansard")
    job = Job(seconds=1, asked=asked)
    job.recognise()
    (request,) = job.engine.requests
    assert (request.model, request.language, request.prompt, request.hotwords) == (
        "fake-2",
        "fr",
        "Bonjour.",
        "Hansard",
    )


def test_the_language_of_the_first_passage_is_carried_over_the_others() -> None:
    job = Job(seconds=3)
    job.recognise()
    assert [request.language for request in job.engine.requests] == [None, "en", "en"]


# ── Crashes, cancellations, take-overs ───────────────────────────────────────────────────────────────────


def test_a_killed_worker_loses_only_the_passage_it_was_at() -> None:
    job = Job(seconds=4)
    job.engine.on_passage = at_passage(3, die)
    with pytest.raises(Killed):
        job.recognise()
    assert job.words == ["word1", "word2"]
    job.run = job.take()
    measured = job.recognise()
    assert (measured.passages, measured.recognised_seconds) == (2, 2)
    assert job.words == ["word1", "word2", "word3", "word4"]
    assert len(job.engine.heard) == 4


def test_the_killed_workers_attempt_is_abandoned_with_what_it_had_done() -> None:
    job = Job(seconds=4)
    job.engine.on_passage = at_passage(3, die)
    with pytest.raises(Killed):
        job.recognise()
    job.run = job.take()
    job.recognise()
    told = [(attempt.outcome, attempt.recognised_seconds) for attempt in job.attempts]
    assert told == [(AttemptOutcome.ABANDONED, 2), (AttemptOutcome.SUCCEEDED, 2)]


def test_the_language_is_remembered_over_a_crash() -> None:
    job = Job(seconds=2)
    job.engine.on_passage = at_passage(2, die)
    with pytest.raises(Killed):
        job.recognise()
    job.run = job.take()
    job.recognise()
    assert [request.language for request in job.engine.requests] == [None, "en", "en"]


def test_a_cancelled_transcription_keeps_nothing_more() -> None:
    job = Job(seconds=3)
    job.engine.on_passage = at_passage(2, lambda: job.shop.cancel(job.id))
    with pytest.raises(Superseded):
        job.recognise()
    assert job.words == ["word1"]
    assert job.record.status is Status.CANCELLED
    assert [attempt.outcome for attempt in job.attempts] == [AttemptOutcome.ABANDONED]


def test_a_cancellation_is_noticed_in_the_middle_of_a_long_passage() -> None:
    job = Job(seconds=4)
    said: list[int] = []

    class Slow(FakeEngine):
        def recognise(self, pcm, request, call=None):
            for second in range(4):
                if second == 1:
                    job.shop.cancel(job.id)
                job.shop.clock.advance(1)
                said.append(second)
                yield Segment(start_seconds=second, end_seconds=second + 1, text="well")

    job.shop.engine = Slow(limits=PassageLimits(seconds=4, pause_seconds=0))
    with pytest.raises(Superseded):
        job.recognise()
    assert said == [0, 1]
    assert job.words == []


def test_a_worker_that_lost_its_run_writes_nothing_more() -> None:
    job = Job(seconds=3)
    job.engine.on_passage = at_passage(2, job.take)
    with pytest.raises(Superseded):
        job.recognise()
    assert job.words == ["word1"]
    assert (job.record.status, job.record.run) == (Status.RUNNING, 2)


def test_an_error_of_a_worker_that_lost_its_run_does_not_fail_the_new_one() -> None:
    def lose_and_fail() -> None:
        job.take()
        raise EngineRejected("bad audio", engine="fake")

    job = Job(seconds=2)
    job.engine.on_passage = at_passage(1, lose_and_fail)
    with pytest.raises(Superseded):
        job.recognise()
    assert job.record.status is Status.RUNNING
    assert job.record.failure is None


# ── An engine's bad days ─────────────────────────────────────────────────────────────────────────────────


def test_a_transient_error_is_tried_again_after_the_back_off() -> None:
    job = Job(seconds=2)
    job.engine.failures = [BUSY, BUSY]
    job.recognise()
    assert job.words == ["word1", "word2"]
    assert sum(job.shop.clock.slept) == 1 + 2


def test_every_try_is_on_record_with_its_error_and_its_times() -> None:
    job = Job(seconds=1)
    job.engine.failures = [BUSY]
    job.recognise()
    failed, succeeded = job.attempts
    assert (failed.outcome, failed.failure) == (AttemptOutcome.FAILED, BUSY.failure)
    assert failed.ended_at is not None
    assert (succeeded.started_at - failed.ended_at).total_seconds() == 1
    assert (succeeded.number, succeeded.outcome) == (2, AttemptOutcome.SUCCEEDED)


def test_the_observer_hears_of_every_try_as_it_begins_and_ends() -> None:
    job = Job(seconds=1)
    job.engine.failures = [BUSY]
    job.recognise()
    heard = [(attempt.number, attempt.outcome, wait) for attempt, wait in job.shop.observed]
    assert heard == [
        (1, AttemptOutcome.RUNNING, None),
        (1, AttemptOutcome.FAILED, 1.0),
        (2, AttemptOutcome.RUNNING, None),
        (2, AttemptOutcome.SUCCEEDED, None),
    ]


def test_it_says_that_it_waits_and_why() -> None:
    job = Job(seconds=1)
    activities: list[str | None] = []
    job.engine.failures = [BUSY]
    step = replace(job.shop.steps.recognise, sleep=lambda seconds: activities.append(job.record.activity))
    job.recognise(step)
    assert activities == ["trying fake again in 1 s: It is busy."]


def test_the_providers_retry_after_is_honoured() -> None:
    job = Job(seconds=1)
    job.engine.failures = [EngineRateLimited("slow down", engine="fake", retry_after_seconds=17)]
    job.recognise()
    assert sum(job.shop.clock.slept) == 17


def test_a_retry_does_not_repeat_what_was_recognised() -> None:
    job = Job(seconds=3)
    job.engine.on_passage = at_passage(3, lambda: job.engine.failures.append(BUSY))
    job.recognise()
    assert job.words == ["word1", "word2", "word3"]
    assert [attempt.recognised_seconds for attempt in job.attempts] == [2, 1]


def test_it_gives_up_after_the_last_attempt_with_the_last_error() -> None:
    job = Job(seconds=1)
    job.engine.failures = [BUSY] * 9
    with pytest.raises(EngineFailed):
        job.recognise()
    assert job.record.status is Status.FAILED
    assert job.record.failure == BUSY.failure
    assert len(job.attempts) == job.shop.retry_policy.max_attempts


def test_an_attempt_that_got_somewhere_starts_the_count_anew() -> None:
    job = Job(seconds=6)
    heard_once: set[int] = set()

    def fail_on_first_hearing(number: int) -> None:
        if number not in heard_once:
            heard_once.add(number)
            raise BUSY

    job.engine.on_passage = fail_on_first_hearing
    job.recognise()
    assert len(job.attempts) == 7 > job.shop.retry_policy.max_attempts
    assert len(job.words) == 6


def test_all_waits_together_keep_within_the_budget() -> None:
    job = Job(seconds=1)
    job.engine.failures = [EngineRateLimited("slow down", engine="fake", retry_after_seconds=200)] * 2
    with pytest.raises(EngineRateLimited):
        job.recognise()
    assert sum(job.shop.clock.slept) == 200


def test_what_the_engine_refuses_is_not_tried_again() -> None:
    job = Job(seconds=2)
    job.engine.failures = [EngineRejected("It is too loud.", engine="fake", provider_status=400)]
    with pytest.raises(EngineRejected):
        job.recognise()
    assert job.shop.clock.slept == []
    (attempt,) = job.attempts
    assert attempt.outcome is AttemptOutcome.FAILED
    assert job.record.failure == attempt.failure


def test_an_error_nobody_foresaw_abandons_the_attempt_and_fails_as_ours() -> None:
    def stumble() -> None:
        raise ZeroDivisionError

    job = Job(seconds=2)
    job.engine.on_passage = at_passage(2, stumble)
    with pytest.raises(ZeroDivisionError):
        job.recognise()
    assert job.record.failure is not None
    assert job.record.failure.code == "internal_error"
    assert [attempt.outcome for attempt in job.attempts] == [AttemptOutcome.ABANDONED]


# ── Which engine ─────────────────────────────────────────────────────────────────────────────────────────


def chain_of(job: Job, *engines: FakeEngine) -> Recognise:
    by_name = {engine.name: engine for engine in engines}
    return replace(job.shop.steps.recognise, chain=EngineChain(by_name, tuple(by_name)))


def unavailable(name: str) -> FakeEngine:
    return FakeEngine(name, states=[EngineStatus(state=EngineState.UNAVAILABLE, detail="no model", help="Get one.")])


def test_it_waits_for_an_engine_that_is_being_prepared_and_says_so() -> None:
    job = Job(seconds=1)
    engine = FakeEngine("whisper", states=[EngineStatus(state=EngineState.PREPARING, detail="40 % fetched")])
    activities: list[str | None] = []
    step = chain_of(job, engine)
    job.recognise(replace(step, sleep=lambda seconds: activities.append(job.record.activity)))
    assert activities == ["waiting for whisper: 40 % fetched"]
    assert job.attempts[0].engine == "whisper"


def test_a_cancellation_ends_the_wait() -> None:
    job = Job(seconds=1)
    fetching = EngineStatus(state=EngineState.PREPARING, detail="1 % fetched")
    step = chain_of(job, FakeEngine("whisper", states=[fetching] * 9))
    with pytest.raises(Superseded):
        job.recognise(replace(step, sleep=lambda seconds: job.shop.cancel(job.id)))
    assert job.record.status is Status.CANCELLED


def test_the_chain_falls_to_the_next_engine() -> None:
    job = Job(seconds=1)
    job.recognise(chain_of(job, unavailable("openai"), FakeEngine("whisper")))
    assert [attempt.engine for attempt in job.attempts] == ["whisper"]


def test_when_no_engine_will_do_the_transcription_fails_and_says_why_of_each() -> None:
    job = Job(seconds=1)
    with pytest.raises(EngineUnavailable):
        job.recognise(chain_of(job, unavailable("openai"), unavailable("whisper")))
    failure = job.record.failure
    assert failure is not None
    assert (failure.code, failure.category, failure.help) == ("no_engine", "configuration", "Get one.")
    assert "openai is not available" in failure.message
    assert "whisper is not available" in failure.message
    assert job.attempts == ()


def test_another_engine_takes_up_where_the_first_one_stopped() -> None:
    job = Job(seconds=4)
    job.engine.on_passage = at_passage(3, die)
    with pytest.raises(Killed):
        job.recognise()
    job.run = job.take()
    other = FakeEngine("other", limits=PassageLimits(seconds=2, pause_seconds=0))
    job.recognise(chain_of(job, other))
    kept = job.shop.database.passages[job.id]
    assert [(passage.engine, passage.span) for passage in kept] == [
        ("fake", Span(0, 1)),
        ("fake", Span(1, 2)),
        ("other", Span(2, 4)),
    ]


# ── Another engine in the middle of it ───────────────────────────────────────────────────────────────────

DOWN = EngineFailed("It is down.", engine="fake", code="down", provider_status=500)
NO_MORE = EngineNotAuthenticated("The key is wrong.", engine="fake", provider_status=401)


def with_second(**more: Any) -> Workshop:
    return Workshop(others=[FakeEngine("second", **more)])


def engines_used(job: Job) -> list[str]:
    return [passage.engine for passage in job.shop.database.passages[job.id]]


def fell_back(job: Job) -> list[tuple[str, str, str]]:
    events = job.shop.database.events
    return [(e.engine, e.next_engine, e.failure.code) for e in events if isinstance(e, EngineFellBack)]


def test_an_engine_that_stays_down_leaves_the_rest_to_the_next() -> None:
    job = Job(seconds=4, shop=with_second())
    job.engine.on_passage = at_passage(3, lambda: job.engine.failures.extend([DOWN] * 9))
    job.recognise()
    assert engines_used(job) == ["fake", "fake", "second", "second"]
    assert fell_back(job) == [("fake", "second", "down")]


def test_a_wrong_key_is_not_tried_twice_before_the_next_engine_takes_over() -> None:
    job = Job(seconds=1, shop=with_second())
    job.engine.failures = [NO_MORE] * 9
    job.recognise()
    assert [attempt.engine for attempt in job.attempts] == ["fake", "second"]
    assert job.shop.clock.slept == []


def test_what_the_engine_refuses_is_not_given_to_another() -> None:
    job = Job(seconds=1, shop=with_second())
    job.engine.failures = [EngineRejected("It is too loud.", engine="fake")]
    with pytest.raises(EngineRejected):
        job.recognise()
    assert [attempt.engine for attempt in job.attempts] == ["fake"]


@pytest.mark.parametrize(
    "asked", [Parameters(engine="fake"), Parameters(engine="fake", fallback=False), Parameters(fallback=False)]
)
def test_without_fallback_the_engines_failure_is_the_transcriptions(asked: Parameters) -> None:
    job = Job(seconds=1, shop=with_second(), asked=asked)
    job.engine.failures = [NO_MORE]
    with pytest.raises(EngineNotAuthenticated):
        job.recognise()
    assert job.record.failure == NO_MORE.failure


def test_a_named_engine_may_be_replaced_when_the_request_says_so() -> None:
    asked = Parameters(engine="second", model="second-large", fallback=True)
    job = Job(seconds=1, shop=with_second(failures=[NO_MORE]), asked=asked)
    job.recognise()
    assert [(attempt.engine, attempt.model) for attempt in job.attempts] == [
        ("second", "second-large"),
        ("fake", "fake-1"),
    ]


def test_when_all_engines_fail_the_last_ones_error_is_told() -> None:
    job = Job(seconds=1, shop=with_second(failures=[EngineNotAuthenticated("no", engine="second")]))
    job.engine.failures = [NO_MORE]
    with pytest.raises(EngineNotAuthenticated):
        job.recognise()
    assert job.record.failure is not None
    assert job.record.failure.engine == "second"


def test_the_provider_s_request_id_is_on_the_attempt() -> None:
    class Provider(FakeEngine):
        def recognise(self, pcm, request, call=None):
            call.request_ids.append(f"req_{len(self.heard)}")
            return super().recognise(pcm, request)

    job = Job(seconds=2, shop=Workshop(engine=Provider()))
    job.recognise()
    assert job.attempts[0].provider_request_id == "req_1"


def test_the_tokens_of_all_its_passages_are_on_the_attempt_and_in_its_event() -> None:
    class Provider(FakeEngine):
        def recognise(self, pcm, request, call=None):
            call.usage.append(TokenUsage(input_tokens=100, output_tokens=20))
            return super().recognise(pcm, request)

    job = Job(seconds=3, shop=Workshop(engine=Provider()))
    job.recognise()
    (told,) = [event for event in job.shop.database.events if isinstance(event, EngineAttempted)]
    for counted in (job.attempts[0], told):
        assert (counted.input_tokens, counted.output_tokens) == (300, 60)


# ── Circuits ─────────────────────────────────────────────────────────────────────────────────────────────


def open_circuit(job: Job, engine: str = "fake") -> None:
    for _ in range(5):
        job.shop.breaker.failed(engine, DOWN.failure)


def test_failures_of_all_jobs_together_open_the_circuit() -> None:
    job = Job(seconds=1)
    other = Job(seconds=1, shop=job.shop)
    job.engine.failures = [DOWN] * 5
    with pytest.raises(EngineFailed):
        job.recognise()
    assert not any(isinstance(event, EngineCircuitOpened) for event in job.shop.database.events)
    other.recognise()
    assert [event.failures for event in job.shop.database.events if isinstance(event, EngineCircuitOpened)] == [5]


def test_an_engine_whose_circuit_is_open_is_not_asked_but_replaced() -> None:
    job = Job(seconds=1, shop=with_second())
    open_circuit(job)
    job.recognise()
    assert engines_used(job) == ["second"]
    assert fell_back(job) == [("fake", "second", "circuit_open")]
    assert job.engine.requests == []


def test_where_no_other_engine_may_take_over_the_pause_is_waited_for() -> None:
    job = Job(seconds=1, asked=Parameters(engine="fake"))
    open_circuit(job)
    job.recognise()
    assert sum(job.shop.clock.slept) == 30
    assert job.shop.database.circuits["fake"].is_at_rest


def test_a_pause_longer_than_the_budget_fails_the_transcription_with_what_the_engine_said() -> None:
    job = Job(seconds=1)
    for _ in range(6):
        open_circuit(job)
        job.shop.clock.advance(600)
        job.shop.breaker.admit("fake")
    open_circuit(job)
    with pytest.raises(EnginePaused, match="It is down"):
        job.recognise()
    assert job.record.failure is not None
    assert (job.record.failure.category, job.record.failure.retryable) == ("server", True)


def test_a_disabled_engine_is_passed_over() -> None:
    job = Job(seconds=1, shop=with_second())
    job.shop.breaker.disable("fake", "maintenance")
    job.recognise()
    assert engines_used(job) == ["second"]


def test_the_first_passage_of_a_probe_closes_the_circuit() -> None:
    job = Job(seconds=2)
    open_circuit(job)
    job.shop.clock.advance(31)
    states: list[str] = []
    job.engine.on_passage = lambda number: states.append(job.shop.database.circuits["fake"].state)
    job.recognise()
    assert states == ["half_open", "closed"]


def test_a_probe_that_is_cancelled_leaves_the_next_one_free_to_go() -> None:
    job = Job(seconds=1)
    open_circuit(job)
    job.shop.clock.advance(31)
    job.engine.on_passage = lambda number: job.shop.cancel(job.id)
    with pytest.raises(Superseded):
        job.recognise()
    job.shop.breaker.admit("fake")


def test_an_attempt_that_is_no_probe_does_not_end_somebody_elses() -> None:
    job = Job(seconds=1)

    def meanwhile(number: int) -> None:
        open_circuit(job)
        job.shop.clock.advance(31)
        job.shop.breaker.admit("fake")
        job.shop.cancel(job.id)

    job.engine.on_passage = meanwhile
    with pytest.raises(Superseded):
        job.recognise()
    assert job.shop.database.circuits["fake"].state == "half_open"


# ── What was missed ──────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Absent(FakeEngine):
    """Hears a word a second, but not those of `misses`, the first `deaf` times that it is asked for them."""

    misses: range = range(4, 8)
    deaf: int = 1
    name: str = "fake"
    limits: PassageLimits = field(default=PassageLimits(seconds=30, pause_seconds=5))
    origin: dict[int, float] = field(default_factory=dict)

    def recognise(self, pcm, request, call=None):
        self.requests.append(request)
        seconds = len(pcm) // BYTES_PER_SECOND
        is_whole = seconds > len(self.misses)
        self.deaf -= not is_whole
        for second in range(seconds):
            missed = second in self.misses if is_whole else self.deaf > 0
            if not missed:
                word = Word("word", second, second + 1.0, 0.9)
                yield Segment(start_seconds=second, end_seconds=second + 1.0, text="word", words=(word,), language="en")


def times(job: Job) -> list[float]:
    passages = job.shop.database.passages[job.id]
    return [segment.start_seconds for segment in Transcript.of(passages).segments]


def test_speech_without_text_is_heard_again_alone_and_without_a_prompt() -> None:
    job = Job(seconds=12, shop=Workshop(engine=Absent()), asked=Parameters(prompt="Minutes."))
    job.recognise()
    assert times(job) == list(range(12))
    assert [request.prompt for request in job.engine.requests] == ["Minutes.", None]
    assert [passage.decoding for passage in job.shop.database.passages[job.id]] == [0, 1]


def test_what_the_same_engine_misses_twice_is_heard_by_one_that_is_as_good() -> None:
    second = FakeEngine("second", limits=PassageLimits(seconds=30, pause_seconds=5))
    job = Job(seconds=12, shop=Workshop(engine=Absent(deaf=9), others=[second]))
    job.recognise()
    assert [(passage.engine, passage.decoding) for passage in job.shop.database.passages[job.id]] == [
        ("fake", 0),
        ("fake", 1),
        ("second", 2),
    ]


def test_a_lesser_engine_does_not_fill_gaps() -> None:
    job = Job(seconds=12, shop=Workshop(engine=Absent(deaf=9), others=[FakeEngine("lesser", degraded_reason="bad")]))
    job.recognise()
    assert engines_used(job) == ["fake", "fake"]


def test_a_gap_that_was_heard_again_in_vain_is_not_heard_again_after_a_crash() -> None:
    job = Job(seconds=12, shop=Workshop(engine=Absent(deaf=9)))
    job.recognise()
    job.run = job.take()
    job.recognise()
    assert len(job.engine.requests) == 2


def test_a_failure_while_hearing_again_costs_nothing() -> None:
    class Failing(Absent):
        def recognise(self, pcm, request, call=None):
            if self.requests:
                raise DOWN
            return super().recognise(pcm, request)

    job = Job(seconds=12, shop=Workshop(engine=Failing()))
    job.recognise()
    assert [attempt.outcome for attempt in job.attempts] == [AttemptOutcome.SUCCEEDED, AttemptOutcome.FAILED]
    assert times(job) == [0, 1, 2, 3, 8, 9, 10, 11]


def test_a_gap_whose_hearing_killed_a_worker_is_left_a_gap() -> None:
    job = Job(seconds=12, shop=Workshop(engine=Absent()))
    recognise = job.engine.recognise

    def die_when_hearing_again(pcm, request, call=None):
        if job.engine.requests:
            raise Killed
        return recognise(pcm, request, call)

    job.engine.recognise = die_when_hearing_again
    with pytest.raises(Killed):
        job.recognise()
    job.run = job.take()
    job.recognise()
    assert times(job) == [0, 1, 2, 3, 8, 9, 10, 11]


def test_the_last_passage_and_the_end_of_its_attempt_are_one_commit() -> None:
    job = Job(2)
    seen: list[tuple[int, AttemptOutcome]] = []

    @contextmanager
    def watched_unit_of_work() -> Generator[UnitOfWork]:
        with job.shop.database.unit_of_work() as uow:
            yield uow
        if job.attempts:
            seen.append((len(job.words), job.attempts[-1].outcome))

    job.recognise(replace(job.shop.steps.recognise, runs=Runs(watched_unit_of_work, job.shop.clock)))
    assert (1, AttemptOutcome.RUNNING) in seen
    assert {outcome for words, outcome in seen if words == 2} == {AttemptOutcome.SUCCEEDED}
