"""The tables, as PostgreSQL sees them. What is asked for by a condition has a column; the rest of an object is JSON.

`mapping.py` and `transcript_mapping.py` turn rows into domain objects and back; `migrations/` makes the tables. A test
holds all of them to this file.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR

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
JSON = JSONB(none_as_null=True)
JSON_AS_WRITTEN = postgresql.JSON(none_as_null=True)

audio_files = Table(
    "audio_files",
    metadata,
    Column("id", ID, primary_key=True),
    Column("file_name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("container", Text, nullable=False),
    Column("codec", Text, nullable=False),
    Column("channels", Integer, nullable=False),
    Column("sample_rate_hz", Integer, nullable=False),
    Column("duration_seconds", NUMBER),
    Column("uploaded_at", MOMENT, nullable=False),
    Column("owner", Text, nullable=False),
    Index(None, "uploaded_at", "id"),
    Index(None, "sha256"),
)

transcriptions = Table(
    "transcriptions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("audio_id", ID, ForeignKey("audio_files.id", ondelete="CASCADE"), nullable=False),
    Column("status", Text, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("owner", Text, nullable=False),
    Column("request_id", Text),
    Column("run", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("progress", NUMBER, nullable=False),
    Column("activity", Text),
    Column("pipeline_run_id", Text),
    Column("started_at", MOMENT),
    Column("ended_at", MOMENT),
    Column("attempts", JSON, nullable=False),
    Column("warnings", JSON, nullable=False),
    Column("failure", JSON),
    Column("result", JSON),
    Index(None, "created_at", "id"),
    Index(None, "status", "created_at", "id"),
    Index(None, "audio_id", "created_at", "id"),
)

RESULT_ENGINE = transcriptions.c.result["engine"].astext
RESULT_LANGUAGE = transcriptions.c.result["language"].astext
Index("ix_transcriptions_result_engine", RESULT_ENGINE, transcriptions.c.created_at, transcriptions.c.id)
Index("ix_transcriptions_result_language", RESULT_LANGUAGE, transcriptions.c.created_at, transcriptions.c.id)

speech = Table(
    "speech",
    metadata,
    Column("transcription_id", ID, ForeignKey("transcriptions.id", ondelete="CASCADE"), primary_key=True),
    Column("audio_seconds", NUMBER, nullable=False),
    Column("regions", JSON, nullable=False),
    Column("channels", Integer, nullable=False),
)

turns = Table(
    "turns",
    metadata,
    Column("transcription_id", ID, ForeignKey("transcriptions.id", ondelete="CASCADE"), primary_key=True),
    Column("turns", JSON, nullable=False),
)

passages = Table(
    "passages",
    metadata,
    Column("transcription_id", ID, ForeignKey("transcriptions.id", ondelete="CASCADE"), primary_key=True),
    Column("decoding", Integer, primary_key=True),
    Column("start_seconds", NUMBER, primary_key=True),
    Column("end_seconds", NUMBER, nullable=False),
    Column("engine", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("segments", JSON, nullable=False),
)

transcripts = Table(
    "transcripts",
    metadata,
    Column("transcription_id", ID, ForeignKey("transcriptions.id", ondelete="CASCADE"), primary_key=True),
    Column("language", Text),
    Column("language_probability", NUMBER),
    Column("text", Text, nullable=False),
    Column("segments", JSON, nullable=False),
    Column("revision", Integer, nullable=False),
)

searchable_segments = Table(
    "searchable_segments",
    metadata,
    Column("transcription_id", ID, ForeignKey("transcriptions.id", ondelete="CASCADE"), primary_key=True),
    Column("start_seconds", NUMBER, primary_key=True),
    # Tells apart those that start at the same time.
    Column("number", Integer, primary_key=True),
    # The transcription's, for the order in which segments are found.
    Column("created_at", MOMENT, nullable=False),
    Column("language", Text),
    # Once more, since finding the words of one segment in the JSON of ten hours would take too long.
    Column("segment", JSON, nullable=False),
    Column("lexemes", TSVECTOR, nullable=False),
    Index(None, "lexemes", postgresql_using="gin"),
)

revisions = Table(
    "revisions",
    metadata,
    Column("transcription_id", ID, ForeignKey("transcriptions.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("made_at", MOMENT, nullable=False),
    Column("author", Text),
    Column("change", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("hunks", JSON, nullable=False),
)

events = Table(
    "events",
    metadata,
    # The place in the trail: without gaps, in the order of commits. A trigger gives it, with the hashes.
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("id", ID, nullable=False, server_default=func.gen_random_uuid()),
    Column("type", Text, nullable=False),
    # No foreign key: what happened stays on record when its subject is deleted.
    Column("subject", Text, nullable=False),
    Column("occurred_at", MOMENT, nullable=False),
    Column("actor", Text),
    Column("request_id", Text),
    Column("trace_id", Text),
    # Not JSONB, which would write it anew: this text is what is hashed.
    Column("data", JSON_AS_WRITTEN, nullable=False),
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    UniqueConstraint("id"),
    # A moment that no reader could take would keep the trail from being verified.
    CheckConstraint("occurred_at BETWEEN '1970-01-01Z' AND '3000-01-01Z'", name="ck_events_occurred_at"),
    Index(None, "subject", "position"),
    Index(None, "type", "position"),
    Index(None, "request_id", "position"),
    Index(None, "occurred_at", "position"),
)

circuits = Table(
    "circuits",
    metadata,
    Column("engine", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("openings", Integer, nullable=False),
    Column("retry_at", MOMENT),
    Column("disabled", Boolean, nullable=False),
    Column("disabled_reason", Text),
    Column("last_success_at", MOMENT),
    Column("last_failure_at", MOMENT),
    Column("last_failure", JSON),
)

alerts = Table(
    "alerts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("since", MOMENT),
    Column("fired_at", MOMENT),
    Column("severity", Text, nullable=False),
    Column("threshold", NUMBER, nullable=False),
    Column("value", NUMBER),
    Column("message", Text, nullable=False),
    Column("measured_at", MOMENT),
    Column("trouble", Text),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", ID, primary_key=True),
    Column("url", Text, nullable=False),
    Column("event_types", ARRAY(Text), nullable=False),
    Column("filter", JSON),
    Column("description", Text),
    Column("secrets", JSON, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    # None: it is enabled.
    Column("disabled_reason", Text),
    Column("failing_since", MOMENT),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", ID, primary_key=True, server_default=func.gen_random_uuid()),
    # The order in which they were made.
    Column("number", BigInteger, Identity(always=True), nullable=False),
    # No foreign key: see webhooks.py.
    Column("webhook_id", ID, nullable=False),
    Column("event_id", ID, nullable=False),
    Column("event_position", BigInteger, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("status", Text, nullable=False, server_default="pending"),
    Column("next_attempt_at", MOMENT),
    Column("attempts", JSON, nullable=False, server_default="[]"),
    Column("body", Text),
    Column("replay_of", ID),
    Index(None, "webhook_id", "number"),
    Index(None, "webhook_id", "status", "number"),
    Index(None, "webhook_id", "event_position"),
    Index("ix_webhook_deliveries_pending", "webhook_id", "next_attempt_at", postgresql_where="status = 'pending'"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request", Text, nullable=False),
    Column("made_id", ID, nullable=False),
    Column("made_at", MOMENT, nullable=False),
    Index(None, "made_at"),
)
