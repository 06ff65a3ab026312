"""`hansard audit`: whether the audit trail is what was written."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hansard.domain.audit import Head

app = typer.Typer(help="The audit trail.", no_args_is_help=True)

_HEAD = re.compile("([0-9]{1,18}):([0-9a-f]{64})", re.ASCII)


@app.command()
def verify(
    head: Annotated[
        str | None,
        typer.Option(
            metavar="POSITION:HASH",
            help="What `hansard audit head` printed: finds, too, that the end was cut off, or all written anew.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Go through the whole trail. Exit code 1: an entry was changed, removed or put in; it says which."""
    from hansard.cli.start import opened_container

    kept = None if head is None else _read(head)
    with opened_container() as container:
        verdict = container.verify_audit(kept)
    if verdict.broken is not None:
        typer.echo(verdict.broken.message)
        raise typer.Exit(1)
    typer.echo(f"{verdict.entries} entries hold together. Head: {_written(verdict.head)}")


@app.command("head")
def show_head() -> None:
    """Print where the trail ends. Kept where nobody can change it, it proves what was there until now."""
    from hansard.cli.start import opened_container

    with opened_container() as container, container.unit_of_work() as uow:
        head = uow.events.head()
    typer.echo(_written(head))


def _read(text: str) -> "Head":
    from hansard.domain.audit import Head

    match = _HEAD.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter("It is what `hansard audit head` prints: a number, a colon and 64 hexadecimal digits.")
    return Head(int(match[1]), match[2])


def _written(head: "Head") -> str:
    return f"{head.position}:{head.hash}"
