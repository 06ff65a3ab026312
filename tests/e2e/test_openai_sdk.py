"""OpenAI's own client against the whole service: real recordings, real engines, and every method that the client has.

What comes back is held against the client's models, strictly: the client itself takes whatever comes.
"""

import asyncio
import json
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import openai
import pytest
from openai.types import Model
from openai.types.audio import (
    Transcription,
    TranscriptionDiarized,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionTextSegmentEvent,
    TranscriptionVerbose,
    Translation,
    TranslationVerbose,
)
from pydantic import BaseModel

from tests.e2e.service import Service, eventually, open_directory
from tests.tiny_whisper import TEXT, build_tiny_whisper

pytestmark = [
    pytest.mark.xdist_group("openai"),
    pytest.mark.timeout(300),
    # The client calls models that OpenAI will take down deprecated, whoever serves them.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

DATA = Path(__file__).parent.parent / "data"
FIVE = DATA / "five.wav"
WORDS = "one two three four five"
TALK = Path(__file__).parents[2] / "samples" / "welcome.mp3"
"""Long enough for two passages of PocketSphinx."""

IN_ENGLISH = "Nothing was lost."
"""What the made-up Whisper says when it is told to translate."""

PATIENCE_SECONDS = 2.0

ModelT = TypeVar("ModelT", bound=BaseModel)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """Hears with a made-up Whisper, unless PocketSphinx is named."""
    with open_directory() as directory:
        whisper = build_tiny_whisper(directory / "tiny")
        service = Service(directory, settings={"HANSARD_WHISPER_MODEL": str(whisper), "HANSARD_GAP_SECONDS": "60"})
        yield service.start()
        service.stop()


@pytest.fixture(scope="module")
def downstream(service: Service) -> Iterator[Service]:
    """Its engine is the other service, and it does not wait for long."""
    with open_directory() as directory:
        settings = {
            "HANSARD_OFFLINE": "0",
            "HANSARD_ENGINE_CHAIN": "openai",
            "OPENAI_API_KEY": "a word",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{service.port}/v1",
            "HANSARD_OPENAI_API_WAIT_SECONDS": str(PATIENCE_SECONDS),
        }
        downstream = Service(directory, settings=settings)
        yield downstream.start()
        downstream.stop()


def client_of(service: Service, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(
        api_key="none", base_url=f"http://127.0.0.1:{service.port}/v1", **{"max_retries": 0, "timeout": 120, **options}
    )


@pytest.fixture
def client(service: Service) -> Iterator[openai.OpenAI]:
    with client_of(service) as client:
        yield client


@pytest.fixture
def slow_talk(tmp_path: Path) -> Path:
    """Of five seconds, which the engine `mock:slow` takes as long to hear."""
    return repeated(3, tmp_path / "slow.wav")


@pytest.fixture
def long_talk(tmp_path: Path) -> Path:
    """Of a minute: `mock:slow` is still far from its end when the first passage has been heard."""
    return repeated(36, tmp_path / "long.wav")


def repeated(times: int, talk: Path) -> Path:
    with wave.open(str(FIVE)) as source, wave.open(str(talk), "wb") as target:
        target.setparams(source.getparams())
        target.writeframes(source.readframes(source.getnframes()) * times)
    return talk


def strictly(model: type[ModelT], answer: Any) -> ModelT:
    """The raw answer as the client's model, with nothing missing and nothing converted."""
    return model.model_validate_json(answer.text if hasattr(answer, "text") else answer, strict=True)


def job_of(answer: Any) -> str:
    return answer.headers["x-hansard-transcription-id"]


# ── What is answered ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("model", "text"), [("pocketsphinx", WORDS), ("whisper-1", TEXT)])
def test_json(client: openai.OpenAI, model: str, text: str) -> None:
    answer = strictly(Transcription, client.audio.transcriptions.with_raw_response.create(file=FIVE, model=model))
    assert answer.text == text
    assert answer.usage is not None
    assert answer.usage.type == "duration"
    assert answer.usage.seconds == pytest.approx(1.76, abs=0.01)
    assert [language.code for language in answer.languages or ()] == ["en"]


@pytest.mark.parametrize("model", ["pocketsphinx", "whisper-1"])
def test_verbose_json(client: openai.OpenAI, model: str) -> None:
    answer = strictly(
        TranscriptionVerbose,
        client.audio.transcriptions.with_raw_response.create(
            file=FIVE, model=model, response_format="verbose_json", timestamp_granularities=["word", "segment"]
        ),
    )
    assert answer.language == "english"
    assert answer.segments
    assert answer.words
    assert [segment.id for segment in answer.segments] == list(range(len(answer.segments)))
    assert " ".join(word.word for word in answer.words) == answer.text
    assert all(0 <= word.start <= word.end <= answer.duration for word in answer.words)
    for segment in answer.segments:
        assert segment.avg_logprob < 0
        assert segment.compression_ratio > 0


def test_diarized_json(client: openai.OpenAI) -> None:
    answer = strictly(
        TranscriptionDiarized,
        client.audio.transcriptions.with_raw_response.create(
            file=DATA / "two_voices.flac", model="pocketsphinx", response_format="diarized_json"
        ),
    )
    assert answer.segments
    assert answer.text == " ".join(segment.text for segment in answer.segments)


def test_text_and_captions(client: openai.OpenAI) -> None:
    create = client.audio.transcriptions.create
    assert create(file=FIVE, model="pocketsphinx", response_format="text") == f"{WORDS}\n"
    assert create(file=FIVE, model="pocketsphinx", response_format="srt").startswith("1\n00:00:0")
    assert create(file=FIVE, model="pocketsphinx", response_format="vtt").startswith("WEBVTT\n")


def test_logprobs(client: openai.OpenAI) -> None:
    answer = strictly(
        Transcription,
        client.audio.transcriptions.with_raw_response.create(file=FIVE, model="pocketsphinx", include=["logprobs"]),
    )
    assert answer.logprobs
    assert "".join(each.token or "" for each in answer.logprobs) == WORDS


def test_translations(client: openai.OpenAI) -> None:
    raw = client.audio.translations.with_raw_response
    assert strictly(Translation, raw.create(file=FIVE, model="whisper-1")).text == IN_ENGLISH
    verbose = strictly(TranslationVerbose, raw.create(file=FIVE, model="whisper-1", response_format="verbose_json"))
    assert verbose.language == "english"
    assert client.audio.translations.create(file=FIVE, model="whisper-1", response_format="text") == f"{IN_ENGLISH}\n"


def test_models(client: openai.OpenAI) -> None:
    listed = json.loads(client.models.with_raw_response.list().text)
    models = [Model.model_validate(model, strict=True) for model in listed["data"]]
    assert {"whisper-1", "pocketsphinx", "whisper"} <= {model.id for model in models}
    for model in models:
        assert client.models.retrieve(model.id) == model


def test_the_asynchronous_client(service: Service) -> None:
    async def talk() -> tuple[str, str, list[str], set[str]]:
        async with openai.AsyncOpenAI(
            api_key="none", base_url=f"http://127.0.0.1:{service.port}/v1", max_retries=0
        ) as client:
            heard = await client.audio.transcriptions.create(file=FIVE, model="pocketsphinx")
            said = await client.audio.translations.create(file=FIVE, model="whisper-1")
            stream = await client.audio.transcriptions.create(file=FIVE, model="pocketsphinx", stream=True)
            events = [event.type async for event in stream]
            one = await client.models.retrieve("pocketsphinx")
            models = {model.id async for model in client.models.list()}
        assert one.id in models
        return heard.text, said.text, events, models

    heard, said, events, models = asyncio.run(talk())
    assert (heard, said, events[-1]) == (WORDS, IN_ENGLISH, "transcript.text.done")
    assert "whisper-1" in models


# ── What is refused ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("asked", "error", "param"),
    [
        ({"model": "gpt-7"}, openai.NotFoundError, "model"),
        ({"model": "pocketsphinx", "language": "de"}, openai.BadRequestError, "language"),
        ({"known_speaker_names": ["ann"]}, openai.BadRequestError, "known_speaker_names"),
        ({"chunking_strategy": {"type": "server_vad", "threshold": 0.5}}, openai.BadRequestError, None),
        ({"timestamp_granularities": ["word"]}, openai.BadRequestError, "timestamp_granularities"),
        ({"extra_body": {"user": "ann"}}, openai.BadRequestError, "user"),
        ({"model": "mock:fail-client"}, openai.BadRequestError, None),
        ({"model": "mock:fail-server"}, openai.InternalServerError, None),
    ],
)
def test_refusals_are_the_client_s_own_exceptions(
    client: openai.OpenAI, asked: dict[str, Any], error: type[openai.APIStatusError], param: str | None
) -> None:
    with pytest.raises(error) as raised:
        client.audio.transcriptions.create(**{"file": FIVE, "model": "whisper-1", **asked})
    assert raised.value.request_id
    assert raised.value.code
    if param:
        assert raised.value.param == param


def test_speech_is_not_made_here(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="does not speak"):
        client.audio.speech.create(input="Hello.", model="tts-1", voice="alloy")


# ── Streams ──────────────────────────────────────────────────────────────────────────────────────────────

EVENTS: dict[str, type[BaseModel]] = {
    "transcript.text.delta": TranscriptionTextDeltaEvent,
    "transcript.text.segment": TranscriptionTextSegmentEvent,
    "transcript.text.done": TranscriptionTextDoneEvent,
}


@pytest.mark.parametrize("format", ["json", "diarized_json"])
def test_every_event_of_a_stream_is_one_of_the_client_s(client: openai.OpenAI, format: Any) -> None:
    with client.audio.transcriptions.with_streaming_response.create(
        file=TALK, model="pocketsphinx", stream=True, response_format=format
    ) as answer:
        told = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
    events = [strictly(EVENTS[json.loads(event)["type"]], event) for event in told]
    assert isinstance(events[0], TranscriptionTextDeltaEvent)
    assert isinstance(events[-1], TranscriptionTextDoneEvent)
    segments = [event for event in events if isinstance(event, TranscriptionTextSegmentEvent)]
    assert bool(segments) is (format == "diarized_json")


def test_a_stream_begins_before_the_end_and_ends_with_the_whole(client: openai.OpenAI, service: Service) -> None:
    stream = client.audio.transcriptions.create(file=TALK, model="pocketsphinx", stream=True)
    job = job_of(stream.response)
    first = next(stream)
    assert service.get(f"/transcriptions/{job}")["status"] == "running"
    events = [first, *stream]
    done = events[-1]
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in events if event.type == "transcript.text.delta") == done.text
    again = client.audio.transcriptions.create(file=TALK, model="pocketsphinx")
    assert done.text == again.text == service.get(f"/transcriptions/{job}")["text"]


def test_what_fails_in_the_middle_of_a_stream_is_raised_there(client: openai.OpenAI, service: Service) -> None:
    stream = client.audio.transcriptions.create(file=TALK, model="pocketsphinx", stream=True)
    next(stream)
    service.http.post(f"/transcriptions/{job_of(stream.response)}/cancel")
    with pytest.raises(openai.APIError, match="cancelled"):
        list(stream)


# ── Those who do not wait to the end ─────────────────────────────────────────────────────────────────────


def cancelled(service: Service, job: str) -> Callable[[], bool]:
    return lambda: service.get(f"/transcriptions/{job}")["status"] == "cancelled"


def test_a_client_that_goes_away_cancels_its_work(service: Service, slow_talk: Path) -> None:
    with client_of(service, timeout=1.0) as client, pytest.raises(openai.APITimeoutError):
        client.audio.transcriptions.create(file=slow_talk, model="mock:hang")
    (newest,) = service.get("/transcriptions?limit=1")["items"]
    assert newest["parameters"]["model"] == "hang"
    eventually(cancelled(service, newest["id"]), "it to be cancelled")


def test_a_stream_that_is_closed_cancels_its_work(client: openai.OpenAI, service: Service, long_talk: Path) -> None:
    stream = client.audio.transcriptions.create(file=long_talk, model="mock:slow", stream=True)
    next(stream)
    stream.close()
    job = job_of(stream.response)
    eventually(cancelled(service, job), "it to be cancelled")


def test_a_client_that_asks_again_joins_its_own_work(service: Service, slow_talk: Path) -> None:
    known = {each["id"] for each in service.get("/transcriptions?limit=200")["items"]}
    with client_of(service, timeout=4.0, max_retries=2) as client:
        answer = client.audio.transcriptions.create(file=slow_talk, model="mock:slow", prompt="asked again")
    assert answer.text
    made = [each for each in service.get("/transcriptions?limit=200")["items"] if each["id"] not in known]
    assert [each["status"] for each in made] == ["completed"]


# ── One service behind another ───────────────────────────────────────────────────────────────────────────


def test_one_service_is_the_engine_of_another(service: Service, downstream: Service) -> None:
    with client_of(downstream, max_retries=9) as client:
        raw = client.audio.transcriptions.with_raw_response.create(
            file=FIVE, model="whisper-1", response_format="verbose_json", timestamp_granularities=["word", "segment"]
        )
    answer = strictly(TranscriptionVerbose, raw)
    assert answer.text == TEXT
    assert answer.words
    job = downstream.get(f"/transcriptions/{job_of(raw)}")
    (attempt,) = job["attempts"]
    assert (job["engine"], job["model"], job["language"], job["degraded"]) == ("openai", "whisper-1", "en", False)
    upstream_request = attempt["provider_request_id"]
    (newest,) = service.get("/transcriptions?limit=1")["items"]
    assert newest["request_id"] == upstream_request
    assert newest["status"] == "completed"


def test_a_refusal_passes_through_both(downstream: Service) -> None:
    with client_of(downstream) as client, pytest.raises(openai.BadRequestError, match="xx"):
        client.audio.transcriptions.create(file=FIVE, model="whisper-1", language="xx")


def test_work_that_takes_too_long_is_left_to_be_fetched(downstream: Service, slow_talk: Path) -> None:
    with client_of(downstream) as client, pytest.raises(openai.InternalServerError) as raised:
        client.audio.transcriptions.create(file=slow_talk, model="mock:slow", prompt="left behind")
    assert raised.value.status_code == 504
    assert raised.value.code == "transcription_pending"
    assert downstream.ended(job_of(raised.value.response))["status"] == "completed"


def test_a_request_that_is_sent_again_after_a_time_out_joins_the_first(downstream: Service, slow_talk: Path) -> None:
    known = {each["id"] for each in downstream.get("/transcriptions?limit=200")["items"]}
    with client_of(downstream, max_retries=9) as client:
        answer = client.audio.transcriptions.create(file=slow_talk, model="mock:slow", prompt="sent again")
    assert answer.text
    made = [each for each in downstream.get("/transcriptions?limit=200")["items"] if each["id"] not in known]
    assert [each["status"] for each in made] == ["completed"]
