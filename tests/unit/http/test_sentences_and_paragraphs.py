"""A transcript by sentences and by paragraphs, whole or as far as it goes."""

from dataclasses import replace
from uuid import UUID

import pytest

from hansard.domain.speech import Span
from hansard.domain.transcript import DecodingScores, RecognisedPassage, Segment
from tests.unit.http.api import submit

SAID = (
    Segment(start_seconds=0.0, end_seconds=2.0, text="Order, order! Who said", speaker="Speaker", confidence=0.8),
    Segment(start_seconds=2.0, end_seconds=3.0, text="that?", speaker="Speaker", confidence=0.8),
    Segment(start_seconds=3.0, end_seconds=4.0, text="I did.", speaker="Member", confidence=0.6),
)


@pytest.fixture
def completed(client, container):
    """A transcription whose transcript is `SAID`."""
    transcription = submit(client, engine="fake")
    identity = UUID(transcription["id"])
    container.transcribe(identity)
    transcripts = container.database.transcripts
    transcripts[identity] = replace(transcripts[identity], segments=SAID)
    return transcription


@pytest.fixture
def running(client, container):
    """A transcription of which one passage is recognised."""
    transcription = submit(client, engine="fake")
    passage = RecognisedPassage(span=Span(0, 3), engine="fake", model="fake-1", segments=SAID[:2])
    container.database.passages[UUID(transcription["id"])] = [passage]
    return transcription


def get(client, transcription, what):
    return client.get(f"/transcriptions/{transcription['id']}/{what}").json()


def test_sentences_run_over_segments_and_end_with_the_speaker(client, completed):
    found = get(client, completed, "sentences")
    assert [(said["speaker"], said["text"]) for said in found["sentences"]] == [
        ("Speaker", "Order, order!"),
        ("Speaker", "Who said that?"),
        ("Member", "I did."),
    ]
    assert (found["status"], found["partial"], found["transcription_id"]) == ("completed", False, completed["id"])


def test_sentences_have_times_confidence_and_words(client, completed):
    *_, last = get(client, completed, "sentences")["sentences"]
    assert (last["start_seconds"], last["end_seconds"], last["confidence"], last["words"]) == (3.0, 4.0, 0.6, [])


def test_words_are_in_their_sentence_with_times(client, container):
    transcription = submit(client, engine="fake")
    container.transcribe(UUID(transcription["id"]))
    (sentence,) = get(client, transcription, "sentences")["sentences"]
    assert [word["text"] for word in sentence["words"]] == sentence["text"].split() == ["word1", "word2"]


def test_paragraphs_hold_their_sentences(client, completed):
    found = get(client, completed, "paragraphs")
    assert [(said["speaker"], said["text"], len(said["sentences"])) for said in found["paragraphs"]] == [
        ("Speaker", "Order, order! Who said that?", 2),
        ("Member", "I did.", 1),
    ]
    assert (found["status"], found["partial"]) == ("completed", False)


@pytest.mark.parametrize("what", ["sentences", "paragraphs"])
def test_before_completion_there_is_what_was_recognised_so_far(client, running, what):
    found = get(client, running, what)
    assert (found["status"], found["partial"]) == ("queued", True)
    assert " ".join(said["text"] for said in found[what]) == "Order, order! Who said that?"


@pytest.mark.parametrize("what", ["sentences", "paragraphs"])
def test_before_anything_is_recognised_there_are_none(client, what):
    found = get(client, submit(client, engine="fake"), what)
    assert (found["partial"], found[what]) == (False, [])


@pytest.mark.parametrize("what", ["sentences", "paragraphs"])
def test_of_a_transcription_that_is_not_there_there_are_none(client, what):
    answer = client.get(f"/transcriptions/00000000-0000-4000-8000-000000000000/{what}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_transcription_tells_who_speaks_in_order(client, completed):
    assert client.get(f"/transcriptions/{completed['id']}").json()["speakers"] == ["Speaker", "Member"]


def test_segments_tell_how_they_were_decoded_where_the_engine_says(client, container, completed):
    transcripts = container.database.transcripts
    scores = DecodingScores(average_log_probability=-0.2, temperature=0.4)
    told, untold = replace(SAID[0], scores=scores, language_probability=0.9), SAID[1]
    identity = UUID(completed["id"])
    transcripts[identity] = replace(transcripts[identity], segments=(told, untold))
    first, second = client.get(f"/transcriptions/{identity}").json()["segments"]
    assert (first["language_probability"], first["scores"]["temperature"]) == (0.9, 0.4)
    assert first["scores"]["compression_ratio"] is None
    assert second["scores"] is None
