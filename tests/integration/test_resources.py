"""What real processes use is seen: this one, its children, and the embedded database."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from hansard.domain.performance import ResourceUse
from hansard.observability.resources import ResourceSampler, this_process
from hansard.persistence import embedded
from tests.conftest import SERVER_DIRECTORY

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOARD_BYTES = 60_000_000
CHILD = f"hoard = b'1' * {HOARD_BYTES}; print('ready', flush=True); input()"


class Watch:
    """Runs at the pace of a test."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def look(sampler: ResourceSampler, watch: Watch, *, seconds: float = 10) -> ResourceUse:
    watch.seconds += seconds
    [use] = sampler(NOW)
    return use


def test_processor_time_is_told_in_cores(watch: Watch) -> None:
    sampler = ResourceSampler("api", this_process, host="here", monotonic=watch)
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    use = look(sampler, watch, seconds=1)
    assert (use.process, use.host, use.samples, use.seconds) == ("api", "here", 1, 1.0)
    assert 0.25 <= use.cores_mean < 1


def test_what_children_hold_counts_as_their_parent_s(watch: Watch, child: subprocess.Popen[str]) -> None:
    sampler = ResourceSampler("api", this_process, host="here", monotonic=watch)
    with_child = look(sampler, watch)
    child.kill()
    child.wait()
    assert with_child.memory_mean_bytes - look(sampler, watch).memory_mean_bytes > HOARD_BYTES * 0.9


def test_a_child_that_ended_leaves_its_processor_time_to_its_parent(watch: Watch) -> None:
    sampler = ResourceSampler("api", this_process, host="here", monotonic=watch)
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    assert look(sampler, watch, seconds=1).cores_mean >= 0.25


def test_a_process_that_is_not_there_is_not_told(watch: Watch) -> None:
    sampler = ResourceSampler("postgres", lambda: None, host="here", monotonic=watch)
    watch.seconds += 1
    assert list(sampler(NOW)) == []


def test_a_process_that_took_another_s_place_is_told_from_its_second_look_on(
    watch: Watch, child: subprocess.Popen[str]
) -> None:
    found = psutil.Process()
    sampler = ResourceSampler("postgres", lambda: found, host="here", monotonic=watch)
    found = psutil.Process(child.pid)
    watch.seconds += 1
    assert list(sampler(NOW)) == []
    assert look(sampler, watch).memory_mean_bytes > HOARD_BYTES


@pytest.mark.usefixtures("postgres")
def test_the_embedded_database_is_found_and_its_shared_memory_counted_once(watch: Watch) -> None:
    directory = Path(os.environ[SERVER_DIRECTORY])
    sampler = ResourceSampler(
        "postgres", lambda: embedded.server_process(directory), host="here", shares_memory=True, monotonic=watch
    )
    server = embedded.server_process(directory)
    assert server is not None
    resident = sum(each.memory_info().rss for each in [server, *server.children()])
    assert 0 < look(sampler, watch).memory_mean_bytes < resident


def test_where_there_is_no_embedded_database_none_is_found(tmp_path: Path) -> None:
    assert embedded.server_process(tmp_path) is None
