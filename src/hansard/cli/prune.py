"""`hansard prune`: remove what was kept for long enough, as the workers do by themselves."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hansard.application.retention import Pruned


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing; tell what would go.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Remove what was kept for as long as the settings say. Recordings and transcripts always stay.

    Exit code 1: some of it could not be removed.
    """
    from hansard.cli.start import opened_container

    with opened_container() as container:
        found = container.prune.preview() if dry_run else container.prune()
    if as_json:
        typer.echo(json.dumps([_facts(each) for each in found], indent=2))
    else:
        _print_table(found, "Would go" if dry_run else "Removed")
    if any(each.error for each in found):
        raise typer.Exit(1)


def _print_table(found: "tuple[Pruned, ...]", heading: str) -> None:
    from rich.table import Table

    from hansard.cli.table import print_table

    table = Table("What", "Kept for", heading, "Size")
    for each in found:
        kept = "ever" if each.keep_for is None else f"{each.keep_for.total_seconds() / 86400:g} days"
        size = "" if each.amount.size_bytes is None else f"{each.amount.size_bytes / 1e6:.1f} MB"
        count = f"{each.amount.count}, then: {_said(each.error)}" if each.error else str(each.amount.count)
        table.add_row(each.name, kept, count, size)
    print_table(table)


def _facts(each: "Pruned") -> dict[str, object]:
    return {
        "what": each.name,
        "keep_days": None if each.keep_for is None else each.keep_for.total_seconds() / 86400,
        "count": each.amount.count,
        "size_bytes": each.amount.size_bytes,
        "error": _said(each.error) if each.error else None,
    }


def _said(error: Exception) -> str:
    from hansard.domain.errors import HansardError

    return error.failure.message if isinstance(error, HansardError) else type(error).__name__
