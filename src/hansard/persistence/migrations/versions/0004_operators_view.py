"""What operators see: the events become an audit trail that is chained by hashes and only grows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

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
    _events()


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
