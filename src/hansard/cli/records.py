"""`hansard transcriptions` and `hansard audio`: stop, ask again for, or delete what is on record."""

from typing import Annotated
from uuid import UUID

import typer

transcriptions = typer.Typer(help="The transcriptions on record.", no_args_is_help=True)
audio = typer.Typer(help="The recordings on record.", no_args_is_help=True)

Id = Annotated[UUID, typer.Argument(metavar="ID")]


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


@audio.command()
def orphans(
    delete: Annotated[bool, typer.Option("--delete", help="Remove them from the store.")] = False,
) -> None:
    """List stored bytes that no recording has, for a day or longer: uploads that a crash cut off.

    Before you remove any, be sure that no other service keeps its recordings in the same place, and that the database
    is not an older one than the store: their recordings would be among these.
    """
    from hansard.cli.start import opened_container

    count = size_bytes = 0
    with opened_container() as container:
        for stored in container.orphans.find():
            if not delete or container.orphans.remove(stored):
                typer.echo(f"{stored.sha256}  {stored.size_bytes} bytes")
                count, size_bytes = count + 1, size_bytes + stored.size_bytes
    if not count:
        typer.echo("Every object of the store belongs to a recording, or is less than a day old.")
    else:
        done = "were removed" if delete else "belong to no recording; --delete removes them"
        typer.echo(f"{count} objects, {size_bytes / 1e6:.1f} MB, {done}.")
