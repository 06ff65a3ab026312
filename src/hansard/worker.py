"""A worker process: takes jobs from the queue and gives each to the use case that does it."""

import gc
import os
import threading
from contextlib import AbstractContextManager
from functools import partial
from uuid import UUID

from loguru import logger

from hansard import bootstrap
from hansard.bootstrap import Container
from hansard.domain.errors import Category
from hansard.domain.transcription import Transcription
from hansard.observability import logging, shared_metrics
from hansard.pipelines.resilient import TrackedWherePossible
from hansard.queue.tasks import Duties
from hansard.queue.worker import run_worker
from hansard.settings import Settings


def main(settings: Settings, *, name: str) -> None:
    """Work until told to stop (SIGTERM or SIGINT). What cannot end in time goes back into the queue."""
    shared_metrics.share(bootstrap.metrics_directory(settings))
    container = bootstrap.build(settings, process=name)
    warm_up(container)
    logger.info("The worker is ready.")
    ended = run_worker(
        bootstrap.database_url(settings),
        Duties(
            transcribe=partial(transcribe, container),
            interrupt=container.transcribe.interrupt,
            give_up=container.transcribe.give_up,
            erase=container.erase,
            chores=container.chores,
            models=container.models_in_memory,
            on_job=on_job,
        ),
        name=name,
        revive=partial(bootstrap.revive_database, settings),
    )
    container.close()
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
    transcription = container.transcribe(transcription_id)
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


def on_job(transcription_id: UUID, request_id: str | None) -> AbstractContextManager[None]:
    """The ids that stand on every line logged for a job."""
    return logging.context(transcription_id=str(transcription_id), request_id=request_id)
