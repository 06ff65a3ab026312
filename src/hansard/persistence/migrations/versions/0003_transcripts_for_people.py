# pyright: reportUnknownArgumentType=false, reportArgumentType=false
"""What transcripts that people use take: speakers, channels, revisions, scores, and what may be asked for."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _transcriptions()
    _speech()
    _turns()
    _transcripts()
    _revisions()
    _searchable_segments()


def _transcriptions() -> None:
    op.execute("""
        UPDATE transcriptions
           SET parameters = parameters || '{"task": "transcribe", "temperature": null, "diarize": false,
                   "min_speakers": null, "max_speakers": null, "channels": "mixed", "interactive": false}',
               result = result || '{"language_probability": null}'
    """)


def _speech() -> None:
    op.add_column("speech", sa.Column("channels", sa.Integer(), nullable=False, server_default="1"))
    _without_default("speech", "channels")


def _turns() -> None:
    op.create_table(
        "turns",
        sa.Column("transcription_id", sa.Uuid(), nullable=False),
        sa.Column("turns", JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transcription_id"],
            ["transcriptions.id"],
            name=op.f("fk_turns_transcription_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("transcription_id", name=op.f("pk_turns")),
    )


def _transcripts() -> None:
    op.add_column("transcripts", sa.Column("language_probability", sa.Double()))
    op.add_column("transcripts", sa.Column("revision", sa.Integer(), nullable=False, server_default="0"))
    _without_default("transcripts", "revision")


def _revisions() -> None:
    op.create_table(
        "revisions",
        sa.Column("transcription_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("author", sa.Text()),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("hunks", JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transcription_id"],
            ["transcriptions.id"],
            name=op.f("fk_revisions_transcription_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("transcription_id", "number", name=op.f("pk_revisions")),
    )


def _searchable_segments() -> None:
    op.create_table(
        "searchable_segments",
        sa.Column("transcription_id", sa.Uuid(), nullable=False),
        sa.Column("start_seconds", sa.Double(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("language", sa.Text()),
        sa.Column("segment", JSONB(), nullable=False),
        sa.Column("lexemes", TSVECTOR(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transcription_id"],
            ["transcriptions.id"],
            name=op.f("fk_searchable_segments_transcription_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("transcription_id", "start_seconds", "number", name=op.f("pk_searchable_segments")),
    )
    # Filled by 0005.
    op.create_index(op.f("ix_searchable_segments_lexemes"), "searchable_segments", ["lexemes"], postgresql_using="gin")


def _without_default(table: str, column: str) -> None:
    """Old rows have been given the value; new ones are always written with one."""
    op.alter_column(table, column, server_default=None)
