"""A real Prometheus beside the whole service, when some of everything was done: what alert rules and dashboards ask for
is there, and is answered.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from tests.audio_files import pcm_of, silence
from tests.e2e.service import Service, eventually, free_port, open_directory
from tests.prometheus import (
    RULES,
    Question,
    grouping_labels,
    program,
    questions_of_dashboards,
    questions_of_rules,
    selectors,
    variables_of_dashboards,
)
from tests.web_server import WebServer, answer

pytestmark = [pytest.mark.xdist_group("prometheus"), pytest.mark.timeout(300)]

DATA = Path(__file__).parent.parent / "data"
FIVE = DATA / "five.wav"
METRICS_DOCUMENT = Path(__file__).parents[2] / "docs/metrics.md"

OF_PROMETHEUS = {"up": {"job", "instance"}}
"""What it tells itself, and the labels that it gives to all that it reads."""
BY_PROMETHEUS = {"job", "instance"}


@dataclass
class Watched:
    """A service that has done some of everything, what it tells, and the Prometheus that reads it, if there is one."""

    service: Service
    workers_port: int
    page: str
    prometheus: httpx.Client | None

    @property
    def families(self) -> list[Metric]:
        return list(text_string_to_metric_families(self.page))

    @property
    def series(self) -> dict[str, list[dict[str, str]]]:
        """The labels of each series, by its name."""
        found: dict[str, list[dict[str, str]]] = {}
        for family in self.families:
            for sample in family.samples:
                found.setdefault(sample.name, []).append(sample.labels)
        return found

    def ask(self, path: str, **parameters: str) -> Any:
        if self.prometheus is None:
            program("prometheus")
        assert self.prometheus
        answered = self.prometheus.get(f"/api/v1/{path}", params=parameters)
        assert answered.status_code == 200, answered.text
        return answered.json()["data"]


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    workers_port = free_port()
    settings = {
        "HANSARD_ENGINE_CHAIN": "pocketsphinx",
        "HANSARD_WEBHOOKS_ALLOWED": "127.0.0.1",
        "HANSARD_WORKER_METRICS_PORT": str(workers_port),
        "HANSARD_RETRY_BASE_SECONDS": "0.01",
    }
    with open_directory() as directory, WebServer({"/hook": answer(status="204 No Content")}) as endpoint:
        service = Service(directory, settings=settings).start()
        try:
            do_some_of_everything(service, endpoint)
            with prometheus_beside(service, workers_port) as client:
                page = service.http.get("/metrics").text
                yield Watched(service, workers_port, page, client)
        finally:
            service.stop()


def do_some_of_everything(service: Service, endpoint: WebServer) -> None:
    hook = {"url": endpoint.url("/hook"), "event_types": ["transcription.*"]}
    assert service.http.post("/webhooks", json=hook).status_code == 201
    posted = [
        service.post_file(FIVE),
        service.post_file(FIVE, engine="mock", model="fail-client"),
        service.post_file(FIVE, engine="mock", model="fail-unavailable", fallback="true"),
    ]
    statuses = [service.ended(each["id"])["status"] for each in posted]
    assert statuses == ["completed", "failed", "completed"]
    speak_live(service)
    service.http.get("/nowhere")
    with service.http.stream("GET", "/events/stream") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
    service.http.delete(posted[0]["audio_url"].removesuffix("/download"))
    eventually(lambda: len(endpoint.requests) > 6 or None, "the webhook to be told")


def speak_live(service: Service) -> None:
    with connect(f"ws://127.0.0.1:{service.port}/live?language=en", proxy=None) as socket:
        socket.send(pcm_of("five.wav") + silence(1))
        socket.send(json.dumps({"type": "end"}))
        while json.loads(socket.recv(timeout=60))["type"] != "ended":
            pass


class prometheus_beside:  # noqa: N801 - read as a function
    """The real program, which reads the service every second; None where there is none."""

    def __init__(self, service: Service, workers_port: int) -> None:
        self._service, self._workers_port = service, workers_port
        self._process: subprocess.Popen[bytes] | None = None
        self._client: httpx.Client | None = None

    def __enter__(self) -> httpx.Client | None:
        try:
            path = program("prometheus")
        except pytest.skip.Exception:
            return None
        directory = self._service.directory
        targets = [f"127.0.0.1:{port}" for port in (self._service.port, self._workers_port)]
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "hansard", "static_configs": [{"targets": targets}]}],
        }
        (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        port = free_port()
        with (directory / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    path,
                    f"--config.file={directory / 'prometheus.yml'}",
                    f"--storage.tsdb.path={directory / 'prometheus'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=log,
            )
        self._client = client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30)
        eventually(lambda: _has_read_three_times(client), "Prometheus to have read the service three times")
        return client

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)


def _has_read_three_times(client: httpx.Client) -> bool:
    try:
        asked = client.get("/api/v1/query", params={"query": "count_over_time(up[1m]) > 2"})
    except httpx.TransportError:
        return False
    return asked.status_code == 200 and len(asked.json()["data"]["result"]) == 2


# ── The page ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_is_as_prometheus_wants_it(watched: Watched) -> None:
    ran = subprocess.run(
        [program("promtool"), "check", "metrics"], input=watched.page, capture_output=True, check=False, text=True
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_all_that_is_documented_is_told_by_a_running_service(watched: Watched) -> None:
    documented = set(re.findall(r"^\| `(hansard_\w+)` \|", METRICS_DOCUMENT.read_text("utf-8"), re.MULTILINE))
    told = {f"{family.name}_total" if family.type == "counter" else family.name for family in watched.families}
    assert told == documented


def test_labels_have_the_values_that_are_documented(watched: Watched) -> None:
    values = documented_values()
    for name, labels in ((name, labels) for name, series in watched.series.items() for labels in series):
        for label, value in labels.items():
            if values.get(label):
                assert value in values[label], f"{name}: {label}={value}"


def test_the_work_was_counted(watched: Watched) -> None:
    def value(name: str, **labels: str) -> float:
        found = [
            sample.value
            for family in watched.families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert found, (name, labels)
        return sum(found)

    assert value("hansard_transcriptions_ended_total", status="failed", category="client") == 1
    assert value("hansard_transcriptions_ended_total", status="completed") == 3
    assert value("hansard_engine_fallbacks_total", from_engine="mock", to_engine="pocketsphinx") == 1
    assert value("hansard_transcription_queue_wait_seconds_count") == 4
    assert value("hansard_transcription_coverage_ratio_count") == 3
    assert value("hansard_live_session_changes_total", change="stored") == 1
    assert value("hansard_live_audio_seconds_total") > 2
    assert value("hansard_webhook_attempts_total", outcome="delivered") > 6
    assert value("hansard_http_request_duration_seconds_count", route="unknown", status="4xx") == 1
    assert value("hansard_process_resident_memory_bytes", process="worker.1") > 50_000_000
    assert value("hansard_models_in_memory", process="worker.1", engine="pocketsphinx") == 1
    assert value("hansard_database_size_bytes", database="operational") > 1_000_000
    assert value("hansard_http_event_streams_open") == 0


def test_workers_without_an_api_tell_the_same(watched: Watched) -> None:
    page = httpx.get(f"http://127.0.0.1:{watched.workers_port}/metrics", trust_env=False).text
    told = {family.name for family in text_string_to_metric_families(page)}
    assert told == {family.name for family in watched.families}


# ── What is asked for ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("question", [*questions_of_rules(), *questions_of_dashboards()], ids=str)
def test_what_is_asked_for_is_told(watched: Watched, question: Question) -> None:
    values, labels_told = documented_values(), set[str](BY_PROMETHEUS)
    for selector in selectors(question.expression):
        series = watched.series.get(selector.metric)
        known = set[str]().union(*series) if series else OF_PROMETHEUS.get(selector.metric)
        assert known is not None, f"nothing is told by the name of {selector.metric}"
        labels_told |= known
        for label, pattern in selector.labels:
            assert label in known | BY_PROMETHEUS, f"{selector.metric} has no {label}"
            possible = {each[label] for each in series or () if label in each} | values.get(label, set())
            assert label in BY_PROMETHEUS or any(re.fullmatch(pattern, value) for value in possible), pattern
    assert grouping_labels(question.expression) <= labels_told


def test_the_choices_of_dashboards_are_taken_from_labels_that_there_are(watched: Watched) -> None:
    for metric, label in variables_of_dashboards():
        assert label in set().union(*watched.series[metric]) | BY_PROMETHEUS


def documented_values() -> dict[str, set[str]]:
    """Those of each label, of which there are no others; empty where the document cannot list them."""
    text = METRICS_DOCUMENT.read_text("utf-8").partition("## Labels")[2]
    found: dict[str, set[str]] = {}
    for labels, values in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.*) \|$", text, re.MULTILINE):
        listed = set(re.findall(r"`([\w]+)`", values))
        is_open = re.search(r"paths that|names that|the types of|the rules of|that the settings|hansard worker", values)
        for label in re.findall(r"`(\w+)`", labels):
            found[label] = set() if is_open else listed
    return found


# ── A real Prometheus ────────────────────────────────────────────────────────────────────────────────────


def test_prometheus_reads_the_api_and_the_workers(watched: Watched) -> None:
    targets = watched.ask("targets")["activeTargets"]
    assert [(target["health"], target["lastError"]) for target in targets] == [("up", ""), ("up", "")]


def test_prometheus_takes_all_rules_and_none_that_should_not_fires(watched: Watched) -> None:
    rules = [rule for group in watched.ask("rules")["groups"] for rule in group["rules"]]
    assert [rule["lastError"] for rule in rules if rule["health"] != "ok"] == []
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []


@pytest.mark.parametrize("question", questions_of_dashboards(), ids=str)
def test_prometheus_answers_what_dashboards_ask(watched: Watched, question: Question) -> None:
    result = watched.ask("query", query=question.expression)["result"]
    # Nothing is to be seen where only what is wrong is shown, or what is seldom.
    assert result or re.search(r"> 0$|hansard_engine_fallbacks_total", question.expression)
