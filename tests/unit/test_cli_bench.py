"""`hansard bench`: what got worse is an exit code, and what cannot be compared another."""

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from hansard import cli
from hansard.cli.bench_tables import as_text, read_benchmark
from hansard.domain.benchmark import Benchmark, Figures, TextErrors
from hansard.domain.errors import InvalidRequest
from tests.fake_benchmarks import BEGAN, FakeBenchmarkRecords, a_hearing, a_run


def a_benchmark(wrong=4, **facts):
    errors = TextErrors(words=20, word_errors=wrong, characters=100, character_errors=wrong)
    hearings = tuple(a_hearing(f"{number}.wav", text=errors) for number in range(8))
    return Benchmark(run=a_run(figures=Figures.of(hearings), **facts), hearings=hearings)


@pytest.fixture
def kept(tmp_path):
    """Writes a benchmark to a file, as `show --json` does."""

    def write(benchmark, name="baseline.json"):
        (tmp_path / name).write_text(as_text(benchmark))
        return tmp_path / name

    return write


@pytest.fixture
def records(monkeypatch):
    records = FakeBenchmarkRecords()

    class Container:
        benchmarks = records

    @contextmanager
    def opened_container(**_):
        yield Container

    monkeypatch.setattr("hansard.cli.start.opened_container", opened_container)
    return records


def keep(records, benchmark):
    records.begin(replace(benchmark.run, ended_at=None))
    for hearing in benchmark.hearings:
        records.add(benchmark.run.id, hearing)
    records.end(benchmark.run.id, BEGAN, benchmark.run.figures)


def run(*arguments):
    return CliRunner().invoke(cli.app, ["bench", *map(str, arguments)], catch_exceptions=False)


def test_a_benchmark_is_read_from_its_file_as_it_was(kept):
    benchmark = a_benchmark(note="kept")

    assert read_benchmark(kept(benchmark)) == benchmark


def test_a_file_that_is_no_benchmark_is_told(tmp_path):
    (tmp_path / "x.json").write_text('{"run": 1}')

    with pytest.raises(InvalidRequest, match="no benchmark"):
        read_benchmark(tmp_path / "x.json")


def test_a_baseline_of_an_older_version_that_measured_less_can_be_compared(kept):
    new = a_benchmark()
    old = json.loads(as_text(new))
    for hearing in old["hearings"]:
        del hearing["cpu_seconds"]
    del old["run"]["figures"]["cpu_factor"]
    file = kept(new)
    (file.parent / "old.json").write_text(json.dumps(old))

    result = run("compare", file.parent / "old.json", file)

    assert result.exit_code == 0
    assert "not measured in both" in result.stdout


def test_the_same_twice_is_no_regression(kept):
    file = kept(a_benchmark())

    result = run("compare", file, file)

    assert result.exit_code == 0
    assert "no difference seen" in result.stdout


def test_a_regression_is_exit_code_1(kept):
    result = run("compare", kept(a_benchmark(4)), kept(a_benchmark(6), "now.json"))

    assert result.exit_code == 1
    assert "Regression: wer." in result.stderr


def test_what_got_better_is_none(kept):
    result = run("compare", kept(a_benchmark(6)), kept(a_benchmark(4), "now.json"))

    assert result.exit_code == 0
    assert "better" in result.stdout


def test_a_threshold_may_be_given(kept):
    files = kept(a_benchmark(4)), kept(a_benchmark(6), "now.json")

    assert run("compare", *files, "--threshold", "wer=0.6", "--threshold", "cer=0.6").exit_code == 0


@pytest.mark.parametrize("threshold", ["wer", "wer=much", "speed=0.1"])
def test_a_threshold_that_is_none_is_told(kept, threshold):
    file = kept(a_benchmark())

    assert run("compare", file, file, "--threshold", threshold).exit_code == 2


def test_what_cannot_be_compared_is_exit_code_2_and_says_why(kept):
    other = kept(a_benchmark(settings={"engine": "other"}), "now.json")

    result = run("compare", kept(a_benchmark()), other)

    assert result.exit_code == 2
    assert "engine fake and other" in result.stderr
    assert run("compare", kept(a_benchmark()), other, "--across-settings").exit_code == 0


def test_a_baseline_that_is_not_there_is_no_regression(records):
    result = run("compare", "baseline.json", "latest")

    assert result.exit_code == 2
    assert "no benchmark 'baseline.json'" in result.stderr


def test_a_file_is_compared_with_the_last_run(kept, records):
    keep(records, a_benchmark(6))

    assert run("compare", kept(a_benchmark(4))).exit_code == 1


def test_a_comparison_is_for_programs_too(kept):
    file = kept(a_benchmark())

    assert '"metric": "wer"' in run("compare", file, file, "--json").stdout


def test_the_last_run_is_shown_file_by_file(records):
    keep(records, a_benchmark(note="first"))
    keep(records, a_benchmark(note="second", started_at=BEGAN + timedelta(hours=1)))

    result = run("show")

    assert "second" in result.stdout
    assert "7.wav" in result.stdout
    assert "first" in run("show", "latest~1").stdout


def test_what_is_shown_for_programs_is_a_baseline(records, tmp_path):
    benchmark = a_benchmark(ended_at=BEGAN)
    keep(records, benchmark)

    (tmp_path / "baseline.json").write_text(run("show", "--json").stdout)

    assert read_benchmark(tmp_path / "baseline.json") == benchmark


def test_runs_are_listed_also_those_that_were_broken_off(records):
    keep(records, a_benchmark())
    records.begin(a_run(ended_at=None, started_at=BEGAN + timedelta(hours=1)))

    result = run("list")

    assert "0.200" in result.stdout
    assert "unfinished" in result.stdout
    assert run("list", "--json").stdout.startswith("[")
