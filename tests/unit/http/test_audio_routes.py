"""Recordings go in, are listed, and keep their names."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.domain.file_name import LONGEST_FILE_NAME, clean_file_name
from tests.unit.http.api import TALK, client_of, multipart, settings, upload


def test_an_upload_is_answered_with_its_record(client):
    answer = client.post("/audio", files={"file": ("talk.mp3", TALK)})

    audio = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/audio/{audio['id']}"
    assert audio["audio_url"] == f"/audio/{audio['id']}/download"
    assert audio["file_name"] == "talk.mp3"
    assert audio["media_type"] == "audio/mpeg"
    assert audio["size_bytes"] == len(TALK)
    assert audio["duration_seconds"] == 2.0


def test_an_upload_can_be_looked_up(client):
    audio = upload(client)

    assert client.get(f"/audio/{audio['id']}").json() == audio


def test_an_unknown_audio_id_is_not_found(client):
    answer = client.get(f"/audio/{uuid4()}")

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def test_recordings_are_listed_newest_first_in_pages(client, container):
    ids = []
    for _ in range(3):
        ids.append(upload(client)["id"])
        container.clock.advance(1)

    first = client.get("/audio", params={"limit": 2}).json()
    second = client.get("/audio", params={"limit": 2, "cursor": first["next_cursor"]}).json()

    assert [audio["id"] for audio in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("limit", ["0", "201", "-1", "many"])
def test_a_page_has_1_to_200_items(client, limit):
    answer = client.get("/audio", params={"limit": limit})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "limit"


def test_a_cursor_that_is_not_ours_is_refused(client):
    answer = client.get("/audio", params={"cursor": "made-up"})

    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_cursor"


def test_an_unusable_file_is_refused_and_nothing_is_kept(client, container):
    answer = client.post("/audio", files={"file": ("empty.wav", b"")})

    assert answer.status_code == 422
    assert answer.json()["code"] == "empty_file"
    assert answer.json()["detail"] == "The file is empty."
    assert not container.database.audio
    assert not container.store.objects


def test_a_missing_file_is_said_by_name(client):
    answer = client.post("/audio", **multipart(("name", "", b"talk")))

    assert answer.status_code == 422
    assert {"field": "file", "code": "missing", "message": "is required"} in answer.json()["errors"]


def test_a_file_field_without_a_file_is_explained(client):
    answer = client.post("/audio", **multipart(("file", "", b"talk.mp3")))

    assert answer.status_code == 422
    assert answer.json()["detail"] == "file: must be the recording itself, as a file part of multipart/form-data."


def test_two_files_in_one_request_are_refused(client, container):
    files = [("file", ("one.wav", TALK)), ("file", ("two.wav", TALK))]

    answer = client.post("/audio", files=files)

    assert answer.status_code == 400
    assert not container.database.audio


def test_unknown_fields_beside_the_file_are_refused_by_name(client, container):
    answer = client.post("/audio", files={"file": ("talk.wav", TALK)}, data={"diarize": "true"})

    assert answer.status_code == 422
    assert answer.json()["detail"] == "diarize: is not a parameter here."
    assert not container.store.objects


@pytest.mark.parametrize(
    ("parameters", "kept"),
    [
        ('; filename="Zürich 議事録 🎙.mp3"', "Zürich 議事録 🎙.mp3"),
        ('; filename="../../etc/passwd"', "passwd"),
        (r'; filename="C:\\Users\\me\\talk.wav"', "talk.wav"),
        (r'; filename="she said \"no\".wav"', 'she said "no".wav'),
        ('; filename="she said %22no%22 %41.wav"', 'she said "no" %41.wav'),
        ('; filename="two%0D%0Alines.wav"', "twolines.wav"),
        ('; filename=""', "upload"),
        ('; filename=".."', "upload"),
    ],
)
def test_a_file_keeps_its_name_but_not_its_path(client, parameters, kept):
    answer = client.post("/audio", **multipart(("file", parameters, TALK)))

    assert answer.json()["file_name"] == kept


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("talk\r\nSet-Cookie: x.wav", "talkSet-Cookie: x.wav"),
        ("nul\0byte.wav", "nulbyte.wav"),
        ("exe.\u202egpj.wav", "exe.gpj.wav"),
        ("line\u2028break.wav", "linebreak.wav"),
        ("family 👨‍👩‍👧.wav", "family 👨‍👩‍👧.wav"),
        ("  talk.wav ", "talk.wav"),
        ("\ud800.wav", ".wav"),
        ("folder/", "upload"),
        ("a" * 500 + ".flac", "a" * (LONGEST_FILE_NAME - 5) + ".flac"),
        ("b" * 500, "b" * LONGEST_FILE_NAME),
    ],
)
def test_what_is_invisible_or_too_long_is_left_out_of_a_name(given_name, kept):
    assert clean_file_name(given_name) == kept


@given(st.text())
def test_any_name_becomes_one_that_is_safe_to_keep(given_name):
    name = clean_file_name(given_name)

    assert 0 < len(name) <= LONGEST_FILE_NAME
    assert name.encode("utf-8")
    assert not any(character in name for character in "/\\\0\r\n")
    assert clean_file_name(name) == name


def test_a_file_one_byte_too_large_is_refused_with_413(container):
    container.settings = settings(max_upload_bytes=len(TALK) - 1)

    answer = client_of(container).post("/audio", files={"file": ("talk.wav", TALK)})

    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"
    assert not container.store.objects


def test_a_file_of_just_the_limit_is_taken(container):
    container.settings = settings(max_upload_bytes=len(TALK))

    assert client_of(container).post("/audio", files={"file": ("talk.wav", TALK)}).status_code == 201
