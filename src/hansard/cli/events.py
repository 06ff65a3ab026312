"""`hansard events`: what has happened, and what happens."""

import asyncio
import json
from collections.abc import Iterable
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hansard.application.ports.events import EventQuery
    from hansard.bootstrap import Container
    from hansard.domain.audit import Entry

app = typer.Typer(help="What has happened: the audit trail.", no_args_is_help=True)

SIGN_OF_LIFE_SECONDS = 3600.0
RETRY_SECONDS = 1.0

Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="Only this type, such as transcription.failed or engine.*; may be given again."),
]
Subject = Annotated[str | None, typer.Option(help="Only what is about this id or name.", show_default=False)]
Request = Annotated[str | None, typer.Option(help="Only what came of this X-Request-ID.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="A line of JSON for each, as the API has them.")]


@app.command("list")
def list_events(
    types: Types = None,
    subject: Subject = None,
    request: Request = None,
    since: Annotated[datetime | None, typer.Option(help="Only from this time on (UTC).", show_default=False)] = None,
    until: Annotated[datetime | None, typer.Option(help="Only before this time (UTC).", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List events, the newest first."""
    from hansard.cli.start import opened_container

    query = _query(types, subject, request, since, until)
    with opened_container() as container, container.unit_of_work() as uow:
        page = uow.events.page(query, limit=limit)
    _show(page.items, as_json=as_json)
    if page.next_cursor is not None:
        typer.echo(f"There is more than these {limit}: see --limit.", err=True)


@app.command()
def tail(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with those that happen from now on.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=10_000, help="Begin with the last so many.")] = 10,
    types: Types = None,
    subject: Subject = None,
    request: Request = None,
    as_json: AsJson = False,
) -> None:
    """Show the last events, the newest last; with -f, until Ctrl+C. A database that is away is waited for."""
    from hansard.cli.start import opened_container

    query = _query(types, subject, request)
    with opened_container() as container:
        with container.unit_of_work() as uow:
            position = uow.events.head().position
            last = uow.events.page(query, limit=lines).items if lines else ()
        _show(reversed([entry for entry in last if entry.position <= position]), as_json=as_json)
        if follow:
            with suppress(KeyboardInterrupt):
                asyncio.run(_follow(container, query, position, as_json=as_json))


@app.command(hidden=True)
def docs(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when the file lags.")] = False,
) -> None:
    """Write the list of events in docs/events.md from the code. Run it in the project's directory."""
    from hansard.cli import event_docs

    event_docs.write(Path("docs/events.md"), check=check)


async def _follow(container: "Container", query: "EventQuery", position: int, *, as_json: bool) -> None:
    from hansard.domain.errors import StorageError

    hearing = [asyncio.create_task(container.changes.listen()), asyncio.create_task(container.event_feed.run())]
    try:
        while True:
            batches = container.event_feed.follow(query, after=position, idle_seconds=SIGN_OF_LIFE_SECONDS)
            with suppress(StorageError):  # only before the first of them
                async with aclosing(batches):
                    async for batch in batches:
                        _show(batch, as_json=as_json)
            await asyncio.sleep(RETRY_SECONDS)
    finally:
        for task in hearing:
            task.cancel()


def _query(
    types: list[str] | None,
    subject: str | None,
    request: str | None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> "EventQuery":
    from hansard.application.ports.events import EventQuery
    from hansard.domain.events import EVENT_TYPES, names_types

    for wanted in types or ():
        if not names_types(wanted):
            raise typer.BadParameter(f"There is no type {wanted}. There are: {', '.join(EVENT_TYPES)}.")
    return EventQuery(
        types=tuple(types or ()), subject=subject, request_id=request, since=_in_utc(since), until=_in_utc(until)
    )


def _in_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _show(entries: "Iterable[Entry]", *, as_json: bool) -> None:
    from hansard.http.mapping.events import event_json

    for entry in entries:
        typer.echo(event_json(entry).model_dump_json() if as_json else _line(entry))


def _line(entry: "Entry") -> str:
    facts = " ".join(f"{name}={_brief(value)}" for name, value in entry.data.items() if value is not None)
    actor = f" by {entry.actor}" if entry.actor else ""
    happened = f"{entry.occurred_at:%Y-%m-%d %H:%M:%S}Z {entry.position} {entry.type} {entry.subject}"
    return f"{happened}{actor} {facts}".rstrip()


def _brief(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
