"""Servers that are elsewhere and cannot be reached: the object store for a while, ZenML's store for good."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.service import Service, eventually, open_directory
from tests.s3_server import S3Server

pytestmark = [pytest.mark.xdist_group("unreachable"), pytest.mark.timeout(300)]

FIVE = Path(__file__).parent.parent / "data" / "five.wav"
CALL_ME_BACK = FIVE.with_name("call_me_back.opus")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server() as s3:
        yield s3


@pytest.fixture(scope="module")
def service(s3: S3Server) -> Iterator[Service]:
    elsewhere = {
        "HANSARD_STORAGE_URL": "s3://recordings",
        # Port 1 is nobody's.
        "ZENML_STORE_URL": "mysql://hansard:hush-hush@127.0.0.1:1/zenml",
    }
    with open_directory() as directory:
        service = Service(directory, settings={**s3.environment, **elsewhere}).start()
        yield service
        service.stop()


def upload(service: Service, file: Path) -> httpx.Response:
    return service.http.post("/audio", files={"file": (file.name, file.read_bytes())})


def test_a_job_is_done_without_zenmls_store_and_says_so(service: Service) -> None:
    done = service.ended(service.post_file(FIVE, engine="mock")["id"])
    assert (done["status"], done["pipeline_run_id"]) == ("completed", None)
    assert any("ZenML" in warning for warning in done["warnings"])
    assert "hush-hush" not in service.log


def test_a_recording_that_the_object_store_refuses_is_refused_and_nothing_of_it_is_kept(
    service: Service, s3: S3Server
) -> None:
    recordings = len(service.get("/audio")["items"])
    with s3.refusing():
        refused = upload(service, CALL_ME_BACK)
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_denied")
    assert len(service.get("/audio")["items"]) == recordings
    assert list((service.directory / "data" / "tmp").iterdir()) == []
    assert upload(service, CALL_ME_BACK).status_code == 201


def test_a_job_that_the_object_store_keeps_from_its_recording_is_done_when_it_is_let(
    service: Service, s3: S3Server
) -> None:
    audio = upload(service, FIVE).json()
    with s3.refusing():
        job = service.http.post(f"/audio/{audio['id']}/transcriptions", json={"engine": "mock"}).json()
        eventually(tried_twice(service, job["id"]), "another try")
        assert service.get(f"/transcriptions/{job['id']}")["error"] is None
    assert service.ended(job["id"])["status"] == "completed"


def test_a_deletion_is_answered_at_once_and_finished_when_the_object_store_lets_it(
    service: Service, s3: S3Server
) -> None:
    before = set(s3.objects)
    audio = upload(service, FIVE.with_name("call_me_back.m4a")).json()
    (stored,) = set(s3.objects) - before
    with s3.refusing():
        assert service.http.delete(f"/audio/{audio['id']}").status_code == 204
        assert service.http.get(f"/audio/{audio['id']}").status_code == 404
    assert stored in s3.objects
    eventually(lambda: stored not in s3.objects, "the bytes to be gone")


def tried_twice(service: Service, transcription_id: str) -> Callable[[], bool]:
    return lambda: service.count_events(transcription_id, "transcription.started") >= 2
