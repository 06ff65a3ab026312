"""How fast the analytics are: events into facts, and questions about a million transcriptions.

    make bench-analytics                             # or: python -m benchmarks.analytics --facts 100000

The events are real ones, through the real log. The million facts are made by the database itself, spread evenly over
`--days`, and summed up by the hour as the service does it; the questions are about the last thirty days.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine, text

from hansard.analytics.database import MIGRATIONS, AnalyticsDatabase
from hansard.analytics.projection import Projection
from hansard.analytics.queries import SqlAnalytics
from hansard.application.ports.analytics import Asked
from hansard.domain.costs import Price, Prices
from hansard.domain.coverage import Coverage
from hansard.domain.period import Bucket, Period
from hansard.domain.transcription import Parameters, Result, Transcription
from hansard.persistence import database, embedded, migrate, second_database
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from hansard.queue.schema import apply_schema

TRANSCRIPTIONS_IN_A_COMMIT = 500
DAYS_ASKED = 30
PRICES = Prices(of={"openai": Price(per_audio_minute=0.006), "whisper": Price(per_processing_hour=0.2)}, currency="USD")

# One in twenty fails, one in five is OpenAI's; times are skewed as real ones are: few are very long.
_FACTS = text("""
    INSERT INTO transcription_facts (id, ask, audio_id, owner, engine_asked, interactive, status, asked_at, changed_at,
        ended_at, queue_seconds, running_seconds, recognising_seconds, runs, interruptions, attempts, fallbacks, engine,
        model, language, audio_seconds, word_count, coverage, degraded, failure_code, failure_category)
    SELECT gen_random_uuid(), 1, gen_random_uuid(), 'owner ' || number % 21, 'auto', number % 4 = 0,
           CASE WHEN number % 20 = 0 THEN 'failed' ELSE 'completed' END,
           ended_at - make_interval(secs => waited + worked), ended_at, ended_at,
           waited, worked, worked * 0.9, 1, 0, 1, 0,
           CASE WHEN number % 5 = 0 THEN 'openai' ELSE 'whisper' END,
           CASE WHEN number % 5 = 0 THEN 'whisper-1' ELSE 'small' END, 'en', worked * heard, 1000, 0.99,
           number % 50 = 0,
           CASE WHEN number % 20 = 0 THEN 'code_' || number % 7 END, CASE WHEN number % 20 = 0 THEN 'server' END
      FROM (SELECT number, exp(random() * 5) AS waited, exp(random() * 5) AS worked,
                   exp(random() * 3) AS heard,
                   CAST(:until AS timestamptz)
                   - make_interval(days => :days) * (1 - number::float8 / :facts) AS ended_at
              FROM generate_series(1, :facts) AS number) AS drawn
""")
_ATTEMPTS = text("""
    INSERT INTO attempt_facts (transcription_id, number, ended_at, owner, engine, model, outcome, recognised_seconds,
        processing_seconds, input_tokens, output_tokens, failure_code, failure_category)
    SELECT id, 1, ended_at, owner, engine, model, CASE status WHEN 'failed' THEN 'failed' ELSE 'succeeded' END,
           audio_seconds, recognising_seconds, 0, 0, failure_code, failure_category
      FROM transcription_facts ON CONFLICT DO NOTHING
""")
_AUDIO = text("""
    INSERT INTO audio_facts (id, uploaded_at, owner, size_bytes, duration_seconds)
    SELECT audio_id, asked_at, owner, 1000000, audio_seconds FROM transcription_facts
""")


def main() -> None:
    options = _options()
    console = Console(width=110)
    with tempfile.TemporaryDirectory(prefix="hansard-bench-") as scratch:
        directory = Path(scratch)
        directory.chmod(0o755)  # as root, the database's user has to pass through
        with _databases(directory) as (engine, analytics):
            console.print(
                f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, Python "
                f"{platform.python_version()}"
            )
            projection = Projection(
                database=analytics,
                unit_of_work=partial(SqlUnitOfWork, engine, TranscriptionJobs),
                clock=lambda: datetime.now(UTC),
            )
            until = datetime.now(UTC)
            console.print(_projection_rate(engine, projection, options.transcriptions, _before_all(until, options)))
            with analytics.begin() as connection:
                _fill(connection, until, options.facts, options.days)
            console.print(_sealing_rate(engine, projection, until))
            with analytics.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE"))
            asked = SqlAnalytics(database=analytics, projection=projection, prices=PRICES)
            console.print(_questions(asked, until, options))


def _before_all(until: datetime, options: argparse.Namespace) -> datetime:
    """Before all facts, so that what is made of these events is in no question."""
    return until - timedelta(days=options.days + 1)


def _projection_rate(engine: Engine, projection: Projection, transcriptions: int, at: datetime) -> str:
    began = time.monotonic()
    events = sum(
        _tell(engine, [_life(at) for _ in range(TRANSCRIPTIONS_IN_A_COMMIT)])
        for _ in range(transcriptions // TRANSCRIPTIONS_IN_A_COMMIT)
    )
    wrote_seconds = time.monotonic() - began
    began = time.monotonic()
    projection.catch_up()
    took_seconds = time.monotonic() - began
    return (
        f"{events:,} events: written at {events / wrote_seconds:,.0f} a second, {TRANSCRIPTIONS_IN_A_COMMIT} lives a "
        f"commit; made into facts at {events / took_seconds:,.0f} a second"
    )


def _sealing_rate(engine: Engine, projection: Projection, until: datetime) -> str:
    """Once an event of the last hour has come, those before are over."""
    _tell(engine, [_life(until)])
    began = time.monotonic()
    projection.catch_up()
    return f"all facts summed up by the hour in {time.monotonic() - began:,.0f} s"


def _tell(engine: Engine, lives: Sequence[Transcription]) -> int:
    """How many events that makes."""
    events = [event for life in lives for event in life.pull_events()]
    with SqlUnitOfWork(engine, TranscriptionJobs) as uow:
        for event in events:
            uow.events.append(event)
        uow.commit()
    return len(events)


def _life(at: datetime) -> Transcription:
    made = Transcription.queue(audio_id=uuid4(), parameters=Parameters(), at=at)
    made.start(at)
    made.begin_attempt(engine="whisper", model="small", at=at)
    made.advance_attempt(60)
    made.end_attempt(at)
    result = Result(
        engine="whisper",
        model="small",
        language="en",
        audio_seconds=60,
        speech_seconds=50,
        word_count=150,
        processing_seconds=5,
        coverage=Coverage(speech_seconds=50, transcribed_seconds=50),
    )
    made.complete(result, at)
    return made


def _fill(connection: Connection, until: datetime, facts: int, days: int) -> None:
    connection.execute(_FACTS, {"until": until, "facts": facts, "days": days})
    connection.execute(_ATTEMPTS)
    connection.execute(_AUDIO)


def _questions(asked: SqlAnalytics, until: datetime, options: argparse.Namespace) -> Table:
    table = Table("question", "by the day: p50", "p95, ms", "by the hour: p50", "p95, ms")
    table.title = f"{options.facts:,} transcriptions in {options.days} days; asked about {DAYS_ASKED} days"
    ways: dict[str, Callable[[Asked], object]] = {
        "overview": asked.overview,
        "throughput": asked.throughput,
        "latency": asked.latency,
        "engines": asked.engines,
        "errors": asked.errors,
        "costs": asked.costs,
    }
    for name, ask in ways.items():
        cells = [cell for bucket in (Bucket.DAY, Bucket.HOUR) for cell in _timed(ask, until, bucket, options.rounds)]
        table.add_row(name, *cells)
    return table


def _timed(ask: Callable[[Asked], object], until: datetime, bucket: Bucket, rounds: int) -> tuple[str, str]:
    took_ms: list[float] = []
    for round_number in range(rounds):
        # Each time another time, as if time went on.
        end = until - timedelta(minutes=round_number)
        period = Period.of(now=end, since=end - timedelta(days=DAYS_ASKED), until=end, bucket=bucket)
        began = time.perf_counter()
        ask(Asked(period=period))
        took_ms.append((time.perf_counter() - began) * 1000)
    return f"{statistics.median(took_ms):.0f}", f"{statistics.quantiles(took_ms, n=20, method='inclusive')[18]:.0f}"


@contextmanager
def _databases(directory: Path) -> Generator[tuple[Engine, AnalyticsDatabase]]:
    url = embedded.ensure_running(directory, shelter=directory / "shelter")
    second = second_database.beside(url, "analytics")
    second_database.create_if_missing(second, variable="(none)")
    engine, analytics_engine = database.connect(url), database.connect(second)
    try:
        migrate.upgrade(engine, [apply_schema])
        yield (
            engine,
            AnalyticsDatabase(analytics_engine, lambda: migrate.upgrade(analytics_engine, scripts=MIGRATIONS)),
        )
    finally:
        engine.dispose()
        analytics_engine.dispose()
        embedded.stop(directory, shelter=directory / "shelter")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--transcriptions", type=int, default=50_000, help="whose events are made into facts")
    parser.add_argument("--rounds", type=int, default=20)
    return parser.parse_args()


if __name__ == "__main__":
    main()
