"""A transcription is asked for, followed, exported and cancelled."""

import json
from uuid import UUID, uuid4

import pytest

from hansard.domain.errors import EngineFailed, EngineRejected
from tests.unit.http.api import TALK, multipart, submit, upload
from tests.workshop import speech


def finish(container, transcription):
    container.transcribe(UUID(transcription["id"]))


def test_one_call_uploads_and_submits(client, container):
    answer = client.post("/transcriptions", files={"file": ("talk.wav", TALK)}, headers={"X-Request-ID": "r-1"})

    transcription = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/transcriptions/{transcription['id']}"
    assert transcription["status"] == "queued"
    assert transcription["audio_url"] == f"/audio/{transcription['audio_id']}/download"
    assert transcription["request_id"] == "r-1"
    assert client.get(transcription["audio_url"]).content == TALK
    assert container.database.jobs == [UUID(transcription["id"])]


def test_every_parameter_is_kept_as_it_was_sent(client):
    asked = {
        "engine": "second",
        "fallback": True,
        "model": "large",
        "language": "pt-BR",
        "prompt": "Minutes of the harbour committee.",
        "hotwords": "Løken quay",
        "task": "translate",
        "temperature": 0.2,
        "diarize": True,
        "min_speakers": 2,
        "max_speakers": 3,
        "channels": "mixed",
        "priority": 7,
    }

    transcription = submit(client, **asked, metadata='{"case": "2026-114"}')

    assert transcription["parameters"] == asked
    assert transcription["metadata"] == {"case": "2026-114"}


def test_an_uploaded_recording_is_transcribed_by_its_id(client):
    audio = upload(client)

    answer = client.post(f"/audio/{audio['id']}/transcriptions", json={"language": "en", "metadata": {"a": "b"}})

    assert answer.status_code == 202
    assert answer.headers["location"] == f"/transcriptions/{answer.json()['id']}"
    assert answer.json()["audio_id"] == audio["id"]
    assert answer.json()["parameters"]["language"] == "en"
    assert answer.json()["metadata"] == {"a": "b"}


def test_a_body_is_not_needed(client):
    audio = upload(client)

    assert client.post(f"/audio/{audio['id']}/transcriptions").status_code == 202


def test_a_recording_that_is_not_there_cannot_be_transcribed(client):
    answer = client.post(f"/audio/{uuid4()}/transcriptions")

    assert answer.status_code == 404


def test_a_completed_transcription_has_its_words(client, container):
    transcription = submit(client, language="en")
    container.clock.advance(1)
    finish(container, transcription)

    found = client.get(f"/transcriptions/{transcription['id']}").json()

    assert found["status"] == "completed"
    assert found["text"] == "word1 word2"
    assert found["progress"] == 1.0
    assert found["engine"] == "second"
    assert found["model"] == "fake-1"
    assert found["language"] == "en"
    assert found["duration_seconds"] == 2.0
    assert found["error"] is None
    assert [attempt["outcome"] for attempt in found["attempts"]] == ["succeeded"]
    assert found["segments"][1] == {
        "start_seconds": 1.0,
        "end_seconds": 2.0,
        "text": "word2",
        "confidence": 0.9,
        "language": "en",
        "language_probability": None,
        "speaker": None,
        "engine": "second",
        "scores": None,
        "words": [{"text": "word2", "start_seconds": 1.0, "end_seconds": 2.0, "probability": 0.9, "speaker": None}],
    }


def test_a_running_transcription_shows_what_is_recognised_so_far(client, container):
    transcription = submit(client, engine="fake")
    seen = []
    container.engine.on_passage = lambda number: seen.append(
        client.get(f"/transcriptions/{transcription['id']}").json()
    )
    finish(container, transcription)

    during_the_second_passage = seen[1]
    assert during_the_second_passage["status"] == "running"
    assert during_the_second_passage["text"] is None
    assert [segment["text"] for segment in during_the_second_passage["segments"]] == ["word1"]
    assert during_the_second_passage["progress"] == 0.5
    assert during_the_second_passage["engine"] == "fake"
    assert during_the_second_passage["activity"] == "recognising with fake"


def test_a_failed_transcription_says_why_and_has_no_text(client, container):
    transcription = submit(client, engine="fake")
    failure = EngineFailed(
        "The provider broke.", engine="fake", help="Try later.", provider_status=500, provider_request_id="req_1"
    )
    container.engine.failures = [failure] * 3
    finish(container, transcription)

    found = client.get(f"/transcriptions/{transcription['id']}").json()

    assert found["status"] == "failed"
    assert found["text"] is None
    assert found["error"] == {
        "code": "engine_failed",
        "category": "server",
        "message": "The provider broke.",
        "retryable": True,
        "engine": "fake",
        "provider_status": 500,
        "provider_request_id": "req_1",
        "help": "Try later.",
    }
    assert [attempt["error"]["code"] for attempt in found["attempts"]] == ["engine_failed"] * 3


def test_an_attempt_names_the_providers_request(client, container):
    transcription = submit(client, engine="fake")
    container.engine.failures = [EngineRejected("No.", engine="fake", provider_request_id="req_1")]
    finish(container, transcription)

    found = client.get(f"/transcriptions/{transcription['id']}").json()

    assert [attempt["provider_request_id"] for attempt in found["attempts"]] == ["req_1"]


def test_a_second_best_record_says_so(client, container):
    container.engine.degraded_reason = "recognised by the offline engine"
    transcription = submit(client, engine="fake")
    finish(container, transcription)

    found = client.get(f"/transcriptions/{transcription['id']}").json()

    assert found["degraded"] is True
    assert found["degraded_reasons"] == ["recognised by the offline engine"]


def test_an_unknown_transcription_is_not_found(client):
    assert client.get(f"/transcriptions/{uuid4()}").status_code == 404


def test_lists_come_newest_first_and_without_words(client, container):
    older = submit(client)
    finish(container, older)
    container.clock.advance(1)
    newer = submit(client)

    items = client.get("/transcriptions").json()["items"]

    assert [item["id"] for item in items] == [newer["id"], older["id"]]
    assert not any({"segments", "text"} & item.keys() for item in items)


def test_lists_are_filtered_by_status(client, container):
    done = submit(client)
    finish(container, done)
    submit(client)

    items = client.get("/transcriptions", params={"status": "completed"}).json()["items"]

    assert [item["id"] for item in items] == [done["id"]]


def test_lists_are_filtered_by_recording(client):
    wanted = submit(client)
    submit(client)

    items = client.get("/transcriptions", params={"audio_id": wanted["audio_id"]}).json()["items"]

    assert [item["id"] for item in items] == [wanted["id"]]


def test_lists_are_filtered_by_engine_language_time_and_labels(client, container):
    older = submit(client)
    container.clock.advance(60)
    done = submit(client, metadata='{"case": "2026-114"}')
    finish(container, done)

    def found(**wanted):
        return [item["id"] for item in client.get("/transcriptions", params=wanted).json()["items"]]

    engine = client.get(f"/transcriptions/{done['id']}").json()["engine"]
    assert found(engine=engine) == found(metadata="case:2026-114") == found(since=done["created_at"]) == [done["id"]]
    assert found(until=done["created_at"]) == [older["id"]]
    assert found(engine="nobody") == found(language="zz") == found(metadata="case:other") == []


def test_a_misspelt_filter_is_refused_rather_than_ignored(client):
    answer = client.get("/transcriptions", params={"statu": "failed"})

    assert answer.status_code == 422
    assert answer.json()["detail"] == "statu: is not a parameter here."


def test_a_queued_transcription_can_be_cancelled(client):
    transcription = submit(client)

    answer = client.post(f"/transcriptions/{transcription['id']}/cancel")

    assert answer.status_code == 200
    assert answer.json()["status"] == "cancelled"
    assert answer.json()["error"]["category"] == "cancelled"


def test_an_ended_transcription_cannot_be_cancelled(client, container):
    transcription = submit(client)
    finish(container, transcription)

    answer = client.post(f"/transcriptions/{transcription['id']}/cancel")

    assert answer.status_code == 409
    assert answer.json()["code"] == "illegal_move"


@pytest.mark.parametrize(
    ("format", "media_type", "begins"),
    [
        ("txt", "text/plain; charset=utf-8", "word1 word2\n"),
        ("srt", "application/x-subrip", "1\n00:00:00,000 --> 00:00:02,000\nword1 word2"),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT\n"),
        ("json", "application/json", "{"),
    ],
)
def test_a_transcript_is_exported_as_a_file_named_like_its_recording(client, container, format, media_type, begins):
    transcription = submit(client)
    finish(container, transcription)

    answer = client.get(f"/transcriptions/{transcription['id']}/export", params={"format": format})

    assert answer.status_code == 200
    assert answer.text.startswith(begins)
    assert answer.headers["content-type"] == media_type
    assert f'filename="talk.{format}"' in answer.headers["content-disposition"]


def test_what_is_not_completed_cannot_be_exported(client):
    transcription = submit(client)

    answer = client.get(f"/transcriptions/{transcription['id']}/export")

    assert answer.status_code == 409
    assert answer.json()["code"] == "not_completed"
    assert "queued" in answer.json()["detail"]


def test_an_unknown_format_is_refused_with_the_known_ones(client, container):
    transcription = submit(client)
    finish(container, transcription)

    answer = client.get(f"/transcriptions/{transcription['id']}/export", params={"format": "doc"})

    assert answer.status_code == 422
    assert answer.json()["code"] == "unknown_format"
    assert "srt" in answer.json()["help"]


# ── Refused parameters ───────────────────────────────────────────────────────────────────────────────────


REFUSED = [
    ("language", "English"),
    ("language", "en\n"),
    ("language", "x" * 40),
    ("model", "nul\0byte"),
    ("model", "m" * 201),
    ("prompt", "p" * 2001),
    ("hotwords", "h" * 2001),
    ("priority", 101),
    ("priority", "soon"),
    ("metadata", ["not", "an", "object"]),
    ("metadata", {"nested": {"a": "b"}}),
    ("metadata", {f"key {number}": "" for number in range(21)}),
    ("metadata", {"key": "v" * 501}),
    ("metadata", {"k" * 65: "value"}),
    ("metadata", {"": "value"}),
    ("metadata", {"nul\0byte": "value"}),
    ("fallback", "perhaps"),
    ("coalesce", "perhaps"),
    ("min_speakers", 0),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_json_that_cannot_be_honoured_is_refused_by_field(client, container, name, value):
    audio = upload(client)

    answer = client.post(f"/audio/{audio['id']}/transcriptions", json={name: value})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith(name)
    assert not container.database.transcriptions


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_form_that_cannot_be_honoured_is_refused_by_field_and_nothing_is_stored(client, container, name, value):
    text = value if isinstance(value, str) else json.dumps(value)

    answer = client.post("/transcriptions", **multipart(("file", '; filename="a"', TALK), (name, "", text.encode())))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith(name)
    assert not container.store.objects


def test_metadata_that_is_not_json_is_refused(client):
    answer = client.post("/transcriptions", files={"file": ("a", TALK)}, data={"metadata": "{case: 1"})

    assert answer.json()["detail"] == "metadata: must be a JSON object of strings."


def test_lone_surrogates_are_refused_because_no_database_stores_them(client):
    audio = upload(client)

    answer = client.post(
        f"/audio/{audio['id']}/transcriptions",
        content=rb'{"prompt": "\ud800"}',
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "prompt"


def test_fields_that_a_browser_sends_empty_count_as_not_given(client):
    parameters = submit(client, language="", model="", prompt="")["parameters"]

    assert parameters["language"] is parameters["model"] is parameters["prompt"] is None


def test_a_field_given_twice_is_refused(client):
    answer = client.post("/transcriptions", files={"file": ("a", TALK)}, data={"language": ["en", "de"]})

    assert answer.status_code == 422
    assert "language" in answer.json()["detail"]


def test_an_unknown_engine_is_refused_before_anything_is_stored(client, container):
    answer = client.post("/transcriptions", files={"file": ("a", TALK)}, data={"engine": "whispr"})

    assert answer.status_code == 422
    assert answer.json()["code"] == "unknown_engine"
    assert "auto, second, fake" in answer.json()["help"]
    assert not container.store.objects


def test_a_parameter_that_the_named_engine_cannot_honour_is_refused_at_once(client, container):
    container.engine.refuses = EngineRejected(
        "fake hears English only.", engine="fake", code="unsupported_language", help="Use another engine."
    )

    answer = client.post("/transcriptions", files={"file": ("a", TALK)}, data={"engine": "fake", "language": "de"})

    assert answer.status_code == 422
    assert answer.json()["code"] == "unsupported_language"
    assert answer.json()["help"] == "Use another engine."
    assert not container.store.objects


def test_what_one_engine_cannot_do_is_no_matter_while_the_choice_is_left_to_the_service(client, container):
    container.engine.refuses = EngineRejected("fake hears English only.", engine="fake")

    assert submit(client, language="de")["status"] == "queued"


def test_a_recording_that_cannot_be_used_makes_no_transcription(client, container):
    answer = client.post("/transcriptions", files={"file": ("empty.wav", b"")})

    assert answer.status_code == 422
    assert answer.json()["code"] == "empty_file"
    assert not container.database.transcriptions


def test_silence_fails_with_a_reason_that_names_the_way_on(client, container):
    transcription = submit(client, content=bytes(len(speech(1))))
    finish(container, transcription)

    found = client.get(f"/transcriptions/{transcription['id']}").json()

    assert found["status"] == "failed"
    assert found["error"]["code"] == "no_speech"
    assert found["error"]["help"]
