"""A request that is sent again under the same Idempotency-Key makes nothing twice."""

from uuid import UUID

import pytest

from tests.unit.http.api import TALK, submit, upload
from tests.workshop import speech

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def post_audio(client, headers=KEY, content=TALK):
    return client.post("/audio", files={"file": ("talk.wav", content)}, headers=headers)


def post_upload(client, headers=KEY, content=TALK, **fields):
    return client.post("/transcriptions", files={"file": ("talk.wav", content)}, data=fields, headers=headers)


def test_an_upload_sent_again_is_answered_with_the_first_one(client, container):
    first, again = post_audio(client), post_audio(client)

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert len(container.database.audio) == 1


def test_a_submission_sent_again_makes_one_job(client, container):
    path = f"/audio/{upload(client)['id']}/transcriptions"

    first, again = (client.post(path, json={"language": "en"}, headers=KEY) for _ in range(2))

    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert len(container.database.jobs) == 1


def test_an_upload_with_a_submission_sent_again_makes_one_of_each(client, container):
    first, again = post_upload(client), post_upload(client)

    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert again.headers["location"] == first.headers["location"]
    assert len(container.database.audio) == len(container.database.jobs) == 1


def test_what_is_sent_again_is_shown_as_it_is_now(client, container):
    transcription = post_upload(client).json()
    container.transcribe(UUID(transcription["id"]))

    assert post_upload(client).json()["status"] == "completed"


def test_without_a_key_each_request_makes_its_own(client):
    first, second = post_audio(client, headers={}), post_audio(client, headers={})

    assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize("changed", [{"content": speech(3)}, {"language": "en"}])
def test_a_key_used_for_another_request_is_refused(client, changed):
    post_upload(client)

    answer = post_upload(client, **changed)

    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_key_reused"


def test_a_key_for_one_route_means_nothing_to_another(client):
    post_audio(client)

    assert post_upload(client).status_code == 202


def test_what_is_deleted_meanwhile_is_not_made_again(client, container):
    transcription = post_upload(client).json()
    client.delete(f"/transcriptions/{transcription['id']}")

    answer = post_upload(client)

    assert answer.status_code == 409
    assert answer.json()["code"] == "idempotency_key_spent"
    assert answer.json()["help"]
    assert not container.database.transcriptions


@pytest.mark.parametrize("key", ["", "k" * 256, "Zürich".encode("latin-1"), b"tab\there"])
def test_a_key_that_is_not_1_to_255_printable_ascii_characters_is_refused(client, container, key):
    answer = post_audio(client, headers={"Idempotency-Key": key})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert not container.store.objects


@pytest.mark.parametrize("key", ["k", "k" * 255, '"quoted as the draft has it"'])
def test_any_printable_ascii_is_a_key(client, key):
    assert post_audio(client, headers={"Idempotency-Key": key}).status_code == 201


def test_the_api_description_has_the_key_on_every_request_that_makes_something(client):
    paths = client.get("/openapi.json").json()["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]

    taking_keys = {
        operation["operationId"]
        for operation in operations
        for parameter in operation.get("parameters", ())
        if (parameter["in"], parameter["name"]) == ("header", "Idempotency-Key")
    }

    assert taking_keys == {
        "upload_audio",
        "transcribe_audio",
        "transcribe_upload",
        "create_transcription",
        "create_translation",
    }


# ── One job for identical requests in flight ─────────────────────────────────────────────────────────────


def test_identical_requests_in_flight_share_a_job_when_they_ask_to(client, container):
    first = submit(client, coalesce="true", language="en")
    second = submit(client, coalesce="true", language="en")

    assert second["id"] == first["id"]
    assert len(container.database.jobs) == 1


def test_a_submission_by_id_shares_a_job_too(client):
    first = submit(client)

    answer = client.post(f"/audio/{first['audio_id']}/transcriptions", json={"coalesce": True})

    assert answer.json()["id"] == first["id"]


def test_unless_they_ask_each_has_a_job_of_its_own(client):
    assert submit(client)["id"] != submit(client)["id"]
