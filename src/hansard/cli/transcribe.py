"""`hansard transcribe`: recordings in, transcripts on the standard output and nothing else there."""

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import typer

from hansard.domain.errors import Failure, HansardError, InvalidAudio, InvalidRequest
from hansard.domain.transcription import AUTO, Parameters, Status

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from hansard.cli.transcriptions import Standing, Transcriptions

Format = Literal["txt", "srt", "vtt", "json"]
"""The keys of `hansard.formats.FORMATS`; Typer wants to know them when this is imported."""

LOOK_EVERY_SECONDS = 0.5
INTERRUPTED = 130
"""The exit code of what SIGINT stopped: 128 and the signal's number."""


def transcribe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Recordings, audio or video.")],
    format: Annotated[Format, typer.Option(help="Kind of transcript.")] = "txt",
    engine: Annotated[str, typer.Option(help="One that `hansard engines` lists.")] = AUTO,
    model: Annotated[str | None, typer.Option(help="A model of that engine.", show_default=False)] = None,
    language: Annotated[
        str | None, typer.Option(help="Spoken in the recording, such as `en`. Default: detected.", show_default=False)
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="Names and context that help the engine spell.", show_default=False)
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Have a running service do it. Default: this process.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="A file, or a directory, to write to. Default: standard output.", show_default=False),
    ] = None,
) -> None:
    """Transcribe recordings and print what was said."""
    from rich.console import Console

    for file in files:
        _require_recording(file)
    targets = _targets(files, output, format)
    parameters = Parameters(engine=engine, model=model, language=language, prompt=prompt)
    with _transcriptions(server) as transcriptions, transcriptions.at_work():
        session = Session(transcriptions, Console(stderr=True), format)
        try:
            session.submit(files, parameters)
            session.follow(lambda file, text: _write(text, targets.get(file)))
        except KeyboardInterrupt:
            session.cancel()
            raise typer.Exit(INTERRUPTED) from None
    if session.failed:
        raise typer.Exit(1)


def _transcriptions(server: str | None) -> "AbstractContextManager[Transcriptions]":
    if server is not None:
        from hansard.cli.transcriptions import remote_transcriptions

        return remote_transcriptions(server)
    from hansard.cli.local_transcriptions import local_transcriptions

    return local_transcriptions()


# ── Files in, files out ──────────────────────────────────────────────────────────────────────────────────


def _require_recording(file: Path) -> None:
    """Raises `InvalidAudio` for what cannot be a recording, before anything is started."""
    if file.is_dir():
        raise InvalidAudio(f"{file} is a directory.", code="is_directory", help="Name the recordings in it.")
    try:
        with file.open("rb") as source:
            empty = not source.read(1)
    except FileNotFoundError as error:
        raise InvalidAudio(f"There is no file {file}.", code="no_such_file") from error
    except OSError as error:
        raise InvalidAudio(f"{file} cannot be read: {error.strerror}.", code="unreadable_file") from error
    if empty:
        raise InvalidAudio(f"{file} is empty.", code="empty_file", help="Was it copied to its end?")


def _targets(files: Sequence[Path], output: Path | None, format: str) -> Mapping[Path, Path]:
    """Where each transcript goes; what is missing goes to the standard output. Raises `InvalidRequest`."""
    if output is None:
        return {}
    if not output.is_dir():
        if len(set(files)) > 1:
            raise InvalidRequest(
                f"--output {output} is one file for {len(files)} recordings.",
                code="one_output_for_many",
                help="Name a directory that exists: each recording gets a file there.",
            )
        if not output.parent.is_dir():
            raise InvalidRequest(f"There is no directory {output.parent}.", code="no_such_directory")
        return dict.fromkeys(files, output)
    targets = {file: output / f"{file.stem}.{format}" for file in files}
    if len(set(targets.values())) < len(targets):
        raise InvalidRequest(
            "Two recordings have the same name, and so would their transcripts.",
            code="same_output_twice",
            help="Transcribe them one at a time, each with an --output of its own.",
        )
    return targets


def _write(text: str, target: Path | None) -> None:
    if target is None:
        # As bytes: the terminal's encoding is no reason to lose a letter, or the transcript.
        typer.echo(text.encode(), nl=False)
        return
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(f"{target} cannot be written: {error.strerror}.", code="output_not_written") from error


# ── From submission to the last word ─────────────────────────────────────────────────────────────────────


@dataclass
class _Job:
    file: Path
    transcription_id: UUID
    standing: "Standing | None" = None

    @property
    def ended(self) -> bool:
        return self.standing is not None and self.standing.status.is_final


@dataclass
class Session:
    """The recordings of one command, on their way. `failed` tells whether one of them has no transcript."""

    transcriptions: "Transcriptions"
    console: "Console"
    format: str
    sleep: Callable[[float], None] = time.sleep
    failed: bool = False
    _jobs: list[_Job] = field(default_factory=list[_Job])

    def submit(self, files: Iterable[Path], parameters: Parameters) -> None:
        """A recording that is refused is told, and the others go on."""
        for file in files:
            try:
                with self._status(f"taking in {file.name}"):
                    transcription_id = self.transcriptions.submit(file, parameters)
            except HansardError as error:
                self._tell_failure(file, error.failure)
            else:
                self._jobs.append(_Job(file, transcription_id))

    def follow(self, deliver: Callable[[Path, str], None]) -> None:
        """Show how they come along; deliver each transcript, in the order of the files, as soon as it is there."""
        waiting = list(self._jobs)
        if not waiting:
            return
        with self._bars() as (progress, bars):
            while True:
                for job in waiting:
                    self._look(job, progress, bars)
                while waiting and waiting[0].ended:
                    with _paused(progress):
                        self._settle(waiting.pop(0), deliver)
                if not waiting:
                    return
                self.sleep(LOOK_EVERY_SECONDS)

    def cancel(self) -> None:
        """Called when the person at the terminal has had enough."""
        for job in self._jobs:
            if not job.ended:
                self.transcriptions.cancel(job.transcription_id)
                self._tell(f"{job.file.name}: cancelled.")
        if not self._jobs:
            self._tell("Cancelled before anything was taken in.")

    def _look(self, job: _Job, progress: "Progress", bars: "Mapping[UUID, TaskID]") -> None:
        if job.ended:
            return
        job.standing = standing = self.transcriptions.standing(job.transcription_id)
        bar, activity = bars[job.transcription_id], standing.activity or standing.status
        progress.update(bar, completed=standing.progress, activity=activity, refresh=True)

    def _settle(self, job: _Job, deliver: Callable[[Path, str], None]) -> None:
        standing = job.standing
        if standing is None or standing.status is not Status.COMPLETED:
            failure = standing.failure if standing else None
            self._tell_failure(job.file, failure)
            return
        deliver(job.file, self.transcriptions.export(job.transcription_id, self.format))
        for reason in standing.degraded_reasons:
            self._tell(f"{job.file.name}: second best: {reason}")

    # ── What the person sees, on the standard error stream ───────────────────────────────────────────────

    def _status(self, text: str) -> "AbstractContextManager[object]":
        from rich.text import Text

        return self.console.status(Text(text))

    @contextmanager
    def _bars(self) -> "Generator[tuple[Progress, Mapping[UUID, TaskID]]]":
        from rich.markup import escape
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[activity]}", style="dim", markup=False),
            console=self.console,
            transient=True,
            auto_refresh=False,  # there is something new only after a look
            disable=not self.console.is_terminal,
            # The transcript belongs on the standard output, not in the bar's console.
            redirect_stdout=False,
            redirect_stderr=False,
            # The speed is that of all the time so far: progress comes in leaps, a passage at a time.
            speed_estimate_period=24 * 3600,
        ) as progress:
            yield (
                progress,
                {
                    job.transcription_id: progress.add_task(escape(job.file.name), total=1.0, activity="")
                    for job in self._jobs
                },
            )

    def _tell(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _tell_failure(self, file: Path, failure: Failure | None) -> None:
        self.failed = True
        message = failure.message if failure else "It ended without a reason."
        remedy = failure.help if failure else None
        typer.echo(
            f"{typer.style('Error:', fg='red', bold=True)} {file.name}: {message} {remedy or ''}".rstrip(), err=True
        )


@contextmanager
def _paused(progress: "Progress") -> Generator[None]:
    """The bars step aside, so that what is written stands on lines of its own."""
    progress.stop()
    try:
        yield
    finally:
        progress.start()
