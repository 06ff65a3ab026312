"""OpenAI's audio API, on fakes: what is taken, what is refused and how, and what the answers hold."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from hansard.application.backlog import QueuePolicy
from hansard.application.idempotency import KEPT_FOR
from hansard.bootstrap import Container
from hansard.domain import errors
from hansard.domain.errors import ConfigurationError
from hansard.domain.transcription import Status, Task
from hansard.http.app import create_app
from hansard.http.openai.models import OPENAI_NAMES
from tests.unit.http.api import TALK, FakeContainer, client_of, settings
from tests.workshop import speech

TRANSCRIPTIONS, TRANSLATIONS = "/v1/audio/transcriptions", "/v1/audio/translations"
ID = "x-hansard-transcription-id"


@pytest.fixture
def container() -> FakeContainer:
    """Has a worker: what somebody waits for is done at once."""
    container = FakeContainer()
    container.changes.before_waiting = container.transcribe
    return container


def post(client: TestClient, path: str = TRANSCRIPTIONS, content: bytes = TALK, **fields: Any) -> Response:
    headers = fields.pop("headers", {})
    return client.post(
        path, files={"file": ("talk.wav", content)}, data={"model": "whisper-1", **fields}, headers=headers
    )


def envelope(answer: Response, status: int) -> dict[str, Any]:
    """The error, if the answer is one of that status in OpenAI's shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["error"]
    assert sorted(body["error"]) == ["code", "message", "param", "type"]
    return body["error"]


def only_job(container: FakeContainer) -> Any:
    (job,) = container.database.transcriptions.values()
    return job


# ── What is answered ─────────────────────────────────────────────────────────────────────────────────────


def test_a_recording_is_answered_with_its_text(client: TestClient) -> None:
    assert post(client).json() == {
        "text": "word1 word2",
        "languages": [{"code": "en"}],
        "usage": {"type": "duration", "seconds": 2.0},
    }


def test_the_answer_says_where_the_transcription_is_kept(client: TestClient, container: FakeContainer) -> None:
    answer = post(client)
    assert answer.headers[ID] == str(only_job(container).id)
    assert client.get(answer.headers["location"]).json()["text"] == "word1 word2"


def test_somebody_waits_for_it(client: TestClient, container: FakeContainer) -> None:
    post(client)
    assert only_job(container).parameters.interactive


@pytest.mark.parametrize(
    ("format", "media_type", "beginning"),
    [("text", "text/plain", "word1 word2\n"), ("srt", "application/x-subrip", "1\n00:"), ("vtt", "text/vtt", "WEBVTT")],
)
def test_text_formats_are_answered_as_text(client: TestClient, format: str, media_type: str, beginning: str) -> None:
    answer = post(client, response_format=format)
    assert answer.headers["content-type"].startswith(media_type)
    assert answer.text.startswith(beginning)


def test_verbose_json_has_segments_unless_words_are_asked_for(client: TestClient) -> None:
    body = post(client, response_format="verbose_json").json()
    assert [segment["text"] for segment in body["segments"]] == ["word1", "word2"]
    assert (body["task"], body["language"], body["duration"]) == ("transcribe", "english", 2.0)
    assert "words" not in body


@pytest.mark.parametrize("name", ["timestamp_granularities[]", "timestamp_granularities", "timestamp_granularities[0]"])
def test_granularities_are_taken_with_brackets_and_without(client: TestClient, name: str) -> None:
    body = post(client, response_format="verbose_json", **{name: "word"}).json()
    assert [word["word"] for word in body["words"]] == ["word1", "word2"]
    assert "segments" not in body


def test_both_granularities_at_once(client: TestClient) -> None:
    body = post(client, response_format="verbose_json", timestamp_granularities=["word", "segment"]).json()
    assert len(body["words"]) == len(body["segments"]) == 2


def test_logprobs_are_those_of_the_words(client: TestClient) -> None:
    logprobs = post(client, **{"include[]": "logprobs"}).json()["logprobs"]
    assert "".join(each["token"] for each in logprobs) == "word1 word2"
    assert all(bytes(each["bytes"]).decode() == each["token"] for each in logprobs)
    assert [each["logprob"] for each in logprobs] == [pytest.approx(-0.105361)] * 2


def test_what_is_asked_for_reaches_the_engine(client: TestClient, container: FakeContainer) -> None:
    fields = {"language": "de", "prompt": "Hamburg", "temperature": "0.4", "keywords[]": ["Elbe", "Alster"]}
    post(client, **fields)
    request = container.second_engine.requests[0]
    assert (request.language, request.prompt, request.hotwords) == ("de", "Hamburg", "Elbe, Alster")
    assert request.temperature == 0.4


def test_temperature_zero_leaves_it_to_the_engine(client: TestClient, container: FakeContainer) -> None:
    post(client, temperature="0")
    assert container.second_engine.requests[0].temperature is None


def test_one_language_may_come_as_a_list(client: TestClient, container: FakeContainer) -> None:
    post(client, **{"languages[]": "fr"})
    assert container.second_engine.requests[0].language == "fr"


def test_a_field_that_nobody_filled_in_was_not_given(client: TestClient, container: FakeContainer) -> None:
    assert post(client, language="", prompt="").status_code == 200
    assert container.second_engine.requests[0].prompt is None


@pytest.mark.parametrize(
    "fields", [{"chunking_strategy": "auto"}, {"chunking_strategy[type]": "server_vad"}, {"stream": "false"}]
)
def test_what_is_done_in_any_case_may_be_asked_for(client: TestClient, fields: dict[str, str]) -> None:
    assert post(client, **fields).status_code == 200


def test_diarized_json_asks_who_speaks(client: TestClient, container: FakeContainer) -> None:
    post(client, response_format="diarized_json")
    assert only_job(container).parameters.diarize


def test_a_translation_is_one(client: TestClient, container: FakeContainer) -> None:
    body = post(client, TRANSLATIONS, response_format="verbose_json").json()
    assert only_job(container).parameters.task is Task.TRANSLATE
    assert (body["task"], body["language"]) == ("translate", "english")


# ── Models ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [*OPENAI_NAMES, "auto", "hansard"])
def test_openai_s_names_mean_the_chain(client: TestClient, container: FakeContainer, name: str) -> None:
    post(client, model=name)
    asked = only_job(container).parameters
    assert (asked.engine, asked.model, asked.falls_back) == ("auto", None, True)


@pytest.mark.parametrize(("name", "model"), [("second", None), ("second:large", "large"), ("second:a/b:c", "a/b:c")])
def test_an_engine_s_name_means_that_engine_alone(
    client: TestClient, container: FakeContainer, name: str, model: str | None
) -> None:
    post(client, model=name)
    asked = only_job(container).parameters
    assert (asked.engine, asked.model, asked.falls_back) == ("second", model, False)


def test_the_settings_may_say_what_a_name_means(container: FakeContainer) -> None:
    container.settings = settings(openai_api_models={"whisper-1": "second:large", "fast": "auto"})
    client = client_of(container)
    post(client, model="whisper-1")
    assert only_job(container).parameters.engine == "second"
    assert "fast" in [model["id"] for model in client.get("/v1/models").json()["data"]]


def test_a_name_in_the_settings_must_mean_an_engine(container: FakeContainer) -> None:
    container.settings = settings(openai_api_models={"fast": "nobody:large"})
    with pytest.raises(ConfigurationError, match="nobody"):
        create_app(cast(Container, container))


@pytest.mark.parametrize("name", ["gpt-7", "nobody:large", "second:"])
def test_an_unknown_model_is_told_with_what_there_is(client: TestClient, name: str) -> None:
    error = envelope(post(client, model=name), 404)
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", "model", "model_not_found")
    assert "whisper-1" in error["message"]


def test_models_are_listed_and_looked_up(client: TestClient) -> None:
    models = client.get("/v1/models").json()
    assert models["object"] == "list"
    for model in models["data"]:
        assert client.get(f"/v1/models/{model['id']}").json() == model
    owners = {model["id"]: model["owned_by"] for model in models["data"]}
    assert (owners["whisper-1"], owners["second"], owners["second:fake-1"]) == ("hansard", "second", "second")


def test_a_model_with_a_slash_in_its_name_is_looked_up(client: TestClient) -> None:
    assert client.get("/v1/models/second:org%2Fname").json()["id"] == "second:org/name"
    assert client.get("/v1/models/second:org/name").json()["id"] == "second:org/name"


def test_a_model_that_its_engine_refuses_is_none(client: TestClient, container: FakeContainer) -> None:
    container.second_engine.refuses = errors.EngineRejected("No such model.", engine="second", code="unknown_model")
    assert "No such model." in envelope(client.get("/v1/models/second:tiny"), 404)["message"]


# ── What is refused ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "docx"}, "response_format"),
        ({"temperature": "2"}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"language": "english"}, "language"),
        ({"languages[]": ["de", "fr"]}, "languages"),
        ({"language": "de", "languages[]": "de"}, "languages"),
        ({"prompt": "x" * 2001}, "prompt"),
        ({"keywords[]": "Elbe, Alster"}, "keywords"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities"),
        ({"timestamp_granularities[]": "letter", "response_format": "verbose_json"}, "timestamp_granularities"),
        ({"include[]": "logprobs", "response_format": "verbose_json"}, "include"),
        ({"include[]": "everything"}, "include"),
        ({"stream": "true", "response_format": "srt"}, "stream"),
        ({"stream": "maybe"}, "stream"),
        ({"chunking_strategy": "manual"}, "chunking_strategy"),
        ({"chunking_strategy[type]": "client_vad"}, "chunking_strategy"),
        (
            {"chunking_strategy[type]": "server_vad", "chunking_strategy[threshold]": "0.5"},
            "chunking_strategy[threshold]",
        ),
        ({"known_speaker_names[]": "ann"}, "known_speaker_names"),
        (
            {"known_speaker_names[]": "ann", "known_speaker_references[]": "data:audio/wav;base64," + "A" * 500_000},
            "known_speaker_references",
        ),
        ({"user": "ann"}, "user"),
        ({"model": ""}, "model"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    client: TestClient, container: FakeContainer, fields: dict[str, Any], param: str
) -> None:
    error = envelope(post(client, **fields), 400)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert not container.database.transcriptions
    assert not container.store.objects


@pytest.mark.parametrize("fields", [{"language": "de"}, {"stream": "true"}, {"response_format": "diarized_json"}])
def test_a_translation_takes_what_openai_s_does(client: TestClient, fields: dict[str, str]) -> None:
    assert envelope(post(client, TRANSLATIONS, **fields), 400)["param"] == next(iter(fields))


def test_a_field_that_is_no_list_is_given_once(client: TestClient) -> None:
    assert "language" in envelope(post(client, language=["de", "fr"]), 400)["message"]


def test_without_a_file_there_is_nothing_to_do(client: TestClient) -> None:
    assert envelope(client.post(TRANSCRIPTIONS, data={"model": "whisper-1"}), 400)["param"] == "file"


def test_json_is_no_form(client: TestClient) -> None:
    assert envelope(client.post(TRANSCRIPTIONS, json={"model": "whisper-1"}), 400)["param"] == "file"


def test_a_recording_that_is_none(client: TestClient) -> None:
    assert envelope(post(client, content=b""), 400)["code"] == "empty_file"


def test_a_recording_without_speech_is_the_client_s(client: TestClient) -> None:
    answer = post(client, content=bytes(64_000))
    assert envelope(answer, 400)["code"] == "no_speech"
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers[ID]


def test_probabilities_that_the_engine_does_not_tell_are_not_made_up(
    client: TestClient, container: FakeContainer
) -> None:
    recognise = container.second_engine.recognise
    container.second_engine.recognise = lambda *asked: (  # type: ignore[method-assign]
        replace(segment, words=()) for segment in recognise(*asked)
    )
    answer = post(client, include="logprobs")
    assert envelope(answer, 400)["param"] == "include"
    assert only_job(container).status is Status.COMPLETED
    assert answer.headers[ID] == str(only_job(container).id)


@pytest.mark.parametrize(
    ("error", "status", "kind", "again"),
    [
        (errors.EngineRejected("no", engine="fake"), 400, "invalid_request_error", "false"),
        (errors.EngineNotAuthenticated("no", engine="fake"), 503, "server_error", "false"),
        (errors.EngineUnavailable("no", engine="fake"), 503, "server_error", "false"),
        (errors.EngineRateLimited("no", engine="fake"), 429, "rate_limit_error", "true"),
        (errors.EngineTimedOut("no", engine="fake"), 504, "server_error", "true"),
        (errors.EngineFailed("no", engine="fake"), 503, "server_error", "true"),
        (errors.EngineCrashed("no", engine="fake"), 500, "server_error", "true"),
    ],
)
def test_a_failure_of_the_work_has_the_status_that_clients_know_it_by(
    client: TestClient, container: FakeContainer, error: errors.EngineError, status: int, kind: str, again: str
) -> None:
    container.engine.failures = [error] * 9
    answer = post(client, model="fake")
    assert envelope(answer, status)["type"] == kind
    assert answer.headers["x-should-retry"] == again


def test_what_somebody_else_cancelled_is_not_asked_for_again(client: TestClient, container: FakeContainer) -> None:
    container.changes.before_waiting = container.cancel
    answer = post(client)
    assert envelope(answer, 409)["code"] == "cancelled"
    assert answer.headers["x-should-retry"] == "false"


def test_what_somebody_else_deleted_is_not_found(client: TestClient, container: FakeContainer) -> None:
    container.changes.before_waiting = container.delete_transcription
    assert envelope(post(client), 404)["code"] == "not_found"


def test_a_full_queue_says_when_to_come_back(client: TestClient, container: FakeContainer) -> None:
    container.queue_policy = QueuePolicy(most_waiting=0, most_waiting_of_owner=5)
    answer = post(client)
    assert envelope(answer, 503)["code"] == "queue_full"
    assert int(answer.headers["retry-after"]) > 0


def test_an_owner_s_full_queue_is_a_rate_limit(client: TestClient, container: FakeContainer) -> None:
    container.queue_policy = QueuePolicy(most_waiting=5, most_waiting_of_owner=0)
    error = envelope(post(client), 429)
    assert (error["type"], error["code"]) == ("rate_limit_error", "owner_queue_full")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "unknown_path"),
        ("GET", TRANSCRIPTIONS, 405, "method_not_allowed"),
        ("POST", "/v1/audio/speech", 404, "unknown_path"),
        ("GET", "/v1", 404, "unknown_path"),
    ],
)
def test_every_refusal_is_in_openai_s_shape(client: TestClient, method: str, path: str, status: int, code: str) -> None:
    assert envelope(client.request(method, path), status)["code"] == code


def test_the_description_tells_of_openai_s_errors_and_forms(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    asking = document["paths"][TRANSCRIPTIONS]["post"]
    schema = asking["responses"]["default"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/OpenAiError"}
    form = asking["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert {"file", "model"} <= set(form["properties"])
    assert "$ref" not in json.dumps(form)


def test_speech_is_not_made_here(client: TestClient) -> None:
    assert "does not speak" in envelope(client.post("/v1/audio/speech", json={}), 404)["message"]


def test_what_is_too_large(container: FakeContainer) -> None:
    container.settings = settings(max_upload_bytes=1000)
    assert envelope(post(client_of(container), content=speech(60)), 413)["code"] == "too_large"


def test_what_nobody_expected_tells_strangers_nothing(container: FakeContainer) -> None:
    def fail() -> Any:
        raise ZeroDivisionError("a secret")

    container.unit_of_work = fail  # type: ignore[method-assign]
    error = envelope(post(client_of(container)), 500)
    assert error["type"] == "server_error"
    assert "secret" not in json.dumps(error)


# ── Waiting ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def impatient(container: FakeContainer) -> TestClient:
    """Nobody does the work, and nobody waits for it for long."""
    container.changes.before_waiting = lambda _: None
    container.settings = settings(openai_api_wait_seconds=0.05)
    return client_of(container)


def test_what_takes_too_long_is_left_to_be_fetched(impatient: TestClient, container: FakeContainer) -> None:
    answer = post(impatient)
    job = only_job(container)
    error = envelope(answer, 504)
    assert error["code"] == "transcription_pending"
    assert f"/transcriptions/{job.id}" in error["message"]
    assert (answer.headers[ID], answer.headers["location"]) == (str(job.id), f"/transcriptions/{job.id}")
    container.transcribe(job.id)
    assert impatient.get(answer.headers["location"]).json()["text"] == "word1 word2"


def test_a_request_sent_again_joins_the_first(impatient: TestClient, container: FakeContainer) -> None:
    first, second = post(impatient), post(impatient)
    assert first.headers[ID] == second.headers[ID] == str(only_job(container).id)


def test_another_question_about_the_same_recording_is_another_job(
    impatient: TestClient, container: FakeContainer
) -> None:
    post(impatient)
    post(impatient, language="de")
    assert len(container.database.transcriptions) == 2


def test_the_same_key_is_answered_with_the_same_transcription(client: TestClient, container: FakeContainer) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = post(client, headers=key)
    container.clock.advance(KEPT_FOR.total_seconds() / 2)
    assert post(client, headers=key).headers[ID] == first.headers[ID]
    assert first.json() == post(client, headers=key).json()


def test_a_key_of_another_request_is_refused(client: TestClient) -> None:
    key = {"Idempotency-Key": "k-1"}
    post(client, headers=key)
    assert envelope(post(client, language="de", headers=key), 400)["code"] == "idempotency_key_reused"


# ── Streams ──────────────────────────────────────────────────────────────────────────────────────────────


def events(answer: Response) -> list[dict[str, Any]]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data: ")]


def test_a_stream_ends_with_the_text_that_is_answered_without(client: TestClient) -> None:
    answer = post(client, stream="true")
    *deltas, done = events(answer)
    assert {each["type"] for each in deltas} == {"transcript.text.delta"}
    kept = client.get(answer.headers["location"]).json()["text"]
    assert done == {"type": "transcript.text.done", "text": kept, "languages": [{"code": "en"}]}
    assert "".join(each["delta"] for each in deltas) == done["text"]


def test_a_stream_says_where_the_transcription_is_kept(client: TestClient, container: FakeContainer) -> None:
    assert post(client, stream="true").headers[ID] == str(only_job(container).id)


def test_a_stream_brings_logprobs_when_asked_to(client: TestClient) -> None:
    *deltas, done = events(post(client, stream="true", include="logprobs"))
    told = [token for each in deltas for token in each["logprobs"]]
    assert told == done["logprobs"]
    assert "".join(token["token"] for token in told) == done["text"]


def test_a_diarized_stream_tells_who_said_what_before_it_is_done(client: TestClient) -> None:
    told = events(post(client, stream="true", response_format="diarized_json"))
    types = [each["type"].removeprefix("transcript.text.") for each in told]
    assert types[-3:] == ["segment", "segment", "done"]


def test_a_stream_that_fails_before_it_began_is_refused_as_any_request(
    client: TestClient, container: FakeContainer
) -> None:
    container.engine.failures = [errors.EngineRejected("no", engine="fake")] * 9
    envelope(post(client, stream="true", model="fake"), 400)
