"""`hansard pipelines`: the jobs as ZenML knows them."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hansard.pipelines.zenml_store import PipelineRun

app = typer.Typer(help="The jobs as ZenML runs.", no_args_is_help=True)


@app.callback()
def _pipelines() -> None:  # pyright: ignore[reportUnusedFunction] - Typer would else drop the command's own name
    ...


@app.command()
def runs(
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the latest pipeline runs with what they measured."""
    from hansard.bootstrap import zenml_store
    from hansard.cli.start import start_quietly
    from hansard.observability.logging import strip_foreign_handlers

    store = zenml_store(start_quietly())
    found = store.runs(limit=limit, after_import=strip_foreign_handlers)
    if as_json:
        import json
        from dataclasses import asdict

        typer.echo(json.dumps([asdict(run) for run in found], default=str, indent=2))
        return
    _print_table(found)
    shell = " ".join(f"{name}={value}" for name, value in store.environment.items())
    typer.echo(f"ZenML's own commands see them with: {shell} zenml pipeline runs list", err=True)


def _print_table(found: "list[PipelineRun]") -> None:
    from rich.table import Table

    from hansard.cli.table import print_table

    table = Table("Started", "Transcription", "Status", "Measured")
    for run in found:
        measured = ", ".join(f"{name} {value}" for name, value in run.measurements.items())
        table.add_row(f"{run.created_at:%Y-%m-%d %H:%M:%S}", run.transcription_id, run.status, measured)
    print_table(table)
