# pyright: reportUnknownArgumentType=false
"""What operators see: the events become an audit trail that is chained by hashes and only grows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_CHAIN = """
CREATE FUNCTION hansard_measured(fields text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(coalesce(octet_length(field) || ':' || field, '-'), ',' ORDER BY number)
      FROM unnest(fields) WITH ORDINALITY AS listed (field, number)
$$;

-- One writer at a time until it has committed, so positions have no gaps and are in the order of commits. What is
-- hashed is said in domain/audit.py.
CREATE FUNCTION hansard_chain_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('hansard_events', 0));
    SELECT position, hash INTO last FROM events ORDER BY position DESC LIMIT 1;
    NEW.position := coalesce(last.position, 0) + 1;
    NEW.previous_hash := coalesce(last.hash, repeat('0', 64));
    NEW.hash := encode(sha256(convert_to(NEW.previous_hash || hansard_measured(ARRAY[
        NEW.position::text, NEW.id::text, NEW.type, NEW.subject,
        to_char(NEW.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        NEW.actor, NEW.request_id, NEW.trace_id, NEW.data::text
    ]), 'UTF8')), 'hex');
    RETURN NEW;
END
$$;

CREATE TRIGGER chain BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION hansard_chain_event();

-- `hansard prune` says so before it removes the oldest entries, and leaves an entry that tells of it.
CREATE FUNCTION hansard_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('hansard.pruning', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'The audit trail only grows: % of events is refused.', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION hansard_refuse_change();
"""


def upgrade() -> None:
    _transcriptions()
    _events()
    _alerts()
    _webhooks()


def _transcriptions() -> None:
    """Lists by engine and by language, newest first."""
    for fact in ("engine", "language"):
        op.create_index(
            f"ix_transcriptions_result_{fact}",
            "transcriptions",
            [sa.text(f"(result ->> '{fact}')"), "created_at", "id"],
        )


def _events() -> None:
    op.rename_table("events", "old_events")
    op.execute("ALTER TABLE old_events DROP CONSTRAINT pk_events")
    op.drop_index(op.f("ix_events_subject_id"), "old_events")
    op.create_table(
        "events",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text()),
        sa.Column("request_id", sa.Text()),
        sa.Column("trace_id", sa.Text()),
        sa.Column("data", JSON(), nullable=False),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_events")),
        sa.UniqueConstraint("id", name=op.f("uq_events_id")),
        sa.CheckConstraint("occurred_at BETWEEN '1970-01-01Z' AND '3000-01-01Z'", name=op.f("ck_events_occurred_at")),
    )
    for column in ("subject", "type", "request_id", "occurred_at"):
        op.create_index(op.f(f"ix_events_{column}_position"), "events", [column, "position"])
    for statement in _CHAIN.split(";\n\n"):
        op.execute(statement)
    # Names of files say something of people, and an audit trail is kept when the file is deleted.
    op.execute("""
        INSERT INTO events (type, subject, occurred_at, data)
        SELECT type, subject, occurred_at, (data - 'file_name')::json FROM old_events ORDER BY id
    """)
    op.drop_table("old_events")


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("fired_at", sa.DateTime(timezone=True)),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True)),
        sa.Column("trouble", sa.Text()),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alerts")),
    )


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event_types", ARRAY(sa.Text()), nullable=False),
        sa.Column("filter", JSONB()),
        sa.Column("description", sa.Text()),
        sa.Column("secrets", JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_reason", sa.Text()),
        sa.Column("failing_since", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("event_position", sa.BigInteger(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True)),
        sa.Column("attempts", JSONB(), server_default="[]", nullable=False),
        sa.Column("body", sa.Text()),
        sa.Column("replay_of", sa.Uuid()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    for columns in (("number",), ("status", "number"), ("event_position",)):
        name = op.f(f"ix_webhook_deliveries_webhook_id_{'_'.join(columns)}")
        op.create_index(name, "webhook_deliveries", ["webhook_id", *columns])
    op.create_index(
        "ix_webhook_deliveries_pending",
        "webhook_deliveries",
        ["webhook_id", "next_attempt_at"],
        postgresql_where=sa.text("status = 'pending'"),
    )
