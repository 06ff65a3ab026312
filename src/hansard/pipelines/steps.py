"""What every runner does around a step: say that it starts, run it, say what it measured, note how it ended."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from uuid import UUID

from loguru import logger

from hansard.application.transcribe import Steps
from hansard.domain.errors import HansardError
from hansard.observability import tracing

Measurements = Mapping[str, str | int | float | bool]


@dataclass(slots=True)
class MeasuredSteps:
    """The steps of one run, and what a pipeline engine does not tell: which are done, and whether it was one of them
    that broke the run.
    """

    steps: Steps
    finished: set[str] = field(default_factory=set[str], init=False)
    failed: bool = field(default=False, init=False)

    def prepare(self, transcription_id: UUID, run: int, *, pipeline_run_id: str | None = None) -> Measurements:
        """`pipeline_run_id` links the transcription to the run that works on it."""
        return self._measured(
            "prepare", lambda: asdict(self.steps.prepare(transcription_id, run, pipeline_run_id=pipeline_run_id))
        )

    def recognise(self, transcription_id: UUID, run: int) -> Measurements:
        return self._measured("recognise", lambda: asdict(self.steps.recognise(transcription_id, run)))

    def diarize(self, transcription_id: UUID, run: int) -> Measurements:
        return self._measured("diarize", lambda: asdict(self.steps.diarize(transcription_id, run)))

    def settle(self, transcription_id: UUID, run: int) -> Measurements:
        return self._measured("settle", lambda: asdict(self.steps.settle(transcription_id, run)))

    @property
    def settled(self) -> bool:
        """Whether the record is closed."""
        return "settle" in self.finished

    def run_rest(self, transcription_id: UUID, run: int) -> None:
        """The steps that are not finished, in order."""
        steps = {"prepare": self.prepare, "recognise": self.recognise, "diarize": self.diarize, "settle": self.settle}
        if not self.diarization_is_wanted(transcription_id, run):
            del steps["diarize"]
        for name, step in steps.items():
            if name not in self.finished:
                step(transcription_id, run)

    def diarization_is_wanted(self, transcription_id: UUID, run: int) -> bool:
        """A step that has nothing to do would still cost its bookkeeping. Raises `Superseded`."""
        return self.steps.diarize.is_wanted(transcription_id, run)

    def _measured(self, name: str, step: Callable[[], dict[str, object]]) -> Measurements:
        log = logger.bind(step=name)
        log.info("Step started.")
        try:
            with tracing.span(name) as span:
                measurements = _measurements(step())
                span.note({f"hansard.{fact}": value for fact, value in measurements.items()})
        except Exception as error:
            self.failed = True
            if not isinstance(error, HansardError):
                # The record says only that it was unexpected, and that the log has the details.
                log.exception("Step failed unexpectedly.")
            raise
        self.finished.add(name)
        log.bind(**measurements).info("Step finished.")
        return measurements


def _measurements(measured: Mapping[str, object]) -> Measurements:
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in measured.items()
        if isinstance(value, str | int | float)
    }
