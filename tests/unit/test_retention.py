"""What goes when it was kept for long enough, and what never does."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from hansard.application.ports.retention import NOTHING, Amount
from hansard.application.ports.work import PipelineTrace
from hansard.application.retention import (
    FEWEST_ENTRIES,
    RUNS_AT_ONCE,
    Kept,
    OldCheckpoints,
    OldDeliveries,
    OldEvents,
    OldPipelineRuns,
    Prune,
    Pruned,
)
from hansard.domain.audit import verified
from hansard.domain.errors import EngineFailed, StorageError
from hansard.domain.events import EngineEnabled
from hansard.domain.transcription import Parameters
from tests.fakes import FakeClock, FakeDatabase
from tests.workshop import Workshop, speech

MONTH = timedelta(days=30)


@dataclass
class FakeHolding:
    """Goes one at a time; each takes a second."""

    clock: FakeClock
    left: int = 3
    failures: list[Exception] = field(default_factory=list)

    def measure(self, before):
        return Amount(self.left, 10 * self.left)

    def remove_some(self, before):
        if self.failures and self.left == 1:
            raise self.failures.pop()
        self.clock.advance(1)
        if not self.left:
            return NOTHING
        self.left -= 1
        return Amount(1, 10)


@pytest.fixture
def clock():
    return FakeClock()


def prune(clock, *holdings, keep_for=MONTH):
    kept = [Kept(name=f"kind {number}", keep_for=keep_for, holding=each) for number, each in enumerate(holdings)]
    return Prune(kept=kept, seconds_each=60, clock=clock)


def test_all_that_is_old_goes_and_is_counted(clock):
    holding = FakeHolding(clock)

    assert prune(clock, holding)() == (Pruned(name="kind 0", keep_for=MONTH, amount=Amount(3, 30)),)
    assert holding.left == 0


def test_a_preview_counts_the_same_and_removes_nothing(clock):
    holding = FakeHolding(clock)

    assert prune(clock, holding).preview() == (Pruned(name="kind 0", keep_for=MONTH, amount=Amount(3, 30)),)
    assert holding.left == 3


def test_what_is_kept_for_ever_is_not_looked_at(clock):
    holding = FakeHolding(clock)

    assert prune(clock, holding, keep_for=None)() == (Pruned(name="kind 0", keep_for=None, amount=NOTHING),)
    assert holding.left == 3


def test_what_cannot_be_removed_does_not_keep_the_rest(clock):
    error = StorageError("It is away.")
    first, second = FakeHolding(clock, failures=[error]), FakeHolding(clock)

    broken, whole = prune(clock, first, second)()

    assert (broken.amount, broken.error) == (Amount(2, 20), error)
    assert (whole.amount, whole.error) == (Amount(3, 30), None)


def test_no_kind_is_worked_at_for_ever(clock):
    holding = FakeHolding(clock, left=1000)

    (pruned,) = prune(clock, holding)()

    assert pruned.amount.count == 60
    assert holding.left == 940


# ── Events ───────────────────────────────────────────────────────────────────────────────────────────────


def with_events(clock, count):
    database = FakeDatabase()
    with database.unit_of_work() as uow:
        for _ in range(count):
            uow.events.append(EngineEnabled(subject="fake", occurred_at=clock()))
        uow.commit()
    clock.advance(MONTH.total_seconds() + 1)
    return database


def old_events(database, clock, *unread):
    return OldEvents(unit_of_work=database.unit_of_work, unread=unread, clock=clock)


def positions(database):
    return [entry.position for entry in database.trail]


def test_old_events_go_and_the_trail_still_holds(clock):
    database = with_events(clock, FEWEST_ENTRIES + 1)

    prune(clock, old_events(database, clock))()

    assert positions(database) == [FEWEST_ENTRIES + 1, FEWEST_ENTRIES + 2]
    assert verified(iter(database.trail)).broken is None


def test_nothing_goes_that_somebody_has_not_read(clock):
    database = with_events(clock, 2 * FEWEST_ENTRIES)
    first_unread = FEWEST_ENTRIES + 5

    prune(clock, old_events(database, clock, lambda: None, lambda: first_unread, lambda: first_unread + 9))()

    assert positions(database)[0] == first_unread


def test_while_a_reader_cannot_be_asked_nothing_goes(clock):
    database = with_events(clock, 2 * FEWEST_ENTRIES)
    error = StorageError("The analytics database is away.")

    def away():
        raise error

    (pruned,) = prune(clock, old_events(database, clock, away))()

    assert pruned.error is error
    assert positions(database)[0] == 1


def test_a_few_events_stay_since_removing_them_would_leave_another(clock):
    database = with_events(clock, FEWEST_ENTRIES)  # the last of which always stays
    holding = old_events(database, clock)

    assert holding.measure(clock()) == NOTHING
    assert holding.remove_some(clock()) == NOTHING


def test_pruning_again_and_again_comes_to_an_end(clock):
    database = with_events(clock, FEWEST_ENTRIES + 1)

    prune(clock, old_events(database, clock))()
    before = positions(database)
    prune(clock, old_events(database, clock))()

    assert positions(database) == before


# ── The rest ─────────────────────────────────────────────────────────────────────────────────────────────


def a_failed_one(shop):
    transcription = shop.submitted(speech(2), Parameters(engine="fake"))

    def fail_at_the_second(number):
        if number == 2:
            shop.engine.failures = [EngineFailed("It broke.", engine="fake")] * 9

    shop.engine.on_passage = fail_at_the_second
    shop.transcribe(transcription.id)
    return transcription.id


def test_words_so_far_of_a_failed_transcription_go_after_their_time():
    shop = Workshop()
    transcription_id = a_failed_one(shop)
    holding = OldCheckpoints(unit_of_work=shop.database.unit_of_work)
    assert shop.database.passages[transcription_id]

    prune(shop.clock, holding)()
    assert shop.database.passages[transcription_id]
    shop.clock.advance(MONTH.total_seconds() + 60)
    prune(shop.clock, holding)()

    assert transcription_id not in shop.database.passages
    assert transcription_id in shop.database.transcriptions


def test_a_transcript_stays_when_its_checkpoints_go():
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    shop.transcribe(transcription.id)
    shop.clock.advance(MONTH.total_seconds() + 60)

    prune(shop.clock, OldCheckpoints(unit_of_work=shop.database.unit_of_work))()

    assert transcription.id in shop.database.transcripts
    assert transcription.id not in shop.database.speech


class FakeRuns:
    """Keeps traces by the moment at which their runs were begun."""

    def __init__(self, *traces):
        self.traces = list(traces)

    def traces_before(self, moment, *, limit=None):
        return tuple(self.traces[:limit])

    def remove(self, traces):
        self.traces = [trace for trace in self.traces if trace not in traces]


def test_old_pipeline_runs_go_and_no_record_names_them_any_more():
    shop = Workshop()
    old, new = shop.submitted(speech(1)), shop.submitted(speech(2))
    for transcription, run_id in ((old, "run-1"), (new, "run-2")):
        shop.database.transcriptions[transcription.id].pipeline_run_id = run_id
    runs = FakeRuns(PipelineTrace("run-1", old.id), PipelineTrace("run-0", new.id))

    (pruned,) = prune(shop.clock, OldPipelineRuns(unit_of_work=shop.database.unit_of_work, runner=runs))()

    assert pruned.amount == Amount(2, None)
    assert runs.traces == []
    assert shop.transcription(old.id).pipeline_run_id is None
    assert shop.transcription(new.id).pipeline_run_id == "run-2"


def test_runs_of_what_was_deleted_go_too():
    shop = Workshop()
    transcription = shop.submitted(speech(1))
    runs = FakeRuns(*(PipelineTrace(f"run-{number}", transcription.id) for number in range(RUNS_AT_ONCE + 1)))
    shop.delete_transcription(transcription.id)

    prune(shop.clock, OldPipelineRuns(unit_of_work=shop.database.unit_of_work, runner=runs))()

    assert runs.traces == []


def test_an_empty_list_of_deliveries_leaves_every_event_readable(clock):
    deliveries = OldDeliveries(unit_of_work=FakeDatabase().unit_of_work)

    assert deliveries.first_unread() is None
    assert deliveries.remove_some(clock()) == NOTHING
