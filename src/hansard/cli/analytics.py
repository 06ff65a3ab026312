"""`hansard analytics`: the facts that are made of the events."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from hansard.domain.errors import AnalyticsUnavailable, HansardError

if TYPE_CHECKING:
    from hansard.application.ports.analytics import FactsState

app = typer.Typer(help="The analytics database.", no_args_is_help=True)

TELL_EVERY = 50_000
"""Events, between two words about how far it is."""


@app.command()
def status() -> None:
    """Show how far the facts have come. Exit code 1: there are events that they lack."""
    from hansard.cli.start import opened_container

    with opened_container() as container, _with_the_reason():
        state = container.projection.state()
    _show(state)
    if state.behind:
        raise typer.Exit(1)


@app.command()
def rebuild(
    force: Annotated[bool, typer.Option("--force", help="Also where facts are lost whose events were pruned.")] = False,
) -> None:
    """Drop all facts and make them anew from the events. The service may go on meanwhile."""
    from hansard.cli.start import opened_container

    told = 0

    def tell(position: int) -> None:
        nonlocal told
        if position - told >= TELL_EVERY:
            told = position
            typer.echo(f"{position:,} events …", err=True)

    with opened_container() as container, _with_the_reason():
        container.projection.rebuild(force=force, tell=tell)
        state = container.projection.state()
    _show(state)


@contextmanager
def _with_the_reason() -> Generator[None]:
    """Whoever has the command line may know why the database is away."""
    try:
        yield
    except AnalyticsUnavailable as error:
        raise error.__cause__ if isinstance(error.__cause__, HansardError) else error from None


def _show(state: "FactsState") -> None:
    if state.since is None:
        typer.echo("There are no facts yet.")
    else:
        since, until = (f"{moment:%Y-%m-%d %H:%M} UTC" for moment in (state.since, state.occurred_at))
        typer.echo(f"Facts from {since} up to event {state.position:,}, of {until}.")
    if state.missed:
        typer.echo(f"Of {state.missed:,} events there are none: they were pruned before.")
    if state.behind:
        typer.echo(f"{state.behind:,} events are still to come.")
