"""`hansard transcriptions` and `hansard audio`: stop, ask again for, or delete what is on record."""

from typing import Annotated
from uuid import UUID

import typer

transcriptions = typer.Typer(help="The transcriptions on record.", no_args_is_help=True)
audio = typer.Typer(help="The recordings on record.", no_args_is_help=True)

Id = Annotated[UUID, typer.Argument(metavar="ID")]


@audio.callback()
def _audio() -> None:  # pyright: ignore[reportUnusedFunction] - Typer would else drop the command's own name
    ...


@transcriptions.command()
def cancel(transcription_id: Id) -> None:
    """Stop a transcription. What was recognised so far is kept."""
    from hansard.cli.start import opened_container

    with opened_container() as container:
        container.cancel(transcription_id)
    typer.echo("It is cancelled.")


@transcriptions.command()
def retry(transcription_id: Id) -> None:
    """Ask again for a transcription that failed or was cancelled. What was recognised is not done again."""
    from hansard.cli.start import opened_container

    with opened_container() as container:
        container.retry(transcription_id, None)
    typer.echo("It is queued again.")


@transcriptions.command("delete")
def delete_transcription(transcription_id: Id) -> None:
    """Delete a transcription; one that runs is stopped first. Its recording stays."""
    from hansard.cli.start import opened_container

    with opened_container() as container:
        container.delete_transcription(transcription_id)
    typer.echo("It is deleted; a worker erases the traces of its pipeline runs.")


@audio.command("delete")
def delete_audio(audio_id: Id) -> None:
    """Delete a recording with all its transcriptions; those that run are stopped first."""
    from hansard.cli.start import opened_container

    with opened_container() as container:
        container.delete_audio(audio_id)
    typer.echo("It is deleted; a worker erases its bytes.")
