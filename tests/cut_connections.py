"""What an outage of PostgreSQL does to those who use it, at a moment that a test chooses."""

import psycopg
from sqlalchemy import Engine


def cut_all_connections(engine: Engine) -> None:
    """The server hangs up on all that work in this engine's database as tests do, and has done so when this returns."""
    with psycopg.connect(engine.url.set(drivername="postgresql").render_as_string(hide_password=False)) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 10_000) FROM pg_stat_activity "
            "WHERE application_name = 'tests' AND datname = current_database()"
        )
