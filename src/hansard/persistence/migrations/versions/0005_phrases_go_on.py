"""Phrases are found that begin in one segment and go on in the next: every segment is indexed anew."""

from alembic import op

from hansard.persistence import search_index

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    search_index.index_all(op.get_bind())
