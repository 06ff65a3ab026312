"""Benchmarks as people read them, and as files keep them."""

from collections.abc import Iterable
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.table import Table

from hansard.cli.table import print_table
from hansard.domain.benchmark import Benchmark, BenchmarkRun, Figures, Hearing, by_file
from hansard.domain.benchmark_comparison import Comparison, Finding, Metric, Verdict
from hansard.domain.errors import InvalidRequest

MEGABYTE = 1_000_000
NOTABLE_DRIFT = 0.05

_SHARES = {Metric.WER, Metric.CER, Metric.DER, Metric.FAILED, Metric.COVERAGE}


def as_text(value: object) -> str:
    """JSON. `read_benchmark` reads that of a benchmark."""
    kind: Any = type(value) if is_dataclass(value) else tuple[BenchmarkRun, ...]
    return TypeAdapter(kind).dump_json(value, indent=2).decode()


def read_benchmark(file: Path) -> Benchmark:
    """Raises `InvalidRequest`."""
    try:
        return TypeAdapter(Benchmark).validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidRequest(
            f"{file} is no benchmark.", help="`hansard bench show --json > baseline.json` makes such a file."
        ) from error


def progress(hearing: Hearing, number: int, total: int) -> None:
    """One line, beside the result."""
    if hearing.failed:
        outcome = f"failed: {hearing.failure_message}"
    else:
        figures = Figures.of([hearing])
        outcome = f"WER {_number(figures.wer) or 'unknown'}, RTF {_number(figures.real_time_factor)}"
    typer.echo(f"{number}/{total} {hearing.file}: {outcome}", err=True)


def print_runs(runs: Iterable[BenchmarkRun]) -> None:
    table = Table("Id", "Started", "Commit", "Engine", "Corpus", *_FIGURES, "Note")
    for run in runs:
        table.add_row(
            str(run.id)[:8],
            f"{run.started_at:%Y-%m-%d %H:%M}",
            _revision(run),
            ":".join(filter(None, (run.engine, run.model))),
            run.corpus,
            *(_figures(run.figures) if run.figures else ("unfinished", *[""] * (len(_FIGURES) - 1))),
            run.note or "",
        )
    print_table(table)


def print_benchmark(benchmark: Benchmark) -> None:
    run = benchmark.run
    print_runs([run])
    machine = run.machine
    typer.echo(
        f"\n{run.id} on {machine.processor}, {machine.cores} cores, {machine.memory_bytes / 2**30:.0f} GiB, "
        f"{machine.system} (machine {machine.id}), rounds: {run.rounds}"
    )
    typer.echo(", ".join(f"{name} {value}" for name, value in run.settings.items() if value is not None))
    table = Table("File", *_FIGURES, "Failure")
    for file, hearings in by_file(benchmark.hearings).items():
        failures = dict.fromkeys(hearing.failure_message for hearing in hearings if hearing.failure_message)
        table.add_row(file, *_figures(Figures.of(hearings)), " ".join(failures))
    print_table(table)


def print_comparison(before: BenchmarkRun, after: BenchmarkRun, comparison: Comparison) -> None:
    typer.echo(f"{_told(before)}\n→ {_told(after)}")
    table = Table("Metric", "Before", "After", "Change", "95 % interval", "Threshold", "Files", "Verdict")
    for verdict in comparison.verdicts:
        table.add_row(*_cells(verdict))
    print_table(table)
    if comparison.drift and abs(comparison.drift - 1) > NOTABLE_DRIFT:
        typer.echo(f"The same fixed piece of work took {comparison.drift:.2f} times as long the second time.")
    if comparison.left_out:
        typer.echo(f"Not in both, and so left out: {', '.join(comparison.left_out)}.")
    for verdict in comparison.regressions:
        typer.echo(f"Regression: {verdict.metric}.", err=True)


_FIGURES = ("WER", "WER of heard", "CER", "DER", "Coverage", "RTF", "CPU s/s", "Latency s", "Peak MB", "Failed")


def _figures(figures: Figures) -> tuple[str, ...]:
    shares = (figures.wer, figures.wer_of_heard, figures.cer, figures.der, figures.coverage, figures.real_time_factor)
    return (
        *map(_number, shares),
        _number(figures.cpu_factor),
        _number(figures.latency_seconds),
        f"{figures.peak_memory_bytes / MEGABYTE:.0f}" if figures.peak_memory_bytes else "",
        f"{figures.failed} of {figures.hearings}",
    )


def _cells(verdict: Verdict) -> tuple[str, ...]:
    if verdict.finding is Finding.NOT_JUDGED:
        return (verdict.metric, *[""] * 6, f"{verdict.finding}: {verdict.reason}")
    values = (verdict.before, verdict.after)
    as_memory = verdict.metric is Metric.MEMORY
    before, after = (f"{(value or 0) / MEGABYTE:.0f} MB" if as_memory else _number(value) for value in values)
    change, low, high = (_change(verdict.metric, value) for value in (verdict.change, verdict.low, verdict.high))
    finding = "REGRESSION" if verdict.is_regression else verdict.finding
    if verdict.finding is Finding.WORSE and not verdict.is_regression:
        finding = f"{finding}, {verdict.reason or 'perhaps within the threshold'}"
    limit = _change(verdict.metric, verdict.limit)
    return (verdict.metric, before, after, change, f"{low} … {high}", limit, str(verdict.files), finding)


def _change(metric: Metric, value: float | None) -> str:
    """A difference of shares in points of a hundred, one of amounts as a part of what it was."""
    if value is None:
        return ""
    return f"{100 * value:+.2f}" if metric in _SHARES else f"{100 * value:+.1f} %"


def _told(run: BenchmarkRun) -> str:
    note = f" ({run.note})" if run.note else ""
    return f"{str(run.id)[:8]} of {run.started_at:%Y-%m-%d %H:%M}, {_revision(run)}, {run.engine} on {run.corpus}{note}"


def _revision(run: BenchmarkRun) -> str:
    return run.version if run.commit == "unknown" else run.commit[:7]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
