"""What a job is in the course of goes with it through the queue, to whatever its work leads to."""

from functools import partial
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from hansard.application.origin import Origin, acting, current_origin, trace_given
from hansard.application.ports.work import Chore, Erasure
from hansard.observability import tracing
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.queue.jobs import TranscriptionJobs
from tests.queue_work import Work, deleted, jobs, submitted
from tests.spans import id_of, recorded

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACE = trace_given([f"00-{TRACE_ID}-{SPAN_ID}-01"], ["vendor=1"])


@pytest.fixture
def work(engine: Engine, postgres: str) -> Work:
    return Work(postgres)


def test_a_transcription_goes_on_in_the_trace_of_who_asked_for_it(engine: Engine, work: Work) -> None:
    seen: list[Origin] = []
    work.on_job = lambda _: seen.append(current_origin())
    with acting(actor="client", request_id="r-1", **TRACE):
        submitted(engine)
    work.until(lambda: jobs(engine) == [])

    assert seen == [Origin(request_id="r-1", **TRACE)]


def test_an_erasure_does_so_too(engine: Engine, work: Work) -> None:
    seen: list[Origin] = []
    work.on_erasure = lambda _: seen.append(current_origin())
    with acting(actor="client", request_id="r-1", **TRACE):
        deleted(engine)
    work.until(lambda: jobs(engine) == [])

    assert seen == [Origin(request_id="r-1", **TRACE)]


def test_a_job_that_a_chore_asks_for_again_keeps_its_request(engine: Engine, work: Work) -> None:
    seen: list[Origin] = []
    work.on_job = lambda _: seen.append(current_origin())
    with acting(actor="chore:reconcile", trace_id=TRACE_ID):
        submitted(engine)  # whose row names req-1
    work.until(lambda: jobs(engine) == [])

    assert seen == [Origin(request_id="req-1", trace_id=TRACE_ID)]


def test_a_chore_acts_in_its_own_name_and_in_a_trace_of_its_own(engine: Engine, work: Work) -> None:
    seen: list[Origin] = []
    work.chores = [Chore(name="sweep", every_seconds=3600, run=lambda: seen.append(current_origin()))]
    with acting(actor="worker.1"):
        work.until(lambda: bool(seen))

    (origin,) = seen
    assert origin.actor == "chore:sweep"
    assert origin.trace_id is not None
    assert origin.request_id is None


def test_to_defer_a_job_is_a_span_which_the_job_has_for_its_parent(engine: Engine, work: Work) -> None:
    with recorded() as spans, SqlUnitOfWork(engine, partial(TranscriptionJobs, spans=tracing.span)) as uow:
        uow.jobs.defer_erasure(Erasure(audio_id=uuid4(), stored=None, transcription_ids=()))
        uow.commit()
    work.until(lambda: jobs(engine) == [])

    span = spans.named("defer erase")
    assert work.contexts[0].carried["traceparent"].split("-")[2] == id_of(span)
    assert (span.attributes or {})["messaging.destination.name"] == "chores"
