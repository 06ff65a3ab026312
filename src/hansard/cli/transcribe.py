"""`hansard transcribe`: recordings in, transcripts on the standard output and nothing else there, or in a directory."""

import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from hansard.cli import transcribe_options as options
from hansard.cli.bars import progress_bars
from hansard.cli.batch import Batch, Order, write_whole
from hansard.cli.journal import Journal
from hansard.cli.recordings import named, require_recording
from hansard.domain.errors import Failure, HansardError, InvalidRequest
from hansard.domain.transcription import AUTO, Parameters, Status

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from hansard.cli.transcriptions import Standing, Transcriptions
    from hansard.formats import Options

LOOK_EVERY_SECONDS = 0.5
INTERRUPTED = 130
"""The exit code of what SIGINT stopped: 128 and the signal's number."""


def transcribe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Recordings, audio or video, or folders.")],
    *,
    format: options.Formats = None,
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Have a running service do it. Default: this process.", show_default=False),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "--output",
            metavar="PATH",
            help="A directory for the transcripts, made where it is missing; for one recording it may be a file. The "
            "same command again goes on where it was stopped. Default: standard output.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write anew what is in the directory.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Recordings that are at work at once, into a directory.")] = 8,
    engine: options.Engine = AUTO,
    fallback: options.Fallback = None,
    model: options.Model = None,
    language: options.Language = None,
    prompt: options.Prompt = None,
    hotwords: options.Hotwords = None,
    task: options.TaskOption = None,
    temperature: options.Temperature = None,
    diarize: options.Diarize = False,
    min_speakers: options.MinSpeakers = None,
    max_speakers: options.MaxSpeakers = None,
    channels: options.ChannelsOption = None,
    times: options.Times = None,
    speakers: options.Speakers = None,
    words: options.Words = None,
    fit: options.Fit = None,
    max_line_characters: options.MaxLineCharacters = None,
    max_lines: options.MaxLines = None,
    max_characters_per_second: options.MaxCharactersPerSecond = None,
    min_cue_seconds: options.MinCueSeconds = None,
    max_cue_seconds: options.MaxCueSeconds = None,
    min_gap_seconds: options.MinGapSeconds = None,
) -> None:
    """Transcribe recordings and print what was said, or write it into a directory."""
    formats = tuple(dict.fromkeys(str(kind) for kind in format or [options.Format.TXT]))
    parameters = options.parameters_of(
        {
            "engine": engine,
            "fallback": fallback,
            "model": model,
            "language": language,
            "prompt": prompt,
            "hotwords": hotwords,
            "task": task,
            "temperature": temperature,
            "diarize": diarize,
            "min_speakers": min_speakers,
            "max_speakers": max_speakers,
            "channels": channels,
        }
    )
    manners = options.manners_of(
        formats,
        {
            "times": times,
            "speakers": speakers,
            "words": words,
            "fit": fit,
            "max_line_characters": max_line_characters,
            "max_lines": max_lines,
            "max_characters_per_second": max_characters_per_second,
            "min_cue_seconds": min_cue_seconds,
            "max_cue_seconds": max_cue_seconds,
            "min_gap_seconds": min_gap_seconds,
        },
    )
    if out is not None and _is_directory(out, files, formats):
        names = named(files)
        orders = [Order(file, {each: Path(out, f"{name}.{each}") for each in formats}) for file, name in names.items()]
        _into_directory(Path(out), orders, parameters, manners, server=server, overwrite=overwrite, jobs=jobs)
    else:
        _one_after_the_other(files, out, parameters, manners, server=server)


def _into_directory(
    directory: Path,
    orders: Sequence[Order],
    parameters: Parameters,
    manners: "Mapping[str, Options]",
    *,
    server: str | None,
    overwrite: bool,
    jobs: int,
) -> None:
    from rich.console import Console

    journal = Journal.of(directory)
    with _transcriptions(server) as transcriptions, transcriptions.at_work():
        batch = Batch(
            transcriptions, journal, Console(stderr=True), parameters, manners, overwrite=overwrite, at_once=jobs
        )
        try:
            batch.run(orders)
        except KeyboardInterrupt:
            batch.cancel()
            raise typer.Exit(INTERRUPTED) from None
        finally:
            batch.summarise()
    if batch.failed:
        raise typer.Exit(1)


def _one_after_the_other(
    files: Sequence[Path],
    out: str | None,
    parameters: Parameters,
    manners: "Mapping[str, Options]",
    *,
    server: str | None,
) -> None:
    """In the order of the recordings, to the standard output or a file."""
    from rich.console import Console

    kind = _one_format(manners, out)
    for file in files:
        require_recording(file)
    target = Path(out) if out is not None else None
    with _transcriptions(server) as transcriptions, transcriptions.at_work():
        session = Session(transcriptions, Console(stderr=True), kind, manners[kind])
        try:
            session.submit(files, parameters)
            session.follow(lambda _, transcript: _write(transcript, target))
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


# ── Where it goes ────────────────────────────────────────────────────────────────────────────────────────


def _is_directory(out: str, files: Sequence[Path], formats: Sequence[str]) -> bool:
    """Whether `out` means one. Raises `InvalidRequest` where it is a file, and there is more than fits in one."""
    directory = Path(out).is_dir() or out.endswith(("/", os.sep))
    if directory or (len(set(files)) == 1 and len(formats) == 1 and not files[0].is_dir()):
        if not directory and not Path(out).parent.is_dir():
            raise InvalidRequest(f"There is no directory {Path(out).parent}.", code="no_such_directory")
        return directory
    if Path(out).exists() or Path(out).suffix.removeprefix(".") in formats:
        raise InvalidRequest(
            f"--out {out} is one file for several transcripts.",
            code="one_output_for_many",
            help="Name a directory: each transcript gets a file there.",
        )
    return True


def _one_format(manners: "Mapping[str, Options]", out: str | None) -> str:
    """Raises `InvalidRequest` for what has no place on the standard output."""
    from hansard.formats import FORMATS

    kind, *others = manners
    if others:
        raise InvalidRequest(
            "Several formats need a directory.", code="no_output_directory", help="Name one with --out."
        )
    if out is None and not FORMATS[kind].is_text and sys.stdout.isatty():
        raise InvalidRequest(
            f"A {kind} file is nothing to read on a terminal.",
            code="no_output_directory",
            help="Name a file, or a directory, with --out.",
        )
    return kind


def _write(transcript: bytes, target: Path | None) -> None:
    if target is None:
        # As bytes: the terminal's encoding is no reason to lose a letter, or the transcript.
        typer.echo(transcript, nl=False)
    else:
        write_whole(target, transcript)


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
    manner: "Options"
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

    def follow(self, deliver: Callable[[Path, bytes], None]) -> None:
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

    def _settle(self, job: _Job, deliver: Callable[[Path, bytes], None]) -> None:
        standing = job.standing
        if standing is None or standing.status is not Status.COMPLETED:
            failure = standing.failure if standing else None
            self._tell_failure(job.file, failure)
            return
        deliver(job.file, self.transcriptions.export(job.transcription_id, self.format, self.manner))
        for reason in standing.degraded_reasons:
            self._tell(f"{job.file.name}: second best: {reason}")

    # ── What the person sees, on the standard error stream ───────────────────────────────────────────────

    def _status(self, text: str) -> "AbstractContextManager[object]":
        from rich.text import Text

        return self.console.status(Text(text))

    @contextmanager
    def _bars(self) -> "Generator[tuple[Progress, Mapping[UUID, TaskID]]]":
        with progress_bars(self.console) as progress:
            yield (
                progress,
                {job.transcription_id: progress.add_task(job.file.name, total=1.0, activity="") for job in self._jobs},
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
