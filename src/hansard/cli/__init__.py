"""The command line. A command imports what it needs when it runs, so that `hansard --help` answers at once."""

import os
import sys
import traceback
from typing import Annotated

import typer

from hansard import __version__
from hansard.cli import (
    alerts,
    analytics,
    audit,
    bench,
    config,
    database,
    doctor,
    engines,
    events,
    logs,
    models,
    notify,
    pipelines,
    prune,
    records,
    search,
    serve,
    transcribe,
    webhooks,
)
from hansard.domain.errors import HansardError

app = typer.Typer(
    name="hansard",
    help="A self-hosted audio transcription service: a file goes in, a true record comes out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve.up)
app.command()(transcribe.transcribe)
app.command()(search.search)
app.command()(serve.api)
app.command()(serve.worker)
app.command()(doctor.doctor)
app.command()(logs.logs)
app.command()(prune.prune)
app.add_typer(engines.app, name="engines")
app.add_typer(records.transcriptions, name="transcriptions")
app.add_typer(records.audio, name="audio")
app.add_typer(events.app, name="events")
app.add_typer(audit.app, name="audit")
app.add_typer(analytics.app, name="analytics")
app.add_typer(bench.app, name="bench")
app.add_typer(alerts.app, name="alerts")
app.add_typer(notify.app, name="notify")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(config.app, name="config")
app.add_typer(database.app, name="db")
app.add_typer(models.app, name="models")
app.add_typer(pipelines.app, name="pipelines")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _every_command(  # pyright: ignore[reportUnusedFunction] - Typer uses it
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None: ...


def main() -> None:
    """Run one command. What went wrong is said with its remedy; exit code 2 is a bad setting, 1 anything else."""
    try:
        app()
    except HansardError as error:
        if os.environ.get("LOG_LEVEL", "").upper() in {"DEBUG", "TRACE"}:
            traceback.print_exc()
        _explain(error)
        sys.exit(2 if error.failure.code == "bad_settings" else 1)


def _explain(error: HansardError) -> None:
    message, remedy = error.failure.message, error.failure.help or ""
    between = "\n" if "\n" in message + remedy else " "
    typer.echo(f"{typer.style('Error:', fg='red', bold=True)} {message}{between}{remedy}".rstrip(), err=True)
