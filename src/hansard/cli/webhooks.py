"""`hansard webhooks`: which other systems are told of events, how that goes, and sending again."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, cast
from uuid import UUID

import typer

from hansard.domain.delivery import DeliveryStatus

if TYPE_CHECKING:
    from hansard.domain.delivery import Delivery
    from hansard.domain.webhook import Webhook

app = typer.Typer(help="Other systems that are told of events.", no_args_is_help=True)

WebhookId = Annotated[UUID, typer.Argument(metavar="WEBHOOK", help="The id that `hansard webhooks list` shows.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("list")
def list_webhooks(as_json: AsJson = False) -> None:
    """List the webhooks, the oldest first."""
    from rich.table import Table

    from hansard.cli.start import opened_container
    from hansard.cli.table import print_table
    from hansard.http.mapping.webhooks import webhook_json

    with opened_container() as container, container.unit_of_work() as uow:
        webhooks = uow.webhooks.all()
    if as_json:
        typer.echo(json.dumps([webhook_json(webhook).model_dump(mode="json") for webhook in webhooks], indent=2))
        return
    table = Table("Id", "URL", "Events", "State", "Description")
    for webhook in webhooks:
        terms = webhook.terms
        table.add_row(
            str(webhook.id), terms.url, ", ".join(terms.event_types), described(webhook), terms.description or ""
        )
    print_table(table)


@app.command()
def add(
    url: Annotated[str, typer.Argument(help="Takes POST requests.")],
    event: Annotated[
        list[str] | None,
        typer.Option(
            help="A type such as transcription.completed, or transcription.*; may be given again. Default: all."
        ),
    ] = None,
    filter: Annotated[
        str | None, typer.Option(help='Values that an event must have, as JSON: {"owner": "ann"}', show_default=False)
    ] = None,
    description: Annotated[str | None, typer.Option(help="For people.", show_default=False)] = None,
) -> None:
    """Register a webhook. Its secret is shown now and never again."""
    from hansard.cli.start import opened_container
    from hansard.domain.webhook import EVERYTHING, Terms

    terms = Terms(url=url, event_types=tuple(event or [EVERYTHING]), filter=_object(filter), description=description)
    with opened_container() as container:
        webhook = container.webhooks.register(terms)
    typer.echo(f"{webhook.id} is registered. What it is sent is signed with this secret, which is not shown again:")
    typer.echo(webhook.secrets[0].value)


@app.command()
def test(webhook_id: WebhookId) -> None:
    """Send a test now and tell how it went; exit code 1 if it was not taken."""
    from hansard.cli.start import opened_container

    with opened_container() as container:
        trial = container.webhooks.test(webhook_id)
    status = f" The endpoint answered {trial.answer.status}." if trial.answer else ""
    if trial.failure is None:
        typer.echo(f"It was taken, in {trial.latency_seconds:.3f} s.{status}")
        return
    typer.echo(f"It was not taken: {trial.failure.message} {trial.failure.help or ''}", err=True)
    raise typer.Exit(1)


@app.command()
def deliveries(
    webhook_id: WebhookId,
    outcome: Annotated[
        DeliveryStatus | None, typer.Option(help="Only those that stand so.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
) -> None:
    """List what was sent to a webhook, the newest first, and how it went."""
    from rich.table import Table

    from hansard.cli.start import opened_container
    from hansard.cli.table import print_table

    with opened_container() as container, container.unit_of_work() as uow:
        uow.webhooks.get(webhook_id)
        page = uow.deliveries.page(webhook_id, limit=limit, status=outcome)
    table = Table("Id", "Event", "Made", "Status", "Attempts", "Last")
    for delivery in page.items:
        made_at = f"{delivery.created_at.astimezone():%Y-%m-%d %H:%M:%S}"
        attempts = str(len(delivery.attempts))
        table.add_row(str(delivery.id), delivery.event_type, made_at, delivery.status, attempts, _last(delivery))
    print_table(table)


@app.command()
def replay(
    webhook_id: WebhookId,
    delivery_id: Annotated[UUID | None, typer.Argument(metavar="[DELIVERY]", help="This one.")] = None,
    since: Annotated[
        datetime | None, typer.Option(help="All that was missed from then on; UTC, unless it says otherwise.")
    ] = None,
) -> None:
    """Send a delivery again, or all that was missed since some time. A worker sends it."""
    from hansard.cli.start import opened_container

    if (delivery_id is None) == (since is None):
        raise typer.BadParameter("Name a delivery, or say --since.")
    with opened_container() as container:
        if delivery_id is not None:
            again = container.webhooks.replay(webhook_id, delivery_id)
            typer.echo(f"It is sent again, as {again.id}.")
        elif since is not None:
            moment = since if since.tzinfo else since.replace(tzinfo=UTC)
            typer.echo(f"{container.webhooks.replay_since(webhook_id, moment)} events are sent again.")


def described(webhook: "Webhook") -> str:
    """How it stands, in a few words."""
    if webhook.disabled_reason is not None:
        return f"disabled: {webhook.disabled_reason.replace('_', ' ')}"
    if webhook.failing_since is not None:
        return f"failing since {webhook.failing_since.astimezone():%Y-%m-%d %H:%M:%S}"
    return "enabled"


def _last(delivery: "Delivery") -> str:
    if not delivery.attempts:
        return ""
    last = delivery.attempts[-1]
    if last.failure is not None:
        return last.failure.message
    return str(last.answer.status) if last.answer else "under way"


def _object(text: str | None) -> dict[str, object] | None:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise typer.BadParameter("--filter must be a JSON object.")
    return cast("dict[str, object]", found)
