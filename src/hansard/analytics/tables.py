"""The tables of the analytics database. `migrations/` makes them; a test holds it to this file.

Facts are made from the events alone and may be thrown away: `hansard analytics rebuild` makes them again. They hold no
words, and no names but those of owners, engines and models.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

ID = Uuid()
MOMENT = DateTime(timezone=True)
NUMBER: Double[float] = Double()

# How far the facts have come, one row. It is written in the commit that writes the facts.
projection = Table(
    "projection",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),  # of the event at that position
    Column("occurred_at", MOMENT),  # when that was
    Column("projected_at", MOMENT, nullable=False),
    Column("since", MOMENT),  # the first event that was there to be read
    Column("missed", BigInteger, nullable=False),  # events that were pruned before they could be read
    Column("latest_at", MOMENT),  # when the latest event was: clocks of two machines may disagree
    Column("sealed_until", MOMENT),  # the hours before this are summed up in the tables of hours
)

# A transcription, each time that it was asked for: it has a row more with each retry. A row ends once, and then stays.
# The seconds in the queue and those in a worker's hands, over all runs, make up the time from asking to the end.
transcription_facts = Table(
    "transcription_facts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("ask", Integer, primary_key=True, autoincrement=False),
    Column("audio_id", ID, nullable=False),
    Column("owner", Text),
    Column("engine_asked", Text, nullable=False),
    Column("interactive", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    Column("asked_at", MOMENT, nullable=False),
    Column("changed_at", MOMENT, nullable=False),  # when it got into this status
    Column("ended_at", MOMENT),
    Column("deleted_at", MOMENT),
    Column("queue_seconds", NUMBER, nullable=False),
    Column("running_seconds", NUMBER, nullable=False),
    Column("recognising_seconds", NUMBER, nullable=False),
    Column("runs", Integer, nullable=False),
    Column("interruptions", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("fallbacks", Integer, nullable=False),
    Column("engine", Text),
    Column("model", Text),
    Column("language", Text),
    Column("audio_seconds", NUMBER),
    Column("word_count", Integer),
    Column("coverage", NUMBER),
    Column("degraded", Boolean),
    Column("failure_code", Text),
    Column("failure_category", Text),
    Index(None, "asked_at", postgresql_include=["owner", "interactive", "engine"]),
    Index(None, "ended_at"),
    Index(
        "ix_transcription_facts_failed",
        "ended_at",
        postgresql_include=["id", "owner", "interactive", "engine", "failure_code", "failure_category"],
        postgresql_where=text("status = 'failed'"),
    ),
)

# One try of one engine: what is paid for.
attempt_facts = Table(
    "attempt_facts",
    metadata,
    Column("transcription_id", ID, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("ended_at", MOMENT, nullable=False),
    Column("owner", Text),
    Column("engine", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("recognised_seconds", NUMBER, nullable=False),
    Column("processing_seconds", NUMBER, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("failure_code", Text),
    Column("failure_category", Text),
    Index(None, "ended_at"),
    Index(
        "ix_attempt_facts_failed",
        "ended_at",
        postgresql_include=["transcription_id", "owner", "engine", "failure_code", "failure_category"],
        postgresql_where=text("outcome = 'failed'"),
    ),
)

audio_facts = Table(
    "audio_facts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("uploaded_at", MOMENT, nullable=False),
    Column("owner", Text),
    Column("size_bytes", BigInteger, nullable=False),
    Column("duration_seconds", NUMBER),
    Column("deleted_at", MOMENT),
    Index(None, "uploaded_at"),
)

# What befell engines: fell_back, circuit_opened, circuit_closed, disabled, enabled, canary.
engine_facts = Table(
    "engine_facts",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("occurred_at", MOMENT, nullable=False),
    Column("engine", Text, nullable=False),
    Column("happening", Text, nullable=False),
    Column("transcription_id", ID),
    Column("next_engine", Text),
    Column("failure_code", Text),
    Column("passed", Boolean),
    Column("word_accuracy", NUMBER),
    Column("processing_seconds", NUMBER),
    Index(None, "occurred_at"),
)


def _hours(name: str, *columns: Column[Any], by: tuple[Column[Any], ...] = ()) -> Table:
    """Facts summed up by the hour, UTC, for each owner and, with `every_owner`, for all of them: see `hours`."""
    keys = ("every_owner", "hour", "owner", *(column.name for column in by))
    return Table(
        name,
        metadata,
        Column("hour", MOMENT, nullable=False),
        Column("every_owner", Boolean, nullable=False),
        Column("owner", Text),
        *by,
        *columns,
        Index(f"uq_{name}", *keys, unique=True, postgresql_nulls_not_distinct=True),
    )


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _sum(name: str) -> Column[float]:
    return Column(name, NUMBER, nullable=False)


def _histogram(name: str) -> Column[bytes]:
    """NULL where there is no measure: see `histograms`."""
    return Column(name, LargeBinary)


# By the hour of their end. `covered` is the sum of `coverages` measures; the other sums are of completed ones.
transcription_hours = _hours(
    "transcription_hours",
    *map(_count, ("completed", "failed", "cancelled", "degraded", "retried", "coverages")),
    *map(_sum, ("covered", "audio_seconds", "queue", "preparing", "recognising")),
    *map(_histogram, ("queue_seconds", "preparing_seconds", "recognising_seconds", "total_seconds")),
    _histogram("real_time_factor"),
    by=(Column("engine", Text), Column("model", Text), Column("interactive", Boolean, nullable=False)),
)
asked_hours = _hours("asked_hours", _count("asked"), by=(Column("interactive", Boolean, nullable=False),))
attempt_hours = _hours(
    "attempt_hours",
    *map(_count, ("attempts", "succeeded", "failed", "abandoned", "input_tokens", "output_tokens")),
    *map(_sum, ("audio_seconds", "uncounted_seconds", "processing_seconds")),
    _histogram("real_time_factor"),
    by=(Column("engine", Text, nullable=False), Column("model", Text, nullable=False)),
)
upload_hours = _hours("upload_hours", _count("uploads"), _count("uploaded_bytes"))

# ── What functions and processes took. Of this there is no other record: a rebuild leaves it alone ────────

# The calls of a function in five minutes, or in an hour when that is some days ago, in all processes of one kind.
function_times = Table(
    "function_times",
    metadata,
    Column("start", MOMENT, primary_key=True),
    Column("process", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("function", Text, primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("total_seconds", NUMBER, nullable=False),
    Column("shortest_seconds", NUMBER, nullable=False),
    Column("longest_seconds", NUMBER, nullable=False),
    Column("histogram", JSONB, nullable=False),  # of nanoseconds; see timing/histogram.py
    Column("cpu_seconds", NUMBER),  # this and what follows: NULL where the function is not monitored
    Column("process_cpu_seconds", NUMBER),
    Column("peak_memory_bytes", BigInteger),
    Column("memory_growth_bytes", BigInteger),
    Column("read_bytes", BigInteger),
    Column("written_bytes", BigInteger),
)

# What a process used from `start` for so many seconds: raw for a day, then by the hour.
resource_use = Table(
    "resource_use",
    metadata,
    Column("start", MOMENT, primary_key=True),
    Column("host", Text, primary_key=True),
    Column("process", Text, primary_key=True),
    Column("seconds", NUMBER, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("cores_least", NUMBER, nullable=False),
    Column("cores_mean", NUMBER, nullable=False),
    Column("cores_most", NUMBER, nullable=False),
    Column("memory_least_bytes", BigInteger, nullable=False),
    Column("memory_mean_bytes", BigInteger, nullable=False),
    Column("memory_most_bytes", BigInteger, nullable=False),
    Column("threads_most", Integer, nullable=False),
    Column("open_files_most", Integer, nullable=False),
    Column("read_bytes", BigInteger, nullable=False),
    Column("written_bytes", BigInteger, nullable=False),
)

# ── Benchmarks. Of these there is no other record either ─────────────────────────────────────────────────

bench_runs = Table(
    "bench_runs",
    metadata,
    Column("id", ID, primary_key=True),
    Column("started_at", MOMENT, nullable=False),
    Column("ended_at", MOMENT),  # NULL: it goes on, or was broken off
    Column("commit", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("engine", Text, nullable=False),
    Column("model", Text),
    Column("corpus", Text, nullable=False),
    Column("rounds", Integer, nullable=False),
    Column("machine", JSONB, nullable=False),
    Column("settings", JSONB, nullable=False),
    Column("libraries", JSONB, nullable=False),
    Column("scoring", Text, nullable=False),
    Column("note", Text),
    Column("figures", JSONB),  # of the files below, as they were when it ended
    Index(None, "started_at"),
)

# One time that a file was heard.
bench_files = Table(
    "bench_files",
    metadata,
    Column("run_id", ID, ForeignKey("bench_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("file", Text, primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),  # of the recording and of all that is known of it
    Column("text", JSONB),  # words and characters, and how many of them were wrong; not the words themselves
    Column("speakers", JSONB),
    Column("audio_seconds", NUMBER),
    Column("speech_seconds", NUMBER),
    Column("transcribed_seconds", NUMBER),
    Column("processing_seconds", NUMBER),
    Column("latency_seconds", NUMBER),
    Column("cpu_seconds", NUMBER),
    Column("yardstick_seconds", NUMBER),
    Column("peak_memory_bytes", BigInteger),
    Column("engine", Text),
    Column("degraded", Boolean, nullable=False),
    Column("failure_code", Text),
    Column("failure_message", Text),
)
