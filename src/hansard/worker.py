"""A worker process: takes jobs from the queue and gives each to the use case that does it."""

import gc
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from functools import partial
from uuid import UUID

from loguru import logger

from hansard import bootstrap
from hansard.application.origin import acting, new_trace_id
from hansard.application.ports.tracing import Fact, SpanKind
from hansard.bootstrap import Container
from hansard.domain.errors import Category
from hansard.domain.transcription import Transcription
from hansard.observability import logging, shared_metrics, tracing
from hansard.observability.metrics_server import MetricsServer
from hansard.pipelines.resilient import TrackedWherePossible
from hansard.queue.tasks import Duties, PutBack, Work
from hansard.queue.worker import run_worker
from hansard.settings import Settings


def main(settings: Settings, *, name: str) -> None:
    """Work until told to stop (SIGTERM or SIGINT). What cannot end in time goes back into the queue."""
    shared_metrics.share(bootstrap.metrics_directory(settings))
    container = bootstrap.build(settings, process=name)
    warm_up(container)
    container.process_gauges.start()
    container.performance_recorder.start()
    if settings.worker_metrics_port is not None:
        MetricsServer(container.metrics.render, host=settings.host, port=settings.worker_metrics_port).start()
    logger.info("The worker is ready.")
    ended = run_worker(
        bootstrap.database_url(settings),
        Duties(
            transcribe=partial(transcribe, container),
            interrupt=container.transcribe.interrupt,
            give_up=container.transcribe.give_up,
            erase=container.erase,
            notify=container.notifier.send,
            deliver=container.deliver,
            chores=container.chores,
            models=container.models_in_memory,
            on_work=partial(on_work, name),
        ),
        name=name,
        revive=partial(bootstrap.revive_database, settings),
    )
    container.performance_recorder.stop()
    container.close()
    tracing.stop()
    logger.info("The worker has stopped.")
    if not ended:
        os._exit(0)


def warm_up(container: Container) -> None:
    """What takes seconds is done before the first job; Whisper's model is fetched meanwhile, where it may be."""
    settings = container.settings
    if container.whisper.name in settings.engine_chain:
        container.whisper.fetch_in_background()
    # Beside the rest: a large model takes long, and a job that does not need it should not wait for it.
    threading.Thread(target=_warm_up_engines, args=(container,), name="warm-up", daemon=True).start()
    if isinstance(container.runner, TrackedWherePossible):
        container.runner.warm_up()
    _freeze()


def _warm_up_engines(container: Container) -> None:
    container.warm_up()
    _freeze()


def _freeze() -> None:
    """What was imported stays: leave it out of every later collection."""
    gc.collect()
    gc.freeze()


def transcribe(container: Container, transcription_id: UUID) -> Transcription:
    """Do one job and say how it ended."""
    logger.info("Taken from the queue.")
    try:
        transcription = container.transcribe(transcription_id)
    finally:
        tracing.end_open_attempt()
    outcome = logger.bind(status=transcription.status.value, run=transcription.run)
    if transcription.failure is not None:
        failure = transcription.failure
        # Whose move it is: a bad file is the client's, and nobody needs to be woken for it.
        level = "WARNING" if failure.category in {Category.CLIENT, Category.CANCELLED} else "ERROR"
        outcome.bind(code=failure.code, category=failure.category.value, engine=failure.engine).log(
            level, "The transcription is {}: {}", transcription.status.value, failure.message
        )
    elif transcription.result is not None:
        result = transcription.result
        outcome.bind(
            engine=result.engine, audio_seconds=result.audio_seconds, real_time_factor=result.real_time_factor
        ).info("The transcription is completed.")
    return transcription


@contextmanager
def on_work(worker: str, job: Work) -> Generator[None]:
    """What stands on every line logged for a job and on every event that it leads to; and its span."""
    facts: dict[str, Fact | None] = {
        "messaging.system": "procrastinate",
        "messaging.operation.type": "process",
        "messaging.operation.name": job.name,
        "hansard.request_id": job.carried.get("request_id"),
        **{f"hansard.{name}": value for name, value in job.about.items()},
    }
    trace = {"trace_id": new_trace_id(), **job.carried}
    with (
        acting(actor=worker, **trace),
        logging.context(**job.about),
        # A webhook's turn is in the course of nothing: each delivery belongs to the trace of its own event.
        tracing.span(f"process {job.name}", kind=SpanKind.CONSUMER, expected=(PutBack,), facts=facts)
        if job.carried
        else nullcontext(),
    ):
        yield
