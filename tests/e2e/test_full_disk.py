"""Disks that are full: nothing is half kept, nothing is stuck, and when there is room again all goes on by itself.

What the service writes goes to four places; here each is a file system of its own, in memory and small.
"""

import os
import subprocess
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.audio_files import wav, white_noise
from tests.e2e.service import Service, eventually, open_directory

pytestmark = [
    pytest.mark.xdist_group("full disk"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount file systems of a given size"),
]

FIVE = Path(__file__).parent.parent / "data" / "five.wav"

SIZES = {"objects": "4m", "tmp": "4m", "prepared": "4m", "zenml": "16m", "postgresql": "160m"}


@dataclass(frozen=True)
class Disk:
    place: Path

    @contextmanager
    def full(self) -> Generator[None]:
        """To the last byte."""
        filler = self.place / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        try:
            yield
        finally:
            filler.unlink()

    def files(self) -> list[str]:
        return sorted(path.name for path in self.place.rglob("*") if path.is_file() and path.name != "filler")


@pytest.fixture(scope="module")
def disks() -> Iterator[dict[str, Disk]]:
    with open_directory() as directory, ExitStack() as mounted:
        disks: dict[str, Disk] = {}
        for name, size in SIZES.items():
            place = directory / "data" / name
            place.mkdir(parents=True)
            _mount(place, size)
            mounted.callback(subprocess.run, ["umount", "--lazy", str(place)], check=True)
            disks[name] = Disk(place)
        yield disks


def _mount(place: Path, size: str) -> None:
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "none", str(place)]
    mounted = subprocess.run(mounting, check=False, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")


@pytest.fixture(scope="module")
def service(disks: dict[str, Disk]) -> Iterator[Service]:
    service = Service(disks["objects"].place.parent.parent).start()
    # Its worker is there, and ZenML's store is made.
    service.ended(service.post_file(FIVE, engine="mock")["id"])
    eventually(lambda: not disks["prepared"].files(), "it to have its hands free")
    yield service
    service.stop()


def upload(service: Service, data: bytes) -> httpx.Response:
    return service.http.post("/audio", files={"file": ("talk.wav", data)})


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert "Retry-After" in answer.headers
    return answer.status_code, answer.json()["code"]


def test_a_recording_that_the_store_has_no_room_for_is_refused_and_nothing_of_it_is_kept(
    service: Service, disks: dict[str, Disk]
) -> None:
    kept, recordings = disks["objects"].files(), len(service.get("/audio")["items"])
    recording = wav(white_noise(3))
    with disks["objects"].full():
        assert problem(upload(service, recording)) == (503, "storage_full")
        assert disks["objects"].files() == kept
    assert len(service.get("/audio")["items"]) == recordings
    assert upload(service, recording).status_code == 201


def test_a_recording_that_cannot_be_taken_in_is_refused_and_nothing_of_it_is_kept(
    service: Service, disks: dict[str, Disk]
) -> None:
    recording = wav(white_noise(60))
    with disks["tmp"].full():
        assert problem(upload(service, recording)) == (503, "upload_not_written")
        assert disks["tmp"].files() == []
    assert upload(service, recording).status_code == 201


def test_a_job_that_has_no_room_to_work_waits_for_it(service: Service, disks: dict[str, Disk]) -> None:
    with disks["prepared"].full():
        posted = service.post_file(FIVE, engine="mock")

        def was_tried_twice() -> bool:
            return service.count_events(posted["id"], "transcription.started") >= 2

        eventually(was_tried_twice, "another try")
        assert service.get(f"/transcriptions/{posted['id']}")["error"] is None
    assert service.ended(posted["id"])["status"] == "completed"
    eventually(lambda: not disks["prepared"].files(), "its audio to be removed")


def test_a_job_that_zenml_has_no_room_for_is_done_without(service: Service, disks: dict[str, Disk]) -> None:
    with disks["zenml"].full():
        done = service.ended(service.post_file(FIVE, engine="mock")["id"])
    assert (done["status"], done["text"]) == ("completed", "mock heard 1.8 seconds")
    assert any("ZenML" in warning for warning in done["warnings"])


def test_a_database_that_has_no_room_costs_no_recording_and_no_job(service: Service, disks: dict[str, Disk]) -> None:
    """PostgreSQL ends itself when it cannot write its log, and does not start before it can."""
    working = service.post_file(FIVE, engine="mock", model="slow")
    service.until(working["id"], "running")
    with disks["postgresql"].full():
        with psycopg.connect(service.database_url(), autocommit=True) as connection, suppress(psycopg.OperationalError):
            for _ in range(50):
                connection.execute("SELECT pg_logical_emit_message(true, 'tests', repeat('x', 1000000))")
        assert problem(upload(service, FIVE.read_bytes())) == (503, "database_unavailable")
    assert service.ended(working["id"])["status"] == "completed"
    assert upload(service, FIVE.read_bytes()).status_code == 201
    assert service.count_events(working["id"], "transcription.completed") == 1
