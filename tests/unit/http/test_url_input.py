"""Recordings given by their URL, beside those sent as a form to the same paths."""

from uuid import UUID

import pytest

from hansard.domain.errors import DownloadFailed, DownloadTimedOut, TooLarge, UrlRefused
from tests.unit.http.api import TALK

URL = "https://example.org/talk"


@pytest.fixture(autouse=True)
def web(container):
    container.remote.put(URL, TALK, name="../Zürich talk.mp3")


def test_a_recording_is_taken_in_by_its_url(client, container):
    answer = client.post("/audio", json={"url": URL})

    audio = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/audio/{audio['id']}"
    assert audio["file_name"] == "Zürich talk.mp3"
    assert container.store.objects[audio["sha256"]] == TALK


def test_a_name_of_ones_own_is_better(client):
    assert client.post("/audio", json={"url": URL, "file_name": "/tmp/mine.wav"}).json()["file_name"] == "mine.wav"


def test_a_transcription_is_asked_for_by_a_url(client, container):
    answer = client.post("/transcriptions", json={"url": URL, "language": "de", "metadata": {"case": "7"}})

    assert answer.status_code == 202
    assert answer.headers["location"] == f"/transcriptions/{answer.json()['id']}"
    transcription = container.transcription(UUID(answer.json()["id"]))
    assert transcription.parameters.language == "de"
    assert transcription.parameters.metadata == {"case": "7"}


def test_it_is_off_unless_it_was_switched_on(client, container):
    container.remote = None

    answer = client.post("/audio", json={"url": URL})

    assert (answer.status_code, answer.json()["code"]) == (422, "url_input_off")
    assert "HANSARD_URL_INPUT" in answer.json()["help"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UrlRefused("It is inside."), 422),
        (TooLarge("It is too large."), 413),
        (DownloadFailed("It is broken."), 502),
        (DownloadTimedOut("It is slow."), 504),
    ],
)
def test_what_goes_wrong_there_is_told_and_nothing_is_kept(client, container, error, status):
    container.remote.files[URL] = error

    answer = client.post("/transcriptions", json={"url": URL})

    assert (answer.status_code, answer.json()["code"]) == (status, error.failure.code)
    assert ("retry-after" in answer.headers) == (status >= 500)
    assert not container.database.audio


def test_what_is_at_the_url_may_be_no_recording(client, container):
    container.remote.put(URL, b"")

    assert client.post("/audio", json={"url": URL}).json()["code"] == "empty_file"
    assert not container.store.objects


@pytest.mark.parametrize("wish", [{}, {"url": ""}, {"url": 7}, {"url": "x" * 8001}, {"url": URL, "colour": "red"}])
def test_a_body_that_is_not_as_it_should_be_is_refused(client, container, wish):
    assert client.post("/audio", json=wish).json()["code"] == "invalid_request"
    assert client.post("/transcriptions", json=wish).json()["code"] == "invalid_request"
    assert not container.remote.fetched


def test_a_wish_that_cannot_be_granted_fetches_nothing(client, container):
    assert client.post("/transcriptions", json={"url": URL, "engine": "parrot"}).json()["code"] == "unknown_engine"
    assert not container.remote.fetched


@pytest.mark.parametrize("path", ["/audio", "/transcriptions"])
def test_sent_again_with_its_key_nothing_is_fetched_again(client, container, path):
    first = client.post(path, json={"url": URL}, headers={"Idempotency-Key": "k"})
    container.remote.put(URL, TALK * 2)

    again = client.post(path, json={"url": URL}, headers={"Idempotency-Key": "k"})

    assert again.json()["id"] == first.json()["id"]
    assert len(container.remote.fetched) == 1
    assert len(container.database.audio) == 1


@pytest.mark.parametrize("path", ["/audio", "/transcriptions"])
def test_the_key_of_another_url_is_refused(client, container, path):
    client.post(path, json={"url": URL}, headers={"Idempotency-Key": "k"})

    answer = client.post(path, json={"url": f"{URL}?v=2"}, headers={"Idempotency-Key": "k"})

    assert answer.json()["code"] == "idempotency_key_reused"


def test_forms_are_taken_as_ever(client):
    assert client.post("/audio", files={"file": ("talk.wav", TALK)}).status_code == 201
    assert client.post("/transcriptions", files={"file": ("talk.wav", TALK)}).status_code == 202


def test_the_api_description_has_both_ways_in(client):
    document = client.get("/openapi.json").json()

    for path, model in (("/audio", "AudioUrl"), ("/transcriptions", "TranscriptionUrl")):
        operation = document["paths"][path]["post"]
        content = operation["requestBody"]["content"]
        assert set(content) == {"multipart/form-data", "application/json"}
        assert content["application/json"]["schema"]["$ref"].endswith(f"/{model}")
        assert {"502", "504"} <= set(operation["responses"])
