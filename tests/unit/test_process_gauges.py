"""What a process tells of itself."""

import subprocess
import sys
import threading

import psutil
import pytest
from loguru import logger
from prometheus_client import CollectorRegistry

from hansard.observability import process_gauges
from hansard.observability.process_gauges import Holdings, ProcessGauges


class Own:
    """This process, under the name of a worker."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.holdings = Holdings(models={})
        self.gauges = ProcessGauges(self.registry, "worker.1", lambda: self.holdings)

    def value(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(f"hansard_{name}", labels)
        assert found is not None
        return found


@pytest.fixture
def own() -> Own:
    return Own()


def test_the_system_is_asked_about_the_process(own: Own) -> None:
    own.gauges.look()

    assert own.value("process_start_time_seconds", process="worker.1") == psutil.Process().create_time()
    assert own.value("process_threads", process="worker.1") >= threading.active_count()
    assert own.value("process_open_fds", process="worker.1") > 0
    assert own.value("process_resident_memory_bytes", process="worker.1") > 10_000_000


def test_processor_time_is_counted_from_the_beginning_of_the_process_and_never_twice(own: Own) -> None:
    own.gauges.look()
    own.gauges.look()

    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    used_seconds = sum(each.user + each.system for each in times)
    assert 0 < own.value("process_cpu_seconds_total", process="worker.1") <= used_seconds


def test_what_a_process_has_started_counts_as_its_own_and_is_not_taken_back_when_it_ends(own: Own) -> None:
    own.gauges.look()
    before = own.value("process_cpu_seconds_total", process="worker.1")
    memory_before = own.value("process_resident_memory_bytes", process="worker.1")
    busy = "import sys, time\nblock = bytearray(200_000_000)\nwhile time.process_time() < 0.5: pass\n"
    busy += "print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        own.gauges.look()
        during = own.value("process_cpu_seconds_total", process="worker.1")
        memory_during = own.value("process_resident_memory_bytes", process="worker.1")
    own.gauges.look()

    assert during >= before + 0.4
    assert memory_during >= memory_before + 150_000_000
    assert own.value("process_cpu_seconds_total", process="worker.1") >= during
    assert own.value("process_resident_memory_bytes", process="worker.1") < memory_during - 100_000_000


def test_what_it_holds_is_told(own: Own) -> None:
    own.holdings = Holdings(
        connections_in_use=2,
        connections_idle=3,
        models={"whisper": 1, "pocketsphinx": 0},
        live_sessions=4,
        live_backlog_seconds=1.5,
    )

    own.gauges.look()

    assert own.value("database_connections", process="worker.1", state="in_use") == 2
    assert own.value("database_connections", process="worker.1", state="idle") == 3
    assert own.value("models_in_memory", process="worker.1", engine="whisper") == 1
    assert own.value("models_in_memory", process="worker.1", engine="pocketsphinx") == 0
    assert own.value("live_sessions_open") == 4
    assert own.value("live_backlog_seconds") == 1.5


def test_live_audio_only_ever_grows(own: Own) -> None:
    for seconds in (10.0, 25.0, 25.0, 20.0):
        own.holdings = Holdings(models={}, live_audio_seconds=seconds)
        own.gauges.look()

    assert own.value("live_audio_seconds_total") == 25


def test_a_look_that_fails_is_logged_and_the_next_one_is_taken(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_gauges, "SAMPLE_SECONDS", 0.001)
    looks, lines, recovered = [Holdings(models={})], list[str](), threading.Event()

    def holdings() -> Holdings:
        if looks:
            return looks.pop()
        if not lines:
            raise OSError("no more")
        recovered.set()
        return Holdings(models={})

    sink = logger.add(lines.append, format="{level} {message}", level="WARNING")
    gauges = ProcessGauges(CollectorRegistry(), "worker.1", holdings)
    try:
        gauges.start()
        assert recovered.wait(30)
    finally:
        gauges.stop()
        logger.remove(sink)
    assert "no more" in lines[0]
