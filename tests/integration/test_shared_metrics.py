"""Real processes that count into one directory, and are killed at it."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from loguru import logger
from prometheus_client import CollectorRegistry

from hansard.observability import shared_metrics
from hansard.observability.shared_metrics import AllProcesses

COUNTING = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from hansard.domain.events import AudioFileUploaded
from hansard.observability import shared_metrics
from hansard.observability.event_counters import Counters
from hansard.observability.process_gauges import Holdings, ProcessGauges
from prometheus_client import CollectorRegistry

shared_metrics.share(Path(sys.argv[1]))
counters = Counters(CollectorRegistry(), {"openai": ["whisper-1"]})
ProcessGauges(CollectorRegistry(), sys.argv[2], lambda: Holdings(models={"whisper": 1}, live_sessions=2)).look()
for line in sys.stdin:
    for _ in range(int(line)):
        counters.count(
            AudioFileUploaded(
                subject="a", occurred_at=datetime.now(UTC),size_bytes=10, sha256="ab",
                duration_seconds=1.0,
            )
        )
    print("counted", flush=True)
"""


@dataclass
class CountingProcess:
    directory: Path
    name: str = "worker"
    process: "subprocess.Popen[str]" = field(init=False)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", COUNTING, str(self.directory), self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.count(0)

    def count(self, uploads: int) -> None:
        assert self.process.stdin
        assert self.process.stdout
        print(uploads, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "counted\n"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


Start = Callable[..., CountingProcess]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "metrics"


@pytest.fixture
def start(directory: Path) -> Iterator[Start]:
    started: list[CountingProcess] = []

    def start(name: str = "worker") -> CountingProcess:
        started.append(CountingProcess(directory, name))
        return started[-1]

    yield start
    for process in started:
        if process.process.returncode is None:
            process.kill()


def uploads(directory: Path) -> float | None:
    return value(directory, "hansard_audio_uploads_total")


def value(directory: Path, metric: str, **labels: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(AllProcesses(directory))
    return registry.get_sample_value(metric, labels)


def test_processes_count_together(directory: Path, start: Start) -> None:
    start().count(2)
    start().count(3)

    assert uploads(directory) == 5


def test_what_a_killed_process_counted_stays(directory: Path, start: Start) -> None:
    killed, other = start(), start()
    killed.count(2)
    killed.kill()
    other.count(3)

    assert uploads(directory) == 5


def test_the_next_process_counts_on_where_a_killed_one_stopped(directory: Path, start: Start) -> None:
    start().count(1)
    for _ in range(3):
        killed = start()
        killed.count(2)
        killed.kill()

    assert uploads(directory) == 7
    assert len(list(directory.glob("counter_*.db"))) == 2


def test_clearing_forgets_those_who_are_gone(directory: Path, start: Start) -> None:
    gone, here = start(), start()
    gone.count(2)
    gone.kill()
    here.count(3)

    shared_metrics.clear(directory)

    assert uploads(directory) == 3
    here.count(1)
    start().count(1)
    assert uploads(directory) == 5


def test_clearing_what_is_not_there_yet_does_nothing(directory: Path) -> None:
    shared_metrics.clear(directory)

    assert not directory.exists()


@pytest.mark.parametrize("content", [b"", b"\xff" * 4096, b"\x40" + bytes(4095)], ids=["empty", "noise", "lost"])
def test_a_file_spoilt_by_a_power_cut_does_not_spoil_the_others(directory: Path, start: Start, content: bytes) -> None:
    start().count(2)
    (directory / "counter_9.db").write_bytes(content)

    assert uploads(directory) == 2


def test_a_process_begins_anew_where_the_files_are_spoilt(directory: Path, start: Start) -> None:
    killed = start()
    killed.count(2)
    killed.kill()
    for file in directory.glob("*.db"):
        file.write_bytes(b"\x40" + bytes(4095))

    start().count(1)

    assert uploads(directory) == 1


def test_there_is_room_for_the_counts_before_they_are_made(directory: Path, start: Start) -> None:
    start()

    for kind, size_bytes in shared_metrics.FILE_BYTES.items():
        assert (directory / f"{kind}_1.db").stat().st_blocks * 512 >= size_bytes


def test_what_a_process_uses_ends_with_it_and_what_it_counted_stays(directory: Path, start: Start) -> None:
    api, worker = start("api"), start("worker.1")
    memory = "hansard_process_resident_memory_bytes"
    assert value(directory, memory, process="api")
    assert value(directory, "hansard_models_in_memory", process="worker.1", engine="whisper") == 1
    assert value(directory, "hansard_live_sessions_open") == 4

    worker.kill()

    assert value(directory, memory, process="api")
    assert value(directory, memory, process="worker.1") is None
    assert value(directory, "hansard_live_sessions_open") == 2
    assert value(directory, "hansard_process_cpu_seconds_total", process="worker.1")
    api.kill()
    assert value(directory, memory, process="api") is None


def test_who_takes_the_place_of_a_dead_process_tells_nothing_of_what_that_used(directory: Path, start: Start) -> None:
    start("worker.1").kill()
    start("worker.2")

    assert value(directory, "hansard_process_open_fds", process="worker.1") is None
    assert value(directory, "hansard_process_open_fds", process="worker.2")


EVERY_LABEL = """
import sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from hansard.observability import shared_metrics

shared_metrics.share(Path(sys.argv[1]))
from hansard.domain.errors import Category
from hansard.domain.transcription import AttemptOutcome
from hansard.http.middleware.request_metrics import RouteTemplates
from hansard.observability.event_counters import Counters, ModelLoads
from hansard.observability.request_counters import RequestCounters
from tests.unit.http.api import FakeContainer
from hansard.http.app import create_app
from fastapi.routing import iter_route_contexts

engines = {name: ["m"] for name in ("openai", "whisper", "pocketsphinx", "mock")}
counters, requests = Counters(CollectorRegistry(), engines), RequestCounters(CollectorRegistry())
ModelLoads(CollectorRegistry(), "whisper").count(1.0)
for engine in (*engines, "other"):
    counters._processing.labels(engine=engine)
    for other in (*engines, "other"):
        for category in Category:
            counters._fallbacks.labels(from_engine=engine, to_engine=other, category=category)
    for model in ("a model with a long name, as of Systran/faster-distil-whisper-large-v3", "other"):
        for metric in (counters._speech_seconds, counters._processing_seconds, counters._real_time_factor):
            metric.labels(engine=engine, model=model)
app = create_app(FakeContainer())
contexts = iter_route_contexts(app.routes)
pairs = {(route.path_format, method) for route in contexts for method in route.methods or ["GET"]}
for route, method in (*pairs, *(("unknown", method) for method in ("GET", "POST", "PUT", "other"))):
    for status in (200, 400, 500, None):
        requests.of(str(route), method).observe(status, 0.1)
"""


def test_all_labels_there_are_fit_into_the_room_that_was_made(directory: Path) -> None:
    subprocess.run([sys.executable, "-c", EVERY_LABEL, str(directory)], check=True, cwd=Path(__file__).parents[2])

    for kind, size_bytes in shared_metrics.FILE_BYTES.items():
        assert (directory / f"{kind}_1.db").stat().st_size == size_bytes, kind


def test_a_process_that_cannot_share_counts_alone_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "metrics").touch()
    levels: list[str] = []
    handler = logger.add(lambda message: levels.append(message.record["level"].name), format="{message}")

    shared_metrics.share(tmp_path / "metrics")

    logger.remove(handler)
    own = CollectorRegistry()
    assert levels == ["WARNING"]
    assert shared_metrics.collector(own) is own
