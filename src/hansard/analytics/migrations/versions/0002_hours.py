"""Facts summed up by the hour, with histograms. They are filled by whoever projects next, some hours at a time."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("latest_at", "sealed_until"):
        op.add_column("projection", sa.Column(name, sa.DateTime(timezone=True)))
    op.execute("UPDATE projection SET latest_at = occurred_at")
    _failed("transcription_facts", "status", "id", "interactive")
    _failed("attempt_facts", "outcome", "transcription_id")
    op.drop_index("ix_transcription_facts_asked_at")
    op.create_index(
        "ix_transcription_facts_asked_at",
        "transcription_facts",
        ["asked_at"],
        postgresql_include=["owner", "interactive", "engine"],
    )
    _hours(
        "transcription_hours",
        *_counts("completed", "failed", "cancelled", "degraded", "retried", "coverages"),
        *_sums("covered", "audio_seconds", "queue", "preparing", "recognising"),
        *_histograms("queue_seconds", "preparing_seconds", "recognising_seconds", "total_seconds", "real_time_factor"),
        by=(
            sa.Column("engine", sa.Text()),
            sa.Column("model", sa.Text()),
            sa.Column("interactive", sa.Boolean(), nullable=False),
        ),
    )
    _hours("asked_hours", *_counts("asked"), by=(sa.Column("interactive", sa.Boolean(), nullable=False),))
    _hours(
        "attempt_hours",
        *_counts("attempts", "succeeded", "failed", "abandoned", "input_tokens", "output_tokens"),
        *_sums("audio_seconds", "uncounted_seconds", "processing_seconds"),
        *_histograms("real_time_factor"),
        by=(sa.Column("engine", sa.Text(), nullable=False), sa.Column("model", sa.Text(), nullable=False)),
    )
    _hours("upload_hours", *_counts("uploads", "uploaded_bytes"))


def _failed(table: str, state: str, *more: str) -> None:
    """What is told of failures, to be read without the facts' other columns."""
    op.create_index(
        f"ix_{table}_failed",
        table,
        ["ended_at"],
        postgresql_include=["owner", "engine", "failure_code", "failure_category", *more],
        postgresql_where=sa.text(f"{state} = 'failed'"),
    )


def _hours(name: str, *columns: sa.Column[Any], by: tuple[sa.Column[Any], ...] = ()) -> None:
    op.create_table(
        name,
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("every_owner", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.Text()),
        *by,
        *columns,
    )
    keys = ["every_owner", "hour", "owner", *(column.name for column in by)]
    op.create_index(f"uq_{name}", name, keys, unique=True, postgresql_nulls_not_distinct=True)


def _counts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _sums(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Double(), nullable=False) for name in names]


def _histograms(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.LargeBinary()) for name in names]
