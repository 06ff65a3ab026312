"""What was recognised before a transcription ended early is there to be read, and never passes for the whole."""

from uuid import UUID

import pytest

from hansard.domain.errors import EngineRejected
from tests.unit.http.api import submit


def look_up(client, transcription):
    return client.get(f"/transcriptions/{transcription['id']}").json()


def export(client, transcription, **query):
    return client.get(f"/transcriptions/{transcription['id']}/export", params=query)


@pytest.fixture
def failed(client, container):
    """A transcription that failed in its second passage."""

    def fail_later(number):
        if number == 2:
            raise EngineRejected("That cannot be heard.", engine="fake")

    container.engine.on_passage = fail_later
    transcription = submit(client, engine="fake")
    container.transcribe(UUID(transcription["id"]))
    return transcription


@pytest.fixture
def cancelled(client, container):
    """A transcription that was cancelled in its second passage."""
    transcription = submit(client, engine="fake")

    def cancel_later(number):
        if number == 2:
            client.post(f"/transcriptions/{transcription['id']}/cancel")

    container.engine.on_passage = cancel_later
    container.transcribe(UUID(transcription["id"]))
    return transcription


@pytest.fixture(params=["failed", "cancelled"])
def ended_early(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def completed(client, container):
    transcription = submit(client, engine="fake")
    container.transcribe(UUID(transcription["id"]))
    return transcription


def test_what_was_recognised_before_the_end_is_shown_and_marked(client, ended_early):
    found = look_up(client, ended_early)

    assert found["partial"] is True
    assert found["text"] is None
    assert [segment["text"] for segment in found["segments"]] == ["word1"]


def test_the_failure_is_told_beside_what_was_recognised(client, failed):
    found = look_up(client, failed)

    assert found["status"] == "failed"
    assert found["error"]["code"] == "engine_rejected"


def test_a_completed_transcription_is_not_partial(client, completed):
    assert look_up(client, completed)["partial"] is False


def test_what_has_no_words_yet_is_not_partial(client):
    assert look_up(client, submit(client))["partial"] is False


def test_what_a_running_transcription_shows_is_partial(client, container):
    transcription = submit(client, engine="fake")
    seen = []
    container.engine.on_passage = lambda number: seen.append(look_up(client, transcription)["partial"])

    container.transcribe(UUID(transcription["id"]))

    assert seen == [False, True]


def test_a_partial_transcript_is_exported_when_asked_for_and_says_so_in_its_name(client, ended_early):
    answer = export(client, ended_early, partial="true", format="srt")

    assert answer.status_code == 200
    assert answer.text == "1\n00:00:00,000 --> 00:00:01,000\nword1\n\n"
    assert 'filename="talk.partial.srt"' in answer.headers["content-disposition"]


def test_a_partial_transcript_is_not_exported_by_accident_and_the_way_to_it_is_told(client, ended_early):
    answer = export(client, ended_early)

    assert answer.status_code == 409
    assert answer.json()["code"] == "not_completed"
    assert f"/transcriptions/{ended_early['id']}/export?partial=true" in answer.json()["help"]


def test_where_nothing_was_recognised_there_is_nothing_to_export(client):
    transcription = submit(client)
    client.post(f"/transcriptions/{transcription['id']}/cancel")

    answer = export(client, transcription, partial="true")

    assert answer.status_code == 409
    assert "partial" not in answer.json()["help"]


def test_what_still_runs_is_not_exported_even_in_part(client, container):
    transcription = submit(client, engine="fake")
    answers = []
    container.engine.on_passage = lambda number: answers.append(export(client, transcription, partial="true"))

    container.transcribe(UUID(transcription["id"]))

    assert [answer.status_code for answer in answers] == [409, 409]


def test_a_whole_transcript_is_not_marked_as_partial(client, completed):
    answer = export(client, completed, partial="true")

    assert answer.status_code == 200
    assert 'filename="talk.txt"' in answer.headers["content-disposition"]
