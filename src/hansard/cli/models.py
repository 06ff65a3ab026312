"""`hansard models`: the Whisper models on this machine."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hansard.engines.model_download import DownloadProgress

app = typer.Typer(help="The Whisper models on this machine.", no_args_is_help=True)


@app.command("list")
def list_models() -> None:
    """List the models by their short names, and which of them are here."""
    from rich.table import Table

    from hansard import bootstrap
    from hansard.cli.start import start_quietly
    from hansard.cli.table import print_table
    from hansard.engines.whisper_models import REPOSITORIES

    settings = start_quietly()
    models, used = bootstrap.whisper_models(settings), bootstrap.whisper_engine(settings).default_model
    table = Table("Model", "", "On this machine")
    for name in dict.fromkeys([used, *REPOSITORIES]):
        table.add_row(name, "used here" if name == used else "", str(models.locate(name) or ""))
    print_table(table)


@app.command()
def pull(
    name: Annotated[
        str | None, typer.Argument(help="Such as small or large-v3-turbo. Default: the one that would be used here.")
    ] = None,
) -> None:
    """Fetch a model, so that it is there when it is needed, and without a network."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from hansard import bootstrap
    from hansard.cli.start import start_quietly

    settings = start_quietly()
    name = name or bootstrap.whisper_engine(settings).default_model
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(name, total=None)

        def show(progress: "DownloadProgress") -> None:
            bars.update(bar, completed=progress.done_bytes, total=progress.total_bytes)

        directory = bootstrap.whisper_models(settings).pull(name, show)
    typer.echo(f"{name} is in {directory}.")
