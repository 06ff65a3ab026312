"""`hansard engines`: what could do the listening here, and what is kept from it."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hansard.bootstrap import Container
    from hansard.domain.circuit import Circuit

app = typer.Typer()

Name = Annotated[str, typer.Argument(help="One that `hansard engines` lists.")]


@app.callback(invoke_without_command=True)
def engines(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False
) -> None:
    """List the engines: which can work here now, which are left alone, and what to do about it."""
    if context.invoked_subcommand is not None:
        return
    from rich.table import Table

    from hansard.cli.start import opened_container
    from hansard.cli.table import print_table
    from hansard.http.mapping.engines import engine_json

    with opened_container(make_ready=False) as container:
        circuits, chain = _circuits(container), container.settings.engine_chain
        found = [engine_json(engine, circuits[name], chain=chain) for name, engine in container.engines.items()]
    if as_json:
        typer.echo(json.dumps([engine.model_dump(mode="json") for engine in found], indent=2))
        return
    table = Table("Engine", "State", "Why", "Circuit", "What to do")
    for engine in found:
        table.add_row(engine.name, engine.state, engine.detail, described(circuits[engine.name]), engine.help or "")
    print_table(table)


@app.command()
def reset(name: Name) -> None:
    """Close an engine's circuit: its failures are forgotten, and the next job tries it."""
    from hansard.cli.start import opened_container
    from hansard.http.routes.engines import require_engine

    with opened_container() as container:
        require_engine(container, name)
        container.circuit_breaker.reset(name)
    typer.echo(f"The circuit of {name} is closed.")


@app.command()
def disable(
    name: Name, reason: Annotated[str | None, typer.Option(help="For whoever asks later.", show_default=False)] = None
) -> None:
    """Take an engine out of use, on all machines, until it is enabled again."""
    from hansard.cli.start import opened_container
    from hansard.http.routes.engines import require_engine

    with opened_container() as container:
        require_engine(container, name)
        container.circuit_breaker.disable(name, reason)
    typer.echo(f"{name} is out of use.")


@app.command()
def enable(name: Name) -> None:
    """Put an engine back into use."""
    from hansard.cli.start import opened_container
    from hansard.http.routes.engines import require_engine

    with opened_container() as container:
        require_engine(container, name)
        container.circuit_breaker.enable(name)
    typer.echo(f"{name} is in use.")


def _circuits(container: "Container") -> "Mapping[str, Circuit]":
    """A database that is not set up yet has heard of no engine."""
    from hansard.domain.circuit import Circuit
    from hansard.persistence import migrate

    if migrate.status(container.database).pending:
        return {name: Circuit(engine=name) for name in container.engines}
    with container.unit_of_work() as uow:
        return {name: uow.circuits.get(name) for name in container.engines}


def described(circuit: "Circuit") -> str:
    """How it stands, in a few words."""
    from hansard.domain.circuit import CircuitState

    if circuit.disabled:
        return f"disabled: {circuit.disabled_reason}" if circuit.disabled_reason else "disabled"
    retry_at = circuit.retry_at if circuit.state is CircuitState.OPEN else None
    until = f" until {retry_at.astimezone():%H:%M:%S}" if retry_at else ""
    last = f": {circuit.last_failure.message}" if circuit.failures and circuit.last_failure else ""
    return f"{circuit.state.replace('_', ' ')}{until}{last}"
