"""A benchmark for real: ZenML, the service in a process of its own, PocketSphinx, the analytics database."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hansard import bootstrap
from hansard.analytics.corpus import read_corpus
from hansard.application.benchmark import RunBenchmark
from hansard.application.ports.benchmarks import Heard
from hansard.bootstrap import Container
from hansard.cli.bench_service import scratch_service
from hansard.domain.benchmark import Benchmark
from hansard.domain.errors import Conflict, EngineNotAuthenticated, HansardError
from hansard.domain.transcription import Parameters
from hansard.pipelines.zenml_benchmarks import ZenmlBenchmarks
from hansard.pipelines.zenml_store import ZenmlStore
from hansard.settings import Settings
from tests.fake_benchmarks import FakeBenchedService, FakeBenchmarkRecords, FakeScorer, a_run, a_sample
from tests.fakes import FakeClock

pytestmark = [
    pytest.mark.xdist_group("zenml"),
    # ZenML's and its dependencies' own, at import and in its store.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

DATA = Path(__file__).parents[1] / "data"
MANIFEST = [
    {"file": "five.wav", "reference": "One, two, three, four, five.", "language": "en"},
    {"file": "call_me_back.mp3", "reference": "Please call him back tomorrow morning."},
    {"file": "broken.wav", "reference": "Nobody will ever know."},
]


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    directory = tmp_path / "corpus"
    directory.mkdir()
    for name in ("five.wav", "call_me_back.mp3"):
        shutil.copy(DATA / name, directory)
    (directory / "broken.wav").write_bytes(b"no sound at all")
    (directory / "manifest.json").write_text(json.dumps(MANIFEST))
    return directory


@pytest.fixture
def directory() -> Iterator[Path]:
    """As root, the database's user could not enter pytest's own."""
    directory = Path(f"/tmp/hansard-tests-{os.getpid()}-bench")
    directory.mkdir(mode=0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def container(migrated: object, analytics_database: object, postgres: str, directory: Path) -> Iterator[Container]:
    container = bootstrap.build(Settings(database_url=postgres, data_dir=directory, offline=True), process="tests")
    yield container
    container.close()


@pytest.mark.timeout(300)
def test_a_benchmark_is_a_pipeline_run_that_leaves_its_figures_and_nothing_else(
    container: Container, corpus: Path, directory: Path
) -> None:
    with scratch_service(container.settings) as service:
        benchmark = bootstrap.benchmark(
            container,
            service,
            read_corpus(corpus),
            Parameters(engine="pocketsphinx"),
            corpus="test data",
            rounds=1,
            note="a test",
            observe=lambda *_: None,
        )
        bootstrap.benchmark_pipeline(container.settings)(benchmark)

    found = container.benchmarks.get(benchmark.run.id)
    assert_heard(found)
    with container.unit_of_work() as uow:
        assert not uow.transcriptions.page(limit=1).items
    assert not (directory / "bench").exists()
    (run,) = bootstrap.zenml_store(container.settings).runs(limit=5, after_import=lambda: None)
    assert run.status == "completed"
    assert run.measurements["wer"] == pytest.approx(5 / 11)
    assert run.measurements["machine"] == found.run.machine.id
    assert "tomorrow" not in str(run.measurements)


def assert_heard(found: Benchmark) -> None:
    run, figures, hearings = found.run, found.run.figures, {hearing.file: hearing for hearing in found.hearings}
    assert (run.model, run.settings["engine"], run.note) == ("en-us", "pocketsphinx", "a test")
    assert figures is not None
    assert (figures.files, figures.failed, figures.words) == (3, 1, 11)
    assert figures.wer_of_heard == pytest.approx(1 / 7)
    assert figures.wer == pytest.approx(5 / 11)
    assert hearings["broken.wav"].failed
    five = hearings["five.wav"]
    assert (five.engine, five.degraded) == ("pocketsphinx", True)
    assert five.latency_seconds is not None
    assert five.processing_seconds is not None
    assert five.peak_memory_bytes is not None
    assert 0 < five.processing_seconds < five.latency_seconds
    assert 50_000_000 < five.peak_memory_bytes < 2_000_000_000
    assert five.yardstick_seconds
    assert figures.coverage == pytest.approx(1, abs=0.2)


@pytest.mark.timeout(300)
def test_a_process_that_dies_is_the_failure_of_one_recording(directory: Path) -> None:
    settings = Settings(data_dir=directory, offline=True)
    pocketsphinx = Parameters(engine="pocketsphinx")
    with scratch_service(settings) as service:
        assert service.warm_up(pocketsphinx).text == "please call me back tomorrow morning"
        with pytest.raises(Conflict), scratch_service(settings):
            pass
        os.kill(service.pid, signal.SIGKILL)

        died = service.hear(DATA / "five.wav", pocketsphinx)
        heard = service.hear(DATA / "five.wav", pocketsphinx)

    assert died.failure is not None
    assert died.failure.code == "internal_error"
    assert heard.text == "one two three four five"


def test_a_step_that_fails_is_told_as_what_it_is(directory: Path) -> None:
    failure = EngineNotAuthenticated("The key is wrong.", engine="fake").failure
    benchmark = RunBenchmark(
        run=a_run(ended_at=None),
        samples=[a_sample("a.wav")],
        parameters=Parameters(engine="fake"),
        service=FakeBenchedService(warmth=Heard(failure=failure)),
        scorer=FakeScorer(),
        records=FakeBenchmarkRecords(),
        observe=lambda *_: None,
        clock=FakeClock(),
    )

    with pytest.raises(HansardError, match="The key is wrong"):
        ZenmlBenchmarks(ZenmlStore(directory / "zenml"), after_import=lambda: None)(benchmark)
