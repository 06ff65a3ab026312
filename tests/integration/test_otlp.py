"""Traces on their way to a collector: as it decodes them, and when it is not there."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from loguru import logger

from hansard.application.ports.tracing import SpanKind
from hansard.observability import tracing
from tests.collector import Collector
from tests.queue_work import eventually

CLIENT = 3
"""OTLP's number for that kind of span."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector
        tracing.stop()  # while it is there: who sends to one that is gone goes on trying, and logs it


@pytest.fixture
def messages() -> Iterator[list[str]]:
    messages: list[str] = []
    handler = logger.add(lambda message: messages.append(message.record["message"]), level="INFO", format="{message}")
    yield messages
    logger.remove(handler)


def start(url: str, *, headers: str | None = None) -> None:
    tracing.start_sending(process="worker.1", endpoint=url, headers=headers, ratio=1.0)


def test_what_is_recorded_arrives_when_the_process_ends(collector: Collector) -> None:
    start(collector.url, headers="api-key=s3cret,x-team=a%20b")
    with tracing.span("outer"), tracing.span("call", kind=SpanKind.CLIENT, facts={"n": 1, "ok": True}) as span:
        span.fail("engine_timed_out")
    tracing.stop()

    call, outer = collector.spans
    assert (call.name, call.kind, call.failed) == ("call", CLIENT, True)
    assert call.parent_id == outer.span_id
    assert call.trace_id == outer.trace_id
    assert call.facts == {"n": 1, "ok": True, "error.type": "engine_timed_out"}
    assert call.process == "worker.1"
    assert collector.headers[0]["api-key"] == "s3cret"
    assert collector.headers[0]["x-team"] == "a b"


def test_a_base_url_may_end_with_a_slash(collector: Collector) -> None:
    start(f"{collector.url}/")
    with tracing.span("one"):
        pass
    tracing.stop()

    assert [span.name for span in collector.spans] == ["one"]


def test_spans_are_sent_again_where_the_collector_says_so(collector: Collector, messages: list[str]) -> None:
    collector.answers.append(503)
    start(collector.url)
    with tracing.span("one"):
        pass
    for _ in range(600):
        with tracing.span("more"):
            pass
    eventually(lambda: any(span.name == "one" for span in collector.spans))

    assert not messages


def test_a_collector_that_refuses_is_told_of_once(collector: Collector, messages: list[str]) -> None:
    collector.answers.extend([400, 400])
    start(collector.url)
    for sent in (1, 2, 3):
        for _ in range(512):
            with tracing.span("one"):
                pass
        eventually(lambda sent=sent: len(collector.headers) >= sent)
    tracing.stop()

    assert messages == [
        "Traces cannot be delivered; spans are lost until they can be.",
        "Traces are delivered again.",
    ]


@pytest.mark.parametrize("answers", ["never", "refuses connections"])
def test_a_collector_that_is_away_holds_up_neither_work_nor_the_end(answers: str) -> None:
    """In a process of its own: its end is what matters."""
    with Collector() as collector:
        collector.answers.extend([0] * 100)
        url = collector.url if answers == "never" else "http://127.0.0.1:9"
        program = (
            "import json, time\n"
            "from hansard.observability import logging, tracing\n"
            "logging.configure(process='api', level='INFO', format='json')\n"
            f"tracing.start_sending(process='api', endpoint={url!r}, headers=None, ratio=1.0)\n"
            "started, slowest = time.monotonic(), 0.0\n"
            "for number in range(5000):\n"
            "    before = time.monotonic()\n"
            "    with tracing.span('work'): pass\n"
            "    slowest = max(slowest, time.monotonic() - before)\n"
            "worked = time.monotonic()\n"
            "tracing.stop()\n"
            "print(json.dumps([worked - started, time.monotonic() - worked, slowest]))\n"
        )
        started = time.monotonic()
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
        took = time.monotonic() - started

    _, stopping, slowest = json.loads(ended.stdout)
    # The exporter's own patience is ten seconds a batch, and the SDK's thirty at the end.
    assert stopping < 5
    assert slowest < 5
    assert took < 20
    assert ended.stderr.count("\n") <= 1
