"""Correcting a transcript over HTTP: with If-Match, answered with the new ETag, and never over another one's work."""

from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from hansard.http.middleware.limits import MOST_JSON_BYTES
from tests.unit.http.api import submit

ANY = {"If-Match": "*"}


@pytest.fixture
def path(client, container):
    """Of a completed transcription with the segments word1 and word2."""
    transcription = submit(client)
    container.transcribe(UUID(transcription["id"]))
    return f"/transcriptions/{transcription['id']}"


def correct(client, path, text="hello", *, position=0, if_match="*", **more):
    body = {"text": text, **more}
    return client.patch(f"{path}/segments/{position}", json=body, headers={"If-Match": if_match})


def text(client, path):
    return client.get(path).json()["text"]


def save(client, path, *segments, **more):
    return client.put(f"{path}/segments", json={"segments": list(segments), **more}, headers=ANY)


def segment(text, start, end, **more):
    return {"text": text, "start_seconds": start, "end_seconds": end, **more}


# ── ETags ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_completed_transcription_has_the_tag_of_its_revision(client, path):
    answer = client.get(path)

    assert answer.headers["etag"] == '"r0"'
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.json()["revision"] == 0


def test_one_that_is_not_completed_has_none(client):
    answer = client.get(f"/transcriptions/{submit(client)['id']}")

    assert "etag" not in answer.headers
    assert answer.json()["revision"] is None


@pytest.mark.parametrize("if_none_match", ['"r0"', 'W/"r0"', '"x", "r0"', "*"])
def test_who_has_it_already_is_told_so(client, path, if_none_match):
    answer = client.get(path, headers={"If-None-Match": if_none_match})

    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"r0"')


@pytest.mark.parametrize("if_none_match", ['"r0"', '"r10"', "r1", ""])
def test_who_has_another_revision_gets_the_current_one(client, path, if_none_match):
    correct(client, path)

    answer = client.get(path, headers={"If-None-Match": if_none_match})

    assert (answer.status_code, answer.headers["etag"]) == (200, '"r1"')


def test_each_change_is_answered_with_the_new_tag(client, path):
    assert correct(client, path, if_match='"r0"').headers["etag"] == '"r1"'
    assert correct(client, path, "world", position=1, if_match='"r1"').headers["etag"] == '"r2"'
    assert text(client, path) == "hello world"


@pytest.mark.parametrize("if_match", ['"r1"', '"r0", "r1"', "*", ' "r1" '])
def test_a_change_to_the_current_revision_is_made(client, path, if_match):
    correct(client, path)

    assert correct(client, path, "world", if_match=if_match).status_code == 200


@pytest.mark.parametrize("if_match", ['"r0"', 'W/"r1"', "r1", "1", '"x"', '"r01x"', ""])
def test_a_change_to_another_one_is_refused(client, path, if_match):
    correct(client, path)

    answer = correct(client, path, "world", if_match=if_match)

    assert (answer.status_code, answer.json()["code"]) == (412, "revision_mismatch")
    assert answer.json()["help"]
    assert text(client, path) == "hello word2"


def test_of_two_who_edit_different_segments_the_second_is_told_to_look_again(client, path):
    assert correct(client, path, "hello", position=0, if_match='"r0"').status_code == 200
    assert correct(client, path, "world", position=1, if_match='"r0"').status_code == 412


@pytest.mark.parametrize(
    ("method", "where", "body"),
    [
        ("PATCH", "/segments/0", {"text": "x"}),
        ("POST", "/segments/0/split", {"character": 2}),
        ("POST", "/segments/0/merge", None),
        ("PUT", "/segments", {"segments": []}),
        ("PATCH", "/speakers/A", {"name": "B"}),
        ("POST", "/revisions/0/restore", None),
    ],
)
def test_every_change_must_say_which_revision_it_is_made_to(client, path, method, where, body):
    answer = client.request(method, path + where, json=body)

    assert (answer.status_code, answer.json()["code"]) == (428, "precondition_required")
    assert answer.json()["help"]
    assert client.get(path).headers["etag"] == '"r0"'


# ── Changes ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_correction_is_answered_with_what_changed(client, path):
    answer = correct(client, path, "hello there").json()

    (change,) = answer["changes"]
    assert (answer["revision"], change["at"], change["removed"]) == (1, 0, 1)
    (corrected,) = change["segments"]
    assert (corrected["text"], corrected["confidence"]) == ("hello there", None)
    assert [word["text"] for word in corrected["words"]] == ["hello", "there"]


def test_a_change_that_changes_nothing_is_answered_with_the_old_tag(client, path):
    answer = correct(client, path, "word1")

    assert (answer.status_code, answer.headers["etag"]) == (200, '"r0"')
    assert answer.json() == {"revision": 0, "changes": []}


def test_a_speaker_is_corrected(client, path):
    client.patch(f"{path}/segments/1", json={"speaker": "Ann"}, headers=ANY)

    assert [each["speaker"] for each in client.get(path).json()["segments"]] == [None, "Ann"]


def test_an_empty_text_takes_the_segment_out(client, path):
    correct(client, path, "")

    assert text(client, path) == "word2"


def test_a_segment_is_split_and_merged(client, path):
    client.post(f"{path}/segments/0/split", json={"character": 4}, headers=ANY)
    assert text(client, path) == "word 1 word2"
    client.post(f"{path}/segments/1/merge", headers=ANY)
    assert [each["text"] for each in client.get(path).json()["segments"]] == ["word", "1 word2"]


def test_a_segment_is_split_before_a_word(client, path):
    correct(client, path, "one two three")
    client.post(f"{path}/segments/0/split", json={"word": 1}, headers=ANY)

    assert [each["text"] for each in client.get(path).json()["segments"]] == ["one", "two three", "word2"]


def test_a_speaker_is_renamed_whatever_he_is_called(client, path):
    label = "A/B? é"
    client.patch(f"{path}/segments/0", json={"speaker": label}, headers=ANY)

    answer = client.patch(f"{path}/speakers/{quote(label, safe='')}", json={"name": "Ann"}, headers=ANY)

    assert answer.status_code == 200
    assert client.get(path).json()["speakers"] == ["Ann"]


def test_a_transcript_is_saved_as_a_whole(client, path):
    answer = save(client, path, segment("word1 and", 0, 1, speaker="Ann"), segment("word2", 1.0, 2.0), author="Ann")

    assert answer.headers["etag"] == '"r1"'
    assert text(client, path) == "word1 and word2"
    assert [change["at"] for change in answer.json()["changes"]] == [0]


def test_a_transcript_of_ten_hours_can_be_saved_as_a_whole(client, path):
    long = [segment("Es ist so weit, und wir fangen an mit der ersten Sitzung. " * 2, at, at + 5) for at in range(9000)]

    assert save(client, path, *long).status_code == 200


@pytest.mark.parametrize(
    ("method", "where", "body"),
    [
        ("PATCH", "/segments/0", {}),
        ("PATCH", "/segments/0", {"text": None}),
        ("PATCH", "/segments/0", {"text": "a\0b"}),
        ("PATCH", "/segments/0", {"text": "x" * 100_001}),
        ("PATCH", "/segments/0", {"text": "x", "author": " "}),
        ("PATCH", "/segments/0", {"text": "x", "colour": "red"}),
        ("PATCH", "/segments/-1", {"text": "x"}),
        ("POST", "/segments/0/split", {}),
        ("POST", "/segments/0/split", {"word": 1, "character": 1}),
        ("POST", "/segments/0/split", {"word": 0}),
        ("POST", "/segments/0/merge", {"with": 1}),
        ("PATCH", "/speakers/A", {"name": " "}),
        ("PUT", "/segments", {}),
        ("PUT", "/segments", {"segments": [{"text": "no times"}]}),
        ("PUT", "/segments", {"segments": [segment("x", -1, 2)]}),
        ("POST", "/revisions/-1/restore", None),
    ],
)
def test_what_cannot_be_honoured_is_refused(client, path, method, where, body):
    answer = client.request(method, path + where, json=body, headers=ANY)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_numbers_that_are_none_are_refused(client, path):
    body = b'{"segments": [{"text": "x", "start_seconds": 0, "end_seconds": Infinity}]}'

    assert client.put(f"{path}/segments", content=body, headers=ANY).status_code == 422


@pytest.mark.parametrize(
    ("method", "where", "body", "status", "code"),
    [
        ("PATCH", "/segments/2", {"text": "x"}, 404, "no_such_segment"),
        ("POST", "/segments/99/merge", None, 404, "no_such_segment"),
        ("PATCH", "/speakers/Nobody", {"name": "x"}, 404, "no_such_speaker"),
        ("POST", "/revisions/1/restore", None, 404, "no_such_revision"),
        ("GET", "/revisions/1", None, 404, "no_such_revision"),
        ("POST", "/segments/0/split", {"character": 5}, 422, "nothing_to_split"),
        ("POST", "/segments/1/merge", None, 422, "nothing_to_merge"),
        ("PUT", "/segments", {"segments": [segment("x", 2, 1)]}, 422, "times_out_of_order"),
    ],
)
def test_what_the_transcript_does_not_allow_is_refused(client, path, method, where, body, status, code):
    answer = client.request(method, path + where, json=body, headers=ANY)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["help"]


@pytest.mark.parametrize(
    ("method", "where", "body"),
    [("PATCH", "/segments/0", {"text": "x"}), ("GET", "/revisions/0", None), ("POST", "/revisions/0/restore", None)],
)
def test_before_it_is_completed_there_is_nothing_to_edit(client, method, where, body):
    path = f"/transcriptions/{submit(client)['id']}"

    answer = client.request(method, path + where, json=body, headers=ANY)

    assert (answer.status_code, answer.json()["code"]) == (409, "not_completed")


@pytest.mark.parametrize(
    ("method", "where", "body"),
    [("PATCH", "/segments/0", {"text": "x"}), ("GET", "/revisions", None), ("GET", "/revisions/0", None)],
)
def test_a_transcription_that_is_not_there_is_not_found(client, method, where, body):
    answer = client.request(method, f"/transcriptions/{uuid4()}{where}", json=body, headers=ANY)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_body_that_is_larger_than_any_transcript_is_refused(client, path):
    body = b" " * (MOST_JSON_BYTES + 1)

    assert client.put(f"{path}/segments", content=body, headers=ANY).status_code == 413


# ── Revisions ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_history_tells_who_did_what_newest_first(client, path):
    correct(client, path, author="Ann")
    client.post(f"{path}/segments/0/merge", headers=ANY)

    history = client.get(f"{path}/revisions").json()

    assert [(each["number"], each["change"], each["author"]) for each in history["items"]] == [
        (2, "merge", None),
        (1, "text", "Ann"),
    ]
    assert history["items"][1]["summary"] == "At 0:00:00: “word1” became “hello”."
    assert history["next_cursor"] is None


def test_the_history_comes_in_pages(client, path):
    for number in range(3):
        correct(client, path, f"hello {number}")

    first = client.get(f"{path}/revisions?limit=2").json()
    second = client.get(f"{path}/revisions?limit=2&cursor={first['next_cursor']}").json()

    assert [each["number"] for each in first["items"] + second["items"]] == [3, 2, 1]
    assert second["next_cursor"] is None


def test_a_transcript_can_be_looked_at_as_it_was(client, path):
    original = client.get(path).json()
    correct(client, path)

    answer = client.get(f"{path}/revisions/0")

    assert answer.headers["etag"] == '"r0"'
    assert (answer.json()["text"], answer.json()["segments"]) == (original["text"], original["segments"])


def test_a_transcript_can_be_exported_as_it_was(client, path):
    correct(client, path)

    assert "word1" in client.get(f"{path}/export?format=txt&revision=0").text
    assert "hello" in client.get(f"{path}/export?format=txt").text


def test_what_the_engine_wrote_is_restored(client, path):
    original = client.get(path).json()
    correct(client, path)

    answer = client.post(f"{path}/revisions/0/restore", json={"author": "Ann"}, headers={"If-Match": '"r1"'})

    assert answer.headers["etag"] == '"r2"'
    assert client.get(path).json()["segments"] == original["segments"]


def test_exports_and_sentences_are_of_the_current_revision(client, path):
    correct(client, path, "Hello.")

    assert "Hello." in client.get(f"{path}/export?format=srt").text
    assert client.get(f"{path}/sentences").json()["sentences"][0]["text"] == "Hello."


def test_a_deleted_transcription_has_no_revisions_left(client, container, path):
    correct(client, path)
    client.delete(path)

    assert client.get(f"{path}/revisions").status_code == 404
    assert container.database.revisions == {}
