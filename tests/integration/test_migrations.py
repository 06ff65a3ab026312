"""Migrations bring any database to what `tables.py` says, once, whoever asks."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, text

from hansard.application.ports.records import SearchQuery
from hansard.domain.audio import DEFAULT_OWNER
from hansard.domain.coverage import Coverage
from hansard.domain.errors import ConfigurationError
from hansard.domain.events import TranscriptionInterrupted, TranscriptionQueued, TranscriptionStarted
from hansard.domain.speech import Span
from hansard.domain.transcription import Parameters
from hansard.persistence import database, migrate, tables
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from hansard.queue.schema import apply_schema, missing_migrations
from tests.search_library import find, keep, times


@pytest.fixture
def empty(postgres: str) -> Iterator[Engine]:
    """A database without a table."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        name = f"{connection.info.dbname}_empty"
        connection.execute(f"CREATE DATABASE {name}")
        engine = database.connect(f"postgresql://postgres@/{name}?host={connection.info.host}")
        yield engine
        engine.dispose()
        connection.execute(f"DROP DATABASE {name}")


def test_an_empty_database_has_everything_pending(empty: Engine) -> None:
    status = migrate.status(empty)
    assert status.current is None
    assert status.pending[-1] == status.head


def test_a_migrated_database_has_nothing_pending(empty: Engine) -> None:
    migrate.upgrade(empty)
    status = migrate.status(empty)
    assert status.current == status.head
    assert status.pending == ()


def test_the_migrations_make_what_the_tables_say(empty: Engine) -> None:
    migrate.upgrade(empty)
    with empty.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_phrases_that_go_on_are_found_in_what_was_kept_before(empty: Engine) -> None:
    migrate.upgrade(empty, [apply_schema])
    keep(lambda: SqlUnitOfWork(empty, TranscriptionJobs), "We meet at", "noon.")
    before = """
        UPDATE alembic_version SET version_num = '0004';
        UPDATE searchable_segments SET lexemes = ts_delete(lexemes, ARRAY['>noon'])
    """
    with empty.begin() as connection:
        connection.exec_driver_sql(before)
    assert phrases_found(empty, '"at noon"') == []
    migrate.upgrade(empty)
    assert phrases_found(empty, '"at noon"') == [0]


def phrases_found(engine: Engine, words: str) -> list[float]:
    return times(find(lambda: SqlUnitOfWork(engine, TranscriptionJobs), words))


def test_migrating_again_changes_nothing(empty: Engine) -> None:
    migrate.upgrade(empty, [apply_schema])
    with empty.begin() as connection:
        connection.execute(
            text("INSERT INTO events (type, subject, occurred_at, data) VALUES ('x', 'whisper', now(), '{}')"),
        )
    migrate.upgrade(empty, [apply_schema])
    with empty.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM events")).scalar_one() == 1


def test_processes_that_migrate_at_once_do_not_disturb_each_other(empty: Engine) -> None:
    with ThreadPoolExecutor(4) as together:
        for done in [together.submit(migrate.upgrade, empty, [apply_schema]) for _ in range(4)]:
            done.result()
    with empty.connect() as connection:
        assert missing_migrations(connection) == ()


def test_the_queue_has_its_tables_and_knows_what_was_applied(empty: Engine) -> None:
    with empty.connect() as connection:
        assert missing_migrations(connection) != ()
    migrate.upgrade(empty, [apply_schema])
    with empty.connect() as connection:
        assert missing_migrations(connection) == ()
        assert inspect(connection).has_table("procrastinate_jobs")


def test_a_change_of_the_queues_tables_that_came_later_is_applied(empty: Engine) -> None:
    migrate.upgrade(empty, [apply_schema])
    with empty.begin() as connection:
        names = connection.execute(text("SELECT name FROM procrastinate_hansard_migrations")).scalars()
        last = max(name for name in names if not name.startswith("hansard"))
        connection.execute(text("DELETE FROM procrastinate_hansard_migrations WHERE name = :last"), {"last": last})
        connection.execute(text("DROP FUNCTION procrastinate_retry_job_v1"))
    migrate.upgrade(empty, [apply_schema])
    with empty.connect() as connection:
        assert missing_migrations(connection) == ()


def test_a_step_that_fails_leaves_no_lock_behind(empty: Engine) -> None:
    def fail(_connection: Connection) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        migrate.upgrade(empty, [fail])
    migrate.upgrade(empty)
    assert migrate.status(empty).pending == ()


def test_a_database_of_a_newer_hansard_is_refused_and_left_alone(empty: Engine) -> None:
    migrate.upgrade(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError) as refusal:
        migrate.upgrade(empty)
    assert refusal.value.failure.code == "database_newer"


def test_migrating_leaves_the_logging_of_the_process_alone(empty: Engine) -> None:
    before = (list(logging.root.handlers), logging.root.level)
    migrate.upgrade(empty)
    assert (list(logging.root.handlers), logging.root.level) == before


# ── What was there stays ─────────────────────────────────────────────────────────────────────────────────

AUDIO, COMPLETED, RUNNING = UUID(int=1), UUID(int=2), UUID(int=3)

OF_0001 = """
    INSERT INTO audio_files VALUES (
        '{audio}', 'talk.mp3', 'audio/mpeg', '{sha256}', 5000, 'mp3', 'mp3', 2, 44100, 61.5, '2026-01-01T12:00Z');
    INSERT INTO transcriptions VALUES (
        '{completed}', '{audio}', 'completed',
        '{{"engine": "auto", "model": null, "language": null, "prompt": null, "hotwords": null, "priority": 1,
           "metadata": {{"case": "7"}}}}',
        '2026-01-01T12:01Z', 'req-1', 2, 1.0, NULL, 'run-1', '2026-01-01T12:02Z', '2026-01-01T12:03Z',
        '[{{"number": 1, "engine": "fake", "model": "fake-1", "started_at": "2026-01-01T12:02:00+00:00",
            "ended_at": "2026-01-01T12:02:30+00:00", "outcome": "failed", "recognised_seconds": 1.5,
            "failure": {{"code": "broken", "category": "server", "message": "It broke.", "retryable": true,
                         "engine": "fake", "provider_status": 503, "provider_request_id": null, "help": null}}}},
          {{"number": 2, "engine": "fake", "model": "fake-1", "started_at": "2026-01-01T12:02:30+00:00",
            "ended_at": "2026-01-01T12:03:00+00:00", "outcome": "succeeded", "recognised_seconds": 40.0,
            "failure": null}}]',
        NULL,
        '{{"engine": "fake", "model": "fake-1", "language": "en", "audio_seconds": 61.5, "speech_seconds": 41.5,
           "word_count": 99, "processing_seconds": 60.0, "degraded_reasons": []}}');
    INSERT INTO transcriptions VALUES (
        '{running}', '{audio}', 'running',
        '{{"engine": "fake", "model": null, "language": null, "prompt": null, "hotwords": null, "priority": 0,
           "metadata": {{}}}}',
        '2026-01-01T12:04Z', NULL, 1, 0.25, 'recognising with fake', NULL, '2026-01-01T12:05Z', NULL, '[]', NULL, NULL);
    INSERT INTO transcripts VALUES (
        '{completed}', 'en', 'Two houses.',
        '[{{"start_seconds": 1.5, "end_seconds": 2.5, "text": "Two houses.", "words": [["Two", 1.5, 1.8, 0.9],
            ["houses.", 1.8, 2.5, 0.9]], "confidence": 0.9, "language": "en", "speaker": null, "engine": "fake"}}]');
    INSERT INTO speech VALUES ('{running}', 61.5, '[[0.5, 30.0], [32.0, 44.0]]');
    INSERT INTO passages VALUES ('{running}', 0.5, 30.0, 'fake', 'fake-1', '[]');
    INSERT INTO events (type, subject_id, occurred_at, data) VALUES
        ('transcription.queued', '{running}', '2026-01-01T12:04Z', '{{"audio_id": "{audio}", "engine": "fake"}}'),
        ('transcription.started', '{running}', '2026-01-01T12:05Z', '{{"audio_id": "{audio}", "run": 1}}'),
        ('transcription.interrupted', '{running}', '2026-01-01T12:06Z', '{{"audio_id": "{audio}", "run": 1}}');
"""


@pytest.fixture
def upgraded(empty: Engine) -> Iterator[SqlUnitOfWork]:
    """A database of the first version with something of everything in it, brought to this one."""
    with empty.connect() as connection:
        command.upgrade(migrate.configuration(connection), "0001")
        rows = OF_0001.format(audio=AUDIO, completed=COMPLETED, running=RUNNING, sha256="ab" * 32)
        connection.exec_driver_sql(rows, execution_options={"no_parameters": True})
        connection.commit()
    migrate.upgrade(empty)
    with SqlUnitOfWork(empty, TranscriptionJobs) as uow:
        yield uow


def test_a_recording_of_the_first_version_belongs_to_the_default_owner(upgraded: SqlUnitOfWork) -> None:
    assert upgraded.audio.get(AUDIO).owner == DEFAULT_OWNER


def test_a_completed_one_of_the_first_version_is_read_as_it_was(upgraded: SqlUnitOfWork) -> None:
    found = upgraded.transcriptions.get(COMPLETED)
    assert (found.owner, found.crashes, found.warnings) == (DEFAULT_OWNER, 0, ())
    assert found.parameters == Parameters(priority=1, metadata={"case": "7"})
    assert [(each.number, each.recognised_seconds, each.provider_request_id) for each in found.attempts] == [
        (1, 1.5, None),
        (2, 40.0, None),
    ]
    assert found.attempts[0].failure is not None
    assert found.attempts[0].failure.provider_status == 503


def test_coverage_that_was_not_measured_is_taken_for_complete(upgraded: SqlUnitOfWork) -> None:
    found = upgraded.transcriptions.get(COMPLETED)
    assert found.result is not None
    assert found.result.coverage == Coverage(speech_seconds=41.5, transcribed_seconds=41.5)
    assert upgraded.transcriptions.recent_real_time_factor() == pytest.approx(60 / 61.5)


def test_what_was_said_before_there_was_a_search_is_found(upgraded: SqlUnitOfWork) -> None:
    (hit,) = upgraded.search.find(
        SearchQuery(words="house", metadata={"case": "7"}), owner=DEFAULT_OWNER, limit=9
    ).items
    assert (hit.transcription_id, [match.seconds for match in hit.matches]) == (COMPLETED, [1.8])


def test_a_running_one_of_the_first_version_can_be_gone_on_with(upgraded: SqlUnitOfWork) -> None:
    found = upgraded.transcriptions.get(RUNNING, for_update=True)
    (passage,) = upgraded.transcripts.passages(RUNNING)
    assert (passage.span, passage.decoding) == (Span(0.5, 30.0), 0)
    upgraded.transcripts.add_passage(RUNNING, replace(passage, decoding=1))
    found.start(datetime(2026, 1, 2, tzinfo=UTC))
    upgraded.transcriptions.save(found)
    assert upgraded.transcriptions.unfinished() == (RUNNING,)


def test_the_events_of_the_first_version_are_read_as_they_were(upgraded: SqlUnitOfWork) -> None:
    queued, started, interrupted = upgraded.events.of(RUNNING)
    assert isinstance(queued, TranscriptionQueued)
    assert isinstance(started, TranscriptionStarted)
    assert isinstance(interrupted, TranscriptionInterrupted)
    assert (interrupted.audio_id, interrupted.run, interrupted.reason) == (AUDIO, 1, "worker_lost")
