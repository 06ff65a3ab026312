# pyright: reportUnknownArgumentType=false
"""What surviving failures takes: owners, circuits, idempotency keys, coverage, passages that are heard again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _owners()
    _transcriptions()
    _passages()
    _events()
    _circuits()
    _idempotency_keys()


def _owners() -> None:
    for table in ("audio_files", "transcriptions"):
        op.add_column(table, sa.Column("owner", sa.Text(), nullable=False, server_default="default"))
        _without_default(table, "owner")
    op.create_index(op.f("ix_audio_files_sha256"), "audio_files", ["sha256"])


def _transcriptions() -> None:
    op.add_column("transcriptions", sa.Column("crashes", sa.Integer(), nullable=False, server_default="0"))
    _without_default("transcriptions", "crashes")
    op.add_column("transcriptions", sa.Column("warnings", JSONB(), nullable=False, server_default="[]"))
    _without_default("transcriptions", "warnings")
    op.execute("""UPDATE transcriptions SET parameters = parameters || '{"fallback": null}'""")
    op.execute("""
        UPDATE transcriptions SET attempts = (
            SELECT coalesce(jsonb_agg(attempt || '{"provider_request_id": null}' ORDER BY position), '[]')
              FROM jsonb_array_elements(attempts) WITH ORDINALITY AS each (attempt, position))
    """)
    # It was not measured then: taken for complete.
    op.execute("""
        UPDATE transcriptions SET result = result || jsonb_build_object('coverage', jsonb_build_object(
            'speech_seconds', result -> 'speech_seconds', 'transcribed_seconds', result -> 'speech_seconds',
            'gaps', '[]'::jsonb, 'dropped', '[]'::jsonb))
         WHERE result IS NOT NULL
    """)


def _passages() -> None:
    op.add_column("passages", sa.Column("decoding", sa.Integer(), nullable=False, server_default="0"))
    _without_default("passages", "decoding")
    op.drop_constraint(op.f("pk_passages"), "passages")
    op.create_primary_key(op.f("pk_passages"), "passages", ["transcription_id", "decoding", "start_seconds"])


def _events() -> None:
    op.drop_index(op.f("ix_events_subject_id_id"), "events")
    op.alter_column(
        "events", "subject_id", new_column_name="subject", type_=sa.Text(), postgresql_using="subject_id::text"
    )
    op.execute(
        """UPDATE events SET data = data || '{"reason": "worker_lost"}' WHERE type = 'transcription.interrupted'"""
    )
    op.create_index(op.f("ix_events_subject_id"), "events", ["subject", "id"])


def _without_default(table: str, column: str) -> None:
    """The default was for the rows that are there."""
    op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT")


def _circuits() -> None:
    op.create_table(
        "circuits",
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("openings", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True)),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.Text()),
        sa.Column("last_success_at", sa.DateTime(timezone=True)),
        sa.Column("last_failure_at", sa.DateTime(timezone=True)),
        sa.Column("last_failure", JSONB()),
        sa.PrimaryKeyConstraint("engine", name=op.f("pk_circuits")),
    )


def _idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("made_id", sa.Uuid(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner", "route", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_made_at"), "idempotency_keys", ["made_at"])
