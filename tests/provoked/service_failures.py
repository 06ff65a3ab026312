"""Failures of workers and pipelines, what requests are refused for, and settings that cannot be."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from hansard.application.ports.work import PipelineRunner
from hansard.audio.voice_activity import SileroModel
from hansard.domain.transcript import Segment, Transcript
from hansard.domain.transcription import Status
from hansard.engines.mock import MockEngine
from hansard.persistence import database
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.pipelines import zenml_store
from hansard.pipelines.in_process import InProcessRunner
from hansard.pipelines.resilient import TrackedWherePossible
from hansard.pipelines.steps import MeasuredSteps
from hansard.pipelines.zenml_runner import ZenmlFailed
from hansard.queue.jobs import TranscriptionJobs
from hansard.settings import load
from tests.error_table import Provoked, failure_of, provokes, raised_by, refused, start_fails
from tests.fakes import FakeDatabase
from tests.unit.http.api import TALK, FakeContainer, client_of, settings, submit, upload
from tests.workshop import Workshop, speech

WORK, REQUESTS, SETTINGS = "Workers and pipelines", "Requests", "Settings"
NOTHING = UUID(int=7)
ANY = {"If-Match": "*"}
BACKWARDS = {"segments": [{"start_seconds": 2, "end_seconds": 1, "text": "x"}]}

# ── Workers and pipelines ────────────────────────────────────────────────────────────────────────────────


class Killed(BaseException):
    """What `kill -9` looks like from inside: nothing gets to run after it."""


@provokes(WORK, "Workers died, `HANSARD_MAX_CRASHES` times, at the same place of a recording")
def killer() -> Provoked:
    def die(_: int) -> None:
        raise Killed

    shop = Workshop()
    shop.engine.on_passage = die
    transcription_id = shop.submitted(speech(1)).id
    for _ in range(shop.transcribe.max_crashes):
        with pytest.raises(Killed):
            shop.transcribe(transcription_id)
    return Provoked(failure_of(shop.transcribe(transcription_id), shop), "Job fails")


@provokes(WORK, "An error that nobody foresaw")
def unforeseen() -> Provoked:
    def stumble(_: int) -> None:
        raise ZeroDivisionError

    shop = Workshop()
    shop.engine.on_passage = stumble
    return Provoked(failure_of(shop.transcribe(shop.submitted(speech(1)).id), shop), "Job fails")


@provokes(WORK, "The job was tried too often, and never came to an end")
def given_up() -> Provoked:
    shop = Workshop()
    transcription_id = shop.submitted(speech(1)).id
    shop.transcribe.give_up(transcription_id, "It was tried 5 times, and none came to an end.")
    return Provoked(failure_of(shop.transcription(transcription_id), shop), "Job fails")


@provokes(WORK, "The model that finds speech is missing")
def no_ears(tmp_path: Path) -> Provoked:
    error = raised_by(lambda: SileroModel(tmp_path / "none.onnx")._session)
    shop = Workshop()
    shop.store.open = lambda stored: _raise(error)  # type: ignore[method-assign]
    return Provoked(failure_of(shop.transcribe(shop.submitted(speech(1)).id), shop), "Job fails")


@provokes(WORK, "ZenML's store is away, or ZenML fails")
def without_zenml() -> Provoked:
    def unusable() -> None:
        with zenml_store._translated():
            raise OSError("unable to open database file")

    error = raised_by(unusable)
    warnings: list[str] = []

    def make_runner(steps: Any) -> PipelineRunner:
        class Zenml:
            def run(self, transcription_id: UUID, run: int) -> None:
                raise ZenmlFailed(MeasuredSteps(steps)) from error

        return TrackedWherePossible(
            tracked=Zenml(),  # type: ignore[arg-type] - all that is called of it
            untracked=InProcessRunner(steps),
            warn=lambda *warning: warnings.append(warning[-1]),
            clock=shop.clock,
        )

    shop = Workshop(make_runner=make_runner)
    assert shop.transcribe(shop.submitted(speech(1)).id).status is Status.COMPLETED
    assert warnings
    return Provoked(error.failure, "Goes on")


@provokes(WORK, "It was cancelled on request")
def cancelled() -> Provoked:
    shop = Workshop()
    record = shop.cancel(shop.submitted(speech(1)).id)
    assert record.status is Status.CANCELLED
    assert record.failure is not None
    return Provoked(record.failure, "Cancelled")


# ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────


def provokes_by(event: str, *asking: Callable[[TestClient], Any]) -> None:
    for ask in asking:

        @provokes(REQUESTS, event)
        def _(engine: Engine, ask: Callable[[TestClient], Any] = ask) -> Provoked:
            return refused(ask(client_of(FakeContainer(database=RealDatabase(engine)))))


class RealDatabase(FakeDatabase):
    """Where the words come from the repositories themselves."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine

    def unit_of_work(self) -> Any:
        return SqlUnitOfWork(self.engine, TranscriptionJobs)


def post_transcription(client: TestClient, **more: Any) -> Any:
    return client.post("/transcriptions", files={"file": ("talk.wav", TALK)}, **more)


def completed(client: TestClient) -> str:
    transcription_id = submit(client)["id"]
    container: Any = client.app.state.container  # type: ignore[attr-defined]
    container.transcribe(UUID(transcription_id))
    return f"/transcriptions/{transcription_id}"


def completed_without_times(client: TestClient) -> str:
    path = completed(client)
    said = Transcript(language="en", segments=(Segment(start_seconds=0, end_seconds=1, text="Order!"),))
    container: Any = client.app.state.container  # type: ignore[attr-defined]
    with container.unit_of_work() as uow:
        uow.transcripts.save(uow.transcriptions.get(UUID(path.rpartition("/")[2])), said)
        uow.commit()
    return path


def with_key(client: TestClient, content: bytes) -> Any:
    return client.post("/audio", files={"file": ("a.wav", content)}, headers={"Idempotency-Key": "k-1"})


def spent(client: TestClient) -> Any:
    client.delete(f"/audio/{with_key(client, TALK).json()['id']}")
    return with_key(client, TALK)


def reused(client: TestClient) -> Any:
    with_key(client, TALK)
    return with_key(client, TALK * 2)


def beyond_the_end(client: TestClient) -> Any:
    return client.get(f"/audio/{upload(client)['id']}/download", headers={"Range": "bytes=9999999-"})


provokes_by(
    "The id names nothing, or nothing any more",
    lambda client: client.get(f"/audio/{NOTHING}"),
    lambda client: client.get(f"/transcriptions/{NOTHING}"),
    lambda client: client.post(f"/audio/{NOTHING}/transcriptions"),
    lambda client: client.delete(f"/transcriptions/{NOTHING}"),
)
provokes_by("The path names no engine", lambda client: client.post("/engines/parrot/reset"))
provokes_by(
    "The status of the transcription does not allow that",
    lambda client: client.post(f"{completed(client)}/cancel"),
    lambda client: client.post(f"{completed(client)}/retry"),
)
provokes_by(
    "There is no transcript to export",
    lambda client: client.get(f"/transcriptions/{submit(client)['id']}/export?format=txt"),
)
provokes_by(
    "There is no transcript to edit",
    lambda client: client.patch(f"/transcriptions/{submit(client)['id']}/segments/0", json={"text": "x"}, headers=ANY),
    lambda client: client.get(f"/transcriptions/{submit(client)['id']}/revisions/0"),
)
provokes_by(
    "A change does not say which revision it is made to",
    lambda client: client.post(f"{completed(client)}/segments/0/merge"),
)
provokes_by(
    "The transcript was edited since",
    lambda client: client.post(f"{completed(client)}/segments/0/merge", headers={"If-Match": '"r7"'}),
)
provokes_by(
    "The transcript has no such segment",
    lambda client: client.patch(f"{completed(client)}/segments/99", json={"text": "x"}, headers=ANY),
)
provokes_by(
    "The transcript has no such speaker",
    lambda client: client.patch(f"{completed(client)}/speakers/Nobody", json={"name": "x"}, headers=ANY),
)
provokes_by(
    "The transcript has no such revision",
    lambda client: client.get(f"{completed(client)}/revisions/1"),
    lambda client: client.post(f"{completed(client)}/revisions/1/restore", headers=ANY),
)
provokes_by(
    "A segment is to be split, and one half would have no text",
    lambda client: client.post(f"{completed(client)}/segments/0/split", json={"word": 1}, headers=ANY),
)
provokes_by(
    "The last segment is to be merged with the next",
    lambda client: client.post(f"{completed(client)}/segments/1/merge", headers=ANY),
)
provokes_by(
    "The times of segments that are saved are out of order",
    lambda client: client.put(f"{completed(client)}/segments", json=BACKWARDS, headers=ANY),
)
provokes_by("The format to export is none", lambda client: client.get(f"{completed(client)}/export?format=doc"))
provokes_by(
    "The format has no use for a parameter",
    lambda client: client.get(f"{completed(client)}/export?format=srt&words=true"),
    lambda client: client.get(f"{completed(client)}/export?max_lines=1"),
)
provokes_by(
    "Times of words are to be marked, and the transcript has none",
    lambda client: client.get(f"{completed_without_times(client)}/export?format=vtt&words=true"),
)
provokes_by(
    "Who spoke when is to be exported, and the transcript names no speaker",
    lambda client: client.get(f"{completed(client)}/export?format=rttm"),
)
provokes_by("What the `Idempotency-Key` had made was deleted since", spent)
provokes_by("The `Idempotency-Key` was used for another request", reused)
provokes_by(
    "A field is unknown, missing, repeated or of the wrong shape",
    lambda client: post_transcription(client, data={"colour": "red"}),
    lambda client: client.post("/transcriptions"),
    lambda client: post_transcription(client, data={"language": ["en", "de"]}),
    lambda client: client.get("/audio/not-a-uuid"),
)
provokes_by("A cursor that is not ours", lambda client: client.get("/transcriptions?cursor=nonsense"))
provokes_by(
    "A `Last-Event-ID` that is not of this transcription's stream",
    lambda client: client.get(f"/transcriptions/{uuid4()}/events", headers={"Last-Event-ID": "nonsense"}),
)
provokes_by("A search without a word to look for", lambda client: client.get("/search", params={"q": "-noon"}))
provokes_by("A search for more than 64 words", lambda client: client.get("/search", params={"q": "noon " * 65}))
provokes_by("The range begins behind the end of the file", beyond_the_end)
provokes_by(
    "The body cannot be read",
    lambda client: client.post("/audio", content=TALK, headers={"Content-Type": "multipart/form-data"}),
)
provokes_by("There is nothing at the path", lambda client: client.get("/nothing"))
provokes_by("The path does not answer to that method", lambda client: client.delete("/audio"))
provokes_by("`GET /health/ready`, while the service starts", lambda client: client.get("/health/ready"))


@provokes("The choice of an engine", "The request names an engine that there is not")
def unknown_engine() -> Provoked:
    return refused(post_transcription(client_of(FakeContainer()), data={"engine": "parrot"}))


@provokes(REQUESTS, "The body is larger than `HANSARD_MAX_UPLOAD_BYTES`")
def too_large() -> Provoked:
    container = FakeContainer(settings=settings(max_upload_bytes=10))
    return refused(post_transcription(client_of(container)))


@provokes(REQUESTS, "Enough of yours is waiting")
def owner_queue_full() -> Provoked:
    return refused(post_transcription(_full(most_waiting_of_owner=1)))


@provokes(REQUESTS, "More is waiting than is taken on")
def queue_full() -> Provoked:
    return refused(post_transcription(_full(most_waiting=1)))


@provokes(REQUESTS, "An error that nobody foresaw stopped the request")
def unforeseen_in_a_request() -> Provoked:
    container = FakeContainer()
    container.unit_of_work = lambda: _raise(ZeroDivisionError("password=hunter2"))  # type: ignore[method-assign]
    provoked = refused(client_of(container).get(f"/audio/{NOTHING}"))
    assert "hunter2" not in provoked.failure.message
    return provoked


@provokes(REQUESTS, "`GET /health/ready`, while something is missing")
def not_ready() -> Provoked:
    container = FakeContainer(pending_migrations=["0002"])
    container.health.check_now()
    return refused(client_of(container).get("/health/ready"))


def _full(**most: int) -> TestClient:
    container = FakeContainer()
    client = client_of(container)
    submit(client)
    container.queue_policy = replace(container.queue_policy, **most)
    return client


def _raise(error: Exception) -> Any:
    raise error


# ── Settings ─────────────────────────────────────────────────────────────────────────────────────────────


@provokes(SETTINGS, "A setting has a value that it cannot have")
def bad_settings(monkeypatch: pytest.MonkeyPatch) -> Provoked:
    monkeypatch.setenv("HANSARD_PORT", "eighty")
    return start_fails(raised_by(load))


@provokes(SETTINGS, "Settings, or places on the disk, cannot be used together")
def no_postgresql() -> Provoked:
    return start_fails(raised_by(lambda: database.connect("mysql://root@localhost/hansard")))


@provokes(SETTINGS, "The mock engine is asked for outside of tests")
def mock_outside_tests() -> Provoked:
    return start_fails(raised_by(lambda: MockEngine(testing=False)))
