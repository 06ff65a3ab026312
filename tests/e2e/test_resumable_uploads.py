"""A large recording over lines that are cut and servers that are killed: with a client others wrote, to its end."""

import io
import json
import socket
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from tusclient.client import TusClient
from tusclient.uploader import Uploader

from hansard.application.receive import KEPT_EVERY_BYTES
from tests.audio_files import wav, white_noise
from tests.e2e.service import Service, eventually, open_directory

pytestmark = [pytest.mark.xdist_group("resumable uploads"), pytest.mark.timeout(300)]

TUS = {"Tus-Resumable": "1.0.0"}
RECORDING = wav(white_noise(300))
FIVE = Path(__file__).parent.parent / "data" / "five.wav"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with open_directory() as directory:
        service = Service(directory).start()
        yield service
        service.stop()


def sent(service: Service, data: bytes = RECORDING, **more: Any) -> Uploader:
    """By tuspy, to the end."""
    metadata = {"filename": "long talk.wav", **more.pop("metadata", {})}
    client = TusClient(f"http://127.0.0.1:{service.port}/uploads")
    uploader = client.uploader(file_stream=io.BytesIO(data), metadata=metadata, **more)
    uploader.upload()
    return uploader


def begun(service: Service) -> str:
    name = b64encode(b"long talk.wav").decode()
    headers = {**TUS, "Upload-Length": str(len(RECORDING)), "Upload-Metadata": f"filename {name}"}
    return str(service.http.post("/uploads", headers=headers).headers["location"])


def offset(service: Service, where: str) -> int | None:
    """None while nobody answers, or an earlier request is not over yet."""
    try:
        return int(service.http.head(where, headers=TUS).headers["upload-offset"])
    except (httpx.TransportError, KeyError):
        return None


def half_sent(service: Service, where: str, size_bytes: int) -> socket.socket:
    """A connection over which so many bytes of all have gone out."""
    connection = socket.create_connection(("127.0.0.1", service.port))
    head = (
        f"PATCH {where} HTTP/1.1\r\nHost: hansard\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Content-Type: application/offset+octet-stream\r\nContent-Length: {len(RECORDING)}\r\n\r\n"
    )
    connection.sendall(head.encode() + RECORDING[:size_bytes])
    return connection


def require_one_recording(service: Service, where: str) -> None:
    """Whole, under the upload's id, and made once."""
    audio_id = where.rpartition("/")[2]
    audio = service.get(f"/audio/{audio_id}")
    assert audio["sha256"] == sha256(RECORDING).hexdigest()
    assert audio["file_name"] == "long talk.wav"
    assert service.count_events(audio_id, "audio.uploaded") == 1
    assert not list((service.directory / "data" / "uploads").iterdir())


def test_tuspy_sends_a_recording_in_checked_pieces(service: Service) -> None:
    uploader = sent(service, chunk_size=1_000_000, upload_checksum=True)

    require_one_recording(service, uploader.url)


def test_a_wish_sent_along_is_transcribed(service: Service) -> None:
    uploader = sent(service, FIVE.read_bytes(), metadata={"transcription": json.dumps({"engine": "mock"})})

    made = uploader.request.response_headers["x-hansard-transcription-id"]
    assert service.ended(made)["status"] == "completed"


def test_a_line_that_is_cut_costs_nothing_that_had_come(service: Service) -> None:
    where = begun(service)
    half_sent(service, where, 3_000_000).close()
    eventually(lambda: offset(service, where) == 3_000_000, "what had come to be kept")

    sent(service, url=f"http://127.0.0.1:{service.port}{where}")

    require_one_recording(service, where)


def test_an_api_that_is_killed_in_the_middle_goes_on_from_what_it_had_kept(service: Service) -> None:
    where = begun(service)
    with half_sent(service, where, KEPT_EVERY_BYTES + 1_000_000):
        eventually(lambda: offset(service, where), "the first part to be kept")
        for process in service.processes("api"):
            process.kill()
    kept = eventually(lambda: offset(service, where), "the API to be back")
    assert kept >= KEPT_EVERY_BYTES

    sent(service, url=f"http://127.0.0.1:{service.port}{where}")

    require_one_recording(service, where)
