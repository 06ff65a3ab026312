# pyright: reportUnknownArgumentType=false
"""The first tables of the analytics database."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _projection()
    _transcription_facts()
    _attempt_facts()
    _audio_facts()
    _engine_facts()
    _function_times()
    _resource_use()
    _benchmarks()


def _projection() -> None:
    op.create_table(
        "projection",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True)),
        sa.Column("projected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("missed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_projection")),
    )


def _transcription_facts() -> None:
    op.create_table(
        "transcription_facts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("ask", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("audio_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text()),
        sa.Column("engine_asked", sa.Text(), nullable=False),
        sa.Column("interactive", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("queue_seconds", sa.Double(), nullable=False),
        sa.Column("running_seconds", sa.Double(), nullable=False),
        sa.Column("recognising_seconds", sa.Double(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("interruptions", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("fallbacks", sa.Integer(), nullable=False),
        sa.Column("engine", sa.Text()),
        sa.Column("model", sa.Text()),
        sa.Column("language", sa.Text()),
        sa.Column("audio_seconds", sa.Double()),
        sa.Column("word_count", sa.Integer()),
        sa.Column("coverage", sa.Double()),
        sa.Column("degraded", sa.Boolean()),
        sa.Column("failure_code", sa.Text()),
        sa.Column("failure_category", sa.Text()),
        sa.PrimaryKeyConstraint("id", "ask", name=op.f("pk_transcription_facts")),
    )
    op.create_index(op.f("ix_transcription_facts_asked_at"), "transcription_facts", ["asked_at"])
    op.create_index(op.f("ix_transcription_facts_ended_at"), "transcription_facts", ["ended_at"])


def _attempt_facts() -> None:
    op.create_table(
        "attempt_facts",
        sa.Column("transcription_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.Text()),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("recognised_seconds", sa.Double(), nullable=False),
        sa.Column("processing_seconds", sa.Double(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("failure_code", sa.Text()),
        sa.Column("failure_category", sa.Text()),
        sa.PrimaryKeyConstraint("transcription_id", "number", name=op.f("pk_attempt_facts")),
    )
    op.create_index(op.f("ix_attempt_facts_ended_at"), "attempt_facts", ["ended_at"])


def _audio_facts() -> None:
    op.create_table(
        "audio_facts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.Text()),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("duration_seconds", sa.Double()),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audio_facts")),
    )
    op.create_index(op.f("ix_audio_facts_uploaded_at"), "audio_facts", ["uploaded_at"])


def _engine_facts() -> None:
    op.create_table(
        "engine_facts",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("happening", sa.Text(), nullable=False),
        sa.Column("transcription_id", sa.Uuid()),
        sa.Column("next_engine", sa.Text()),
        sa.Column("failure_code", sa.Text()),
        sa.Column("passed", sa.Boolean()),
        sa.Column("word_accuracy", sa.Double()),
        sa.Column("processing_seconds", sa.Double()),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_engine_facts")),
    )
    op.create_index(op.f("ix_engine_facts_occurred_at"), "engine_facts", ["occurred_at"])


def _function_times() -> None:
    op.create_table(
        "function_times",
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("function", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("total_seconds", sa.Double(), nullable=False),
        sa.Column("shortest_seconds", sa.Double(), nullable=False),
        sa.Column("longest_seconds", sa.Double(), nullable=False),
        sa.Column("histogram", JSONB(), nullable=False),
        sa.Column("cpu_seconds", sa.Double()),
        sa.Column("process_cpu_seconds", sa.Double()),
        sa.Column("peak_memory_bytes", sa.BigInteger()),
        sa.Column("memory_growth_bytes", sa.BigInteger()),
        sa.Column("read_bytes", sa.BigInteger()),
        sa.Column("written_bytes", sa.BigInteger()),
        sa.PrimaryKeyConstraint("start", "process", "version", "function", name=op.f("pk_function_times")),
    )


def _resource_use() -> None:
    op.create_table(
        "resource_use",
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("cores_least", sa.Double(), nullable=False),
        sa.Column("cores_mean", sa.Double(), nullable=False),
        sa.Column("cores_most", sa.Double(), nullable=False),
        sa.Column("memory_least_bytes", sa.BigInteger(), nullable=False),
        sa.Column("memory_mean_bytes", sa.BigInteger(), nullable=False),
        sa.Column("memory_most_bytes", sa.BigInteger(), nullable=False),
        sa.Column("threads_most", sa.Integer(), nullable=False),
        sa.Column("open_files_most", sa.Integer(), nullable=False),
        sa.Column("read_bytes", sa.BigInteger(), nullable=False),
        sa.Column("written_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("start", "host", "process", name=op.f("pk_resource_use")),
    )


def _benchmarks() -> None:
    op.create_table(
        "bench_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("commit", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("model", sa.Text()),
        sa.Column("corpus", sa.Text(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("machine", JSONB(), nullable=False),
        sa.Column("settings", JSONB(), nullable=False),
        sa.Column("libraries", JSONB(), nullable=False),
        sa.Column("scoring", sa.Text(), nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column("figures", JSONB()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bench_runs")),
    )
    op.create_index(op.f("ix_bench_runs_started_at"), "bench_runs", ["started_at"])
    op.create_table(
        "bench_files",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("text", JSONB()),
        sa.Column("speakers", JSONB()),
        sa.Column("audio_seconds", sa.Double()),
        sa.Column("speech_seconds", sa.Double()),
        sa.Column("transcribed_seconds", sa.Double()),
        sa.Column("processing_seconds", sa.Double()),
        sa.Column("latency_seconds", sa.Double()),
        sa.Column("cpu_seconds", sa.Double()),
        sa.Column("yardstick_seconds", sa.Double()),
        sa.Column("peak_memory_bytes", sa.BigInteger()),
        sa.Column("engine", sa.Text()),
        sa.Column("degraded", sa.Boolean(), nullable=False),
        sa.Column("failure_code", sa.Text()),
        sa.Column("failure_message", sa.Text()),
        sa.ForeignKeyConstraint(
            ["run_id"], ["bench_runs.id"], name=op.f("fk_bench_files_run_id_bench_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "file", "round", name=op.f("pk_bench_files")),
    )
