"""How much of the speech is in the transcript is told, and what went wrong on the way to it."""

from dataclasses import replace
from uuid import UUID

from hansard.domain.coverage import Coverage
from hansard.domain.speech import Span
from hansard.domain.transcript import Segment
from tests.unit.http.api import submit

COVERAGE = Coverage(
    speech_seconds=60.0,
    transcribed_seconds=45.0,
    gaps=(Span(10.0, 18.0), Span(40.0, 47.5)),
    dropped=(Segment(start_seconds=30.0, end_seconds=31.0, text="Thank you for watching.", engine="whisper"),),
)


def look_up(client, transcription):
    return client.get(f"/transcriptions/{transcription['id']}").json()


def finish(container, transcription):
    container.transcribe(UUID(transcription["id"]))
    return container.transcription(UUID(transcription["id"]))


def test_there_is_no_coverage_before_completion(client):
    assert look_up(client, submit(client))["coverage"] is None


def test_speech_that_is_all_transcribed_has_no_gaps(client, container):
    transcription = submit(client)
    finish(container, transcription)

    assert look_up(client, transcription)["coverage"] == {
        "speech_seconds": 2.0,
        "transcribed_seconds": 2.0,
        "ratio": 1.0,
        "gaps": [],
        "dropped": [],
    }


def test_gaps_and_dropped_text_are_told_with_their_times(client, container):
    transcription = submit(client)
    kept = finish(container, transcription)
    kept.result = replace(kept.result, coverage=COVERAGE)

    assert look_up(client, transcription)["coverage"] == {
        "speech_seconds": 60.0,
        "transcribed_seconds": 45.0,
        "ratio": 0.75,
        "gaps": [{"start_seconds": 10.0, "end_seconds": 18.0}, {"start_seconds": 40.0, "end_seconds": 47.5}],
        "dropped": [
            {"start_seconds": 30.0, "end_seconds": 31.0, "text": "Thank you for watching.", "engine": "whisper"}
        ],
    }


def test_lists_do_without_coverage_because_it_has_words(client, container):
    finish(container, submit(client))

    assert "coverage" not in client.get("/transcriptions").json()["items"][0]


def test_what_went_wrong_without_harm_is_told(client, container):
    transcription = submit(client)
    container.transcription(UUID(transcription["id"])).warn("ZenML's store did not answer.")

    assert look_up(client, transcription)["warnings"] == ["ZenML's store did not answer."]


def test_workers_that_died_with_it_are_counted(client, container):
    transcription = submit(client)
    row = container.transcription(UUID(transcription["id"]))
    row.start(container.clock())
    row.start(container.clock())

    assert look_up(client, transcription)["crashes"] == 1
