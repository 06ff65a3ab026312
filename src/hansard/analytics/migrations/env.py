"""What Alembic runs: the migrations of the analytics database, on the connection that it is handed, at once."""

from alembic import context

from hansard.analytics import tables

context.configure(connection=context.config.attributes["connection"], target_metadata=tables.metadata)
with context.begin_transaction():
    context.run_migrations()
