"""What Alembic runs: the migrations, on the connection that `migrate.py` hands over, in one transaction."""

from alembic import context

from hansard.persistence import tables

QUEUE_PREFIXES = ("procrastinate_", "queue_")


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """The queue keeps its own tables in the same database."""
    return kind != "table" or name is None or not name.startswith(QUEUE_PREFIXES)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    include_name=is_ours,
)
with context.begin_transaction():
    context.run_migrations()
