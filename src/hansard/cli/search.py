"""`hansard search`: what was said, where and when."""

from typing import TYPE_CHECKING, Annotated

import typer

from hansard.domain.timecode import timecode

if TYPE_CHECKING:
    from hansard.application.ports.records import SearchHit

Words = Annotated[
    str,
    typer.Argument(help='What to look for: harbour report, "a phrase", -without, either OR other, begin*.'),
]


def search(
    words: Words,
    speaker: Annotated[str | None, typer.Option(help="Only what this speaker said.")] = None,
    file_name: Annotated[
        str | None, typer.Option("--file", help="Only recordings with this in their name; * and ? stand for others.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Only what is said in this language, such as en.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many, the newest first.")] = 20,
) -> None:
    """Find what was said, in all transcripts: the recording, the time, the words."""
    from hansard.application.ports.records import SearchQuery
    from hansard.cli.start import opened_container
    from hansard.domain.audio import DEFAULT_OWNER

    query = SearchQuery(words=words, speaker=speaker, file_name=file_name, language=language)
    with opened_container() as container, container.unit_of_work() as uow:
        page = uow.search.find(query, owner=DEFAULT_OWNER, limit=limit)
    for hit in page.items:
        typer.echo(_line(hit))
    if page.next_cursor is not None:
        typer.echo(f"There is more than these {limit}: see --limit.", err=True)
    if not page.items:
        typer.echo("Nothing was found.", err=True)
        raise typer.Exit(1)


def _line(hit: "SearchHit") -> str:
    seconds = hit.matches[0].seconds if hit.matches else hit.segment.start_seconds
    speaker = f" {hit.segment.speaker}:" if hit.segment.speaker else ""
    return f"{hit.file_name} {timecode(seconds)}{speaker} {_marked(hit)}"


def _marked(hit: "SearchHit") -> str:
    """The text with what was found in bold, where the terminal can do that."""
    text, marked, end = hit.segment.text, "", 0
    for match in hit.matches:
        marked += text[end : match.start] + typer.style(text[match.start : match.end], bold=True)
        end = match.end
    return marked + text[end:]
