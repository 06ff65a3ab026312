"""`hansard notify`: whether those who are to be told can be told."""

import typer

app = typer.Typer(help="Notifications by mail, chat and the like.", no_args_is_help=True)


@app.callback()
def _notify() -> None:  # pyright: ignore[reportUnusedFunction] - Typer would else drop the command's own name
    ...


@app.command()
def test() -> None:
    """Send a few words to each recipient of HANSARD_NOTIFY_URLS. Exit code 1: one could not be told."""
    from hansard.application.ports.notifications import Level, Notification
    from hansard.bootstrap import notifier
    from hansard.cli.start import start_quietly
    from hansard.domain.errors import HansardError

    told = notifier(start_quietly())
    if not told.recipients:
        typer.echo("HANSARD_NOTIFY_URLS is not set: nobody is notified of anything.")
        return
    failed = False
    for recipient in told.recipients:
        words = Notification(
            recipient=recipient,
            title="Hansard: a test",
            body="Notifications of this service reach you.",
            level=Level.INFO,
        )
        try:
            told.send(words)
        except HansardError as error:
            failed = True
            typer.echo(f"{error.failure.message} {error.failure.help or ''}".rstrip())
        else:
            typer.echo(f"{recipient} was told.")
    if failed:
        raise typer.Exit(1)
