"""`hansard db`: the database and its migrations."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hansard.settings import Settings

app = typer.Typer(help="The database.", no_args_is_help=True)


@app.command()
def upgrade(
    postgres: Annotated[
        bool, typer.Option("--postgres", help="First convert an embedded database of an older PostgreSQL.")
    ] = False,
) -> None:
    """Bring the database to the version that this Hansard needs. `hansard up` does it by itself."""
    from hansard import bootstrap
    from hansard.cli.start import start_quietly
    from hansard.persistence import embedded, migrate

    settings = start_quietly()
    if postgres and settings.database_url is None:
        kept = embedded.upgrade_cluster(settings.data_dir)
        if kept is not None:
            typer.echo(f"The database was converted. The old one is kept in {kept}: delete it once you are content.")
    bootstrap.prepare(settings)
    engine = bootstrap.database_engine(settings, process="cli")
    try:
        typer.echo(f"The database is at version {migrate.status(engine).current}.")
    finally:
        engine.dispose()


@app.command()
def status() -> None:
    """Show where the database is and whether it has the version that this Hansard needs. Exit code 1: it hasn't."""
    from hansard.cli.start import start_quietly
    from hansard.persistence.database import without_password

    settings = start_quietly()
    found = inspect(settings)
    where = without_password(settings.database_url) if settings.database_url else f"embedded, in {settings.data_dir}"
    typer.echo(f"PostgreSQL {found.server_version}, {where}")
    typer.echo(f"Version {found.current or 'none'}; this Hansard needs {found.head}.")
    if found.pending:
        typer.echo(f"Pending: {', '.join(found.pending)}. Apply with: hansard db upgrade")
        raise typer.Exit(1)


@app.command()
def stop() -> None:
    """Stop the embedded database. Whatever needs it starts it again."""
    from hansard.cli.start import start_quietly
    from hansard.persistence import embedded

    settings = start_quietly()
    if settings.database_url is not None:
        typer.echo("HANSARD_DATABASE_URL is set: that server is yours to stop.")
        return
    embedded.stop(settings.data_dir)
    typer.echo("The embedded database does not run.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """The server, the version of our tables, and the migrations still to be applied, ours and the queue's."""

    server_version: str
    current: str | None
    head: str
    pending: tuple[str, ...]


def inspect(settings: "Settings") -> DatabaseState:
    from sqlalchemy import text

    from hansard import bootstrap
    from hansard.persistence import migrate

    engine = bootstrap.database_engine(settings, process="cli")
    try:
        with engine.connect() as connection:
            server_version = connection.execute(text("SHOW server_version")).scalar_one()
        ours = migrate.status(engine)
        pending = bootstrap.pending_migrations(engine)
    finally:
        engine.dispose()
    return DatabaseState(server_version=server_version, current=ours.current, head=ours.head, pending=pending)
