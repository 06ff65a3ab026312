"""What failed is asked for again without a new upload; what is deleted is gone from every path."""

from uuid import UUID, uuid4

import pytest

from hansard.domain.errors import EngineRejected
from tests.unit.http.api import TALK, submit


def finish(container, transcription):
    container.transcribe(UUID(transcription["id"]))


@pytest.fixture
def failed(client, container):
    """A transcription that failed, with an engine that is well again."""
    container.engine.failures = [EngineRejected("That cannot be heard.", engine="fake")]
    transcription = submit(client, engine="fake", prompt="harbour committee")
    finish(container, transcription)
    return transcription


def retry(client, transcription, **content):
    return client.post(f"/transcriptions/{transcription['id']}/retry", **content)


# ── Retry ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failed_transcription_is_queued_again_under_its_own_id(client, failed):
    answer = retry(client, failed)

    assert answer.status_code == 202
    assert answer.headers["location"] == f"/transcriptions/{failed['id']}"
    assert answer.json()["id"] == failed["id"]
    assert answer.json()["status"] == "queued"
    assert answer.json()["error"] is None


def test_a_retry_is_done_like_any_other_job(client, container, failed):
    retry(client, failed)
    finish(container, failed)

    assert client.get(f"/transcriptions/{failed['id']}").json()["text"] == "word1 word2"


@pytest.mark.parametrize("content", [{}, {"json": {}}])
def test_without_new_parameters_those_of_the_first_time_hold(client, failed, content):
    assert retry(client, failed, **content).json()["parameters"] == failed["parameters"]


def test_new_parameters_take_the_place_of_all_the_old_ones(client, failed):
    parameters = retry(client, failed, json={"engine": "second"}).json()["parameters"]

    assert (parameters["engine"], parameters["prompt"]) == ("second", None)


@pytest.mark.parametrize("body", [{"language": "English"}, {"coalesce": True}, {"engine": "whispr"}])
def test_new_parameters_that_cannot_be_honoured_are_refused_and_nothing_changes(client, failed, body):
    answer = retry(client, failed, json=body)

    assert answer.status_code == 422
    assert client.get(f"/transcriptions/{failed['id']}").json()["status"] == "failed"


def test_a_cancelled_transcription_is_asked_for_again(client):
    transcription = submit(client)
    client.post(f"/transcriptions/{transcription['id']}/cancel")

    assert retry(client, transcription).json()["status"] == "queued"


def test_a_completed_transcription_is_not_done_again(client, container):
    transcription = submit(client)
    finish(container, transcription)

    answer = retry(client, transcription)

    assert answer.status_code == 409
    assert answer.json()["code"] == "illegal_move"
    assert answer.json()["help"]


def test_a_transcription_that_is_queued_already_is_not_queued_twice(client, container):
    transcription = submit(client)

    answer = retry(client, transcription)

    assert answer.status_code == 409
    assert answer.json()["help"]
    assert len(container.database.jobs) == 1


def test_what_is_not_there_cannot_be_asked_for_again(client):
    assert retry(client, {"id": uuid4()}).status_code == 404


# ── Delete ───────────────────────────────────────────────────────────────────────────────────────────────


PATHS_OF_A_TRANSCRIPTION = [("GET", ""), ("GET", "/export"), ("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")]
PATHS_OF_A_RECORDING = [
    ("GET", ""),
    ("GET", "/download"),
    ("HEAD", "/download"),
    ("POST", "/transcriptions"),
    ("DELETE", ""),
]


def test_a_deletion_is_answered_without_a_body(client):
    transcription = submit(client)

    for path in (f"/transcriptions/{transcription['id']}", f"/audio/{transcription['audio_id']}"):
        answer = client.delete(path)
        assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(("method", "path"), PATHS_OF_A_TRANSCRIPTION)
def test_a_deleted_transcription_is_not_found_on_any_path(client, container, method, path):
    transcription = submit(client)
    finish(container, transcription)
    client.delete(f"/transcriptions/{transcription['id']}")

    assert client.request(method, f"/transcriptions/{transcription['id']}{path}").status_code == 404


@pytest.mark.parametrize(("method", "path"), PATHS_OF_A_RECORDING)
def test_a_deleted_recording_is_not_found_on_any_path(client, method, path):
    audio_id = submit(client)["audio_id"]
    client.delete(f"/audio/{audio_id}")

    assert client.request(method, f"/audio/{audio_id}{path}").status_code == 404


def test_a_deleted_transcription_leaves_its_recording(client):
    transcription = submit(client)
    client.delete(f"/transcriptions/{transcription['id']}")

    assert client.get(transcription["audio_url"]).content == TALK


def test_a_deleted_recording_takes_its_transcriptions_with_it(client):
    transcription = submit(client)
    client.delete(f"/audio/{transcription['audio_id']}")

    assert client.get(f"/transcriptions/{transcription['id']}").status_code == 404
    assert not client.get("/transcriptions").json()["items"]
    assert not client.get("/audio").json()["items"]


def test_an_id_that_names_nothing_cannot_be_deleted(client):
    assert client.delete(f"/transcriptions/{uuid4()}").status_code == 404
    assert client.delete(f"/audio/{uuid4()}").status_code == 404


def test_a_path_tells_that_it_can_be_deleted(client):
    answer = client.put(f"/transcriptions/{submit(client)['id']}")

    assert answer.headers["allow"] == "DELETE, GET"
