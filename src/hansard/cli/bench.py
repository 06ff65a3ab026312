"""`hansard bench`: how well and how fast recordings are heard whose words are known, and whether that got worse."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

if TYPE_CHECKING:
    from hansard.bootstrap import Container
    from hansard.domain.benchmark import Benchmark, BenchmarkRun, Sample
    from hansard.domain.benchmark_comparison import Metric
    from hansard.domain.transcription import Parameters

app = typer.Typer(help="Measure how well and how fast the service hears, and compare.", no_args_is_help=True)

REFUSED = 2
"""The exit code where nothing could be compared; 1 is for what got worse."""

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Name = Annotated[
    str,
    typer.Argument(
        help="`latest`, `latest~1` (the one before), an id or its beginning, or a file of `show --json`; for "
        "`compare`, also several of one commit with commas between: times count with three on each side."
    ),
]


@app.command()
def run(
    engine: Annotated[
        list[str] | None,
        typer.Option("--engine", metavar="NAME[:MODEL]", help="May be given several times. Default: the whole chain."),
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(
            help="A directory with recordings and a manifest.json; see docs/benchmarks.md. Default: one short clip.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    diarize: Annotated[bool, typer.Option("--diarize", help="Also measure who speaks when.")] = False,
    repeat: Annotated[int, typer.Option(min=1, help="Rounds through all files. Three make times steadier.")] = 1,
    note: Annotated[str | None, typer.Option(help="Kept with the result.")] = None,
) -> None:
    """Hear recordings whose words are known, as a ZenML pipeline, and keep what came of it."""
    from hansard import bootstrap
    from hansard.cli.bench_service import scratch_service
    from hansard.cli.bench_tables import print_runs, progress
    from hansard.cli.start import opened_container
    from hansard.domain.transcription import AUTO

    with ExitStack() as stack:
        samples = _samples(stack, corpus)
        container = stack.enter_context(opened_container(process="bench"))
        done: list[BenchmarkRun] = []
        for name in engine or [AUTO]:
            with scratch_service(container.settings) as service:
                benchmark = bootstrap.benchmark(
                    container,
                    service,
                    samples,
                    _parameters(container, name, diarize=diarize),
                    corpus=corpus.resolve().name if corpus else "the bundled clip",
                    rounds=repeat,
                    note=note,
                    observe=progress,
                )
                if diarize and not benchmark.scorer.knows_speakers:
                    typer.echo(
                        "No DER is measured: that takes pyannote.metrics (pip install 'hansard[bench]').", err=True
                    )
                bootstrap.benchmark_pipeline(container.settings)(benchmark)
            done.append(container.benchmarks.get(benchmark.run.id).run)
        print_runs(done)


@app.command("list")
def list_runs(
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20, as_json: AsJson = False
) -> None:
    """List the latest benchmarks."""
    from hansard.cli.bench_tables import as_text, print_runs
    from hansard.cli.start import opened_container

    with opened_container() as container:
        runs = container.benchmarks.recent(limit)
    if as_json:
        typer.echo(as_text(runs))
    else:
        print_runs(runs)


@app.command()
def show(name: Name = "latest", as_json: AsJson = False) -> None:
    """Show one benchmark, file by file. With --json, everything: keep that as the baseline of later ones."""
    from hansard.cli.bench_tables import as_text, print_benchmark

    with _Finder() as finder:
        benchmark = finder.find(name)
    if as_json:
        typer.echo(as_text(benchmark))
    else:
        print_benchmark(benchmark)


@app.command()
def compare(
    before: Name,
    after: Name = "latest",
    threshold: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=PART", help="What may be lost, as wer=0.05 for 5 % more errors. Several times."),
    ] = None,
    across_settings: Annotated[
        bool, typer.Option("--across-settings", help="Compare other engines, models or settings.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what got better or worse beyond chance. Exit code 1: something did by more than its threshold; 2: refused."""
    from hansard.analytics.resampling import draw_sums
    from hansard.cli.bench_tables import as_text, print_comparison
    from hansard.domain import benchmark_comparison
    from hansard.domain.errors import HansardError

    thresholds = _thresholds(threshold or [])
    try:
        with _Finder() as finder:
            old, new = (
                benchmark_comparison.Side.of([finder.find(name) for name in names.split(",")])
                for names in (before, after)
            )
    except HansardError as error:
        # Not as other commands, with 1: that would tell a pipeline that something got worse.
        typer.echo(f"{error.failure.message} {error.failure.help or ''}".rstrip(), err=True)
        raise typer.Exit(REFUSED) from error
    obstacles = (
        *benchmark_comparison.unlike(old.runs),
        *benchmark_comparison.unlike(new.runs),
        *benchmark_comparison.obstacles(old.whole, new.whole, across_settings=across_settings),
    )
    if obstacles:
        typer.echo("\n".join(("These cannot be compared.", *obstacles)), err=True)
        raise typer.Exit(REFUSED)
    comparison = benchmark_comparison.compare(old, new, draw_sums, thresholds=thresholds)
    if as_json:
        typer.echo(as_text(comparison))
    else:
        print_comparison(old.whole.run, new.whole.run, comparison)
    if comparison.regressions:
        raise typer.Exit(1)


class _Finder:
    """Finds benchmarks. The database is opened only for those that are in no file."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._container: Container | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def find(self, name: str) -> "Benchmark":
        """Raises `HansardError` where there is none."""
        from hansard.application.benchmark import find_run
        from hansard.cli.bench_tables import read_benchmark
        from hansard.cli.start import opened_container

        file = Path(name)
        if file.is_file():
            return read_benchmark(file)
        if self._container is None:
            self._container = self._stack.enter_context(opened_container())
        records = self._container.benchmarks
        return records.get(find_run(records, name))


def _samples(stack: ExitStack, corpus: Path | None) -> "tuple[Sample, ...]":
    from importlib.resources import as_file, files

    from hansard.analytics.corpus import read_corpus
    from hansard.application.canary import PHRASE
    from hansard.domain.benchmark import Sample

    if corpus is not None:
        return read_corpus(corpus)
    clip = stack.enter_context(as_file(files("hansard.audio").joinpath("canary.mp3")))
    return (Sample(name="canary.mp3", path=clip, digest="canary", reference=PHRASE, language="en"),)


def _parameters(container: "Container", name: str, *, diarize: bool) -> "Parameters":
    from hansard.domain.transcription import AUTO, Parameters

    engine, _, model = name.partition(":")
    if engine != AUTO and engine not in container.engines:
        raise typer.BadParameter(f"There is no engine {engine!r}; there are {', '.join(container.engines)}.")
    return Parameters(engine=engine, model=model or None, diarize=diarize)


def _thresholds(given: list[str]) -> "dict[Metric, float]":
    from hansard.domain.benchmark_comparison import DEFAULT_THRESHOLDS, Metric

    thresholds = dict(DEFAULT_THRESHOLDS)
    for each in given:
        name, _, part = each.partition("=")
        try:
            thresholds[Metric(name)] = float(part)
        except ValueError as error:
            metrics = ", ".join(Metric)
            raise typer.BadParameter(f"{each!r} is not as wer=0.05; the metrics are {metrics}.") from error
    return thresholds
