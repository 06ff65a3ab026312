"""What every runner does around a step: say that it starts, run it, say what it measured."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from uuid import UUID

from loguru import logger

from hansard.application.transcribe import Steps

Measurements = Mapping[str, str | int | float | bool]


def prepare(steps: Steps, transcription_id: UUID, run: int, *, pipeline_run_id: str | None = None) -> Measurements:
    """`pipeline_run_id` links the transcription to the run that works on it."""
    return _measured("prepare", lambda: asdict(steps.prepare(transcription_id, run, pipeline_run_id=pipeline_run_id)))


def recognise(steps: Steps, transcription_id: UUID, run: int) -> Measurements:
    return _measured("recognise", lambda: asdict(steps.recognise(transcription_id, run)))


def settle(steps: Steps, transcription_id: UUID, run: int) -> Measurements:
    return _measured("settle", lambda: asdict(steps.settle(transcription_id, run)))


def _measured(name: str, step: Callable[[], dict[str, object]]) -> Measurements:
    logger.bind(step=name).info("Step started.")
    measurements = {
        key: round(value, 3) if isinstance(value, float) else value
        for key, value in step().items()
        if isinstance(value, str | int | float)
    }
    logger.bind(step=name, **measurements).info("Step finished.")
    return measurements
