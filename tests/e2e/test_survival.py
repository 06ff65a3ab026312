"""What is killed comes back, what was acknowledged is finished, and what is told to stop stops."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.service import Service, eventually, hansard, open_directory

pytestmark = [pytest.mark.xdist_group("survival"), pytest.mark.timeout(300)]

FIVE = Path(__file__).parent.parent / "data" / "five.wav"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with open_directory() as directory:
        service = Service(directory).start()
        yield service
        if service.process.poll() is None:
            service.stop()


def test_a_killed_worker_costs_no_transcript(service: Service) -> None:
    posted = service.post_file(FIVE, engine="mock", model="slow")
    service.until(posted["id"], "running")
    (worker,) = service.processes("worker")
    worker.send_signal(signal.SIGKILL)

    done = service.ended(posted["id"])
    assert done["status"] == "completed"
    assert len(done["attempts"]) >= 1
    assert eventually(lambda: service.processes("worker"), "a new worker")[0].pid != worker.pid


def test_a_killed_api_comes_back(service: Service) -> None:
    posted = service.post_file(FIVE, engine="mock")
    (api,) = service.processes("api")
    api.send_signal(signal.SIGKILL)
    assert service.ended(posted["id"])["status"] == "completed"


def test_a_killed_database_comes_back(service: Service) -> None:
    posted = service.post_file(FIVE, engine="mock")
    service.ended(posted["id"])
    (pid_file,) = (service.directory / "data").rglob("postmaster.pid")
    psutil.Process(int(pid_file.read_text().splitlines()[0])).kill()

    def answered() -> bool:
        return service.http.get(f"/transcriptions/{posted['id']}").status_code == 200

    assert eventually(answered, "the database to be back")
    again = service.post_file(FIVE, engine="mock")
    assert service.ended(again["id"])["status"] == "completed"


def test_a_port_in_use_is_said_in_one_line(service: Service) -> None:
    second = subprocess.run(hansard("up"), env=service.environment, capture_output=True, check=False, text=True)
    assert second.returncode == 1
    assert f"Port {service.port}" in second.stderr
    assert "HANSARD_PORT=" in second.stderr
    assert "Traceback" not in second.stderr


def test_ctrl_c_leaves_no_process_behind(service: Service) -> None:
    posted = service.post_file(FIVE, engine="mock", model="slow")
    service.until(posted["id"], "running")
    everybody = psutil.Process(service.process.pid).children(recursive=True)
    service.stop(within_seconds=10)
    _, alive = psutil.wait_procs(everybody, timeout=5)
    assert not alive

    service.http = Service(service.directory, port=service.port).http
    service.start()
    assert service.ended(posted["id"])["status"] == "completed"
