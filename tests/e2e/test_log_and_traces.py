"""What an operator finds afterwards: one id through all processes, in log, events and traces, and nobody's words."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from hansard.observability.log_files import lines_of, log_files
from tests.collector import Collector, ReceivedSpan
from tests.e2e.service import Service, eventually, hansard, open_directory
from tests.openai_server import API_KEY, OpenAiServer, as_json
from tests.web_server import WebServer, answer

pytestmark = [pytest.mark.xdist_group("service"), pytest.mark.timeout(300)]

FIVE = Path(__file__).parent.parent / "data" / "five.wav"
TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACED = {"X-Request-ID": "request-17", "traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01", "tracestate": "vendor=1"}
MARK = "xylophonist"
"""A word that is in nothing but what people said, wrote and looked for."""
SECRETS = (API_KEY, "collector-s3cret")
SAID = {
    "task": "transcribe",
    "language": "english",
    "duration": 1.76,
    "text": f"The {MARK}.",
    "segments": [{"id": 0, "start": 0.0, "end": 1.7, "text": f" The {MARK}.", "avg_logprob": -0.1}],
    "words": [{"word": "The", "start": 0.0, "end": 0.5}, {"word": MARK, "start": 0.5, "end": 1.7}],
}


@dataclass
class Story:
    """A service at TRACE that one recording went through, and what the others saw of it."""

    service: Service
    provider: OpenAiServer
    collector: Collector
    endpoint: WebServer
    done: dict[str, Any]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Of all processes, from their files."""
        files = log_files(self.service.directory / "data" / "logs").values()
        return [json.loads(line) for each in files for file in each for line in lines_of(file)]

    def span(self, name: str) -> ReceivedSpan:
        """In the client's trace."""

        def look() -> ReceivedSpan | None:
            found = [span for span in self.collector.spans if span.name == name and span.trace_id == TRACE_ID]
            return found[0] if found else None

        return eventually(look, f"the span {name!r}, among {[span.name for span in self.collector.spans]}")


def settings(provider: OpenAiServer, collector: Collector) -> dict[str, str]:
    return {
        "LOG_LEVEL": "TRACE",
        "HANSARD_OFFLINE": "0",
        "HANSARD_ENGINE_CHAIN": "openai",
        "OPENAI_API_KEY": API_KEY,
        "OPENAI_BASE_URL": provider.base_url,
        "HANSARD_WEBHOOKS_ALLOWED": "127.0.0.1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=collector-s3cret",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with (
        open_directory() as directory,
        OpenAiServer(mood=lambda: as_json(SAID)) as provider,
        Collector() as collector,
        WebServer({"/hook": answer()}) as endpoint,
    ):
        service = Service(directory, settings=settings(provider, collector)).start()
        try:
            yield Story(service, provider, collector, endpoint, _told(service, endpoint))
        finally:
            service.stop()


def _told(service: Service, endpoint: WebServer) -> dict[str, Any]:
    """Everything that people's words go through."""
    webhook = {"url": endpoint.url("/hook"), "event_types": ["transcription.*"], "description": MARK}
    assert service.http.post("/webhooks", json=webhook).status_code == 201
    form = {"prompt": f"About {MARK}.", "hotwords": MARK, "metadata": json.dumps({"case": MARK})}
    posted = service.http.post(
        "/transcriptions", files={"file": (f"{MARK}.wav", FIVE.read_bytes())}, data=form, headers=TRACED
    )
    assert posted.status_code == 202, posted.text
    done = service.ended(posted.json()["id"])
    assert MARK in done["text"], done
    path = f"/transcriptions/{done['id']}"
    edit = {"text": f"No {MARK}s.", "author": MARK}
    assert service.http.patch(f"{path}/segments/0", json=edit, headers={"If-Match": "*"}).status_code == 200
    assert service.http.get("/search", params={"q": MARK}).json()["items"]
    assert service.http.get(f"{path}/export", params={"format": "srt"}).status_code == 200
    assert service.http.get(done["audio_url"]).status_code == 200
    broken = service.http.post("/transcriptions", files={"file": (f"{MARK}.mp3", b"no audio")}, data=form)
    assert broken.status_code in {202, 422}
    assert service.http.post(
        "/v1/audio/transcriptions", files={"file": (f"{MARK}.wav", FIVE.read_bytes())}, data={"model": "whisper-1"}
    ).is_success
    eventually(lambda: len(endpoint.posted) >= 3, "the webhook to be told")
    return done


def test_nobodys_words_are_in_the_log_at_any_level(story: Story) -> None:
    written = [story.service.log, *(json.dumps(line, ensure_ascii=False) for line in story.lines)]

    assert len(story.lines) > 50
    assert [text for text in written if MARK in text] == []


def test_no_secret_is_in_the_log(story: Story) -> None:
    everything = story.service.log + json.dumps(story.lines)

    assert [secret for secret in SECRETS if secret in everything] == []
    assert "whsec_" not in everything


def test_every_line_is_one_object_with_the_fields_that_are_always_there(story: Story) -> None:
    always = {"time", "level", "process", "request_id", "trace_id", "transcription_id", "message", "logger"}

    assert all(always <= line.keys() for line in story.lines)
    assert {line["process"] for line in story.lines} >= {"up", "api", "worker.1"}
    assert all("code" in line and "category" in line for line in story.lines if line["level"] == "ERROR")


def test_one_request_id_leads_through_all_processes(story: Story) -> None:
    command = hansard("logs", "--json", "--request", "request-17")
    shown = subprocess.run(command, env=story.service.environment, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in shown.stdout.splitlines()]

    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    assert {line["process"] for line in lines} == {"api", "worker.1"}
    assert {line["trace_id"] for line in lines} == {TRACE_ID}
    told = [line["message"] for line in lines]
    for sentence in ("Request answered.", "Taken from the queue.", "Step finished.", "The transcription is completed."):
        assert sentence in told


def test_events_tell_who_acted_for_which_request(story: Story) -> None:
    found = story.service.get("/events?request_id=request-17&limit=50")["items"]

    actors = {event["type"]: event["actor"] for event in found}
    assert actors["audio.uploaded"] == actors["transcription.queued"] == "client"
    assert actors["transcription.started"] == actors["transcription.completed"] == "worker.1"
    assert {event["trace_id"] for event in found} == {TRACE_ID}


def test_the_pipelines_run_names_the_request(story: Story) -> None:
    command = hansard("pipelines", "runs", "--json")
    shown = subprocess.run(command, env=story.service.environment, capture_output=True, text=True, check=True)
    runs = json.loads(shown.stdout)

    (run,) = (run for run in runs if run["transcription_id"] == story.done["id"])
    assert run["measurements"]["request_id"] == "request-17"
    assert run["measurements"]["trace_id"] == TRACE_ID


def test_one_trace_leads_from_the_client_through_queue_and_pipeline_to_the_provider(story: Story) -> None:
    names = (
        "POST /transcriptions",
        "defer transcribe",
        "process transcribe",
        "pipeline",
        "recognise",
        "attempt openai",
        "POST /audio/transcriptions",
    )
    spans = [story.span(name) for name in names]

    assert [span.parent_id for span in spans] == [SPAN_ID, *(span.span_id for span in spans[:-1])]
    assert [span.process for span in spans] == ["api", "api", *["worker.1"] * 5]
    assert spans[0].facts["http.route"] == "/transcriptions"
    assert spans[5].facts["hansard.outcome"] == "succeeded"
    assert spans[6].facts["http.response.status_code"] == 200


def test_the_provider_is_told_of_request_and_trace(story: Story) -> None:
    headers = next(each.headers for each in story.provider.received if each.headers["x-request-id"] == "request-17")

    assert headers["x-client-request-id"].startswith("request-17-")
    assert headers["traceparent"] == f"00-{TRACE_ID}-{story.span('POST /audio/transcriptions').span_id}-01"
    assert headers["tracestate"] == "vendor=1"


def test_the_webhook_is_told_of_request_and_trace(story: Story) -> None:
    told = [each.headers for each in story.endpoint.posted if each.headers.get("x-request-id") == "request-17"]

    assert told
    assert all(headers["traceparent"].split("-")[1] == TRACE_ID for headers in told)
    assert story.span("POST webhook").process == "worker.1"


def test_nobodys_words_are_in_the_traces(story: Story) -> None:
    story.span("process transcribe")

    assert [span for span in story.collector.spans if MARK in repr(span)] == []
    assert all(headers["api-key"] == "collector-s3cret" for headers in story.collector.headers)


def test_a_command_acts_in_its_own_name_and_tells_of_it_in_the_files(story: Story) -> None:
    posted = story.service.http.post("/audio", files={"file": ("five.wav", FIVE.read_bytes())})
    audio_id = posted.json()["id"]
    subprocess.run(hansard("audio", "delete", audio_id), env=story.service.environment, check=True)

    events = story.service.get(f"/events?subject={audio_id}&limit=50")["items"]
    deleted = next(event for event in events if event["type"] == "audio.deleted")
    assert deleted["actor"] == "cli"
    told = [line for line in story.lines if line["process"] == "cli" and line.get("audio_id") == audio_id]
    assert [line["request_id"] for line in told] == [deleted["request_id"]]
    erased = eventually(
        lambda: [line for line in story.lines if line["message"] == "Nothing is left of what was deleted."],
        "the bytes to be erased",
    )
    assert erased[-1]["request_id"] == deleted["request_id"]


def test_a_worker_that_is_killed_leaves_whole_lines_and_its_trace_goes_on(story: Story) -> None:
    headers = {"X-Request-ID": "request-18", "traceparent": f"00-{'a' * 32}-{SPAN_ID}-01"}
    form = {"engine": "mock", "model": "slow"}
    file = {"file": ("five.wav", FIVE.read_bytes())}
    posted = story.service.http.post("/transcriptions", files=file, data=form, headers=headers)
    story.service.until(posted.json()["id"], "running")
    (worker,) = story.service.processes("worker")
    os.kill(worker.pid, signal.SIGKILL)
    assert story.service.ended(posted.json()["id"])["status"] == "completed"

    for file_ in (story.service.directory / "data" / "logs").glob("*.jsonl"):
        for line in file_.read_bytes().splitlines():
            json.loads(line)
    taken = [line for line in story.lines if line["message"] == "Taken from the queue."]
    assert len([line for line in taken if line["request_id"] == "request-18"]) == 2
    eventually(
        lambda: any(span.name == "process transcribe" and span.trace_id == "a" * 32 for span in story.collector.spans),
        "the trace to go on",
    )


def test_an_answer_names_its_request_and_its_span(story: Story) -> None:
    answer = httpx.get(f"{story.service.http.base_url}/audio", headers=TRACED)

    assert answer.headers["x-request-id"] == "request-17"
    assert answer.headers["traceresponse"].startswith(f"00-{TRACE_ID}-")
