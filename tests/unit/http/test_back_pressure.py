"""When enough is waiting, a request is told when to come back, before it has sent hours of audio."""

from dataclasses import replace
from math import ceil

import pytest

from hansard.domain.errors import StorageError
from tests.unit.http.api import TALK, submit, upload
from tests.workshop import speech

FORM = {"Content-Type": "multipart/form-data; boundary=edge"}


@pytest.fixture
def full(client, container):
    """A queue that is full with one recording of 100 s, whose work is thought to take 20 s."""
    submit(client, content=speech(100))
    container.queue_policy = replace(container.queue_policy, most_waiting=1)


@pytest.fixture
def full_for_owner(client, container):
    """The same, where others would still have room."""
    submit(client, content=speech(100))
    container.queue_policy = replace(container.queue_policy, most_waiting_of_owner=1)


def post_upload(client):
    return client.post("/transcriptions", files={"file": ("talk.wav", TALK)})


@pytest.mark.usefixtures("full")
def test_a_full_queue_is_told_with_what_waits_and_when_to_come_back(client):
    answer = post_upload(client)

    problem = answer.json()
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["code"], problem["category"]) == ("queue_full", "server")
    assert problem["backlog_seconds"] == 20.0
    assert answer.headers["retry-after"] == "20"
    assert problem["help"]


@pytest.mark.usefixtures("full_for_owner")
def test_too_much_of_ones_own_is_another_answer(client):
    answer = post_upload(client)

    assert answer.status_code == 429
    assert (answer.json()["code"], answer.json()["category"]) == ("owner_queue_full", "rate_limit")
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["backlog_seconds"] == 20.0


def test_parts_of_a_second_to_wait_are_rounded_up(client, container):
    submit(client, content=speech(7))
    container.queue_policy = replace(container.queue_policy, most_waiting=1)

    answer = post_upload(client)

    assert answer.json()["backlog_seconds"] == pytest.approx(1.4)
    assert answer.headers["retry-after"] == str(ceil(1.4))


@pytest.mark.usefixtures("full")
def test_a_recording_is_refused_before_it_is_sent(client):
    sent = []

    def body():
        sent.append(True)
        yield b"--edge"

    answer = client.post("/transcriptions", content=body(), headers=FORM)

    assert answer.status_code == 503
    assert answer.headers["connection"] == "close"
    assert not sent


@pytest.mark.usefixtures("full")
def test_nothing_of_what_is_refused_is_kept(client, container):
    kept = len(container.database.audio), len(container.store.objects), len(container.database.transcriptions)

    post_upload(client)

    assert kept == (len(container.database.audio), len(container.store.objects), len(container.database.transcriptions))


def test_a_queue_that_fills_up_while_a_recording_comes_in_is_noticed(client, container):
    policy = container.queue_policy

    def body():
        # The first check has been passed when this is asked for.
        container.queue_policy = replace(policy, most_waiting=0)
        yield b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        yield TALK + b"\r\n--edge--\r\n"

    answer = client.post("/transcriptions", content=body(), headers=FORM)

    assert answer.status_code == 503
    assert "connection" not in answer.headers
    assert not container.store.objects


@pytest.mark.usefixtures("full")
def test_a_recording_without_a_job_is_still_taken_in(client):
    assert client.post("/audio", files={"file": ("talk.wav", TALK)}).status_code == 201


@pytest.mark.usefixtures("full")
def test_a_job_for_what_is_uploaded_already_is_refused_too(client, container):
    answer = client.post(f"/audio/{upload(client)['id']}/transcriptions")

    assert answer.status_code == 503
    assert len(container.database.jobs) == 1


def test_a_retry_needs_room_like_any_other_job(client, container):
    transcription = submit(client)
    client.post(f"/transcriptions/{transcription['id']}/cancel")
    submit(client)
    container.queue_policy = replace(container.queue_policy, most_waiting=1)

    answer = client.post(f"/transcriptions/{transcription['id']}/retry")

    assert answer.status_code == 503
    assert client.get(f"/transcriptions/{transcription['id']}").json()["status"] == "cancelled"


@pytest.mark.usefixtures("full")
def test_a_full_queue_is_no_fault_for_the_log(client, log):
    post_upload(client)

    assert [(line["message"], line["level"].name) for line in log] == [("Request answered.", "INFO")]


def test_other_problems_have_no_backlog(client):
    assert "backlog_seconds" not in client.get("/nothing").json()


def test_a_recording_is_not_sent_to_a_service_that_cannot_keep_it(client, container):
    def fail():
        raise StorageError("The database does not answer.")

    container.database.unit_of_work = fail

    answer = post_upload(client)

    assert answer.status_code == 503
    assert answer.json()["code"] == "storage_unavailable"
    assert answer.headers["connection"] == "close"
