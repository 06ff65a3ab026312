"""The very bytes come out again, whole or in part."""

import hashlib
import re
from urllib.parse import unquote

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from hansard.http.download import ByteRange, Unsatisfiable, content_disposition, requested_range
from tests.unit.http.api import TALK, upload

SHA256 = hashlib.sha256(TALK).hexdigest()


@pytest.fixture
def url(client: TestClient) -> str:
    return upload(client, file_name="Zürich.mp3")["audio_url"]


def test_the_whole_file_comes_back_byte_for_byte(client, url):
    answer = client.get(url)

    assert answer.status_code == 200
    assert answer.content == TALK
    assert answer.headers["content-length"] == str(len(TALK))
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["etag"] == f'"{SHA256}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_head_tells_what_get_would_without_the_bytes(client, url):
    head, get = client.head(url), client.get(url)

    assert head.status_code == 200
    assert head.content == b""
    del head.headers["x-request-id"], get.headers["x-request-id"]
    assert head.headers == get.headers


def test_a_range_comes_with_its_place_in_the_file(client, url):
    answer = client.get(url, headers={"Range": "bytes=10-19"})

    assert answer.status_code == 206
    assert answer.content == TALK[10:20]
    assert answer.headers["content-range"] == f"bytes 10-19/{len(TALK)}"
    assert answer.headers["content-length"] == "10"


def test_a_range_behind_the_end_cannot_be_satisfied(client, url):
    answer = client.get(url, headers={"Range": f"bytes={len(TALK)}-"})

    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(TALK)}"
    assert answer.json()["code"] == "range_not_satisfiable"


@pytest.mark.parametrize("header", ["bytes=0-1,5-6", "items=0-1", "bytes=5-1", "bytes=-", "bytes=a-b", "bytes 0-1", ""])
def test_a_range_that_is_not_understood_is_answered_with_the_whole_file(client, url, header):
    answer = client.get(url, headers={"Range": header})

    assert answer.status_code == 200
    assert answer.content == TALK


def test_a_range_is_ignored_for_head(client, url):
    assert client.head(url, headers={"Range": "bytes=0-1"}).status_code == 200


@pytest.mark.parametrize("tag", [f'"{SHA256}"', f'W/"{SHA256}"', f'"old", "{SHA256}"', "*"])
def test_who_has_the_bytes_already_gets_none(client, url, tag):
    answer = client.get(url, headers={"If-None-Match": tag})

    assert answer.status_code == 304
    assert answer.content == b""
    assert answer.headers["etag"] == f'"{SHA256}"'


def test_who_has_other_bytes_gets_the_file(client, url):
    assert client.get(url, headers={"If-None-Match": '"old"'}).status_code == 200


def test_if_none_match_goes_before_range(client, url):
    headers = {"If-None-Match": f'"{SHA256}"', "Range": "bytes=0-1"}

    assert client.get(url, headers=headers).status_code == 304


def test_if_range_of_the_same_bytes_gets_the_range(client, url):
    answer = client.get(url, headers={"If-Range": f'"{SHA256}"', "Range": "bytes=0-1"})

    assert answer.status_code == 206


@pytest.mark.parametrize("condition", ['"old"', f'W/"{SHA256}"', "Thu, 01 Jan 2026 00:00:00 GMT"])
def test_if_range_of_anything_else_gets_the_whole_file(client, url, condition):
    answer = client.get(url, headers={"If-Range": condition, "Range": "bytes=0-1"})

    assert answer.status_code == 200
    assert answer.content == TALK


def test_bytes_that_are_lost_are_our_fault_and_no_empty_file(client, container, url):
    container.store.objects.clear()

    answer = client.get(url)

    assert answer.status_code == 500
    assert (answer.json()["code"], answer.json()["category"]) == ("recording_lost", "internal")


@given(size=st.integers(1, 50), first=st.integers(0, 60), last=st.integers(0, 60))
def test_first_to_last_is_the_slice_of_that_name(size, first, last):
    data = bytes(range(size))
    header = f"bytes={first}-{last}"

    if last < first:
        assert requested_range(header, size) is None
    elif first >= size:
        with pytest.raises(Unsatisfiable):
            requested_range(header, size)
    else:
        found = requested_range(header, size)
        assert data[found.start : found.end] == data[first : last + 1]


@given(size=st.integers(1, 50), first=st.integers(0, 49))
def test_an_open_end_is_the_rest_of_the_file(size, first):
    data = bytes(range(size))

    if first >= size:
        with pytest.raises(Unsatisfiable):
            requested_range(f"bytes={first}-", size)
    else:
        found = requested_range(f"bytes={first}-", size)
        assert data[found.start : found.end] == data[first:]


@given(size=st.integers(1, 50), length=st.integers(1, 60))
def test_a_suffix_is_the_end_of_the_file(size, length):
    data = bytes(range(size))

    found = requested_range(f"bytes=-{length}", size)

    assert data[found.start : found.end] == data[-length:]


def test_a_suffix_of_no_bytes_cannot_be_satisfied():
    with pytest.raises(Unsatisfiable):
        requested_range("bytes=-0", 10)


def test_a_last_byte_far_behind_the_end_means_the_end():
    assert requested_range("bytes=0-99999999999999999999", 10) == ByteRange(0, 10)


@given(st.text(alphabet="bytes=0123456789-, \t", max_size=40), st.integers(0, 100))
def test_no_header_asks_for_bytes_outside_the_file(header, size):
    try:
        found = requested_range(header, size)
    except Unsatisfiable:
        return
    assert found is None or 0 <= found.start < found.end <= size


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_file_name_survives_the_header(name):
    header = content_disposition(name)

    assert header.isascii()
    assert "\r" not in header
    assert "\n" not in header
    fallback, extended = re.fullmatch(r"attachment; filename=\"([^\"\\]+)\"; filename\*=UTF-8''(\S+)", header).groups()
    assert "/" not in fallback
    assert unquote(extended) == name


@pytest.mark.parametrize(
    ("name", "fallback"),
    [
        ("talk.mp3", "talk.mp3"),
        ("Zürich.mp3", "Zurich.mp3"),
        ("議事録.mp3", "recording.mp3"),
        ('say "hi"; rm -rf.wav', "say _hi_; rm -rf.wav"),
        ("50%41.wav", "50_41.wav"),
    ],
)
def test_old_clients_get_an_ascii_name(name, fallback):
    assert f'filename="{fallback}"' in content_disposition(name)


def test_the_name_comes_back_with_the_bytes(client, url):
    expected = "attachment; filename=\"Zurich.mp3\"; filename*=UTF-8''Z%C3%BCrich.mp3"

    assert client.get(url).headers["content-disposition"] == expected
