"""`hansard engines`: what could do the listening here."""

import json
from typing import Annotated

import typer


def engines(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List the engines: which can work here now, and what to do about the others."""
    from rich.table import Table

    from hansard import bootstrap
    from hansard.cli.start import start_quietly
    from hansard.cli.table import print_table

    container = bootstrap.build(start_quietly())
    try:
        found = {name: engine.status() for name, engine in container.engines.items()}
    finally:
        container.close()
    if as_json:
        shown = [
            {"name": name, "state": status.state, "detail": status.detail, "help": status.help}
            for name, status in found.items()
        ]
        typer.echo(json.dumps(shown, indent=2))
        return
    table = Table("Engine", "State", "Why", "What to do")
    for name, status in found.items():
        table.add_row(name, status.state, status.detail, status.help or "")
    print_table(table)
