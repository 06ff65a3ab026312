"""`hansard alerts`: what somebody should know now, and what there was."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hansard.http.schemas.alerts import Alert

app = typer.Typer()


@app.callback(invoke_without_command=True)
def alerts(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False
) -> None:
    """List the alert rules, with those that are firing first. Exit code 1: one is."""
    if context.invoked_subcommand is not None:
        return
    from rich.table import Table

    from hansard.cli.start import opened_container
    from hansard.cli.table import print_table
    from hansard.http.routes.alerts import list_alerts

    with opened_container() as container:
        found = list_alerts(container)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        table = Table("Alert", "State", "Since", "Value", "Threshold", "What was measured", "What to do")
        for alert in found.items:
            since = f"{alert.since.astimezone():%Y-%m-%d %H:%M:%S}" if alert.since else ""
            threshold = f"{alert.breaks} {_shown(alert, alert.threshold)}"
            message = f"It cannot be measured: {alert.trouble}" if alert.trouble else alert.message
            remedy = alert.help if alert.firing else ""
            table.add_row(alert.name, alert.state, since, _shown(alert, alert.value), threshold, message, remedy)
        print_table(table)
    if found.firing:
        raise typer.Exit(1)


@app.command()
def history(
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the alerts that fired, and those that were over."""
    from rich.table import Table

    from hansard.cli.start import opened_container
    from hansard.cli.table import print_table
    from hansard.http.routes.alerts import alert_history
    from hansard.http.schemas.fields import PageQuery

    with opened_container() as container:
        page = alert_history(PageQuery(limit=limit), container)
    if as_json:
        typer.echo(json.dumps([news.model_dump(mode="json") for news in page.items], indent=2))
        return
    table = Table("When", "Alert", "Severity", "What happened")
    for news in page.items:
        over = "" if news.firing_seconds is None else f"It was over after {news.firing_seconds:.0f} s."
        when = f"{news.occurred_at.astimezone():%Y-%m-%d %H:%M:%S}"
        table.add_row(when, news.name, news.severity, news.message or over)
    print_table(table)


def _shown(alert: "Alert", value: float | None) -> str:
    from hansard.domain.alert import Unit

    if value is None:
        return ""
    match alert.unit:
        case Unit.PART:
            return f"{value:.1%}"
        case Unit.SECONDS:
            return f"{value:.0f} s"
        case Unit.BYTES:
            return f"{value / 1e9:.1f} GB"
        case Unit.COUNT:
            return f"{value:.0f}"
