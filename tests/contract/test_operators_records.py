"""What alerts and retention need of a unit of work: the fake and PostgreSQL."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from hansard.application.announce import Announce, Occasion
from hansard.application.ports.alerts import Outcomes
from hansard.application.ports.notifications import Level, Notification
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.retention import NOTHING
from hansard.domain.alert import Alert, AlertState, Reading, Rule, RuleName, Severity, Unit
from hansard.domain.audio import AudioFile, AudioProperties, StoredObject
from hansard.domain.audit import verified
from hansard.domain.errors import Category, Failure
from hansard.domain.events import (
    EngineEnabled,
    EngineFellBack,
    Event,
    EventsPruned,
    TranscriptionCompleted,
    TranscriptionFailed,
    TranscriptionQueued,
    TranscriptionRetried,
)
from hansard.domain.speech import Span, Speech
from hansard.domain.transcript import RecognisedPassage
from hansard.domain.transcription import Parameters, Transcription
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs, notification_of
from tests.fakes import FakeDatabase

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RULE = Rule(
    name=RuleName.BACKLOG,
    unit=Unit.SECONDS,
    threshold=10,
    severity=Severity.CRITICAL,
    fire_after_seconds=0,
    resolve_after_seconds=60,
)
BROKEN = Failure(code="engine_failed", category=Category.SERVER, message="It broke.")
Database = Callable[[], UnitOfWork]


@pytest.fixture(params=["fake", "postgres"])
def unit_of_work(request: pytest.FixtureRequest) -> Database:
    if request.param == "fake":
        return FakeDatabase().unit_of_work
    engine: Engine = request.getfixturevalue("engine")
    return lambda: SqlUnitOfWork(engine, TranscriptionJobs)


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


# ── Alerts ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_alert_that_was_never_saved_is_ok(unit_of_work: Database) -> None:
    with unit_of_work() as uow:
        alert = uow.alerts.get("backlog")
        assert (alert.state, alert.since, alert.value, alert.measured_at) == (AlertState.OK, None, None, None)


def test_an_alert_comes_back_as_it_was_saved(unit_of_work: Database) -> None:
    with unit_of_work() as uow:
        alert = uow.alerts.get("backlog")
        alert.observe(RULE, Reading(value=99.5, message="Viel wartet – 99 s."), NOON)
        alert.miss("away")
        uow.alerts.save(alert)
        uow.commit()

    with unit_of_work() as uow:
        assert _facts(uow.alerts.get("backlog")) == _facts(alert)
        assert [_facts(each) for each in uow.alerts.all()] == [_facts(alert)]


def test_an_alerts_event_is_written_with_it(unit_of_work: Database) -> None:
    with unit_of_work() as uow:
        alert = uow.alerts.get("backlog")
        alert.observe(RULE, Reading(value=99.5, message="Much waits."), NOON)
        uow.alerts.save(alert)
        uow.commit()

    with unit_of_work() as uow:
        assert [event.type for event in uow.events.of("backlog")] == ["alert.fired"]


def test_all_alerts_are_listed_by_name(unit_of_work: Database) -> None:
    with unit_of_work() as uow:
        for name in ("disk@two", "backlog", "disk@one"):
            uow.alerts.save(uow.alerts.get(name))
        uow.commit()

    with unit_of_work() as uow:
        assert [alert.name for alert in uow.alerts.all()] == ["backlog", "disk@one", "disk@two"]


# ── Outcomes ─────────────────────────────────────────────────────────────────────────────────────────────


def test_where_nothing_ended_there_is_nothing_to_judge(unit_of_work: Database) -> None:
    assert _outcomes(unit_of_work) == Outcomes(
        completed=0,
        failed=0,
        refused=0,
        fell_back=0,
        low_coverage=0,
        latency_seconds=None,
        interactive_completed=0,
        interactive_latency_seconds=None,
    )


def test_what_ended_is_counted_by_how(unit_of_work: Database) -> None:
    client = replace(BROKEN, category=Category.CLIENT)
    cancelled = replace(BROKEN, category=Category.CANCELLED)
    for failure in (None, None, BROKEN, client, cancelled):
        _ran(unit_of_work, failure=failure)

    found = _outcomes(unit_of_work)

    assert (found.completed, found.failed, found.refused, found.finished) == (2, 1, 2, 5)


def test_what_ended_before_is_not_counted(unit_of_work: Database) -> None:
    _ran(unit_of_work, ended=-0.1)
    _ran(unit_of_work, ended=0)

    assert _outcomes(unit_of_work).completed == 1


def test_a_coverage_below_the_bound_is_low_and_an_unknown_one_is_not(unit_of_work: Database) -> None:
    for coverage in (0.89, 0.9, None):
        _ran(unit_of_work, coverage=coverage)

    assert _outcomes(unit_of_work).low_coverage == 1


def test_latencies_count_from_being_asked_for_to_the_end(unit_of_work: Database) -> None:
    for minutes in range(21):
        _ran(unit_of_work, asked=30 - minutes, ended=30)
    _ran(unit_of_work, asked=20, ended=30, interactive=True)

    found = _outcomes(unit_of_work)

    assert found.latency_seconds == pytest.approx(19 * 60)
    assert (found.interactive_completed, found.interactive_latency_seconds) == (1, 600.0)


def test_what_was_retried_was_asked_for_anew(unit_of_work: Database) -> None:
    subject = _ran(unit_of_work, asked=0, ended=1, failure=BROKEN, interactive=True)
    again = TranscriptionRetried(
        subject=subject, occurred_at=at(10), audio_id=uuid4(), engine="auto", parameters_kept=True
    )
    _tell(unit_of_work, again, _completed(subject, 12))

    assert _outcomes(unit_of_work).interactive_latency_seconds == 120


def test_an_engine_that_was_replaced_counts_with_the_job_it_was_replaced_in(unit_of_work: Database) -> None:
    _ran(unit_of_work)
    _ran(unit_of_work, fell_back=True)

    assert _outcomes(unit_of_work).fell_back == 1


# ── Old events ───────────────────────────────────────────────────────────────────────────────────────────


def test_of_an_empty_trail_nothing_is_old(unit_of_work: Database) -> None:
    with unit_of_work() as uow:
        assert uow.events.oldest(at(60)) is None


def test_old_are_those_before_the_first_that_is_not(unit_of_work: Database) -> None:
    _happened(unit_of_work, 0, 1, 5, 2, 6)

    assert _oldest(unit_of_work, at(3)) == (2, 2)


def test_the_last_of_the_trail_is_never_old(unit_of_work: Database) -> None:
    _happened(unit_of_work, 0, 1, 2)

    assert _oldest(unit_of_work, at(60)) == (2, 2)


def test_old_ones_are_told_up_to_a_position_and_as_many_as_wanted(unit_of_work: Database) -> None:
    _happened(unit_of_work, 0, 1, 2, 3, 4)

    assert _oldest(unit_of_work, at(60), through=3) == (3, 3)
    assert _oldest(unit_of_work, at(60), limit=2) == (2, 2)


def test_what_is_removed_leaves_a_note_with_which_the_trail_holds(unit_of_work: Database) -> None:
    _happened(unit_of_work, 0, 1, 2, 3)
    with unit_of_work() as uow:
        second = uow.events.after(1, limit=1)[0]

    removed = _remove(unit_of_work, 2)

    with unit_of_work() as uow:
        trail = tuple(uow.events.walk())
    assert removed == 2
    assert [entry.position for entry in trail] == [3, 4, 5]
    assert trail[-1].type == EventsPruned.type
    assert (trail[-1].data["through_position"], trail[-1].data["count"]) == (2, 2)
    assert trail[-1].data["through_hash"] == second.hash
    assert verified(iter(trail)).broken is None


def test_a_trail_can_be_cut_again_and_again_and_still_holds(unit_of_work: Database) -> None:
    _happened(unit_of_work, *range(6))

    _remove(unit_of_work, 2)
    _remove(unit_of_work, 5)

    with unit_of_work() as uow:
        trail = tuple(uow.events.walk())
    assert [entry.position for entry in trail] == [6, 7, 8]
    assert verified(iter(trail)).broken is None


def test_the_last_of_the_trail_is_never_removed(unit_of_work: Database) -> None:
    _happened(unit_of_work, 0, 1)

    assert _remove(unit_of_work, 99) == 1

    with unit_of_work() as uow:
        assert [entry.position for entry in uow.events.walk()] == [2, 3]


def test_where_there_is_nothing_to_remove_no_note_is_left(unit_of_work: Database) -> None:
    _happened(unit_of_work, 0)

    assert _remove(unit_of_work, 5) == 0

    with unit_of_work() as uow:
        assert uow.events.head().position == 1


def test_without_saying_so_nobody_removes_an_event(engine: Engine) -> None:
    """Also not after somebody pruned in the same transaction."""
    with SqlUnitOfWork(engine, TranscriptionJobs) as uow:
        for minute in range(3):
            uow.events.append(EngineEnabled(subject="fake", occurred_at=at(minute)))
        uow.commit()
        uow.events.remove_through(1, NOON)
        with pytest.raises(Exception, match="only grows"):
            uow.events.connection.execute(text("DELETE FROM events"))


# ── Checkpoints ──────────────────────────────────────────────────────────────────────────────────────────


def test_checkpoints_of_what_ended_before_are_counted_and_removed(unit_of_work: Database) -> None:
    old, new = _failed(unit_of_work, ended=0), _failed(unit_of_work, ended=10)

    with unit_of_work() as uow:
        measured = uow.checkpoints.of_ended_before(at(5))
        removed = uow.checkpoints.remove_of_ended_before(at(5), limit=10)
        uow.commit()

    with unit_of_work() as uow:
        assert (measured.count, removed.count) == (1, 1)
        assert measured.size_bytes
        assert removed.size_bytes
        assert uow.transcripts.speech(old) is None
        assert uow.transcripts.passages(old) == ()
        assert uow.transcripts.turns(old) is None
        assert uow.transcripts.speech(new) is not None
        assert len(uow.transcripts.passages(new)) == 1


def test_checkpoints_of_what_is_not_over_stay(unit_of_work: Database) -> None:
    _failed(unit_of_work, ended=None)

    with unit_of_work() as uow:
        assert uow.checkpoints.of_ended_before(at(10_000)) == NOTHING
        assert uow.checkpoints.remove_of_ended_before(at(10_000), limit=10) == NOTHING


def test_no_more_checkpoints_go_at_once_than_wanted(unit_of_work: Database) -> None:
    for _ in range(3):
        _failed(unit_of_work, ended=0)

    with unit_of_work() as uow:
        assert uow.checkpoints.remove_of_ended_before(at(5), limit=2).count == 2
        assert uow.checkpoints.remove_of_ended_before(at(5), limit=2).count == 1


# ── Notifications ────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_that_people_want_to_hear_of_is_a_job_for_each_of_them(engine: Engine) -> None:
    announce = Announce(recipients=("mail-1", "chat-2"), occasions=frozenset({Occasion.FAILED}), public_url=None)
    with SqlUnitOfWork(engine, TranscriptionJobs, announce=announce) as uow:
        uow.events.append(TranscriptionFailed(subject="7", occurred_at=NOON, audio_id=uuid4(), failure=BROKEN))
        uow.events.append(EngineEnabled(subject="fake", occurred_at=NOON))
        uow.commit()

    assert [notification.recipient for notification in _notifications(engine)] == ["mail-1", "chat-2"]


def test_what_is_not_committed_notifies_nobody(engine: Engine) -> None:
    announce = Announce(recipients=("mail-1",), occasions=frozenset({Occasion.FAILED}), public_url=None)
    with SqlUnitOfWork(engine, TranscriptionJobs, announce=announce) as uow:
        uow.events.append(TranscriptionFailed(subject="7", occurred_at=NOON, audio_id=uuid4(), failure=BROKEN))

    assert _notifications(engine) == []


def test_a_notification_comes_out_of_the_queue_as_it_went_in(engine: Engine) -> None:
    given = Notification(recipient="mail-1", title="Größe", body="two\nlines", level=Level.WARNING)
    with SqlUnitOfWork(engine, TranscriptionJobs) as uow:
        uow.jobs.defer_notification(given)
        uow.commit()

    assert _notifications(engine) == [given]


# ── Helpers ──────────────────────────────────────────────────────────────────────────────────────────────


def _facts(alert: Alert) -> dict[str, object]:
    return {name: getattr(alert, name) for name in alert.__dataclass_fields__ if name != "_events"}


def _tell(unit_of_work: Database, *events: Event) -> None:
    with unit_of_work() as uow:
        for event in events:
            uow.events.append(event)
        uow.commit()


def _happened(unit_of_work: Database, *minutes: float) -> None:
    _tell(unit_of_work, *(EngineEnabled(subject="fake", occurred_at=at(minute)) for minute in minutes))


def _oldest(
    unit_of_work: Database, before: datetime, *, through: int | None = None, limit: int | None = None
) -> tuple[int, int]:
    with unit_of_work() as uow:
        found = uow.events.oldest(before, through=through, limit=limit)
    assert found is not None
    assert found.amount.size_bytes
    return found.position, found.amount.count


def _remove(unit_of_work: Database, position: int) -> int:
    with unit_of_work() as uow:
        removed = uow.events.remove_through(position, NOON)
        uow.commit()
    return removed


def _outcomes(unit_of_work: Database) -> Outcomes:
    with unit_of_work() as uow:
        return uow.outcomes.since(NOON, low_coverage=0.9)


def _ran(
    unit_of_work: Database,
    *,
    asked: float = 0,
    ended: float = 1,
    failure: Failure | None = None,
    coverage: float | None = 1.0,
    interactive: bool = False,
    fell_back: bool = False,
) -> str:
    subject, audio_id = str(uuid4()), uuid4()
    told: list[Event] = [
        TranscriptionQueued(
            subject=subject, occurred_at=at(asked), audio_id=audio_id, engine="auto", interactive=interactive
        )
    ]
    if fell_back:
        told.append(
            EngineFellBack(
                subject=subject,
                occurred_at=at(asked),
                audio_id=audio_id,
                engine="one",
                next_engine="two",
                failure=BROKEN,
            )
        )
    if failure is None:
        told.append(_completed(subject, ended, coverage))
    else:
        told.append(TranscriptionFailed(subject=subject, occurred_at=at(ended), audio_id=audio_id, failure=failure))
    _tell(unit_of_work, *told)
    return subject


def _completed(subject: str, minute: float, coverage: float | None = 1.0) -> TranscriptionCompleted:
    return TranscriptionCompleted(
        subject=subject,
        occurred_at=at(minute),
        audio_id=uuid4(),
        engine="fake",
        model="fake-1",
        language="en",
        audio_seconds=60.0,
        word_count=9,
        degraded=False,
        coverage=coverage,
    )


def _failed(unit_of_work: Database, *, ended: float | None) -> UUID:
    """One with speech, turns and a passage, that failed then; None: it runs."""
    audio = AudioFile(
        id=uuid4(),
        file_name="talk.wav",
        media_type="audio/wav",
        stored=StoredObject(sha256="ab" * 32, size_bytes=5),
        properties=AudioProperties(
            container="wav", codec="pcm_s16le", channels=1, sample_rate_hz=16_000, duration_seconds=2.0
        ),
        uploaded_at=NOON,
    )
    transcription = Transcription.queue(audio_id=audio.id, parameters=Parameters(), at=NOON)
    transcription.start(NOON)
    with unit_of_work() as uow:
        uow.audio.add(audio)
        uow.transcriptions.add(transcription)
        uow.transcripts.save_speech(transcription.id, Speech(audio_seconds=2.0, regions=(Span(0, 2),)))
        uow.transcripts.save_turns(transcription.id, ())
        uow.transcripts.add_passage(
            transcription.id,
            RecognisedPassage(span=Span(0, 1), segments=(), engine="fake", model="fake-1"),
        )
        if ended is not None:
            transcription.fail(BROKEN, at(ended))
            uow.transcriptions.save(transcription)
        uow.commit()
    return transcription.id


def _notifications(engine: Engine) -> list[Notification]:
    with engine.connect() as connection:
        query = "SELECT args FROM procrastinate_jobs WHERE queue_name = 'notifications' ORDER BY id"
        return [notification_of(args) for args in connection.execute(text(query)).scalars()]
