"""One run of the chaos test: a service, its clients, a provider on a bad day and a monkey; then calm, and a verdict."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Event

import httpx
import psycopg

from tests.audio_files import DATA_DIRECTORY
from tests.chaos.book import Book
from tests.chaos.clients import Client
from tests.chaos.evidence import Evidence, collect, is_quiet
from tests.chaos.monkey import Monkey
from tests.chaos.verdict import judge, orphans
from tests.e2e.service import Service
from tests.openai_server import API_KEY, Moods, OpenAiServer

CLIP = DATA_DIRECTORY / "five.wav"

SETTINGS = {
    "HANSARD_OFFLINE": "0",
    "HANSARD_ENGINE_CHAIN": "openai,pocketsphinx",
    "HANSARD_OPENAI_TIMEOUT_SECONDS": "3",
    "HANSARD_RETRY_BASE_SECONDS": "0.2",
    "HANSARD_RETRY_CAP_SECONDS": "1",
    "HANSARD_RETRY_BUDGET_SECONDS": "5",
    "HANSARD_CIRCUIT_FAILURES": "4",
    "HANSARD_CIRCUIT_OPEN_SECONDS": "1",
    "HANSARD_CIRCUIT_LONGEST_OPEN_SECONDS": "3",
    # The monkey kills more workers in a minute than a file does in its life: none of that is the file's fault.
    "HANSARD_MAX_CRASHES": "1000",
    "HANSARD_SCARCE_DISK_BYTES": "0",
    "OPENAI_API_KEY": API_KEY,
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`seconds` of chaos, then at most `calm_seconds` until all must have ended."""

    seed: int
    seconds: float
    calm_seconds: float
    pause_seconds: float
    clients: int
    workers: int = 2
    power_cuts: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """`problems` is empty if every promise was kept; `counts` are tables of what happened."""

    problems: list[str]
    counts: dict[str, Counter[str]]
    calm_after_seconds: float


def run(plan: Plan, directory: Path) -> Report:
    """The service lives in `directory`, and its log stays there."""
    moods, book = Moods(plan.seed), Book()
    with OpenAiServer(mood=moods) as provider:
        settings = {**SETTINGS, "OPENAI_BASE_URL": provider.base_url}
        service = Service(directory, workers=plan.workers, settings=settings).start()
        monkey = Monkey(service, Random(plan.seed), plan.pause_seconds, power_cuts=plan.power_cuts)
        try:
            # While workers are still starting there is nothing to interrupt.
            service.ended(service.post_file(CLIP, engine="mock")["id"])
            _have_chaos(plan, service, monkey, book)
            moods.heal()
            began = time.monotonic()
            _wait_until_quiet(service, plan)
            calm_after_seconds = time.monotonic() - began
            evidence = collect(service, book)
        finally:
            service.stop()
    return Report(
        problems=judge(book, evidence, workers=plan.workers),
        counts=dict(_counts(book, evidence, monkey, moods)),
        calm_after_seconds=calm_after_seconds,
    )


def _have_chaos(plan: Plan, service: Service, monkey: Monkey, book: Book) -> None:
    over = Event()
    with ThreadPoolExecutor(plan.clients + 1) as threads:
        at_work = [threads.submit(monkey.rage, over)]
        for number in range(plan.clients):
            client = Client(str(service.http.base_url), Random(f"{plan.seed}, {number}"), book, over)
            at_work.append(threads.submit(client.live))
        over.wait(plan.seconds)
        over.set()
    for each in at_work:
        each.result()


def _wait_until_quiet(service: Service, plan: Plan) -> None:
    """And everybody who was killed is there again. Who is not is found by the verdict."""
    give_up_at = time.monotonic() + plan.calm_seconds
    while time.monotonic() < give_up_at:
        try:
            is_well = service.http.get("/health").json()["status"] == "ok"
            if is_well and is_quiet(service) and len(service.processes("worker")) == plan.workers:
                return
        except (httpx.TransportError, psycopg.OperationalError, FileNotFoundError):
            pass
        time.sleep(0.25)


def _counts(book: Book, evidence: Evidence, monkey: Monkey, moods: Moods) -> Iterator[tuple[str, Counter[str]]]:
    rows = evidence.transcriptions.values()
    events = [event for each in evidence.events.values() for event in each]
    yield "clients", book.done
    yield "answers", book.answers
    yield "injuries", monkey.inflicted
    yield "the provider", moods.shown
    yield "outcomes", Counter(_outcome(row) for row in rows)
    yield "transcriptions with n runs", Counter(str(row["run"]) for row in rows)
    yield "attempts", Counter(f"{a['engine']} {a['outcome']}" for row in rows for a in row["attempts"])
    yield "interruptions", Counter(e.data["reason"] for e in events if e.type == "transcription.interrupted")
    yield "events", Counter(e.type for e in events)
    yield "left in the store", Counter({"objects without a recording": len(orphans(evidence))})


def _outcome(row: dict[str, object]) -> str:
    failure = row["failure"]
    return f"{row['status']}: {failure['code']}" if isinstance(failure, dict) else str(row["status"])
