"""Ask for a transcription: the row, its event and its job in one commit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from hansard.application.ports import Clock, SpeechEngine, UnitOfWork
from hansard.application.recognise import recognition
from hansard.domain.errors import InvalidRequest
from hansard.domain.transcription import AUTO, Parameters, Transcription


@dataclass(frozen=True, slots=True)
class Submit:
    """Raises `NotFound` for an unknown audio file, and what `check` raises."""

    unit_of_work: Callable[[], UnitOfWork]
    engines: Mapping[str, SpeechEngine]
    clock: Clock

    def __call__(self, audio_id: UUID, parameters: Parameters, *, request_id: str | None = None) -> Transcription:
        self.check(parameters)
        with self.unit_of_work() as uow:
            audio = uow.audio.get(audio_id)
            transcription = Transcription.queue(
                audio_id=audio.id, parameters=parameters, at=self.clock(), request_id=request_id
            )
            uow.transcriptions.add(transcription)
            uow.jobs.defer_transcription(transcription)
            uow.commit()
        return transcription

    def check(self, parameters: Parameters) -> None:
        """Raises `InvalidRequest` for an unknown engine and `EngineRejected` when the one named can't do that.

        What `auto` can do is only known when a worker takes the job: engines come and go.
        """
        name = parameters.engine
        if name == AUTO:
            return
        if name not in self.engines:
            known = ", ".join([AUTO, *self.engines])
            raise InvalidRequest(
                f"There is no engine called {name!r}.",
                code="unknown_engine",
                help=f"Use one of: {known}. GET /engines tells what each can do here.",
            )
        self.engines[name].model_for(recognition(parameters))
