"""Resumable uploads over HTTP: the tus protocol's requests, its refusals, and connections that break off."""

import asyncio
import hashlib
import json
from base64 import b64encode
from datetime import timedelta
from email.utils import parsedate_to_datetime
from uuid import UUID, uuid4

import pytest
from httpx import Response

from hansard.http.app import create_app
from hansard.http.routes import uploads as routes
from tests.unit.http.api import TALK, client_of, settings

TUS = {"Tus-Resumable": "1.0.0"}
BODY = {**TUS, "Content-Type": "application/offset+octet-stream"}
NAME = b64encode("../Zürich.mp3".encode()).decode()


def metadata(**values: str) -> dict[str, str]:
    pairs = [f"{key} {b64encode(value.encode()).decode()}" for key, value in values.items()]
    return {"Upload-Metadata": ",".join(pairs)}


def begin(client, length: int = len(TALK), **headers):
    answer = client.post("/uploads", headers={**TUS, "Upload-Length": str(length), **headers})
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def send(client, where: str, data: bytes, offset: int = 0, **headers):
    return client.patch(where, content=data, headers={**BODY, "Upload-Offset": str(offset), **headers})


def head(client, where: str):
    return client.head(where, headers=TUS)


def test_what_is_spoken_here_is_told_without_a_version(client):
    answer = client.options("/uploads")

    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-max-size"] == str(4 * 1024**3)
    assert answer.headers["tus-extension"] == "creation,creation-with-upload,checksum,expiration,termination"
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256"


def test_a_recording_sent_in_pieces_becomes_an_audio_file(client, container):
    where = begin(client, **metadata(filename="../Zürich.mp3"))
    first = send(client, where, TALK[:1000])
    last = send(client, where, TALK[1000:], 1000)

    assert (first.status_code, first.headers["upload-offset"]) == (204, "1000")
    assert (last.status_code, last.headers["upload-offset"]) == (204, str(len(TALK)))
    audio = client.get(f"/audio/{last.headers['x-hansard-audio-id']}").json()
    assert audio["file_name"] == "Zürich.mp3"
    assert container.store.objects[audio["sha256"]] == TALK
    assert {answer.headers["tus-resumable"] for answer in (first, last)} == {"1.0.0"}


def test_the_first_bytes_may_come_with_the_creation(client):
    answer = client.post("/uploads", content=TALK, headers={**BODY, "Upload-Length": str(len(TALK))})

    assert answer.status_code == 201
    assert answer.headers["upload-offset"] == str(len(TALK))
    assert answer.headers["location"] == f"/uploads/{answer.headers['x-hansard-audio-id']}"


def test_a_wish_comes_with_the_metadata(client, container):
    wish = json.dumps({"language": "de", "diarize": True})
    where = begin(client, **metadata(filename="a.wav", transcription=wish))

    answer = send(client, where, TALK)

    transcription = container.transcription(UUID(answer.headers["x-hansard-transcription-id"]))
    assert transcription.parameters.language == "de"
    assert transcription.parameters.diarize
    assert str(transcription.audio_id) == answer.headers["x-hansard-audio-id"]


def test_what_uploaders_in_browsers_tell_by_themselves_is_no_hindrance(client):
    told = metadata(relativePath="null", name="a.wav", type="audio/wav", filetype="audio/wav", filename="b.wav")

    answer = send(client, begin(client, **told), TALK)

    assert client.get(f"/audio/{answer.headers['x-hansard-audio-id']}").json()["file_name"] == "b.wav"


def test_how_far_an_upload_is_can_be_asked(client, container):
    where = begin(client, **metadata(filename="a.wav"))
    send(client, where, TALK[:10])

    answer = head(client, where)

    assert answer.status_code == 200
    assert answer.headers["upload-offset"] == "10"
    assert answer.headers["upload-length"] == str(len(TALK))
    assert answer.headers["upload-metadata"] == f"filename {b64encode(b'a.wav').decode()}"
    assert answer.headers["cache-control"] == "no-store"
    assert parsedate_to_datetime(answer.headers["upload-expires"]) == container.clock.now + timedelta(hours=1)


def test_a_client_that_lost_the_last_answer_learns_it(client):
    where = begin(client, **metadata(transcription="{}"))
    lost = send(client, where, TALK)

    answer = head(client, where)

    assert answer.headers["upload-offset"] == answer.headers["upload-length"] == str(len(TALK))
    for name in ("x-hansard-audio-id", "x-hansard-transcription-id"):
        assert answer.headers[name] == lost.headers[name]


def test_the_last_piece_sent_again_makes_no_second_audio_file(client, container):
    where = begin(client)
    send(client, where, TALK[:10])
    send(client, where, TALK[10:], 10)

    assert send(client, where, TALK[10:], 10).status_code == 409
    assert send(client, where, b"", len(TALK)).status_code == 204
    assert len(container.database.audio) == 1


def test_a_recording_that_is_refused_is_refused_with_the_last_byte_and_when_asked(client):
    answer = client.post("/uploads", headers={**TUS, "Upload-Length": "0"})

    assert (answer.status_code, answer.json()["code"]) == (422, "empty_file")


def test_an_upload_can_be_given_up(client):
    where = begin(client)

    assert client.delete(where, headers=TUS).status_code == 204
    assert head(client, where).status_code == 404


def test_an_upload_expires(client, container):
    where = begin(client)
    container.clock.advance(3600)

    answer = send(client, where, TALK)

    assert (answer.status_code, answer.json()["code"]) == (410, "upload_gone")


def test_a_checksum_that_is_right_is_taken(client):
    checksum = f"sha1 {b64encode(hashlib.sha1(TALK).digest()).decode()}"

    assert send(client, begin(client), TALK, **{"Upload-Checksum": checksum}).status_code == 204


def test_bytes_that_are_not_those_of_the_checksum_do_not_count(client):
    where = begin(client)
    answer = send(client, where, TALK, **{"Upload-Checksum": f"sha256 {b64encode(bytes(32)).decode()}"})

    assert (answer.status_code, answer.json()["code"], answer.json()["title"]) == (
        460,
        "checksum_mismatch",
        "Checksum Mismatch",
    )
    assert head(client, where).headers["upload-offset"] == "0"


def test_a_method_that_a_proxy_does_not_know_may_be_named_in_a_header(client):
    where = begin(client)
    headers = {**BODY, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}

    assert client.post(where, content=TALK[:10], headers=headers).headers["upload-offset"] == "10"
    assert client.post(where, headers={**TUS, "X-HTTP-Method-Override": "DELETE"}).status_code == 204
    assert client.post(where, headers=TUS).status_code == 405


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Upload-Length": "10"}, 412, "tus_version_unsupported"),
        ({"Upload-Length": "10", "Tus-Resumable": "0.2.2"}, 412, "tus_version_unsupported"),
        (TUS, 400, "bad_upload_request"),
        ({**TUS, "Upload-Length": "-1"}, 400, "bad_upload_request"),
        ({**TUS, "Upload-Length": "ten"}, 400, "bad_upload_request"),
        ({**TUS, "Upload-Length": "1" * 5000}, 400, "bad_upload_request"),
        ({**TUS, "Upload-Defer-Length": "1"}, 400, "bad_upload_request"),
        ({**TUS, "Upload-Length": "10", "Upload-Concat": "partial"}, 400, "bad_upload_request"),
        ({**TUS, "Upload-Length": "10", "Upload-Metadata": "filename ???"}, 400, "bad_upload_request"),
        ({**TUS, "Upload-Length": "10", "Upload-Metadata": "filename /w=="}, 400, "bad_upload_request"),
        (
            {**TUS, "Upload-Length": "10", "Upload-Metadata": f"filename {NAME},filename {NAME}"},
            400,
            "bad_upload_request",
        ),
        ({**TUS, "Upload-Length": "10", "Upload-Metadata": f"colour {NAME}"}, 400, "bad_upload_request"),
        ({**TUS, "Upload-Length": "10", "Upload-Metadata": f"filename {'A' * 20_000}"}, 400, "bad_upload_request"),
        ({**TUS, "Upload-Length": "10", **metadata(transcription="{")}, 400, "bad_upload_request"),
        ({**TUS, "Upload-Length": "10", **metadata(transcription='{"colour": 1}')}, 400, "bad_upload_request"),
        ({**TUS, "Upload-Length": "10", **metadata(transcription='{"engine": "parrot"}')}, 422, "unknown_engine"),
        ({**TUS, "Upload-Length": str(10**9)}, 413, "too_large"),
    ],
)
def test_a_creation_that_cannot_be_read_is_refused(client, container, headers, status, code):
    answer = client.post("/uploads", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert container.partial_uploads.ids() == ()
    assert (answer.headers.get("tus-version") == "1.0.0") == (status == 412)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Tus-Resumable": ""}, 412, "tus_version_unsupported"),
        ({"Content-Type": "audio/wav"}, 415, "upload_type_unsupported"),
        ({"Upload-Offset": "x"}, 400, "bad_upload_request"),
        ({"Upload-Offset": "7"}, 409, "offset_mismatch"),
        ({"Upload-Checksum": "md5 AAAA"}, 400, "bad_upload_request"),
        ({"Upload-Checksum": "sha1 ?"}, 400, "bad_upload_request"),
    ],
)
def test_a_piece_that_cannot_be_taken_is_refused_and_nothing_of_it_counts(client, headers, status, code):
    where = begin(client)

    answer = send(client, where, TALK, **headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["connection"] == "close"
    assert head(client, where).headers["upload-offset"] == "0"


def test_a_piece_longer_than_announced_is_refused_by_its_length(client):
    where = begin(client, 10)

    answer = send(client, where, TALK)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_body_larger_than_any_upload_is_refused_as_one(container):
    container.settings = settings(max_upload_bytes=100)
    client = client_of(container)

    answer = send(client, begin(client), TALK)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert answer.headers["tus-resumable"] == "1.0.0"


def test_a_second_sender_is_told_that_there_is_one(client, container):
    where = begin(client)

    with container.partial_uploads.hold(UUID(where.rpartition("/")[2])):
        answer = send(client, where, TALK)

    assert (answer.status_code, answer.json()["code"]) == (423, "upload_in_use")


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
def test_an_upload_that_never_was_is_not_found(client, method):
    answer = client.request(method, f"/uploads/{uuid4()}", headers={**BODY, "Upload-Offset": "0"})

    assert answer.status_code == 404
    assert answer.headers["tus-resumable"] == "1.0.0"


def test_the_bytes_of_a_connection_that_breaks_count(client, container):
    where = begin(client)
    answer = patch_by_hand(container, where, [TALK[:700], TALK[700:1000]], {"type": "http.disconnect"})

    assert answer is None
    assert head(client, where).headers["upload-offset"] == "1000"


def test_a_connection_that_falls_silent_is_let_go_of(client, container, monkeypatch):
    monkeypatch.setattr(routes, "IDLE_SECONDS", 0.01)
    where = begin(client)
    answer = patch_by_hand(container, where, [TALK[:1000]], None)

    assert answer.status_code == 408
    assert head(client, where).headers["upload-offset"] == "1000"
    assert send(client, where, TALK[1000:], 1000).status_code == 204


def patch_by_hand(container, where: str, blocks: list[bytes], then: dict | None) -> Response | None:
    """The answer to a PATCH whose body never ends; `then` None: nothing more ever comes."""
    messages = [{"type": "http.request", "body": block, "more_body": True} for block in blocks]
    sent = []

    async def receive():
        if messages:
            return messages.pop(0)
        if then is None:
            await asyncio.Event().wait()
        return then

    async def send(message):
        sent.append(message)

    headers = {**BODY, "Upload-Offset": "0"}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "PATCH",
        "path": where,
        "raw_path": where.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(create_app(container)(scope, receive, send))
    if not sent:
        return None
    start, body = sent
    return Response(start["status"], headers=start["headers"], content=body["body"])


def test_the_api_description_tells_how_uploads_are_sent(client):
    path = client.get("/openapi.json").json()["paths"]["/uploads/{upload_id}"]

    assert set(path) == {"head", "patch", "delete"}
    assert "application/offset+octet-stream" in path["patch"]["requestBody"]["content"]
    assert {each["name"] for each in path["patch"]["parameters"]} == {
        "upload_id",
        "Tus-Resumable",
        "Upload-Offset",
        "Upload-Checksum",
    }
