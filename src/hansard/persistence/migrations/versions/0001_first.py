# pyright: reportUnknownArgumentType=false
"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _audio_files()
    _transcriptions()
    _words()
    _events()


def _audio_files() -> None:
    op.create_table(
        "audio_files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("container", sa.Text(), nullable=False),
        sa.Column("codec", sa.Text(), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("sample_rate_hz", sa.Integer(), nullable=False),
        sa.Column("duration_seconds", sa.Double()),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audio_files")),
    )
    op.create_index(op.f("ix_audio_files_uploaded_at_id"), "audio_files", ["uploaded_at", "id"])


def _transcriptions() -> None:
    op.create_table(
        "transcriptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("audio_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("parameters", JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", sa.Text()),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("activity", sa.Text()),
        sa.Column("pipeline_run_id", sa.Text()),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("attempts", JSONB(), nullable=False),
        sa.Column("failure", JSONB()),
        sa.Column("result", JSONB()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transcriptions")),
        sa.ForeignKeyConstraint(
            ["audio_id"], ["audio_files.id"], name=op.f("fk_transcriptions_audio_id"), ondelete="CASCADE"
        ),
    )
    for columns in (["created_at", "id"], ["status", "created_at", "id"], ["audio_id", "created_at", "id"]):
        op.create_index(op.f(f"ix_transcriptions_{'_'.join(columns)}"), "transcriptions", columns)


def _words() -> None:
    op.create_table(
        "speech",
        sa.Column("transcription_id", sa.Uuid(), nullable=False),
        sa.Column("audio_seconds", sa.Double(), nullable=False),
        sa.Column("regions", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("transcription_id", name=op.f("pk_speech")),
        _of_a_transcription("speech"),
    )
    op.create_table(
        "passages",
        sa.Column("transcription_id", sa.Uuid(), nullable=False),
        sa.Column("start_seconds", sa.Double(), nullable=False),
        sa.Column("end_seconds", sa.Double(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("segments", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("transcription_id", "start_seconds", name=op.f("pk_passages")),
        _of_a_transcription("passages"),
    )
    op.create_table(
        "transcripts",
        sa.Column("transcription_id", sa.Uuid(), nullable=False),
        sa.Column("language", sa.Text()),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("segments", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("transcription_id", name=op.f("pk_transcripts")),
        _of_a_transcription("transcripts"),
    )


def _of_a_transcription(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["transcription_id"], ["transcriptions.id"], name=op.f(f"fk_{table}_transcription_id"), ondelete="CASCADE"
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_subject_id_id"), "events", ["subject_id", "id"])
