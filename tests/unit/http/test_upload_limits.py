"""Size, duration, room on the disk, and how many recordings come in at once: refused early, in words."""

import asyncio
import threading

import httpx
import pytest

from hansard.http.app import create_app
from tests.unit.http.api import TALK, client_of, settings

TUS = {"Tus-Resumable": "1.0.0", "Upload-Length": "10"}
OFFSET_STREAM = "application/offset+octet-stream"
FORM = "multipart/form-data; boundary=edge"


@pytest.mark.parametrize("path", ["/audio", "/transcriptions"])
def test_a_recording_that_says_it_is_too_long_is_refused_and_not_kept(client, container, path):
    container.max_audio_seconds = 1.5

    answer = client.post(path, files={"file": ("talk.wav", TALK)})

    assert (answer.status_code, answer.json()["code"]) == (422, "audio_too_long")
    assert not container.store.objects


def test_a_recording_that_leaves_too_little_of_the_disk_is_refused_before_it_comes_in(client, container):
    container.free_disk_bytes = 500_000_000

    answer = client.post("/audio", files={"file": ("talk.wav", TALK)})

    assert (answer.status_code, answer.json()["code"]) == (507, "disk_scarce")
    assert answer.headers["retry-after"]
    assert answer.headers["connection"] == "close"
    assert answer.request.headers["content-length"]


def test_a_recording_that_fits_is_taken(client, container):
    container.free_disk_bytes = 500_000_000 + 2 * len(TALK)

    assert client.post("/audio", files={"file": ("talk.wav", TALK)}).status_code == 201


def test_what_is_larger_than_any_disk_is_told_to_be_too_large(client):
    headers = {"Content-Type": FORM, "Content-Length": str(10**15)}

    assert client.post("/audio", content=b"", headers=headers).status_code == 413


def test_an_upload_that_leaves_too_little_of_the_disk_is_not_begun(client, container):
    container.free_disk_bytes = 500_000_000

    assert client.post("/uploads", headers=TUS).status_code == 507


def test_requests_that_bring_no_recording_are_answered_on_a_full_disk(client, container):
    container.free_disk_bytes = 0

    assert client.get("/audio").status_code == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "/audio"), ("POST", "/transcriptions"), ("PATCH", "/uploads/7")])
@pytest.mark.parametrize("way", [FORM, OFFSET_STREAM])
def test_no_more_come_in_at_once_than_are_allowed(container, method, path, way):
    refused = while_one_comes_in(container, "POST", "/audio", FORM, Another(method, path, way))

    assert (refused.status_code, refused.json()["code"]) == (503, "uploads_busy")
    assert refused.headers["retry-after"]
    assert refused.headers["connection"] == "close"


def test_requests_that_bring_no_recording_need_no_place(container):
    assert while_one_comes_in(container, "POST", "/audio", FORM, Another("GET", "/audio")).status_code == 200


def test_a_recording_being_fetched_takes_a_place(container):
    let_go = threading.Event()

    class Slow(type(container.remote)):
        def fetch(self, url):
            let_go.wait(10)
            return super().fetch(url)

    container.remote = Slow()
    refused = while_one_comes_in(
        container,
        "POST",
        "/audio",
        "application/json",
        Another("POST", "/audio", FORM, let_go),
        b'{"url": "https://a/b"}',
    )

    assert refused.json()["code"] == "uploads_busy"


def test_a_place_is_free_again_when_the_body_is_there_whatever_became_of_it(container):
    container.settings = settings(max_concurrent_uploads=1)
    client = client_of(container)

    for _ in range(3):
        assert client.post("/audio", files={"file": ("talk.wav", b"")}).status_code == 422
        assert client.post("/audio", content=b"nonsense", headers={"Content-Type": FORM}).status_code in {400, 422}
        assert client.post("/audio", json={"url": "https://nowhere.example/"}).status_code == 422
    assert client.post("/audio", files={"file": ("talk.wav", TALK)}).status_code == 201


class Another:
    """A request that comes while another one is coming in; `after` is set once it is answered."""

    def __init__(self, method: str, path: str, content_type: str = "text/plain", after: threading.Event | None = None):
        self.request = (method, path)
        self.headers = {"Content-Type": content_type}
        self.after = after or threading.Event()


def while_one_comes_in(
    container, method, path, content_type, another: Another, body: bytes = b"--edge"
) -> httpx.Response:
    """The answer to `another`, with room for one."""
    container.settings = settings(max_concurrent_uploads=1)
    app = create_app(container)

    async def talk() -> httpx.Response:
        begun, answered = asyncio.Event(), asyncio.Event()

        async def content():
            begun.set()
            yield body
            if content_type != "application/json":
                await answered.wait()

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            first = asyncio.create_task(
                client.request(method, path, content=content(), headers={"Content-Type": content_type})
            )
            await begun.wait()
            await until_taken(app)
            answer = await client.request(*another.request, content=b"--edge", headers=another.headers)
            another.after.set()
            answered.set()
            await first
            return answer

    async def until_taken(app) -> None:
        while not app.state.places._taken:  # noqa: ASYNC110 - it belongs to the app
            await asyncio.sleep(0)

    return asyncio.run(asyncio.wait_for(talk(), 20))
